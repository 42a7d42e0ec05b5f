"""Checkpoints of a run, without a run: a model of one weight."""

import keras
import pytest

from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.training.checkpoints import RunState, newest_checkpoint
from farkeras.weighting import make_weighting

NAMES = ["run[lr=3e-4]", "a*", "a?", "back\\slash", "{a,b}", "100%41", "#1 'q\"", "-new\nline", "头 😀"]


def make_state(folder, inputs=1):
    model = keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    return RunState(folder, model, {"optimizer": optimizer}, make_weighting(Config(), 1.0).build([1], "float32"))


def save_at(state, *steps):
    for step in steps:
        state.step.assign(step)
        state.optimizers["optimizer"].iterations.assign(step)
        state.save()


def saved(folder):
    return sorted(path.stem for path in folder.iterdir() if path.suffix == ".index")


@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_a_folder(name, tmp_path):
    other, folder = tmp_path / "ab", tmp_path / name
    save_at(make_state(other), 1)
    assert newest_checkpoint(folder) is None
    assert not make_state(folder).restore()
    save_at(make_state(folder), 1, 2)
    state = make_state(folder)
    assert state.restore()
    assert int(state.step) == 2
    save_at(state, 3)
    assert saved(folder) == ["ckpt-2", "ckpt-3"]
    assert newest_checkpoint(folder) == folder / "ckpt-3"
    assert saved(other) == ["ckpt-1"]  # `a*` and `a?` are no patterns


def test_a_checkpoint_of_another_model(tmp_path):
    folder = tmp_path / "[x]"
    save_at(make_state(folder), 1)
    with pytest.raises(FarkerasError, match=r"Checkpoint .*\[x\]/ckpt-1 cannot be continued: .* another `workdir`\."):
        make_state(folder, inputs=2).restore()


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, file_size_limit):
    folder = tmp_path / "run" / "checkpoints"
    save_at(make_state(folder), 1)
    state = make_state(folder, inputs=10_000)
    file_size_limit(5000)
    message = (
        r"^Cannot write .*checkpoints \(File too large\); free disk .* same command again; it does not repeat what is"
    )
    with pytest.raises(FarkerasError, match=message):
        save_at(state, 2)
    assert saved(folder) == ["ckpt-1"]
    assert make_state(folder).restore()
