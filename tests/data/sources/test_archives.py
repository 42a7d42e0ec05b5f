"""A zip is unpacked once and whole; everything else is refused in one sentence."""

import shlex
import signal
import subprocess
import sys
import tempfile
import zipfile

import pytest

from farkeras.data.sources.archives import extract_zip
from farkeras.errors import FarkerasError


def make_zip(path, names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name * 1000)
    return path


def error(archive, folder):
    before = set(folder.parent.rglob("*"))
    with pytest.raises(FarkerasError) as raised:
        extract_zip(archive, folder)
    assert set(folder.parent.rglob("*")) == before  # nothing half made is left behind
    message = str(raised.value)
    assert "\n" not in message
    assert str(archive) in message
    return message


@pytest.mark.parametrize("prefix", ["", "images/"])
def test_extracts_with_and_without_a_wrapping_folder(tmp_path, prefix):
    archive = make_zip(tmp_path / "images.zip", [f"{prefix}a.jpg", f"{prefix}b.jpg"])
    calls = []
    extract_zip(archive, tmp_path / "images", lambda *call: calls.append(call))
    assert calls == [(1, 2), (2, 2)]
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["a.jpg", "b.jpg"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "images.zip"]
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "images").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_faster_process_wins(tmp_path):
    archive = make_zip(tmp_path / "images.zip", ["a.jpg"])
    folder = tmp_path / "images"

    def other_process(*_):
        folder.mkdir()
        (folder / "theirs.jpg").touch()

    extract_zip(archive, folder, other_process)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["images"]
    assert [path.name for path in folder.iterdir()] == ["theirs.jpg"]


def test_an_interrupted_extraction_leaves_nothing(tmp_path):
    archive = make_zip(tmp_path / "images.zip", ["a.jpg", "b.jpg"])

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_zip(archive, tmp_path / "images", interrupt)
    assert list(tmp_path.iterdir()) == [archive]


def test_what_a_killed_extraction_left_is_not_taken_for_the_images(tmp_path):
    archive = make_zip(tmp_path / "images.zip", ["a.jpg", "b.jpg"])
    code = (
        "import os, signal, sys; from pathlib import Path; from farkeras.data.sources.archives import extract_zip; "
        "extract_zip(*map(Path, sys.argv[1:]), lambda *_: os.kill(os.getpid(), signal.SIGKILL))"
    )
    done = subprocess.run([sys.executable, "-c", code, archive, tmp_path / "images"])
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.rglob("a.jpg"))) == 1
    assert not (tmp_path / "images").exists()
    extract_zip(archive, tmp_path / "images")
    assert sorted(path.name for path in (tmp_path / "images").iterdir()) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("name", ["../evil.jpg", "/etc/evil", "a/../../evil", "..\\evil", "C:\\evil"])
def test_names_that_leave_the_folder(tmp_path, name):
    archive = make_zip(tmp_path / "images.zip", ["fine.jpg", name])
    assert "which would be written outside the folder" in error(archive, tmp_path / "images")


def test_html_page(tmp_path):
    archive = tmp_path / "images.zip"
    archive.write_text("<!DOCTYPE html><title>Google Drive - Quota exceeded</title>")
    assert "is an HTML page, not an archive" in error(archive, tmp_path / "images")


def test_truncated(tmp_path):
    archive = make_zip(tmp_path / "images.zip", ["a.jpg", "b.jpg"])
    archive.write_bytes(archive.read_bytes()[:-100])
    message = error(archive, tmp_path / "images")
    assert "is truncated or not a zip archive (" in message
    assert "Download it again" in message


def test_damaged_in_the_middle(tmp_path):
    archive = make_zip(tmp_path / "images.zip", ["a.jpg", "b.jpg"])
    content = bytearray(archive.read_bytes())
    content[2000] ^= 255
    archive.write_bytes(content)
    assert "Bad CRC-32" in error(archive, tmp_path / "images")


def test_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    (tmp_path / "Ann's").mkdir()
    archive = make_zip(tmp_path / "Ann's/images.zip", ["a.jpg"])
    message = error(archive, tmp_path / "Ann's/images")
    assert "Permission denied" in message
    command = message.split("unzip it by hand: ")[1].removesuffix(".")
    assert shlex.split(command) == ["unzip", str(archive), "-d", str(tmp_path / "Ann's")]
