"""The command from a model file and a data folder to its four files and its words on the screen."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from farkeras import evaluate as command
from farkeras.attributes import Grouping
from farkeras.cli.flags import Flags
from farkeras.data.examples import Examples
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.sources import opening as sources
from farkeras.errors import FarkerasError
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import ModelMetadata, save_model
from farkeras.training.identity import fingerprint

GROUPING = Grouping({"Eyes": ("Eyeglasses",), "Mouth": ("Smiling",)})
SIDE = 8


class Source:
    """Bright images have a smile; the label columns are not in the model's order."""

    attributes = ("Smiling", "Male", "Eyeglasses")

    def __init__(self, folder, count=6):
        self.labels = np.array([[i % 2, 1, -1 if i else 1] for i in range(count)], np.int8)
        self.paths = np.array([str(folder / f"{i}.png") for i in range(count)])
        for path, smiling in zip(self.paths, self.labels[:, 0], strict=True):
            Image.new("RGB", (SIDE, SIDE), (200 * int(smiling),) * 3).save(path)

    def split(self, name):
        assert name == "validation"
        return Examples(self.attributes, self.paths, self.labels)

    def column(self, name, split):
        return None


@pytest.fixture
def data(tmp_path, monkeypatch):
    folder = tmp_path / "data"
    folder.mkdir()
    source = Source(folder)
    monkeypatch.setattr(sources, "open_source", lambda name, data_dir, progress, settings: source)
    return folder


def write_model(folder, config):
    """A model that says Smiling for bright images and Eyeglasses for all."""
    inputs = keras.Input((SIDE, SIDE, 3))
    brightness = keras.layers.GlobalAveragePooling2D()(inputs)
    dense = keras.layers.Dense(2)
    model = LogitsModel(inputs, {"logits": dense(brightness)})
    dense.set_weights([np.array([[0, 0.02]] * 3, np.float32), np.array([1, -3], np.float32)])
    save_model(model, ModelMetadata(GROUPING, Preprocessing((SIDE, SIDE)), config), folder / "model.keras")


@pytest.fixture
def workdir(tmp_path, data):
    write_model(tmp_path / "run", {"source": "celeba", "data_dir": str(data), "learning_rate": 0.001})
    return tmp_path / "run"


def run(*arguments):
    options = Flags()
    command.define(options)
    options.parse(["evaluate", *map(str, arguments)])
    command.main(options)


def test_a_workdir_is_measured(workdir, data, capsys):
    (workdir / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5}\n')
    run(f"--workdir={workdir}", "--split=validation", "--batch_size=4")
    result = json.loads((workdir / "evaluation.json").read_text())
    assert result["num_images"] == 6
    assert result["run"]["data_dir"] == str(data)
    assert result["run"]["procedural"] is False
    assert list(result["attributes"]) == ["Eyeglasses", "Smiling"]
    assert result["attributes"]["Smiling"]["accuracy"] == 1.0
    assert result["attributes"]["Eyeglasses"]["num_known"] == 1
    assert result["attributes"]["Eyeglasses"]["balanced_accuracy"] is None
    page = (workdir / "report.html").read_text()
    assert "learning_rate" in page
    assert "<svg" in page
    assert "| Smiling | 100.00 |" in (workdir / "evaluation.md").read_text()
    screen = capsys.readouterr().out
    for text in ("6 images", "100.00", "Eyes", "–", str(workdir / "report.html")):
        assert text in screen


def test_a_model_file_goes_with_other_folders(workdir, data, tmp_path, capsys):
    (data / "synthesize.json").write_text("{}")
    model = (workdir / "model.keras").rename(tmp_path / "bare.keras")
    output = tmp_path / "results"
    run(f"--model={model}", "--split=validation", f"--output={output}", f"--data_dir={data}")
    assert {file.name for file in output.iterdir()} == {
        *("evaluation.json", "evaluation.md", "model_card.md", "report.html")
    }
    assert "<h2>Training</h2>" not in (output / "report.html").read_text()
    assert "say nothing about CelebA" in capsys.readouterr().out


def test_rules_of_ones_own(workdir, tmp_path, capsys):
    """The model says Eyeglasses for every image, and Smiling for three of six."""
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nif = "Smiling"\nnever = ["Eyeglasses"]\n')
    run(f"--workdir={workdir}", "--split=validation", f"--consistency_rules={rules}")
    consistency = json.loads((workdir / "evaluation.json").read_text())["consistency"]
    assert consistency["contradictions"] == {"Smiling with Eyeglasses": {"answers": 3, "labels": 0}}
    assert consistency["ignored"] == 18  # the rules of the package name other attributes
    screen = capsys.readouterr().out
    assert "Of 6 images, 3 have answers that contradict each other, and 0 have such labels." in screen
    assert "Most frequent in the answers: Smiling with Eyeglasses (3)." in screen
    rules.write_text("[[rule]]")
    with pytest.raises(FarkerasError, match="rule 1 must have one of the forms"):
        run(f"--workdir={workdir}", "--split=validation", f"--consistency_rules={rules}")


def test_subgroups_of_an_attribute_that_the_model_lacks(workdir, data, capsys, monkeypatch):
    """200 images: half are men, and every second image is bright and smiles, but those of women are not labelled so."""
    many = Source(data, 200)
    many.labels[:, 1] = np.arange(200) < 100
    many.labels[100:, 0] = 1 - many.labels[100:, 0]
    monkeypatch.setattr(sources, "open_source", lambda *_: many)
    run(f"--workdir={workdir}", "--split=validation", "--subgroups=Male")
    result = json.loads((workdir / "evaluation.json").read_text())["subgroups"]
    accuracy = [group["attributes"]["Smiling"]["accuracy"] for group in result["names"]["Male"]["subgroups"].values()]
    assert accuracy == [1, 0]
    assert (result["num_gaps"], result["num_clear"], result["resampled"]) == (4, 4, "images")
    screen = " ".join(capsys.readouterr().out.split())
    assert "Subgroups by Male: 4 of 4 gaps are clear" in screen
    assert "Smiling, accuracy: 100.0 points more for Male than for not Male" in screen
    for file in ("evaluation.md", "report.html", "model_card.md"):
        text = (workdir / file).read_text()
        assert "so that all intervals hold at the same time: 4 of 4 gaps are clear." in text
        assert "Male above not Male" in text


def test_a_table_names_subgroups_and_people(workdir, data, monkeypatch):
    many = Source(data, 120)
    monkeypatch.setattr(sources, "open_source", lambda *_: many)
    rows = [f"{i}.png,{'north' if i < 60 else 'south'},{i // 4}" for i in range(120)]
    (data / "more.csv").write_text("\n".join(["image,region,person", *rows]))
    (data / "5.png").write_bytes(b"broken")
    run(f"--workdir={workdir}", "--split=validation", "--subgroups=region", f"--subgroup_table={data / 'more.csv'}")
    result = json.loads((workdir / "evaluation.json").read_text())["subgroups"]
    assert (result["resampled"], result["num_people"]) == ("people", 30)
    region = result["names"]["region"]
    assert region["origin"] == "more.csv"
    assert [group["num_images"] for group in region["subgroups"].values()] == [59, 60]
    run(f"--workdir={workdir}", "--split=validation", "--subgroups=none")
    assert "subgroups" not in json.loads((workdir / "evaluation.json").read_text())


def test_a_wrong_name_of_subgroups_is_named_before_the_model_runs(workdir, data, monkeypatch):
    monkeypatch.setattr("farkeras.training.evaluation.predict_examples", None)
    with pytest.raises(FarkerasError, match="`subgroups`: 'Wealth' is unknown; expected an attribute of the data set"):
        run(f"--workdir={workdir}", "--split=validation", "--subgroups=Wealth")


def test_attributes_that_are_left_out(workdir, data, tmp_path):
    run(f"--workdir={workdir}", "--split=validation", "--leave_out=Eyeglasses", f"--gallery={tmp_path / 'faces.png'}")
    result = json.loads((workdir / "evaluation.json").read_text())
    assert (list(result["attributes"]), list(result["groups"])) == (["Smiling"], ["Mouth"])
    assert result["run"]["left_out"] == ["Eyeglasses"]
    assert result["mean_accuracy"] == 1.0
    assert "Eyeglasses are left out" in (workdir / "evaluation.md").read_text()
    assert "left out: Eyeglasses" in (workdir / "report.html").read_text()
    with pytest.raises(
        FarkerasError, match=r"`leave_out`: Cannot exclude unknown attributes: Hat\. Known: Eyeglasses, Sm"
    ):
        run(f"--workdir={workdir}", "--split=validation", "--leave_out=Hat")
    run(f"--workdir={workdir}", "--split=validation", "--leave_out=subjective")  # the model has none of them
    assert json.loads((workdir / "evaluation.json").read_text())["run"]["left_out"] == []


def test_data_without_one_of_the_attributes(workdir, data, monkeypatch):
    monkeypatch.setattr(Source, "attributes", ("Smiling", "Male", "Hat"))
    with pytest.raises(FarkerasError, match="no labels for Eyeglasses"):
        run(f"--workdir={workdir}", "--split=validation")


@pytest.mark.parametrize("argument", ["--source=lfwa", "--data_dir=elsewhere"])
def test_results_on_other_data_do_not_take_the_place_of_the_models_own(workdir, data, argument):
    (workdir / "evaluation.json").write_text("mine")
    with pytest.raises(FarkerasError) as raised:
        run(f"--workdir={workdir}", "--split=validation", argument)
    assert str(raised.value).startswith(f"The model was trained on celeba in {data}; results on ")
    kind = "lfwa" if "lfwa" in argument else "celeba"
    assert str(raised.value).endswith(f"Set another folder for them: `output={workdir}/on_{kind}`.")
    run(f"--workdir={workdir}", "--split=validation", argument, f"--output={workdir}/on_other")
    assert (workdir / "evaluation.json").read_text() == "mine"
    assert (workdir / "on_other" / "evaluation.json").is_file()


def test_the_data_trained_on_by_another_name_are_the_same(workdir, data):
    (data.parent / "link").symlink_to(data)
    run(f"--workdir={workdir}", "--split=validation", f"--data_dir={data.parent / 'link'}", "--source=celeba")
    assert (workdir / "evaluation.json").is_file()


def test_the_data_trained_on_in_another_place_are_the_same(workdir, data, monkeypatch):
    place = data.with_name("moved data")

    def split(self, name):
        return Examples(self.attributes, np.char.replace(self.paths, str(data), str(place)), self.labels)

    monkeypatch.setattr(Source, "split", split)
    data.rename(place)
    with pytest.raises(FarkerasError) as raised:
        run(f"--workdir={workdir}", "--split=validation")
    assert str(raised.value) == (
        f"The data set that the model was trained on is not at {data}; name its present place with `data_dir=PATH`."
    )
    with pytest.raises(FarkerasError, match=r"would replace those in"):  # nothing says that they are the same
        run(f"--workdir={workdir}", "--split=validation", f"--data_dir={place}")
    examples = Source(place).split("train").select(("Eyeglasses", "Smiling"))
    (workdir / "identity.json").write_text(json.dumps({"data": fingerprint(examples, examples)}))
    run(f"--workdir={workdir}", "--split=validation", f"--data_dir={place}")
    assert json.loads((workdir / "evaluation.json").read_text())["run"]["data_dir"] == str(place)
    for page in ("evaluation.md", "report.html"):  # may be passed on
        text = (workdir / page).read_text()
        assert "moved data" in text
        assert str(place) not in text
        assert str(data) not in text


def test_a_relative_place_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = rf"is not at {tmp_path}/data/faces \(data/faces, relative to this folder\); name its .* `data_dir=PATH`"
    with pytest.raises(FarkerasError, match=message):
        sources.open_split([], {"data_dir": "data/faces"}, "test")


def test_results_that_cannot_be_written(workdir, tmp_path):
    (tmp_path / "file").touch()
    message = r"Cannot write the results to .*file/on \(Not a directory\); remove the file .* `output`\."
    with pytest.raises(FarkerasError, match=message):
        run(f"--workdir={workdir}", "--split=validation", f"--output={tmp_path}/file/on")


@pytest.mark.parametrize("arguments", [(), ("--workdir=a", "--model=b")])
def test_one_model_must_be_named(arguments):
    with pytest.raises(FarkerasError, match="either --workdir"):
        run(*arguments)
