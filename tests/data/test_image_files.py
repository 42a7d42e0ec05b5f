"""Image files of every kind as training sees them: right, or named with what is wrong, in bounded memory."""

import hashlib
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from farkeras.data.image_files import ImageFile, read_image_file, read_image_files
from farkeras.data.preprocessing import Preprocessing
from tests import bad_images
from tests.bad_images import encode, half, smooth_image

pytestmark = pytest.mark.core


def decode(encoded):
    return Preprocessing((8, 8)).decode(encoded).numpy()


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "L"), ("PNG", "P"), ("PNG", "RGBA")],
)
def test_colour_modes_give_pillows_pixels(tmp_path, kind, mode):
    """A PNG named .jpg among them: the content decides, not the name."""
    encoded = encode(smooth_image().convert(mode), kind)
    np.testing.assert_array_equal(decode(encoded), np.array(Image.open(io.BytesIO(encoded)).convert("RGB")))
    (tmp_path / "a.jpg").write_bytes(encoded)
    digest = hashlib.sha256(encoded).digest()
    assert read_image_file((tmp_path / "a.jpg").read_bytes) == ImageFile(digest, (218, 178))


def test_one_pixel_fills_the_models_input():
    encoded = encode(Image.new("RGB", (1, 1), (10, 200, 90)), "PNG")
    resized = Preprocessing((64, 48)).resize(decode(encoded)).numpy()
    np.testing.assert_allclose(resized, np.broadcast_to((10, 200, 90), (64, 48, 3)), atol=1e-3)


@pytest.mark.parametrize(
    ("encoded", "problem"),
    [
        (b"", "is empty (0 bytes)"),
        (bad_images.HTML, "is a web page: the download was refused"),
        (b"not an image", "is not an image"),
        (half(encode(smooth_image())), "is truncated or damaged"),
        (encode(smooth_image())[:-2], "is truncated or damaged"),
        (half(encode(smooth_image(), progressive=True)), "is truncated or damaged"),
        (half(encode(smooth_image(), "PNG")), "is truncated or damaged"),
        (encode(smooth_image(), "TIFF"), "is a TIFF image, not JPEG or PNG"),
        (encode(smooth_image(), "BMP"), "is a BMP image, not JPEG or PNG"),
        (bad_images.png_bomb(), "has more than 178,956,970 pixels"),
        (bad_images.jpeg_bomb(), "has more than 178,956,970 pixels"),
        (bad_images.jpeg_bomb(13_400), "has more than 178,956,970 pixels"),
        (bad_images.jpeg_bomb(progressive=True), "has more than 178,956,970 pixels"),
    ],
)
def test_what_training_cannot_decode(tmp_path, encoded, problem):
    (tmp_path / "a.jpg").write_bytes(encoded)
    file = read_image_file((tmp_path / "a.jpg").read_bytes)
    assert file == ImageFile(hashlib.sha256(encoded).digest(), problem=problem)


def test_what_is_not_a_file(tmp_path):
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    for name in ("none.jpg", "link.jpg"):
        assert read_image_file((tmp_path / name).read_bytes) == ImageFile(missing=True, problem="does not exist")
    assert read_image_file(tmp_path.read_bytes) == ImageFile(problem="cannot be read (Is a directory)")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_seen_and_not_applied(tmp_path, kind):
    for orientation in (1, 6):
        (tmp_path / "a").write_bytes(bad_images.turned(kind, orientation=orientation))
        file = read_image_file((tmp_path / "a").read_bytes)
        assert file.size == (218, 178)
        assert file.turned == (orientation == 6)


@pytest.mark.long
def test_bombs_take_no_memory(tmp_path):
    """Training's own pipeline over two images of 2.7 GB each, in a process that could not hold one."""
    for name, encoded in (("a.png", bad_images.png_bomb()), ("b.jpg", bad_images.jpeg_bomb())):
        (tmp_path / name).write_bytes(encoded)
    code = (
        "import resource, sys, numpy as np\n"
        "from farkeras.data.examples import Examples\n"
        "from farkeras.data.pipeline import find_undecodable\n"
        "from farkeras.data.preprocessing import Preprocessing\n"
        "examples = Examples(('a',), np.array(sys.argv[1:]), np.zeros((2, 1), np.int8))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert find_undecodable(examples, Preprocessing((8, 8))) == sys.argv[1:]\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "a.png", tmp_path / "b.jpg"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 500_000  # kB


def test_many_files_in_order_with_progress(tmp_path):
    paths = []
    for i in range(120):
        paths.append(tmp_path / f"{i}.png")
        paths[-1].write_bytes(encode(Image.new("RGB", (1 + i, 2)), "PNG") if i != 70 else b"")
    calls = []
    files = read_image_files([path.read_bytes for path in paths], 3, lambda *call: calls.append(call))
    assert [file.size for file in files] == [(2, 1 + i) if i != 70 else None for i in range(120)]
    assert calls == [(0, 120), (50, 120), (100, 120), (120, 120)]
    assert read_image_files([], 3) == []
