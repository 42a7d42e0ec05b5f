"""`~` is the home folder in every function that takes a path."""

import json

import pytest
from PIL import Image

from farkeras.attributes import load_grouping
from farkeras.clients import Tls
from farkeras.clients.litert import LiteRTRecognizer
from farkeras.clients.names import read_names
from farkeras.clients.openvino import OpenVINORecognizer
from farkeras.data.keypoints import store_of
from farkeras.data.sources.opening import open_source
from farkeras.errors import FarkerasError
from farkeras.exporters.artifact import check_new, new_artifact
from farkeras.exporters.benchmark import find_exports
from farkeras.exporters.run import export_folder
from farkeras.files import alone_in, as_path, write_text
from farkeras.inference.folder import predict_folder
from farkeras.inference.recognizer import load
from farkeras.metrics.evaluation_file import read_evaluation
from farkeras.metrics.history import read_history
from farkeras.models.model_file import load_model
from farkeras.models.torch_files import read_state_dict
from farkeras.photos.crops import find_targets
from farkeras.photos.reader import named, read_photo
from farkeras.photos.search import find_photos
from farkeras.serving.configuration import one_model, read_batching
from farkeras.synthetic.generate import FaceSettings, draw_faces
from farkeras.training.evaluation import results_folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder with a photograph, a grouping and a record; the working folder is another one."""
    (tmp_path / "home" / "model" / "1").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    Image.new("RGB", (4, 3)).save(tmp_path / "home" / "a.png")
    (tmp_path / "home" / "groups.json").write_text(json.dumps({"all": ["a"]}))
    (tmp_path / "home" / "metrics.jsonl").write_text('{"step": 1}\n')
    return tmp_path / "home"


def test_what_is_read(home):
    assert as_path("~/a.png") == home / "a.png"
    assert read_photo("~/a.png").shape == (3, 4, 3)
    assert list(named("~/a.png")) == [("~/a.png", home / "a.png")]  # named as its user does
    assert find_photos(["~"])[0] == [home / "a.png"]
    assert [target.photo for target in find_targets(["~/a.png"], "~/out")[0]] == [home / "a.png"]
    assert load_grouping("~/groups.json", ["a"]).names == ("all",)
    assert read_history("~/metrics.jsonl") == [{"step": 1}]
    assert store_of("~") == home / "keypoints"
    assert store_of("x", "~/points") == home / "points"
    assert find_exports("~") == []
    assert one_model("name", "~/model").base_path == str(home / "model")


def test_what_is_written(home, tmp_path):
    write_text("~/a.txt", "text")
    with new_artifact("~/export") as aside:
        (aside / "part").touch()
    with alone_in("~/run", "workdir"):
        draw_faces(FaceSettings(num_images=1), "~/faces", 1)
    assert {"a.txt", "export", "run", "faces"} < {path.name for path in home.iterdir()}
    assert results_folder("~/run") == home / "run"
    assert results_folder("~/run", "~/other") == home / "other"
    assert export_folder("~/run/model.keras") == home / "run" / "export"
    with pytest.raises(FarkerasError, match="exists"):
        check_new("~/export")
    assert not list((tmp_path / "work").iterdir())  # no folder of the name `~`


@pytest.mark.parametrize(
    "read",
    [
        load,
        load_model,
        read_state_dict,
        read_names,
        read_batching,
        LiteRTRecognizer,
        OpenVINORecognizer,
        lambda path: Tls(ca=path).read("ca"),
        lambda path: read_evaluation(path, "x"),
        lambda path: predict_folder(path, "~"),
        lambda path: open_source("celeba", path),
        lambda path: open_source("table", path),
        lambda path: open_source("packed", path),
    ],
)
def test_what_is_missing_is_looked_for_at_home(home, read):
    with pytest.raises(FarkerasError, match=str(home / "no")):
        read("~/no")
