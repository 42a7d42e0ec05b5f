"""The one way from an image file to a model's input: evaluation, export, calibration and prediction all use it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from farkeras.data.examples import FULL_FRAME


@dataclass(frozen=True)
class Preprocessing:
    """Decode, crop, resize.

    Attributes:
        image_size: Height and width of the model's input in pixels.
        crop: Top, left, bottom, right of the part that is kept, as fractions of the image's height and width. A model's
            counts in CelebA's aligned frame, whatever data set it was trained on.
    """

    image_size: tuple[int, int]
    crop: tuple[float, float, float, float] = FULL_FRAME

    def decode(self, encoded: tf.Tensor) -> tf.Tensor:
        """JPEG or PNG bytes (scalar string) -> `[height, width, 3]` uint8 RGB; others raise an `InvalidArgumentError`.

        The accurate inverse DCT gives the same pixels as Pillow; TensorFlow's default is up to 15 levels off.
        """
        # TensorFlow's operation also decodes GIF, and from 2.21 on WebP, to a tensor of rank 3 or 4. It refuses "".
        is_jpeg, is_png = are_jpeg_and_png(encoded)
        encoded = tf.where(is_jpeg | is_png, encoded, "")
        return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")

    def resize(self, images: tf.Tensor) -> tf.Tensor:
        """`[height, width, 3]` or `[batch, height, width, 3]`, 0..255 -> the model's input, float32 0..255.

        The crop is taken in whole pixels, the rest is `shrink`.
        """
        images = tf.convert_to_tensor(images)
        batch = images if images.shape.rank == 4 else images[None]
        part = pixels_of(self.crop, sides_of(batch))
        top, left, bottom, right = tf.unstack(part) if tf.is_tensor(part) else part
        resized = shrink(batch[:, top:bottom, left:right], self.image_size)
        return resized if images.shape.rank == 4 else resized[0]

    def within(self, frame: tuple[float, float, float, float]) -> "Preprocessing":
        """The same part of faces for images that show them in a box, see `Examples.frame`."""
        top, left, bottom, right = frame
        starts, ends = (top, left) * 2, (bottom, right) * 2
        crop = [start + part * (end - start) for part, start, end in zip(self.crop, starts, ends, strict=True)]
        return Preprocessing(self.image_size, (crop[0], crop[1], crop[2], crop[3]))

    def to_dict(self) -> dict:
        return {"image_size": list(self.image_size), "crop": list(self.crop)}

    @classmethod
    def from_dict(cls, values: dict) -> "Preprocessing":
        return cls(tuple(values["image_size"]), tuple(values["crop"]))


def are_jpeg_and_png(encoded: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Whether a file (scalar string) is a JPEG and whether it is a PNG, by its first bytes, as TensorFlow decides."""
    return tf.strings.substr(encoded, 0, 3) == b"\xff\xd8\xff", tf.strings.substr(encoded, 0, 8) == b"\x89PNG\r\n\x1a\n"


def pixels_of(
    box: Sequence[float] | tf.Tensor, sides: Sequence[int] | tf.Tensor
) -> tuple[int, int, int, int] | tf.Tensor:
    """A box in fractions of an image -> the whole pixels nearest to it, at least one, none outside the image.

    Args:
        box: Top, left, bottom, right; as a tensor `[..., 4]`, of one image or of many.
        sides: Height and width of the image, as a tensor int32 `[..., 2]`.

    Returns:
        Top, left, bottom, right in pixels: four ints, or an int32 tensor `[..., 4]` where an argument is a tensor.
    """
    if not tf.is_tensor(box) and not tf.is_tensor(sides):
        ends = np.rint(np.array(box) * np.tile(sides, 2)).astype(int)
        start = np.clip(ends[:2], 0, np.array(sides) - 1)
        (top, left), (bottom, right) = start.tolist(), np.clip(ends[2:], start + 1, sides).tolist()
        return top, left, bottom, right
    # float64: to the same pixel as above, where a box lies half-way between two.
    ends = tf.round(tf.cast(box, tf.float64) * tf.cast(tf.concat([sides, sides], -1), tf.float64))
    start, end = tf.split(tf.cast(ends, tf.int32), 2, -1)
    start = tf.clip_by_value(start, 0, tf.subtract(sides, 1))
    return tf.concat([start, tf.clip_by_value(end, start + 1, sides)], -1)


def shrink(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Resizes `[batch, height, width, channels]`, numbers of any dtype, to float32 `[batch, *size, channels]`.

    Bilinear with half-pixel centres, after halving what is twice as large or more: see `halve`. So every image pixel
    has a part in the result, or nearly so, at the price of one bilinear resize: TensorFlow, TFLite and ONNX have it as
    one fast operation. An antialiased `tf.image.resize` costs ten times as much and is no TFLite operation.
    """
    images = _bilinear(halve(images, sides_of(images), size), size)
    return tf.ensure_shape(images, [images.shape[0], *size, images.shape[-1]])


def halve(images: tf.Tensor, sides: Sequence[int] | tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Halves height and width of `[batch, height, width, channels]`, each until a part of `sides` is below 2 `size`.

    Halving is bilinear resizing to half the pixels, rounded down: of an even number, means of two by two.

    Args:
        images: Numbers of any dtype.
        sides: Height and width in pixels of the part that counts: an int32 tensor `[2]`, or two ints.
        size: Height and width of what the part becomes.

    Returns:
        float32.
    """
    images, twice = tf.cast(images, tf.float32), 2 * np.array(size, np.int32)
    if not tf.is_tensor(sides):
        known = np.array(sides)
        while np.any(known >= twice):  # AutoGraph refuses ":="
            large = known >= twice
            images = _bilinear(images, np.where(large, np.array(sides_of(images)) // 2, sides_of(images)))
            known = np.where(large, known // 2, known)
        return images

    def once(images: tf.Tensor, sides: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        large, all_sides = sides >= twice, tf.shape(images)[1:3]
        images = _bilinear(images, tf.where(large, all_sides // 2, all_sides))
        return images, tf.where(large, sides // 2, sides)

    unknown = tf.TensorShape([images.shape[0], None, None, images.shape[-1]])
    return tf.while_loop(
        lambda _, sides: tf.reduce_any(sides >= twice),
        once,
        (images, sides),
        shape_invariants=(unknown, tf.TensorShape([2])),
    )[0]


def sides_of(images: tf.Tensor) -> tuple[int, int] | tf.Tensor:
    """Height and width of `[..., height, width, channels]`: two ints where they are known, else an int32 tensor."""
    known = tuple(images.shape[-3:-1])
    return tf.shape(images)[-3:-1] if None in known else known


def _bilinear(images: tf.Tensor, size: Sequence[int] | np.ndarray | tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.ResizeBilinear(images=images, size=size, half_pixel_centers=True)
