"""docs/first_steps.ipynb: a newcomer's first notebook, run in a kernel; with fewer faces and steps."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the documentation's packages are not installed")
nbclient = pytest.importorskip("nbclient", reason="the documentation's packages are not installed")

NOTEBOOK = Path(__file__).parents[1] / "docs" / "first_steps.ipynb"
SMALL = {
    "num_images=3000": "num_images=60",
    "epochs=10": "epochs=0.5, image_size=(32, 32), backbone_alpha=0.25, batch_size=16",
}


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, 4)


def test_it_runs(notebook, tmp_path, monkeypatch):
    small = nbformat.from_dict(notebook)
    for cell in small.cells:
        for old, new in SMALL.items():
            cell.source = cell.source.replace(old, new)
    assert sum(new in cell.source for cell in small.cells for new in SMALL.values()) == len(SMALL)
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    monkeypatch.setitem(os.environ, "TF_CPP_MIN_LOG_LEVEL", "3")
    nbclient.NotebookClient(
        small, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    assert (tmp_path / "runs/first/report.html").is_file()
    assert (tmp_path / "runs/first/export/onnx/model.onnx").is_file()


def test_it_shows_its_results(notebook):
    """A reader of the site sees what the cells print and draw, without errors and machine's messages."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 3
    assert NOTEBOOK.stat().st_size < 600_000
