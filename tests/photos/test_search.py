"""Photographs are found in folders by the endings of all that can be read; what is left out is named."""

import logging
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from farkeras.data.image_files import why_undecodable
from farkeras.errors import FarkerasError
from farkeras.photos.reader import read_crop, read_photo
from farkeras.photos.search import find_photos
from tests.bad_images import encode, smooth_image

HEIC = b"\0\0\0\x18ftypheic" + encode(smooth_image(), "PNG")


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.WARNING, "farkeras")
    return lambda: [record.getMessage() for record in caplog.records]


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_are_kept_and_folders_searched(tmp_path, said):
    folder = tmp_path / "folder"
    touch(folder, "b.JPG", "a.png", ".hidden.jpg", "c.jpeg", "predictions.csv")
    found, errors = find_photos([tmp_path / "missing.dat", str(folder)])
    assert found == [tmp_path / "missing.dat", *(folder / n for n in ("a.png", "b.JPG", "c.jpeg"))]
    assert errors == []
    assert said() == []


def test_what_is_left_out_is_counted_and_named(tmp_path, said):
    touch(tmp_path, "a.jpg", "a.mp4", "b.txt", "c.txt", "d.txt", "e.txt", "sub/a.jpg", ".hidden/a.jpg")
    assert find_photos([tmp_path]) == ([tmp_path / "a.jpg"], [])
    assert said() == [
        f"{tmp_path}: 5 files left out (no image suffix): a.mp4, b.txt, c.txt and 2 more",
        f"{tmp_path}: 1 folder left out (sub-folders are not searched): sub",
    ]


def test_sub_folders_are_searched_but_not_links(tmp_path, said):
    touch(tmp_path, "a.jpg", "sub/b.jpg", "sub/b.txt")
    (tmp_path / "sub/again").symlink_to(tmp_path)
    assert find_photos([tmp_path], sub_folders=True) == ([tmp_path / "a.jpg", tmp_path / "sub/b.jpg"], [])
    assert said() == [
        f"{tmp_path}: 1 file left out (no image suffix): sub/b.txt",
        f"{tmp_path}: 1 folder left out (links are not searched): sub/again",
    ]


def test_a_folder_of_every_kind_that_is_read(tmp_path):
    Image.init()
    readable = set()
    for ending, kind in Image.registered_extensions().items():
        path = tmp_path / f"a{ending}"
        with suppress(FarkerasError, OSError, ValueError, KeyError):  # not written so, or not read
            Image.new("1" if kind in ("MSP", "XBM") else "RGB", (64, 64)).save(path)
            read_photo(path)
            readable.add(path)
    assert {".jfif", ".gif", ".jp2", ".jpg", ".mpo", ".tga"} <= {path.suffix for path in readable}
    assert readable <= set(find_photos([tmp_path])[0])


def test_it_goes_on_after_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    found, errors = find_photos([tmp_path / "empty", "a.jpg"])
    assert found == [Path("a.jpg")]
    assert errors == [
        f"{tmp_path / 'empty'} holds no photo; expected files that end in .jpg, .png, .heic or another image suffix."
    ]


def test_it_goes_on_after_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    found, errors = find_photos([tmp_path, "a.jpg"])
    assert found == [Path("a.jpg")]
    assert errors == [f"Cannot read the folder {tmp_path} (Permission denied); make it readable."]


class TestHeic:
    @pytest.fixture
    def photo(self, tmp_path):
        (tmp_path / "IMG_1.HEIC").write_bytes(HEIC)
        return tmp_path / "IMG_1.HEIC"

    def test_says_what_to_install(self, photo, monkeypatch):
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        assert find_photos([photo.parent]) == ([photo], [])
        with pytest.raises(FarkerasError) as raised:
            read_photo(photo)
        assert str(raised.value) == f"{photo} is a HEIC or HEIF image; install its reader: pip install pillow-heif"
        with pytest.raises(FarkerasError, match=r"HEIC is a HEIF image, not JPEG or PNG; expected a whole JPEG or PNG"):
            read_crop(photo)
        assert why_undecodable(HEIC) == "is a HEIF image, not JPEG or PNG"

    def test_is_read_where_that_is_installed(self, photo):
        """In a process of its own, since Pillow's list of openers is global."""
        (photo.parent / "pillow_heif.py").write_text(
            "import io\n"
            "from PIL import Image\n"
            "from PIL.PngImagePlugin import PngImageFile\n"
            "def register_heif_opener():\n"
            "    opener = lambda file, name: PngImageFile(io.BytesIO(file.read()[12:]))\n"
            "    Image.register_open('HEIF', opener, lambda start: start[8:12] == b'heic')\n"
        )
        code = f"import sys; from farkeras.photos.reader import read_photo; print(read_photo({str(photo)!r}).tolist())"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(photo.parent), *sys.path])}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert done.stdout == f"{np.asarray(smooth_image()).tolist()}\n", done.stderr
