"""Presets: models by name, whose numbers are true."""

import pytest

from farkeras.cli.flags import Flags
from farkeras.errors import FarkerasError
from farkeras.models import FARAMTN, MGMTN, MODELS
from farkeras.models.presets import PRESETS, find_preset
from farkeras.studies.running import trainable_parameters


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_the_model_of_a_preset(preset):
    config = preset.config
    model = MODELS[config.model].from_preset(preset.name)
    assert trainable_parameters(model) == preset.parameters
    assert model.image_size == tuple(config.image_size)
    assert len(model.grouping.attributes) == 40


def test_own_attributes():
    model = FARAMTN.from_preset("far_amtn_resnet_tiny", attributes=["Hat", "Glasses"], dropout=0.3)
    assert model.grouping.attributes == ("Hat", "Glasses")
    assert model.get_config()["dropout"] == 0.3
    assert model.output["logits"].shape == (None, 2)


def test_a_preset_of_another_model():
    with pytest.raises(FarkerasError, match=r"far_amtn_resnet50 is a preset of FARAMTN, not of MGMTN\. Use FARAMTN"):
        MGMTN.from_preset("far_amtn_resnet50")


def test_an_unknown_preset():
    with pytest.raises(FarkerasError, match=r"Unknown preset 'resnet50'\. Known: far_amtn_resnet50, mgmtn_resnest50, "):
        find_preset("resnet50")


def test_the_command(capsys, monkeypatch):
    from farkeras import presets

    monkeypatch.setenv("COLUMNS", "80")
    presets.main(Flags())
    _, *rows = capsys.readouterr().out.splitlines()
    assert [(row.split()[0], row.split()[2], row.split()[4]) for row in rows] == [
        (preset.name, f"{preset.parameters:,}", preset.flagfile) for preset in PRESETS
    ]
