"""The four clients do the same: gRPC and REST, waiting and for asyncio."""

import io
import socket
import subprocess
import threading
from shutil import which

import numpy as np
import pytest
from PIL import Image

from farkeras.clients import Answer, ServingError, Tls, images
from farkeras.errors import FarkerasError
from tests.bad_images import encode, smooth_image, turned
from tests.clients.fake_server import VERSION, serve

pytestmark = pytest.mark.core


def crop(size, kind=b"good"):
    return kind.ljust(size, b"\0")  # zero bytes at the end must not be lost


def test_probabilities_by_name(ask, address, interface, model):
    first, second = ask(address, "recognize", [crop(100), crop(200)])
    assert first.probabilities == pytest.approx({"a": 0.1, "b": 0.2, "c": 0.3})
    assert (first.photo, second.photo, second["c"]) == ("image 0", "image 1", pytest.approx(0.4))
    assert first.version == (VERSION if interface == "grpc" else None)
    assert model.requests == [[crop(100), crop(200)]]


def test_a_single_path(ask, address, tmp_path):
    path = tmp_path / "crop.jpg"
    path.write_bytes(crop(500))
    (answer,) = ask(address, "recognize", path)
    assert (answer.photo, answer["a"]) == (str(path), pytest.approx(0.5))


def test_arrays_lose_nothing(ask, address, model):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 7, 5, 3), np.uint8)
    assert len(ask(address, "recognize", pixels)) == 2
    for sent, expected in zip(model.requests[0], pixels, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(sent))), expected)


def test_images_in_memory_are_sent_as_png_and_files_as_they_are(ask, address, model):
    image = smooth_image()
    file, turned_file = encode(image), turned("PNG", image.transpose(Image.Transpose.ROTATE_90), orientation=6)
    answers = ask(address, "recognize", [io.BytesIO(file), bytearray(file), image, image.convert("RGBA"), turned_file])
    assert [answer.photo for answer in answers] == [f"image {i}" for i in range(5)]
    as_file, as_bytes, *as_png = model.requests[0]
    assert as_file == as_bytes == file
    for sent in as_png:
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(sent))), np.asarray(image))


def test_a_bad_image_spoils_no_other(ask, address, model, tmp_path):
    photos = [crop(100), crop(10, b"bad"), tmp_path / "none.jpg", b"", np.zeros((2, 2, 3)), crop(300), None]
    answers = ask(address, "recognize", photos)
    expected = [
        None,
        "image 1 cannot be decoded by the server; expected a whole JPEG or PNG image.",
        f"Cannot read {tmp_path / 'none.jpg'} (No such file or directory); check the path.",
        "image 3 has 0 bytes",
        "image 4: expected a uint8 array [height, width, 3]. Received: float64 [2, 2, 3].",
        None,
        "image 6 is None: the image could not be read. Check its path",
    ]
    for answer, start in zip(answers, expected, strict=True):
        assert answer.error is start or answer.error.startswith(start)
    assert (answers[0]["a"], answers[5]["a"]) == (pytest.approx(0.1), pytest.approx(0.3))
    with pytest.raises(FarkerasError, match="image 1 cannot be decoded"):
        answers[1]["a"]
    assert len(model.requests[0]) == 3, "what cannot be read is not sent"


def test_requests_of_bad_images_only(ask, address, model):
    answers = ask(address, "recognize", [crop(10, b"bad"), crop(20, b"bad"), crop(100), b"", b"", b""], max_images=2)
    assert [bool(answer.error) for answer in answers] == [True, True, False, True, True, True]
    assert len(model.requests) == 2, "nothing is asked where no image could be read"


def test_many_images_go_in_few_requests(ask, address, model):
    answers = ask(address, "recognize", (crop(k) for k in range(10, 80)), max_images=32)
    assert [answer["a"] for answer in answers] == pytest.approx([k / 1000 for k in range(10, 80)])
    assert sorted(map(len, model.requests)) == [6, 32, 32]


def test_requests_have_a_limit_of_bytes(ask, address, model):
    ask(address, "recognize", [crop(400), crop(400), crop(400), crop(2000), crop(10)], max_bytes=1000)
    assert sorted([len(file) for file in files] for files in model.requests) == [[10], [400], [400, 400], [2000]]


def test_an_image_that_is_too_large(ask, address, model, monkeypatch):
    monkeypatch.setattr(images, "MAX_IMAGE_BYTES", 1000)
    (answer,) = ask(address, "recognize", crop(1001))
    assert answer.error.startswith("image 0 has 1,001 bytes; expected a crop of a face with 1 to 1,000 bytes.")
    assert not model.requests


def test_photographs_are_aligned(ask, address, model, monkeypatch):
    def align_face(photo):
        if photo == b"nobody":
            raise FarkerasError("The photo: no face found; expected one.")
        assert photo == b"a photo"
        return np.full((218, 178, 3), 9, np.uint8)

    monkeypatch.setattr("farkeras.photos.crops.align_face", align_face)
    aligned, without_face = ask(address, "recognize", [b"a photo", b"nobody"], True)
    assert aligned.probabilities
    assert without_face == Answer("image 1", error="image 1: no face found; expected one.")
    ((sent,),) = model.requests
    assert Image.open(io.BytesIO(sent)).size == (178, 218)


def test_deadline(ask, address, model):
    model.may_answer.clear()
    with pytest.raises(ServingError, match=r": DEADLINE_EXCEEDED: .*longer `timeout`") as error:
        ask(address, "recognize", crop(100), timeout=0.2)
    assert error.value.code == "DEADLINE_EXCEEDED"
    assert len(model.requests) == 1, "not repeated"


def test_unavailable_is_repeated(ask, address, model):
    model.refusals = [("UNAVAILABLE", "queue is full")]
    assert ask(address, "recognize", crop(100))[0].probabilities
    assert len(model.requests) == 2


def test_no_longer_than_was_asked_for(ask, address, model):
    model.refusals = [("UNAVAILABLE", "queue is full")] * 3
    with pytest.raises(ServingError, match=r"UNAVAILABLE: queue is full.*server is up"):
        ask(address, "recognize", crop(100), attempts=2)
    assert len(model.requests) == 2
    with pytest.raises(ServingError):
        ask(address, "recognize", crop(100), attempts=1)
    assert len(model.requests) == 3


@pytest.mark.parametrize("code", ["INTERNAL", "NOT_FOUND", "INVALID_ARGUMENT"])
def test_nothing_else_is_repeated(ask, address, interface, model, code):
    model.refusals = [(code, "two\nlines")]
    with pytest.raises(ServingError, match="two lines") as error:
        ask(address, "recognize", [crop(100), crop(200)])
    assert error.value.code == ("UNKNOWN" if interface == "rest" and code == "INTERNAL" else code)
    assert len(model.requests) == 1


def test_a_server_that_comes_up_late(ask, interface, model):
    port = _free_port()
    started, done = threading.Event(), threading.Event()

    def run():
        with serve(interface, model, port):
            started.set()
            done.wait(20)

    server = threading.Timer(0.3, run)
    server.start()
    assert not started.is_set()
    assert ask(f"localhost:{port}", "recognize", crop(100))[0].probabilities
    done.set()
    server.join()


def test_no_server(ask):
    with pytest.raises(ServingError, match=r"localhost:\d+: UNAVAILABLE: .*Check that the server is up") as error:
        ask(f"localhost:{_free_port()}", "recognize", crop(100), attempts=1)
    assert "\n" not in str(error.value)


def test_headers(ask, address, model):
    ask(address, "recognize", crop(100), headers={"Authorization": "Bearer x"})
    assert model.headers["authorization"] == "Bearer x"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("farkeras", None, "")),
        ({"model": "faces"}, ("faces", None, "")),
        ({"version": 3}, ("farkeras", 3, "")),
        ({"label": "canary"}, ("farkeras", None, "canary")),
    ],
)
def test_which_model(ask, address, model, settings, expected):
    ask(address, "recognize", crop(100), **settings)
    assert model.asked_for == expected
    ask(address, "status", **settings)
    assert model.asked_for == expected


def test_large_answers(ask, address, model):
    model.extra = {"masks": np.zeros((1, 1100, 1000), np.float32)}  # 4.4 MB; gRPC's own limit is 4 MiB
    outputs = ask(address, "predict", {"bytes": np.array([crop(1)], object)})
    assert outputs.tensors["masks"].shape == (1, 1100, 1000)
    assert outputs.tensors["probabilities"].dtype == np.float32
    assert outputs.tensors["valid"].tolist() == [True]


def test_names_of_another_model(ask, address, tmp_path):
    other = tmp_path / "farkeras.json"
    other.write_text('{"attributes": ["a"], "groups": {"all": ["a"]}, "procedural": false}')
    with pytest.raises(FarkerasError, match=r"answered with .*\[1, 3\].*; expected .*\[1, 1\]"):
        ask(address, "recognize", crop(100), metadata=other)


def test_status(ask, address, model):
    model.states = [{9: ("LOADING", ""), VERSION: ("END", "no such op")}]
    versions = ask(address, "status")
    assert [(v.version, v.state, v.error) for v in versions] == [(9, "LOADING", ""), (7, "END", "no such op")]


def test_wait_until_ready(ask, address, model):
    model.states = [{}, {9: ("LOADING", "")}, {9: ("AVAILABLE", "")}]
    ask(address, "wait_until_ready", 10)
    assert len(model.states) == 1


def test_a_version_that_never_gets_ready(ask, address, model):
    model.states = [{9: ("AVAILABLE", ""), 7: ("END", "no such op")}]
    with pytest.raises(ServingError, match="no version of farkeras is ready; versions: 9 AVAILABLE, 7 END no such op"):
        ask(address, "wait_until_ready", 0, version=7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"version": 1, "label": "stable"}, r"`version` or `label`, not both\. Received: version 1 and label 'stable'"),
        ({"timeout": 0}, r"`timeout` must be 0.001 to 86,400\. Received: 0"),
        ({"attempts": 6}, "`attempts` must be 1 to 5"),
        ({"max_images": 0}, "`max_images` must be"),
        ({"tls": Tls(ca="nowhere.pem")}, r"Cannot read the TLS file nowhere\.pem"),
    ],
)
def test_impossible_settings(ask, settings, message):
    with pytest.raises(FarkerasError, match=message):
        ask("localhost:1", "recognize", crop(100), **settings)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of localhost that signs itself, and its key."""
    if not which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "certificate.pem", folder / "key.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run([*command.split(), "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


def test_tls(ask, interface, model, certificate):
    with serve(interface, model, tls=certificate) as address:
        assert ask(address, "recognize", crop(100), tls=Tls(ca=str(certificate[0])))[0].probabilities
        with pytest.raises(ServingError, match="UNAVAILABLE"):
            ask(address, "recognize", crop(100), tls=Tls(), attempts=1)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]
