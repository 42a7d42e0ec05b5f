"""An export appears whole and within its limits, or not at all."""

import pytest
import tensorflow as tf

from farkeras.errors import FarkerasError
from farkeras.exporters.artifact import new_artifact, writing
from farkeras.exporters.parity import ParityError


def export(target, name, error=None):
    """Writes a file of this name; fails after it."""
    with new_artifact(target) as folder:
        (folder / name).touch()
        with writing(target):
            if error:
                raise error
        assert not target.exists()


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_appears_at_the_end(tmp_path):
    export(tmp_path / "a" / "onnx", "model")
    assert files(tmp_path) == ["a", "a/onnx", "a/onnx/model"]


def test_nothing_is_replaced(tmp_path):
    export(tmp_path / "onnx", "old")
    with pytest.raises(
        FarkerasError, match=r"onnx already exists and is not overwritten\. Remove it, or set another `output`"
    ):
        export(tmp_path / "onnx", "new")
    assert files(tmp_path) == ["onnx", "onnx/old"]


@pytest.mark.parametrize("attempts", [1, 2])
def test_past_a_limit_it_is_kept_aside(tmp_path, attempts):
    for attempt in range(attempts):
        with pytest.raises(ParityError, match=r"Too far\. The export is kept in .*onnx\.rejected\.") as raised:
            export(tmp_path / "onnx", f"model{attempt}", ParityError("Too far.", {"exceeded": ["it"]}))
        assert raised.value.report == {"exceeded": ["it"]}
        assert files(tmp_path) == ["onnx.rejected", f"onnx.rejected/model{attempt}"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        tf.errors.ResourceExhaustedError(None, None, "{{node}} some/path; No space left on device [Op:SaveV2]"),
    ],
)
def test_a_full_disk(tmp_path, error):
    with pytest.raises(FarkerasError, match=r"^Cannot write the export .*onnx \(No space left on device\)\. Nothing"):
        export(tmp_path / "onnx", "model", error)
    assert not files(tmp_path)


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(ZeroDivisionError):
        export(tmp_path / "onnx", "model", ZeroDivisionError())
    assert not files(tmp_path)
