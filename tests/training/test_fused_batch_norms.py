"""A run trains with batch normalisation in one operation, in each precision, and writes a plain model."""

import keras
import pytest

from farkeras.models.batch_norms import batch_norms
from farkeras.training.building import Run, open_data
from farkeras.training.loop import run_phases
from tests.training.small_run import small_config

pytestmark = pytest.mark.core


@pytest.mark.parametrize("precision", [pytest.param("float32", marks=pytest.mark.long), "bfloat16"])
def test_a_run_trains_with_it_and_saves_a_plain_model(precision, faces_dir, tmp_path):
    config = small_config(faces_dir, precision=precision, epochs=0.2)
    run = Run(config, tmp_path, open_data(config))
    assert all("call" in vars(norm) for norm in batch_norms(run.model))
    run_phases(run)
    (function,) = run.phases[-1].step.run._list_all_concrete_functions()
    operations = [node.op for body in function.graph.as_graph_def().library.function for node in body.node_def]
    assert operations.count("FusedBatchNormV3") == len(batch_norms(run.model))
    saved = keras.saving.load_model(tmp_path / "model.keras")
    assert not any("call" in vars(norm) for norm in batch_norms(saved))
