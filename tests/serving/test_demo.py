"""The local server's demo page in a browser."""

import base64
import json
import os
import shutil
import subprocess
import urllib.request

import numpy as np
import pytest

from farkeras.clients import RestClient
from farkeras.serving import demo
from tests.serving.demo_server import GROUPING, post


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
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", *camera])
        yield browser
        browser.close()


@pytest.fixture(params=[(1280, 900), (375, 812)], ids=["desk", "phone"])
def page(request, browser, demo_url):
    """The page; nothing that it asks for may be elsewhere, and it must not scroll sideways."""
    width, height = request.param
    page, asked, errors = browser.new_page(viewport={"width": width, "height": height}), [], []
    page.set_default_timeout(20_000)
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(error))
    page.add_init_script(
        """window.streams = [];
        const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async wanted => {
          if (window.refusal) throw new DOMException("no", window.refusal);
          const stream = await open(wanted);
          window.streams.push(stream);
          return stream;
        };"""
    )
    page.goto(demo_url)
    page.wait_for_selector("#about:not([hidden])")
    yield page
    sideways = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.close()
    assert not errors
    assert not sideways
    elsewhere = {address.split(",")[0] for address in asked if not address.removeprefix("blob:").startswith(demo_url)}
    assert elsewhere <= {"data:image/png;base64", "data:"}


def upload(page, path, aligned=True):
    page.set_checked("#crop", aligned)
    page.set_input_files("#file", path)


def result(page, status):
    """Waits for a result; the beginning of what screen readers are told."""
    page.wait_for_selector("#title:visible")
    assert page.inner_text("[role=status]").startswith(status)


def focused(page):
    return page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")


def test_empty(page):
    assert page.inner_text("#about summary") == "Model faces, version 1: 3 attributes in 2 groups"
    page.click("#about summary")
    assert page.locator("#about p").all_inner_texts() == ["Mouth: Smile, Open Mouth", "Own: <b>Hat</b>"]
    assert page.is_visible("#procedural")
    assert page.is_visible("#camera")
    assert page.evaluate("document.querySelector('#example img').naturalWidth") > 0
    assert page.is_hidden("#result")
    assert page.inner_text("#status") == ""


def test_keyboard(page, astronaut):
    def tab():
        page.keyboard.press("Tab")
        return focused(page)

    assert [tab() for _ in range(5)] == [page.inner_text("#about summary"), "file", "camera", "example", "crop"]
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("getComputedStyle(example).outlineStyle") == "solid", "the focus must be seen"
    page.keyboard.press("Enter")
    result(page, "1 face found: ")
    assert focused(page) == "example"
    assert [tab() for _ in range(5)] == ["crop", "masks", "Mouth", "Own", "The request as curl"]
    page.focus("h3 button >> nth=0")
    page.keyboard.press("Space")
    assert page.get_attribute(".mask.shown", "data-name") == "Mouth"
    give(page, "paste", b"text")
    assert focused(page) == "file", "the button that had the focus is hidden"
    page.wait_for_selector("#status.error")


def test_upload_and_result(page, demo_url, crop):
    upload(page, crop)
    result(page, "Aligned crop: ")
    (face,) = post(demo_url, "crop", crop.read_bytes())[1]["faces"]
    rows = [
        [a["name"].replace("_", " "), f"{np.floor(100 * a['probability'] + 0.5):.0f}\u00a0%"]
        for group in face["groups"]
        for a in group["attributes"]
    ]
    shown = page.locator(".row").all()
    assert [[row.locator(".name").inner_text(), row.locator(".percent").inner_text()] for row in shown] == rows
    widths = page.eval_on_selector_all(".bar span", "bars => bars.map(bar => parseFloat(bar.style.width))")
    assert widths == pytest.approx([100 * a["probability"] for g in face["groups"] for a in g["attributes"]], abs=0.01)
    attributes = [a for group in face["groups"] for a in group["attributes"]]
    likely = page.eval_on_selector_all(".row", "rows => rows.map(row => row.classList.contains('likely'))")
    assert likely == [a["positive"] for a in attributes]
    ticks = page.eval_on_selector_all(".bar i", "ticks => ticks.map(tick => parseFloat(tick.style.left))")
    assert ticks == pytest.approx([100 * a["threshold"] for a in attributes])
    assert page.locator("h3").all_inner_texts() == ["Mouth", "Own"]
    assert page.evaluate("aligned.naturalWidth") == 178
    assert page.is_hidden("#photo")


def test_several_faces(page, two_faces):
    upload(page, two_faces, aligned=False)
    result(page, "2 faces found. Face 1 of 2: ")
    photo = page.locator("#photo img").bounding_box()
    frames = [frame.bounding_box() for frame in page.locator(".frame").all()]
    centres = [(frame["x"] + frame["width"] / 2 - photo["x"]) / photo["width"] for frame in frames]
    assert centres == pytest.approx([650 / 900, 170 / 900], abs=0.05)
    assert page.locator("#faces button").all_inner_texts() == ["Face 1 of 2", "Face 2 of 2"]
    first = page.get_attribute("#aligned", "src")

    page.focus("#faces button >> nth=1")
    page.keyboard.press("Enter")
    assert page.inner_text("#title") == "Face 2 of 2"
    assert page.inner_text("#status").startswith("Face 2 of 2: ")
    assert page.get_attribute("#aligned", "src") != first
    assert focused(page) == "Face 2 of 2"
    pressed = [button.get_attribute("aria-pressed") for button in page.locator("#faces button").all()]
    assert pressed == ["false", "true"]
    page.click(".frame >> nth=0")
    assert page.inner_text("#title") == "Face 1 of 2"
    assert page.get_attribute("#aligned", "src") == first


def test_more_faces_than_are_shown(page, two_faces, monkeypatch):
    monkeypatch.setattr(demo, "MAX_FACES", 1)
    upload(page, two_faces, aligned=False)
    result(page, "2 faces found; the 1 largest")


def test_the_masks_lie_on_the_face(page, crop):
    from playwright.sync_api import expect

    upload(page, crop)
    result(page, "Aligned crop: ")
    face, mask = page.locator("#aligned").bounding_box(), page.locator(".mask").first.bounding_box()
    assert mask["y"] - face["y"] == pytest.approx(face["height"] * 22 / 218, abs=0.5)
    assert mask["height"] == pytest.approx(face["height"] * 174 / 218, abs=0.5)
    page.click("h3 button >> nth=0")
    assert page.get_attribute(".mask.shown", "data-name") == "Mouth"
    page.click("h3 button >> nth=0")
    assert page.locator(".mask.shown").count() == 0
    page.uncheck("#masks")
    expect(page.locator(".mask").first).to_have_css("opacity", "0")


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_request_as_curl(page, demo_url, crop, tmp_path):
    upload(page, crop)
    result(page, "Aligned crop: ")
    page.click("#result summary")
    (tmp_path / "crop.png").write_bytes(base64.b64decode(page.get_attribute("#save", "href").split(",")[1]))
    command = ["bash", "-c", page.inner_text("#curl").replace("curl", "curl -s", 1)]
    answer = json.loads(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=30).stdout)
    with RestClient(demo_url, model="faces") as client:
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
    result(page, "Aligned crop: ")


def give(page, event, content):
    """Drops or pastes a file, or none."""
    page.evaluate(
        """([name, content]) => {
          const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0)), data = new DataTransfer();
          if (content) data.items.add(new File([bytes], "crop.png"));
          const options = { bubbles: true, cancelable: true };
          document.getElementById("drop").dispatchEvent(name === "drop"
            ? new DragEvent(name, { ...options, dataTransfer: data })
            : new ClipboardEvent(name, { ...options, clipboardData: data }));
        }""",
        [event, base64.b64encode(content).decode()],
    )


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ("drop", "That is not a file; drop an image file."),
        ("paste", "The clipboard holds no image; copy an image, then paste it."),
    ],
)
def test_dropping_and_pasting(page, crop, event, error):
    page.check("#crop")
    give(page, event, b"")
    assert page.inner_text("#status.error") == error
    give(page, event, crop.read_bytes())
    result(page, "Aligned crop: ")


def test_camera(page, astronaut):
    """Chromium's own fake camera shows a moving pattern, in which there is no face."""
    page.click("#camera")
    page.wait_for_selector("#take:enabled")
    assert page.evaluate("video.videoWidth") > 0
    assert focused(page) == "take"
    page.keyboard.press("Enter")
    page.wait_for_selector("#status.error")
    assert page.inner_text("#status").startswith("The photo: no face found")
    assert page.is_visible("#photo"), "the picture that was taken"
    page.click("#camera")
    page.wait_for_selector("#take:enabled")
    page.click("#stop")
    assert page.inner_text("#status") == "The camera is off."
    assert focused(page) == "camera"
    page.click("#camera")
    page.wait_for_selector("#take:enabled")
    page.evaluate(
        """() => {
          Object.defineProperty(document, "hidden", { value: true });
          document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
        }"""
    )
    assert page.inner_text("#status.error") == "The camera was stopped, because the page was hidden."
    assert page.is_hidden("#viewer")
    states = page.evaluate("streams.flatMap(stream => stream.getTracks().map(track => track.readyState))")
    assert states == ["ended"] * 3


@pytest.mark.parametrize(
    ("reason", "message"),
    [("NotAllowedError", "does not allow"), ("NotFoundError", "found no camera"), ("AbortError", "does not start")],
)
def test_a_camera_that_is_refused(page, reason, message):
    page.evaluate("reason => { window.refusal = reason; }", reason)
    page.click("#camera")
    page.wait_for_selector("#status.error")
    assert message in page.inner_text("#status")
    assert page.is_visible("#camera")


def test_a_browser_without_camera(browser, demo_url):
    page = browser.new_page()
    page.add_init_script("Object.defineProperty(navigator, 'mediaDevices', { value: undefined });")
    page.goto(demo_url)
    page.wait_for_selector("#about:not([hidden])")
    assert page.is_hidden("#camera")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(browser, demo_url, scheme):
    """WCAG 2's contrast of text, at least 4.5."""
    page = browser.new_page(color_scheme=scheme)
    page.goto(demo_url)

    def luminance(name):
        color = page.evaluate("name => getComputedStyle(document.documentElement).getPropertyValue(name)", f"--{name}")
        digits = color.strip("# ")
        digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
        values = np.frombuffer(bytes.fromhex(digits), np.uint8) / 255
        linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
        return linear @ (0.2126, 0.7152, 0.0722)

    for ground in ("ground", "raised"):
        for text in ("ink", "soft", "accent", "error"):
            low, high = sorted([luminance(ground), luminance(text)])
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ground, text)
    page.close()


def test_a_server_that_has_gone(page, crop):
    page.route("**/demo/*", lambda route: route.abort())
    upload(page, crop, aligned=False)
    page.wait_for_selector("#status.error")
    gone = "The server does not answer; check that it is running, then try again."
    assert page.inner_text("#status") == gone
    upload(page, crop)
    page.wait_for_selector("#status.error")
    page.click("#example")
    page.wait_for_selector("#status.error")
    assert page.inner_text("#status") == gone
    page.unroute("**/demo/*")
    page.route("**/demo/crop", lambda route: route.fulfill(status=502, body="<p>Bad Gateway"))
    upload(page, crop)
    page.get_by_text("The server failed (HTTP 502).").wait_for()
    page.unroute("**/demo/crop")
    upload(page, crop)
    result(page, "Aligned crop: ")
