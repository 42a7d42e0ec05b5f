"""What people hand over in Python is read, whatever form it has, or refused in one sentence that says what to do."""

import io

import numpy as np
import pytest
from PIL import Image

from farkeras.errors import FarkerasError
from farkeras.photos.reader import named, read_crop, read_photo

RED_LEFT_BLUE_RIGHT = np.zeros((8, 16, 3), np.uint8)
RED_LEFT_BLUE_RIGHT[:, :8, 0] = RED_LEFT_BLUE_RIGHT[:, 8:, 2] = 255


class OnAnotherDevice:
    """As a tensor of PyTorch on a GPU."""

    def __array__(self, *_, **__):
        raise TypeError("can't convert cuda:0 device type tensor to numpy.\nUse Tensor.cpu() first.")


class Upload:
    """As Starlette's, which is read by `await`."""

    def read(self):
        return "no bytes"


def just_written():
    file = io.BytesIO()
    Image.fromarray(RED_LEFT_BLUE_RIGHT).save(file, "PNG")  # and stands at its end
    return file


PNG = just_written().getvalue()
FORMS = {
    "bytes": PNG,
    "bytearray": bytearray(PNG),
    "memoryview": memoryview(PNG),
    "a file in memory": just_written(),
    "a file without seek": io.BufferedReader(type("Pipe", (io.BytesIO,), {"seekable": lambda self: False})(PNG)),
    "a Pillow image": Image.fromarray(RED_LEFT_BLUE_RIGHT),
    "a Pillow image that is not yet read": Image.open(just_written()),
    "a grey Pillow image": Image.fromarray(RED_LEFT_BLUE_RIGHT[..., 2]),
    "an array": RED_LEFT_BLUE_RIGHT,
    "BGR turned to RGB": RED_LEFT_BLUE_RIGHT[..., ::-1].copy()[..., ::-1],
    "what has __array__": type("Tensor", (), {"__array__": lambda self, *_, **__: RED_LEFT_BLUE_RIGHT})(),
}
FLOATS = r"Convert floats in 0..1 to pixels: (255 * image).round().astype(np.uint8)."
REFUSED = {
    "None": (None, "image 0 is None: the image could not be read. Check its path; OpenCV's imread returns None"),
    "a number": (5, "image 0 is of type int; expected the path of an image file, its content as bytes, an open file"),
    "rows of numbers": (RED_LEFT_BLUE_RIGHT.tolist(), "image 0 is of type list; expected the path"),
    "floats": (np.zeros((9, 8, 3), np.float32), f"Received: float32 [9, 8, 3]. {FLOATS}"),
    "whole numbers": (
        np.zeros((9, 8, 3), np.int64),
        "Received: int64 [9, 8, 3]. Pass the RGB pixels of one image, in 0..255.",
    ),
    "PyTorch's axes": (np.zeros((3, 9, 8), np.uint8), "Received: uint8 [3, 9, 8]. Move its channels to the end"),
    "grey": (np.zeros((9, 8), np.uint8), "Received: uint8 [9, 8]. Repeat its grey channel three times."),
    "alpha": (np.zeros((9, 8, 4), np.uint8), "Received: uint8 [9, 8, 4]. Leave out its alpha channel: image[..., :3]."),
    "a closed file": (
        io.BytesIO(PNG),
        'image 0 cannot be read (I/O operation on closed file.); open the file as open(path, "rb").',
    ),
    "a file read as text": (io.StringIO("no image"), "Reading image 0 returned str, not bytes; expected the path"),
    "an upload": (Upload(), "Reading image 0 returned str, not bytes; expected the path"),
    "a tensor elsewhere": (
        [OnAnotherDevice()],
        "image 0 is of type OnAnotherDevice, which NumPy cannot convert to an array: can't convert cuda:0 device type "
        "tensor to numpy. Use Tensor.cpu() first.",
    ),
    "a closed Pillow image": (
        Image.open(just_written()),
        "image 0 cannot be decoded (Operation on closed",
    ),
}
REFUSED["a closed file"][0].close()
REFUSED["a closed Pillow image"][0].close()


@pytest.mark.parametrize("photo", FORMS.values(), ids=FORMS)
def test_what_people_hand_over(photo):
    grey = isinstance(photo, Image.Image) and photo.mode == "L"
    expected = RED_LEFT_BLUE_RIGHT[..., [2, 2, 2]] if grey else RED_LEFT_BLUE_RIGHT
    ((name, given),) = named(photo)
    assert name == "image 0"
    np.testing.assert_array_equal(read_photo(given), expected)
    if not isinstance(photo, io.BufferedReader):  # which can be read once only
        np.testing.assert_array_equal(read_crop(given), expected)


@pytest.mark.parametrize(("photo", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("read", [read_photo, read_crop])
def test_what_is_no_image(photo, message, read):
    with pytest.raises(FarkerasError) as raised:
        [read(given, name) for name, given in named(photo)]
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_several_images_at_once(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for several in (paths, tuple(paths), iter(paths), np.array(list(map(str, paths))), np.array(paths, object)):
        assert [name for name, _ in named(several)] == list(map(str, paths))
    batch = np.stack([RED_LEFT_BLUE_RIGHT, RED_LEFT_BLUE_RIGHT[:, ::-1]])
    for (name, photo), expected in zip(named(batch), batch, strict=True):
        assert name.startswith("image ")
        np.testing.assert_array_equal(photo, expected)
    assert [name for name, _ in named([paths[0], PNG, None])] == [str(paths[0]), "image 1", "image 2"]
    assert list(named([])) == []
