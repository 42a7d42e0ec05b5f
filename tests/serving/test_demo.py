"""The local server's demo page: what its endpoint answers, and the page itself in a browser."""

import base64
import io
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

from farkeras.attributes import REGIONS, Grouping
from farkeras.clients import RestClient
from farkeras.data.preprocessing import Preprocessing
from farkeras.exporters.saved_model import write_saved_model
from farkeras.models import MGMTN
from farkeras.models.model_file import ModelMetadata, save_model
from farkeras.serving import demo
from farkeras.serving.answers import Answers
from farkeras.serving.configuration import one_model
from farkeras.serving.gate import Gate
from farkeras.serving.http_server import HttpServer
from farkeras.serving.loaded import ModelSettings
from farkeras.serving.metrics import Metrics
from farkeras.serving.models import Models
from farkeras.serving.rest import Rest

GROUPING = Grouping({"Mouth": ("Smile", "Open_Mouth"), "Own": ("<b>Hat</b>",)}, ("<b>Hat</b>", "Open_Mouth", "Smile"))
PREPROCESSING = Preprocessing((64, 48), (0.1, 0.0, 0.9, 1.0))


@pytest.fixture(scope="module")
def export_dir(tmp_path_factory):
    """A model with masks."""
    folder = tmp_path_factory.mktemp("demo")
    keras.utils.set_random_seed(0)
    size = PREPROCESSING.image_size
    model = MGMTN(GROUPING, "ResNetTiny", size, backbone_alpha=0.25, mask_widths=(8, 8), mask_stride=2, fusion_width=8)
    save_model(model, ModelMetadata(GROUPING, PREPROCESSING, procedural=True), folder / "model.keras")
    write_saved_model(folder, folder / "export")
    return folder / "export"


def serve(folder):
    """What listens, to be stopped."""
    metrics = Metrics()
    models = Models([one_model("faces", folder)], ModelSettings(), metrics, poll_seconds=60)
    server = HttpServer(Rest(Answers(models, metrics), metrics, Gate(2)), "127.0.0.1", 0)
    server.start()
    return server


@pytest.fixture(scope="module")
def url(export_dir):
    server = serve(export_dir)
    yield f"http://127.0.0.1:{server.port}"
    server.stop(0)


@pytest.fixture(scope="module")
def crop(tmp_path_factory):
    """An aligned face, or so."""
    path = tmp_path_factory.mktemp("photos") / "crop.png"
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    Image.fromarray(pixels).resize((178, 218), Image.Resampling.BICUBIC).save(path)
    return path


def post(url, kind, content):
    try:
        with urllib.request.urlopen(f"{url}/demo/{kind}", content, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def picture(data_url):
    prefix, content = data_url.split(",")
    assert prefix == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_answer(url, crop):
    status, answer = post(url, "crop", crop.read_bytes())
    assert (status, answer["model"], answer["version"], answer["procedural"]) == (200, "faces", 1, True)
    np.testing.assert_array_equal(picture(answer["face"]), np.asarray(Image.open(crop)))
    mouth, own = answer["groups"]
    assert (mouth["name"], mouth["region"], own["name"], own["region"]) == ("Mouth", "Mouth", "Own", "Object")
    shown = {a["name"]: a["probability"] for group in (mouth, own) for a in group["attributes"]}
    with RestClient(url, model="faces") as client:
        assert client.recognize(crop)[0].probabilities == pytest.approx(shown, abs=1e-6)
    assert [a["probability"] for a in mouth["attributes"]] == sorted(
        (a["probability"] for a in mouth["attributes"]), reverse=True
    )


def test_masks(url, crop):
    _, answer = post(url, "crop", crop.read_bytes())
    assert answer["masks"]["box"] == pytest.approx({"top": 22 / 218, "left": 0, "height": 174 / 218, "width": 1})
    assert [region["name"] for region in answer["masks"]["regions"]] == list(REGIONS)
    pixels = np.asarray(Image.open(crop))[None]
    with RestClient(url, model="faces") as client:
        masks = client.predict({"images": pixels}, "masks").tensors["output"][0]
    alphas = np.stack([picture(region["image"])[..., 1] for region in answer["masks"]["regions"]], axis=-1)
    np.testing.assert_allclose(alphas / 255, masks, atol=0.002)


def test_a_model_without_masks():
    assert demo._masks(SimpleNamespace(signatures={}), np.zeros((2, 2, 3), np.uint8), [0, 0, 1, 1], None) is None


def test_a_photograph_is_aligned(url):
    skimage = pytest.importorskip("skimage.data")
    pytest.importorskip("mediapipe")
    file = io.BytesIO()
    Image.fromarray(skimage.astronaut()).save(file, "JPEG")
    status, answer = post(url, "photo", file.getvalue())
    assert status == 200
    assert picture(answer["face"]).shape == (218, 178, 3)
    assert post(url, "photo", b"") == (400, {"error": "The photo is empty (0 bytes); copy the photo again."})
    nobody = io.BytesIO()
    Image.new("RGB", (99, 99)).save(nobody, "PNG")
    status, answer = post(url, "photo", nobody.getvalue())
    assert (status, answer["error"][:24]) == (400, "The photo: no face found")


def test_what_cannot_be_used(url, monkeypatch):
    status, answer = post(url, "crop", b"text")
    assert (status, answer["error"][:25]) == (400, "The photo is not an image")
    monkeypatch.setattr(demo, "MAX_PIXELS", 100)
    file = io.BytesIO()
    Image.new("L", (20, 20)).save(file, "PNG")
    expected = "The photo has 20 x 20 pixels; expected at most 100 in all."
    assert post(url, "crop", file.getvalue()) == (400, {"error": expected})
    monkeypatch.setattr(demo, "MAX_BYTES", 10)
    assert post(url, "crop", file.getvalue())[1]["error"].endswith("bytes; expected at most 10.")
    assert post(url, "other", b"")[0] == 404


def test_another_model(export_dir, tmp_path, crop):
    shutil.copytree(export_dir, tmp_path / "export")
    (tmp_path / "export/1/assets.extra/farkeras.json").unlink()
    server = serve(tmp_path / "export")
    status, answer = post(f"http://127.0.0.1:{server.port}", "crop", crop.read_bytes())
    server.stop(0)
    assert (status, answer["error"]) == (
        400,
        "The model has no assets.extra/farkeras.json; expected an export of farkeras.",
    )


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium, or Chrome."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        if os.environ.get("FARKERAS_CHROMIUM") == "required":
            pytest.fail("no chromium, which this machine is to have (FARKERAS_CHROMIUM=required)")
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[(1280, 900), (375, 812)], ids=["desk", "phone"])
def page(request, browser, url):
    """The page; nothing that it asks for may be elsewhere."""
    width, height = request.param
    page, asked, errors = browser.new_page(viewport={"width": width, "height": height}), [], []
    page.set_default_timeout(20_000)
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(error))
    page.goto(url)
    yield page
    page.close()
    assert not errors
    elsewhere = {address.split(",")[0] for address in asked if not address.startswith(url)}
    assert elsewhere <= {"data:image/png;base64", "data:"}


def upload(page, path, aligned=True):
    page.set_checked("#crop", aligned)
    page.set_input_files("#file", path)


def test_upload_and_result(page, url, crop):
    upload(page, crop)
    page.wait_for_selector("#result:not([hidden])")
    _, answer = post(url, "crop", crop.read_bytes())
    rows = [
        [a["name"].replace("_", " "), f"{np.floor(100 * a['probability'] + 0.5):.0f} %"]
        for group in answer["groups"]
        for a in group["attributes"]
    ]
    shown = page.locator(".row").all()
    assert [[row.locator(".name").inner_text(), row.locator(".percent").inner_text()] for row in shown] == rows
    widths = page.eval_on_selector_all(".bar span", "bars => bars.map(bar => parseFloat(bar.style.width))")
    assert widths == pytest.approx(
        [100 * a["probability"] for g in answer["groups"] for a in g["attributes"]], abs=0.01
    )
    assert page.locator("h2").all_inner_texts() == ["Mouth", "Own"]
    assert page.inner_text("#model") == "Model faces, version 1."
    assert page.is_visible("#procedural")
    assert page.evaluate("aligned.naturalWidth") == 178
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it must not scroll sideways"


def test_the_masks_lie_on_the_face(page, crop):
    from playwright.sync_api import expect

    upload(page, crop)
    page.wait_for_selector("#result:not([hidden])")
    face, mask = page.locator("#aligned").bounding_box(), page.locator(".mask").first.bounding_box()
    assert mask["y"] - face["y"] == pytest.approx(face["height"] * 22 / 218, abs=0.5)
    assert mask["height"] == pytest.approx(face["height"] * 174 / 218, abs=0.5)
    page.focus("h2 button >> nth=0")
    assert page.get_attribute(".mask.shown", "data-name") == "Mouth"
    page.evaluate("document.activeElement.blur()")
    assert page.locator(".mask.shown").count() == 0
    page.uncheck("#masks")
    expect(page.locator(".mask").first).to_have_css("opacity", "0")


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_request_as_curl(page, url, crop, tmp_path):
    upload(page, crop)
    page.wait_for_selector("#result:not([hidden])")
    page.click("summary")
    (tmp_path / "crop.png").write_bytes(base64.b64decode(page.get_attribute("#save", "href").split(",")[1]))
    command = ["bash", "-c", page.inner_text("#curl").replace("curl", "curl -s", 1)]
    answer = json.loads(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=30).stdout)
    with RestClient(url, model="faces") as client:
        expected = list(client.recognize(crop)[0].probabilities.values())
    assert answer["outputs"]["probabilities"][0] == pytest.approx(expected)
    with urllib.request.urlopen(page.get_attribute("#names", "href")) as names:
        assert json.load(names)["attributes"] == list(GROUPING.attributes)


def test_no_image_and_then_one(page, crop, tmp_path):
    (tmp_path / "text.jpg").write_text("text")
    upload(page, tmp_path / "text.jpg")
    page.wait_for_selector("#status.error")
    assert page.inner_text("#status").startswith("The photo is not an image")
    assert page.is_hidden("#result")
    upload(page, crop)
    page.wait_for_selector("#result:not([hidden])")
    assert page.inner_text("#status") == ""


def test_dropping(page, crop):
    page.check("#crop")
    drop = """content => {
      const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0)), data = new DataTransfer();
      if (content) data.items.add(new File([bytes], "crop.png"));
      document.getElementById("drop").dispatchEvent(
        new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data }));
    }"""
    page.evaluate(drop, "")
    assert page.inner_text("#status.error") == "That is no file; drop an image file."
    page.evaluate(drop, base64.b64encode(crop.read_bytes()).decode())
    page.wait_for_selector("#result:not([hidden])")


def test_a_server_that_has_gone(page, crop):
    page.route("**/demo/*", lambda route: route.abort())
    upload(page, crop, aligned=False)
    page.wait_for_selector("#status.error")
    assert page.inner_text("#status") == "The server does not answer."
