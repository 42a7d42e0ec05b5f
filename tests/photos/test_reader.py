"""Photographs of every kind are read upright and RGB; what is no photograph gets one sentence."""

import numpy as np
import pytest
from PIL import Image

from farkeras.errors import FarkerasError
from farkeras.photos.reader import read_photo

RED_LEFT_BLUE_RIGHT = np.zeros((8, 16, 3), np.uint8)
RED_LEFT_BLUE_RIGHT[:, :8, 0] = RED_LEFT_BLUE_RIGHT[:, 8:, 2] = 255


def error(path):
    with pytest.raises(FarkerasError) as raised:
        read_photo(path)
    message = str(raised.value)
    assert str(path) in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["photo.png", "photo.bmp", "photo.webp", "PHOTO.PNG"])
def test_reads_rgb(tmp_path, name):
    Image.fromarray(RED_LEFT_BLUE_RIGHT).save(tmp_path / name, lossless=True)
    photo = read_photo(tmp_path / name)
    assert photo.dtype == np.uint8
    np.testing.assert_array_equal(photo, RED_LEFT_BLUE_RIGHT)


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise to show
    Image.fromarray(RED_LEFT_BLUE_RIGHT).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_photo(tmp_path / "a.png"), np.rot90(RED_LEFT_BLUE_RIGHT, -1))


def test_a_file_in_memory(tmp_path):
    Image.fromarray(RED_LEFT_BLUE_RIGHT).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_photo((tmp_path / "a.png").read_bytes()), RED_LEFT_BLUE_RIGHT)
    for content, reason in ((b"", "is empty"), (b"text", "is not an image")):
        with pytest.raises(FarkerasError, match=f"^The photo {reason}"):
            read_photo(content)
        with pytest.raises(FarkerasError, match=f"^image 3 {reason}"):
            read_photo(content, "image 3")


def test_missing(tmp_path):
    assert "There is no file" in error(tmp_path / "a.jpg")


def test_empty(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert "is empty (0 bytes)" in error(tmp_path / "a.jpg")


def test_text(tmp_path):
    (tmp_path / "a.jpg").write_text("not a photo\n")
    assert "is not an image" in error(tmp_path / "a.jpg")


def test_folder(tmp_path):
    assert error(tmp_path) == f"Cannot read {tmp_path} (Is a directory); check the path."


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_truncated(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    assert "truncated" in error(path)


def test_decompression_bomb(tmp_path, monkeypatch):
    Image.fromarray(RED_LEFT_BLUE_RIGHT).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    assert "has more than 120 pixels" in error(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # above it, below twice: a large photo
    assert read_photo(tmp_path / "a.png").shape == (8, 16, 3)
