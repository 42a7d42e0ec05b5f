"""Where the face finder's model file comes from: a named file, the cache folder, one download; nothing else is used."""

import hashlib
import http.server
import logging
import threading

import pytest

from farkeras.errors import FarkerasError
from farkeras.photos import face_model
from farkeras.photos.face_model import cached_face_model, read_face_model

CONTENT = b"the expected model"


@pytest.fixture(autouse=True)
def _small_model(monkeypatch, tmp_path):
    """Another content is expected, in an empty cache folder; the address is one that answers nothing."""
    monkeypatch.setattr(face_model, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setattr(face_model, "ADDRESS", "http://127.0.0.1:1/face.task")
    monkeypatch.setattr(face_model.platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.delenv("FARKERAS_FACE_MODEL", raising=False)


@pytest.fixture
def address(monkeypatch):
    """A server on this machine in place of Google's: `address(content)` is asked from then on."""
    servers = []

    def serve(content):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200 if content else 503)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        servers.append(http.server.HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever).start()
        monkeypatch.setattr(face_model, "ADDRESS", f"http://127.0.0.1:{servers[-1].server_port}/face.task")

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_file_that_the_variable_names(monkeypatch, tmp_path):
    (tmp_path / "mine.task").write_bytes(CONTENT)
    monkeypatch.setenv("FARKERAS_FACE_MODEL", str(tmp_path / "mine.task"))
    assert read_face_model() == CONTENT


def test_a_named_file_that_is_another_one(monkeypatch, tmp_path):
    (tmp_path / "mine.task").write_bytes(b"another")
    monkeypatch.setenv("FARKERAS_FACE_MODEL", str(tmp_path / "mine.task"))
    with pytest.raises(FarkerasError, match=r"mine\.task, which FARKERAS_FACE_MODEL names, is not the expected face"):
        read_face_model()


def test_a_named_file_that_is_not_there(monkeypatch, tmp_path):
    cached_face_model().parent.mkdir(parents=True)
    cached_face_model().write_bytes(CONTENT)  # which the user did not ask for
    monkeypatch.setenv("FARKERAS_FACE_MODEL", str(tmp_path / "none"))
    with pytest.raises(FarkerasError, match=r"Cannot read the face model .*/none \(No such file or directory\); set"):
        read_face_model()


def test_it_is_downloaded_once_and_the_log_says_so(address, caplog):
    address(CONTENT)
    with caplog.at_level(logging.WARNING):
        assert read_face_model() == CONTENT
    assert [record.getMessage() for record in caplog.records] == [
        f"Downloading the face model (3.8 MB, only once) from {face_model.ADDRESS} to {cached_face_model()}"
    ]
    assert cached_face_model().read_bytes() == CONTENT
    address(b"")  # nothing is asked again
    assert read_face_model() == CONTENT
    assert len(caplog.records) == 1


def test_a_damaged_file_in_the_cache_is_replaced(address):
    cached_face_model().parent.mkdir(parents=True)
    cached_face_model().write_bytes(CONTENT[:5])
    address(CONTENT)
    assert read_face_model() == CONTENT
    assert cached_face_model().read_bytes() == CONTENT


def test_offline_the_error_has_both_ways_out():
    with pytest.raises(FarkerasError) as raised:
        read_face_model()
    message = str(raised.value)
    assert message.startswith("Finding faces needs the face model, which cannot be downloaded from http://127.0.0.1:1/")
    assert message.endswith(f"copy the file to {cached_face_model()}, or set FARKERAS_FACE_MODEL to its path.")
    assert not cached_face_model().parent.exists()


@pytest.mark.parametrize("answer", [b"<html>sign in to this network</html>", CONTENT[:-1]])
def test_an_answer_that_is_not_the_model_is_not_kept(address, answer):
    address(answer)
    with pytest.raises(
        FarkerasError, match=rf"is not the expected face model \({len(answer)} bytes, .*; copy the file"
    ):
        read_face_model()
    assert not cached_face_model().exists()


def test_a_server_that_refuses(address):
    address(b"")
    with pytest.raises(FarkerasError, match=r"cannot be downloaded from http:.*\(Service Unavailable\); copy the file"):
        read_face_model()


def test_a_cache_folder_that_cannot_be_written(address):
    address(CONTENT)
    cached_face_model().parent.parent.mkdir()
    cached_face_model().parent.write_text("in the way")
    with pytest.raises(FarkerasError, match=r"Cannot write the face model to .* \(.*\); copy the file .*, or set"):
        read_face_model()
