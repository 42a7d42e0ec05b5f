"""Settings: ranges, choices, and what may differ when a run is continued."""

import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from farkeras.attributes import SUBJECTIVE_ATTRIBUTES
from farkeras.config import Config
from farkeras.data.sources.opening import SOURCES
from farkeras.errors import FarkerasError
from farkeras.layers.g2ff import GLOBAL_FUSIONS
from farkeras.layers.wsgsa import GATES
from farkeras.models import MODELS
from farkeras.models.far_amtn import FUSIONS
from farkeras.models.mgmtn import MASK_CONDITIONS
from farkeras.training.devices import POLICIES

pytestmark = pytest.mark.core

FIELDS = {field.name: field for field in dataclasses.fields(Config)}


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("model", MODELS),
        ("source", SOURCES),
        ("precision", POLICIES),
        ("wsgsa_gate", GATES),
        ("fusion", FUSIONS),
        ("mask_condition", MASK_CONDITIONS),
        ("global_fusion", GLOBAL_FUSIONS),
    ],
)
def test_choices_are_what_the_code_knows(name, table):
    assert set(FIELDS[name].metadata["choices"]) == set(table)


def test_every_setting_says_what_it_is():
    assert all(field.metadata["help"] for field in FIELDS.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: 0."),
        ({"dropout": 0.96}, "`dropout` must be at least 0 and at most 0.95. Received: 0.96."),
        ({"learning_rate": -1.0}, "`learning_rate` must be at least 0. Received: -1.0."),
        ({"learning_rate": math.nan}, "`learning_rate` must be at least 0. Received: nan."),
        ({"image_size": (64, 16)}, "`image_size` must be at least 32. Received: 16."),
        ({"image_size": (64, 64, 64)}, r"`image_size` must be height,width. Received: \(64, 64, 64\)."),
        ({"weighting": "gradnorm"}, "`weighting` must be one of dws, uniform, dwa, uncertainty, famo. Received: grad"),
        ({"model": "mgmtn", "mask_loss_weight": 0.0}, "`mask_loss_weight=0` leaves the mask network untrained"),
        ({"mask_stride": 3}, "`mask_stride` must be a power of two below 16, because.*Received: 3."),
        ({"mask_stride": 8, "mask_widths": (8, 8, 8)}, "`mask_stride` must be a power of two below 8"),
        ({"crop": (0.0, 0.0, 1.0)}, "`crop` must be top,left,bottom,right with 0 <= top < bottom <= 1 and 0 <= left"),
        ({"crop": (0.5, 0.0, 0.5, 1.0)}, "`crop` must be top,left,bottom,right"),
        ({"crop": (0.0, 0.9, 1.0, 0.1)}, "`crop` must be top,left,bottom,right"),
        ({"crop": (0.0, 0.0, 1.0, 1.1)}, "`crop` must be top,left,bottom,right"),
        ({"split_ratios": (0.8, 0.2)}, r"`split_ratios` must be three shares \(train, validation, test\) that add up"),
        ({"split_ratios": (0.8, 0.2, 0.2)}, r"that add up to 1\. Received: \(0.8, 0.2, 0.2\)"),
        ({"train_fraction": 0.0}, "`train_fraction` must be at least 0.0001 and at most 1. Received: 0.0."),
        ({"crop": (-0.1, 0.0, 1.0, 1.0)}, "`crop` must be at least 0. Received: -0.1."),
    ],
)
def test_errors(changes, message):
    with pytest.raises(FarkerasError, match=message):
        Config(**changes)


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.metadata["at_least"] is not None])
def test_every_bound_holds(name):
    for bound, beyond in (("at_least", -1), ("at_most", 1)):
        if (limit := FIELDS[name].metadata[bound]) is None:
            continue
        value = limit + beyond
        if isinstance(FIELDS[name].default, tuple):
            value = (value, *FIELDS[name].default[1:])
        with pytest.raises(FarkerasError, match=f"^`{name}` must be "):
            Config(**{name: value})


def test_subjective_stands_for_the_set():
    assert Config(exclude_attributes=("Male", "subjective", "Young")).excluded == ("Male", *SUBJECTIVE_ATTRIBUTES)
    assert Config().excluded == ()


def test_changes_that_matter():
    changed = Config(seed=1, learning_rate=0.1, steps_per_loop=5, checkpoint_every_steps=7)
    assert changed.changed_from(Config()) == ["learning_rate", "seed"]
    assert Config(steps_per_loop=5, checkpoint_every_steps=7).changed_from(Config()) == []


def test_json_round_trip():
    config = Config(data_dir="ü", image_size=(64, 48), exclude_attributes=("Male",), learning_rate=1e-7)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_setting_of_another_version():
    with pytest.raises(FarkerasError, match=r"Unknown settings: dropuot, x\. Did you mean dropout\?"):
        Config.from_dict({"x": 1, "dropuot": 0.1})


def test_what_may_stand_for_a_value():
    config = Config(data_dir=Path("data"), image_size=[64, 48], epochs=3, batch_size=np.int64(8), dropout=np.float32(0))
    assert config == Config(data_dir="data", image_size=(64, 48), epochs=3.0, batch_size=8)
    assert type(config.batch_size) is int  # JSON knows no other


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": "64"}, "`batch_size` must be of type int. Received: '64'."),
        ({"batch_size": 64.0}, "`batch_size` must be of type int. Received: 64.0."),
        ({"epochs": True}, "`epochs` must be of type float. Received: True."),
        ({"augment_flip": 1}, "`augment_flip` must be of type bool. Received: 1."),
        ({"image_size": 224}, "`image_size` must be of type tuple. Received: 224."),
        ({"exclude_attributes": "Male"}, "`exclude_attributes` must be of type tuple. Received: 'Male'."),
        ({"mask_widths": [16, "32"]}, "`mask_widths` must be of type int. Received: '32'."),
        ({"data_dir": None}, "`data_dir` must be of type str. Received: None."),
    ],
)
def test_wrong_type(changes, message):
    with pytest.raises(FarkerasError, match=f"^{re.escape(message)}$"):
        Config(**changes)
