"""The local server's demo page: what its endpoints answer."""

import base64
import io
import shutil
import urllib.request
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from farkeras.attributes import REGIONS
from farkeras.clients import RestClient
from farkeras.photos.landmarks import find_faces
from farkeras.serving import demo
from farkeras.serving.deadline import Deadline
from farkeras.serving.errors import RequestError
from farkeras.serving.loaded import LoadedVersion
from tests.serving.demo_server import CALIBRATION, GROUPING, post, serve


def picture(data_url):
    prefix, content = data_url.split(",")
    assert prefix == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def probabilities(face):
    return {a["name"]: a["probability"] for group in face["groups"] for a in group["attributes"]}


def test_answer(demo_url, crop):
    status, answer = post(demo_url, "crop", crop.read_bytes())
    assert (status, answer["model"], answer["version"], answer["procedural"]) == (200, "faces", 1, True)
    assert (answer["photo"], answer["found"]) == (None, 1)
    (face,) = answer["faces"]
    assert face["frame"] is None
    np.testing.assert_array_equal(picture(face["image"]), np.asarray(Image.open(crop)))
    mouth, own = face["groups"]
    assert (mouth["name"], mouth["region"], own["name"], own["region"]) == ("Mouth", "Mouth", "Own", "Object")
    with RestClient(demo_url, model="faces") as client:
        (answer,) = client.recognize(crop)
    attributes = {a["name"]: a for group in face["groups"] for a in group["attributes"]}
    assert answer.probabilities == pytest.approx(probabilities(face), abs=1e-6)
    assert answer.decisions == {name: a["positive"] for name, a in attributes.items()}
    assert attributes["<b>Hat</b>"]["positive"]
    assert not attributes["Open_Mouth"]["positive"]
    assert {name: a["threshold"] for name, a in attributes.items()} == CALIBRATION.thresholds
    assert [a["probability"] for a in mouth["attributes"]] == sorted(
        (a["probability"] for a in mouth["attributes"]), reverse=True
    )


def test_masks(demo_url, crop):
    masks = post(demo_url, "crop", crop.read_bytes())[1]["faces"][0]["masks"]
    assert masks["box"] == pytest.approx({"top": 22 / 218, "left": 0, "height": 174 / 218, "width": 1})
    assert [region["name"] for region in masks["regions"]] == list(REGIONS)
    pixels = np.asarray(Image.open(crop))[None]
    with RestClient(demo_url, model="faces") as client:
        expected = client.predict({"images": pixels}, "masks").tensors["output"][0]
    alphas = np.stack([picture(region["image"])[..., 1] for region in masks["regions"]], axis=-1)
    np.testing.assert_allclose(alphas / 255, expected, atol=0.002)


def test_a_model_without_masks():
    crops = [np.zeros((2, 2, 3), np.uint8)] * 2
    assert demo._masks(SimpleNamespace(signatures={}), crops, [0, 0, 1, 1], None) == [None, None]


def test_the_model(demo_url):
    groups = [{"name": name, "attributes": list(members)} for name, members in GROUPING.groups.items()]
    expected = {"model": "faces", "version": 1, "procedural": True, "groups": groups}
    assert post(demo_url, "model", None) == (200, expected)


def test_faces_of_a_photograph(demo_url, two_faces, monkeypatch):
    calls, predict = [], LoadedVersion.predict
    monkeypatch.setattr(LoadedVersion, "predict", lambda *of: calls.append(of[1]) or predict(*of))
    status, answer = post(demo_url, "photo", two_faces.read_bytes())
    assert (status, answer["photo"], answer["found"]) == (200, {"width": 900, "height": 600}, 2)
    assert calls == ["", "masks"], "one batch for all faces"
    assert [picture(face["image"]).shape for face in answer["faces"]] == [(218, 178, 3)] * 2
    found = [(face.min(axis=0), np.ptp(face, axis=0)) for face in find_faces(np.asarray(Image.open(two_faces)))]
    for face, (start, size), left in zip(answer["faces"], found, (440, 40), strict=True):
        frame = face["frame"]
        assert (900 * frame["left"], 600 * frame["top"]) == pytest.approx(tuple(start + 0.5))
        assert (900 * frame["width"], 600 * frame["height"]) == pytest.approx(tuple(size))
        assert left < 900 * frame["left"] < left + 260
    files = [base64.b64decode(face["image"].split(",")[1]) for face in answer["faces"]]
    with RestClient(demo_url, model="faces") as client:
        for face, expected in zip(answer["faces"], client.recognize(files), strict=True):
            assert probabilities(face) == pytest.approx(expected.probabilities, abs=1e-6)

    monkeypatch.setattr(demo, "MAX_FACES", 1)
    _, largest = post(demo_url, "photo", two_faces.read_bytes())
    assert largest["found"] == 2
    assert [face["frame"] for face in largest["faces"]] == [answer["faces"][0]["frame"]]


def test_the_size_of_a_turned_photograph(demo_url, astronaut):
    """EXIF says that it lies on its side."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    astronaut.crop((0, 0, 512, 400)).transpose(Image.Transpose.ROTATE_90).save(file, "JPEG", exif=exif)
    status, answer = post(demo_url, "photo", file.getvalue())
    assert (status, answer["photo"]) == (200, {"width": 512, "height": 400})


def test_the_example(demo_url, astronaut):
    with urllib.request.urlopen(f"{demo_url}/demo/example.jpg", timeout=30) as response:
        assert response.headers["Content-Type"] == "image/jpeg"
        file = response.read()
    assert len(file) < 40_000
    assert post(demo_url, "photo", file)[1]["found"] == 1


def test_a_photograph_without_a_face(demo_url, astronaut):
    assert post(demo_url, "photo", b"") == (400, {"error": "The photo is empty (0 bytes); copy the photo again."})
    nobody = io.BytesIO()
    Image.new("RGB", (99, 99)).save(nobody, "PNG")
    status, answer = post(demo_url, "photo", nobody.getvalue())
    assert (status, answer["error"][:24]) == (400, "The photo: no face found")


def test_what_cannot_be_used(demo_url, monkeypatch):
    status, answer = post(demo_url, "crop", b"text")
    assert (status, answer["error"][:25]) == (400, "The photo is not an image")
    monkeypatch.setattr(demo, "MAX_PIXELS", 100)
    file = io.BytesIO()
    Image.new("L", (20, 20)).save(file, "PNG")
    expected = "The photo has 20 x 20 pixels; expected at most 100 in all."
    assert post(demo_url, "crop", file.getvalue()) == (400, {"error": expected})
    monkeypatch.setattr(demo, "MAX_BYTES", 10)
    assert post(demo_url, "crop", file.getvalue())[1]["error"].endswith("bytes; expected at most 10.")
    assert post(demo_url, "other", b"")[0] == 404


def test_a_photograph_waits_for_its_turn_no_longer_than_its_deadline():
    page = demo.Demo(None)
    with page._one_at_a_time, pytest.raises(RequestError, match="deadline passed"):
        page.recognize(b"", True, Deadline.after(0.01))


def test_another_model(demo_export, tmp_path, crop):
    shutil.copytree(demo_export, tmp_path / "export")
    (tmp_path / "export/1/assets.extra/farkeras.json").unlink()
    server = serve(tmp_path / "export")
    url = f"http://127.0.0.1:{server.port}"
    answers = [post(url, "crop", crop.read_bytes()), post(url, "model", None)]
    server.stop(0)
    expected = {"error": "The model has no assets.extra/farkeras.json; expected an export of farkeras."}
    assert answers == [(400, expected)] * 2
