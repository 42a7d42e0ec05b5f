"""The one path from an image file to a model's input, shared by evaluation, export, calibration and prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from farkeras.data.examples import FULL_FRAME


@dataclass(frozen=True)
class Preprocessing:
    """Decodes, crops and resizes images.

    Attributes:
        image_size: Height and width of the model's input in pixels.
        crop: Top, left, bottom, right of the part that is kept, as fractions of the image's height and width. The crop
            of a model is relative to CelebA's aligned crop, whatever data set the model was trained on.
    """

    image_size: tuple[int, int]
    crop: tuple[float, float, float, float] = FULL_FRAME

    @staticmethod
    def decode(encoded: tf.Tensor) -> tf.Tensor:
        """Decodes a JPEG or PNG file.

        The accurate inverse DCT gives the same pixels as Pillow; TensorFlow's default differs by up to 15 levels.

        Args:
            encoded: The file's bytes, a scalar string.

        Returns:
            uint8 RGB `[height, width, 3]`.

        Raises:
            tf.errors.InvalidArgumentError: The bytes are not a JPEG or PNG file, or they are damaged.
        """
        # TensorFlow's operation also decodes GIF, and WebP from 2.21 on, to rank 3 or 4. An empty string is an error.
        is_jpeg, is_png = are_jpeg_and_png(encoded)
        encoded = tf.where(is_jpeg | is_png, encoded, "")
        return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")

    def resize(self, images: tf.Tensor) -> tf.Tensor:
        """Crops images in whole pixels and resizes them with `shrink`.

        Args:
            images: `[height, width, 3]` or `[batch, height, width, 3]` in 0..255.

        Returns:
            The model's input: float32 `[H, W, 3]` or `[batch, H, W, 3]` in 0..255.
        """
        images = tf.convert_to_tensor(images)
        batch = images if images.shape.rank == 4 else images[None]
        part = pixels_of(self.crop, sides_of(batch))
        top, left, bottom, right = tf.unstack(part) if tf.is_tensor(part) else part
        resized = shrink(batch[:, top:bottom, left:right], self.image_size)
        return resized if images.shape.rank == 4 else resized[0]

    def within(self, frame: tuple[float, float, float, float]) -> "Preprocessing":
        """Returns the preprocessing that takes the same part of the face within a frame (see `Examples.frame`)."""
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
    """Says whether a file (scalar string) is a JPEG and whether it is a PNG, by its first bytes as TensorFlow does."""
    return tf.strings.substr(encoded, 0, 3) == b"\xff\xd8\xff", tf.strings.substr(encoded, 0, 8) == b"\x89PNG\r\n\x1a\n"


def pixels_of(
    box: Sequence[float] | tf.Tensor, sides: Sequence[int] | tf.Tensor
) -> tuple[int, int, int, int] | tf.Tensor:
    """Converts a box in fractions of an image to the nearest whole pixels.

    The result has at least one pixel and does not reach outside the image.

    Args:
        box: Top, left, bottom, right as fractions: four numbers, or a tensor `[..., 4]` for one image or many.
        sides: Height and width of the image in pixels: two ints, or an int32 tensor `[..., 2]`.

    Returns:
        Top, left, bottom, right in pixels: four ints, or an int32 tensor `[..., 4]` if an argument is a tensor.
    """
    if not tf.is_tensor(box) and not tf.is_tensor(sides):
        ends = np.rint(np.array(box) * np.tile(sides, 2)).astype(int)
        start = np.clip(ends[:2], 0, np.array(sides) - 1)
        (top, left), (bottom, right) = start.tolist(), np.clip(ends[2:], start + 1, sides).tolist()
        return top, left, bottom, right
    # float64 rounds a border half-way between two pixels to the same one as the code above.
    ends = tf.round(tf.cast(box, tf.float64) * tf.cast(tf.concat([sides, sides], -1), tf.float64))
    start, end = tf.split(tf.cast(ends, tf.int32), 2, -1)
    start = tf.clip_by_value(start, 0, tf.subtract(sides, 1))
    return tf.concat([start, tf.clip_by_value(end, start + 1, sides)], -1)


def shrink(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Resizes `[batch, height, width, channels]` of any numeric dtype to float32 `[batch, *size, channels]`.

    Sides that are at least twice as large as `size` are halved first (see `halve`). Then one bilinear resize with
    half-pixel centres follows, so nearly every pixel of the image contributes to the result. Bilinear resizing is one
    fast operation in TensorFlow, TFLite and ONNX. An antialiased `tf.image.resize` takes ten times as long and is not a
    TFLite operation.
    """
    images = bilinear(halve(images, sides_of(images), size), size)
    return tf.ensure_shape(images, [images.shape[0], *size, images.shape[-1]])


def halve(images: tf.Tensor, sides: Sequence[int] | tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Halves the height and the width of images, each until a part of `sides` is less than twice `size`.

    Each step resizes bilinearly to half the pixels, rounded down. With even sides it averages blocks of 2 x 2 pixels.

    Args:
        images: `[batch, height, width, channels]` of any numeric dtype.
        sides: Height and width in pixels of the part that will be used: an int32 tensor `[2]`, or two ints.
        size: Height and width to which the part will be resized.

    Returns:
        float32 `[batch, halved height, halved width, channels]`.
    """
    images, twice = tf.cast(images, tf.float32), 2 * np.array(size, np.int32)
    if not tf.is_tensor(sides):
        known = np.array(sides)
        while np.any(known >= twice):  # AutoGraph does not support ":="
            large = known >= twice
            images = bilinear(images, np.where(large, np.array(sides_of(images)) // 2, sides_of(images)))
            known = np.where(large, known // 2, known)
        return images

    def once(images: tf.Tensor, sides: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        large, all_sides = sides >= twice, tf.shape(images)[1:3]
        images = bilinear(images, tf.where(large, all_sides // 2, all_sides))
        return images, tf.where(large, sides // 2, sides)

    unknown = tf.TensorShape([images.shape[0], None, None, images.shape[-1]])
    return tf.while_loop(
        lambda _, sides: tf.reduce_any(sides >= twice),
        once,
        (images, sides),
        shape_invariants=(unknown, tf.TensorShape([2])),
    )[0]


def is_halved(sides: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Says whether `halve` changes images of which a part of `sides`, int32 `[2]`, will be used; a bool scalar."""
    return tf.reduce_any(sides >= 2 * np.array(size, np.int32))


def sides_of(images: tf.Tensor) -> tuple[int, int] | tf.Tensor:
    """Returns height and width of `[..., height, width, channels]`: two ints if both are known, else a tensor."""
    known = tuple(images.shape[-3:-1])
    return tf.shape(images)[-3:-1] if None in known else known


def bilinear(images: tf.Tensor, size: Sequence[int] | np.ndarray | tf.Tensor) -> tf.Tensor:
    """Resizes `[batch, height, width, channels]` of any numeric dtype to float32 in one bilinear step."""
    return tf.raw_ops.ResizeBilinear(images=images, size=size, half_pixel_centers=True)
