"""Every argument of what a run builds gets the setting of its name: renaming one without the other fails here."""

import dataclasses
import inspect

import pytest

from farkeras.attributes import load_grouping
from farkeras.config import Config
from farkeras.data.augmentation import Augmentation
from farkeras.errors import FarkerasError
from farkeras.models import MODELS
from farkeras.training.building import build_model, open_data
from farkeras.training.optimizers import make_optimizer
from tests.training.small_run import GROUPING, small_config

MODEL_SETTINGS = {
    "image_size": (64, 32),
    "reduction": 2,
    "dropout": 0.25,
    "mask_widths": (8, 8),
    "mask_stride": 1,
    "fusion_width": 8,
    "mask_gradients": True,
    "wsgsa_gate": "double_sigmoid",
    "private_channels": 8,
    "fusion": "cross_stitch",
    "mask_condition": "ones",
    "global_fusion": "off",
}


@pytest.mark.parametrize("name", MODELS)
def test_arguments_of_a_model(name):
    config = small_config("", model=name, **MODEL_SETTINGS)
    saved, defaults = build_model(config, load_grouping(GROUPING)).get_config(), Config()
    arguments = set(inspect.signature(MODELS[name]).parameters) - {"attributes", "name", "backbone_weights"}
    assert arguments < saved.keys()
    for argument in arguments:
        value = getattr(config, argument)
        assert saved[argument] == (list(value) if isinstance(value, tuple) else value)
        assert value != getattr(defaults, argument)
    with pytest.raises(FarkerasError, match=r"Backbone weights 'missing\.weights\.h5' cannot be loaded into"):
        build_model(dataclasses.replace(config, backbone_weights="missing.weights.h5"), load_grouping(GROUPING))


def test_arguments_of_the_augmentation(faces_dir):
    numbers = {field.name: 0.01 * i for i, field in enumerate(dataclasses.fields(Augmentation), 1)}
    expected = Augmentation(**numbers | {"flip": False})
    settings = {f"augment_{name}": value for name, value in dataclasses.asdict(expected).items()}
    assert open_data(small_config(faces_dir, **settings)).augmentation == expected


def test_a_tenth_of_the_training_split(faces_dir):
    whole, tenth = (open_data(small_config(faces_dir, train_fraction=share)) for share in (1.0, 0.1))
    assert len(tenth.train) == round(0.1 * len(whole.train))
    assert set(tenth.train.paths) < set(whole.train.paths)
    assert len(tenth.validation) == len(whole.validation)
    message = "`batch_size`"
    with pytest.raises(FarkerasError, match=message):
        open_data(small_config(faces_dir, train_fraction=0.01))


def test_arguments_of_the_optimizer():
    config = Config(weight_decay=0.02, ema_decay=0.7, learning_rate=0.03, warmup_epochs=2.0, schedule="linear")
    optimizer = make_optimizer(config, [], total_steps=50, steps_per_epoch=10)
    assert (optimizer.weight_decay, optimizer.ema_momentum) == (0.02, 0.7)
    assert optimizer._learning_rate.get_config() == {
        "peak": 0.03,
        "total_steps": 50,
        "warmup_steps": 20,
        "decay": "linear",
    }
