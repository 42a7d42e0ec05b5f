"""Short runs: the moving statistics of batch normalisation arrive, whatever momentum the backbone comes with."""

import dataclasses

import keras
import pytest

from farkeras.metrics.history import read_history
from farkeras.models.batch_norms import batch_norms, suit_batch_norms
from farkeras.training import building
from farkeras.training.building import Run, open_data
from farkeras.training.loop import run_phases
from tests.training.small_run import small_config

pytestmark = pytest.mark.core


def momentums(model):
    return {layer.momentum for layer in batch_norms(model)}


@pytest.mark.parametrize(
    ("own", "steps", "momentum"),
    [
        (0.999, 50_000, 0.999),  # 0.999 ** 5,000 is 0.7 %: the run is long enough
        (0.999, 2100, 0.01 ** (1 / 210)),
        (0.99, 5000, 0.99),
        (0.99, 2100, 0.01 ** (1 / 210)),
        (0.9997, 350, 0.9),  # never lower
        (0.999, 1, 0.9),
        (0.9, 350, 0.9),
        (0.8, 350, 0.8),
    ],
)
def test_the_first_values_weigh_little_after_a_tenth_of_the_run(own, steps, momentum):
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(momentum=own)])
    suit_batch_norms(model, steps)
    assert list(momentums(model)) == pytest.approx([momentum])


def test_a_set_momentum_stays():
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    suit_batch_norms(model, 20, 0.95)
    assert momentums(model) == {0.95}


@pytest.mark.long
def test_a_model_that_has_learned_says_so_in_validation(faces_dir, tmp_path, monkeypatch):
    """With a MobileNet's momentum of 0.999, 96 steps would leave 91 % of the first statistics: 0.50, as by chance."""

    def with_slow_statistics(config, grouping, build=building.build_model):
        model = build(config, grouping)
        for layer in batch_norms(model):
            layer.momentum = 0.999
        return model

    monkeypatch.setattr(building, "build_model", with_slow_statistics)
    groups = tmp_path / "groups.json"
    groups.write_text('{"Head": ["Wearing_Hat", "Eyeglasses", "Male"]}')
    settings = {"backbone_alpha": 0.5, "epochs": 8.0, "eval_every_epochs": 8.0, "learning_rate": 5e-3}
    settings |= {"image_size": (48, 48), "positive_weights": "balanced", "weight_decay": 0.0}
    config = small_config(faces_dir, grouping=str(groups), model="shared_trunk", **settings)
    data = open_data(config)
    run = Run(config, tmp_path / "run", dataclasses.replace(data, validation=data.train))
    run_phases(run)
    (figures,) = (r["validation"] for r in read_history(run.workdir / "metrics.jsonl") if "validation" in r)
    assert figures["mean_balanced_accuracy"] > 0.75  # 0.90 on our machine
