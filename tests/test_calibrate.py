"""The command from a model file to a model file with a calibration, and what evaluation says before and after."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import farkeras
from farkeras import calibrate as command
from farkeras import evaluate
from farkeras.cli.flags import Flags
from farkeras.data.examples import Examples
from farkeras.data.sources import opening as sources
from farkeras.errors import FarkerasError
from farkeras.files import alone_in
from farkeras.models.model_file import load_model, read_metadata
from tests.test_evaluate import SIDE, write_model

LEVELS = 16


class Source:
    """The brighter an image, the more often it has the label Smiling; one in ten has Eyeglasses."""

    attributes = ("Eyeglasses", "Smiling")

    def __init__(self, folder, count=400):
        random = np.random.default_rng(0)
        level = random.integers(0, LEVELS, count)
        smiling = random.random(count) < 1 / (1 + np.exp(-(level - 11) / 2))
        self.labels = np.stack([np.arange(count) % 10 == 0, smiling], axis=1).astype(np.int8)
        self.paths = np.array([str(folder / f"{n}.png") for n in level])
        for n in range(LEVELS):
            Image.new("RGB", (SIDE, SIDE), (16 * n,) * 3).save(folder / f"{n}.png")

    def split(self, name):
        rows = slice(0, 300) if name == "validation" else slice(300, 400)
        return Examples(self.attributes, self.paths[rows], self.labels[rows])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of the data, and a workdir whose model is too sure of everything."""
    data, workdir = tmp_path_factory.mktemp("faces"), tmp_path_factory.mktemp("run")
    source = Source(data)
    write_model(workdir, {"source": "celeba", "data_dir": str(data)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "open_source", lambda name, data_dir, progress, settings: source)
        yield workdir


@pytest.fixture
def workdir(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def run(program, *arguments):
    options = Flags()
    program.define(options)
    options.parse(["program", *map(str, arguments)])
    program.main(options)


def test_from_an_old_model_file_to_a_calibrated_one(workdir, capsys):
    weights = load_model(workdir)[0].get_weights()
    run(evaluate, f"--workdir={workdir}")
    before = json.loads((workdir / "evaluation.json").read_text())
    note = "The model file has no calibration: the probabilities are the model's own, and answers are at 50 %."
    assert before["calibration"]["fitted"] is None
    for text in (
        capsys.readouterr().out,
        (workdir / "evaluation.md").read_text(),
        (workdir / "report.html").read_text(),
    ):
        assert note in " ".join(text.split()).replace("&#39;", "'")

    run(command, f"--workdir={workdir}")
    screen = " ".join(capsys.readouterr().out.split())
    assert "Thresholds for balanced_accuracy: " in screen
    assert f"Stored in {workdir}. Export the model again to use them there." in screen
    model, metadata = load_model(workdir)
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    fitted = metadata.calibration
    assert fitted.fitted_on == {
        "source": "celeba",
        "data_dir": read_metadata(workdir).config["data_dir"].rsplit("/", 1)[1],
        "split": "validation",
        "procedural": False,
        "images": 300,
    }
    assert fitted.thresholds["Eyeglasses"] == pytest.approx(0.1, abs=0.05)  # its frequency

    run(evaluate, f"--workdir={workdir}")
    after = json.loads((workdir / "evaluation.json").read_text())
    same = set(before) - {"calibration", "thresholds", "risk_coverage", "consistency", "run"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}  # also bit for bit
    assert after["calibration"]["fitted"] == fitted.to_dict()
    assert not after["calibration"]["on_same_images"]
    assert after["calibration"]["before"] == before["calibration"]["before"]
    reduction = [after["calibration"][name]["expected_calibration_error"] for name in ("before", "after")]
    assert reduction[1] < reduction[0] / 2
    assert after["calibration"]["reduction_ci95"][0] > 0
    figures = after["thresholds"]
    assert figures["at_50"]["mean_balanced_accuracy"] == before["mean_balanced_accuracy"]
    assert figures["at_50"]["mean_accuracy"] == before["mean_accuracy"]
    assert figures["at_thresholds"]["attributes"]["Smiling"]["balanced_accuracy"] > 0.75
    page, text = ((workdir / name).read_text() for name in ("report.html", "evaluation.md"))
    for title in ("Calibration", "Thresholds", "Abstaining"):
        assert f"<h2>{title}</h2>" in page
        assert f"## {title}\n" in text
    assert page.count('aria-label="Reliability of ') == 2
    assert "The thresholds of the calibrated probabilities were chosen for balanced accuracy" in " ".join(
        capsys.readouterr().out.split()
    )

    run(evaluate, f"--workdir={workdir}", "--calibrate=none", f"--output={workdir / 'own'}")
    own = json.loads((workdir / "own" / "evaluation.json").read_text())
    assert own["run"]["calibrate"] == "none"
    assert {name: own[name] for name in same} == {name: before[name] for name in same}
    assert "Calibration was left out (calibrate=none)" in (workdir / "own" / "evaluation.md").read_text()


def test_evaluation_on_the_images_of_the_calibration_says_so(workdir):
    farkeras.calibrate_run(workdir)
    assert farkeras.evaluate_run(workdir, "validation").evaluation["calibration"]["on_same_images"]
    assert "These are the images of the calibration" in (workdir / "evaluation.md").read_text()


def test_the_same_numbers_in_the_graph_and_in_evaluation(workdir):
    calibration = farkeras.calibrate_run(workdir)
    recognizer = farkeras.load(workdir)
    curve = farkeras.evaluate_run(workdir).evaluation["calibration"]["after"]["attributes"]["Smiling"]["curve"]
    levels = [np.full((SIDE, SIDE, 3), 16 * n, np.uint8) for n in range(LEVELS)]
    by_level = {round(p["Smiling"], 5) for p in recognizer(levels, align=False)}
    means = {round(p, 5) for p, count in zip(curve["predicted"], curve["count"], strict=True) if count}
    assert len(means & by_level) > 5  # bins with images of one brightness
    assert recognizer.thresholds == calibration.thresholds


def test_other_objectives_replace_the_thresholds(workdir, capsys):
    balanced = farkeras.calibrate_run(workdir)
    run(command, f"--model={workdir / 'model.keras'}", "--objective=precision", "--precision=0.8")
    precise = read_metadata(workdir).calibration
    assert (precise.objective, precise.precision) == ("precision", 0.8)
    assert precise.temperatures == balanced.temperatures
    assert precise.thresholds["Smiling"] > balanced.thresholds["Smiling"]
    assert precise.notes["Eyeglasses"][-1] == "no threshold has the precision 0.8: the threshold 50 %"
    assert "Eyeglasses: no threshold has the precision 0.8: the threshold 50 %." in capsys.readouterr().out
    assert farkeras.calibrate_run(workdir, "f1").precision is None


def test_messages(workdir):
    before = (workdir / "model.keras").read_bytes()
    cases = {
        "`objective` must be one of balanced_accuracy, accuracy, f1, precision. Received: 'recall'.": {
            "objective": "recall"
        },
        "`precision` must be above 0 and below 1. Received: 1.": {"precision": 1},
        "`split` must not be train, because the model fits its training images better than others. Use validation.": {
            "split": "train"
        },
    }
    for message, arguments in cases.items():
        with pytest.raises(FarkerasError) as raised:
            farkeras.calibrate_run(workdir, **arguments)
        assert str(raised.value) == message
    with alone_in(workdir, "workdir"), pytest.raises(FarkerasError, match="is in use by process"):
        farkeras.calibrate_run(workdir)
    assert (workdir / "model.keras").read_bytes() == before
    with pytest.raises(FarkerasError, match="either --workdir=FOLDER or --model"):
        run(command)
