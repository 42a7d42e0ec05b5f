"""Another project's keras.json: models are the same in both data formats, and what changes numbers is refused."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import farkeras
from farkeras.errors import FarkerasError
from farkeras.layers import AML, WSGSA
from farkeras.models import FARAMTN, MGMTN, ScoreFusion, SharedTrunk
from farkeras.models.model_file import check_keras

pytestmark = pytest.mark.core

SMALL = {"image_size": (64, 64), "attributes": "mcnn9"}
MODELS = {
    "FARAMTN on MobileNetV2": lambda: FARAMTN(backbone="MobileNetV2", backbone_alpha=0.35, **SMALL),
    "SharedTrunk on ResNetTiny": lambda: SharedTrunk(backbone="ResNetTiny", backbone_alpha=0.25, **SMALL),
    "ScoreFusion on ResNetTiny": lambda: ScoreFusion(backbone="ResNetTiny", backbone_alpha=0.25, **SMALL),
    "MGMTN on ResNetTiny": lambda: MGMTN(
        backbone="ResNetTiny", backbone_alpha=0.25, mask_widths=(4, 8), mask_stride=2, **SMALL
    ),
}
LAYERS = {"WSGSA": lambda: WSGSA(2, reduction=2), "AML": lambda: AML(2, widths=(4, 8, 8))}


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


def outputs_of(make, images):
    keras.utils.set_random_seed(0)
    return keras.tree.flatten(make()(images))


@pytest.mark.parametrize("make", [*MODELS.values(), *LAYERS.values()], ids=[*MODELS, *LAYERS])
def test_channels_first_changes_nothing(make, channels_first):
    images = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    in_both = []
    for data_format in ("channels_first", "channels_last"):
        keras.config.set_image_data_format(data_format)
        in_both.append(outputs_of(make, images))
    for first, last in zip(*in_both, strict=True):
        np.testing.assert_array_equal(first, last)


def test_another_precision_by_default_is_refused():
    keras.config.set_floatx("float16")
    try:
        with pytest.raises(
            FarkerasError, match="Keras is set to floatx=float16, which changes results; expected float32"
        ):
            check_keras()
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.long
@pytest.mark.parametrize("command", [["train", "--workdir=run"], ["throughput"]])
def test_commands_check_the_backend_before_they_read_data(command, tmp_path):
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "jax"}))
    repository = os.path.dirname(os.path.dirname(farkeras.__file__))
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "PYTHONPATH": repository}
    environment.pop("KERAS_BACKEND", None)
    done = subprocess.run(
        [sys.executable, "-m", "farkeras", *command, "--data_dir=nowhere"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: Keras runs on jax in this process, but the training loop")
    assert not (tmp_path / "run").exists()
