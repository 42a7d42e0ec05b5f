"""The one way from an image file to a model's input: evaluation, export, calibration and prediction all use it."""

from dataclasses import dataclass

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
        """JPEG or PNG bytes (scalar string) -> `[height, width, 3]` uint8 RGB.

        The accurate inverse DCT gives the same pixels as Pillow; TensorFlow's default is up to 15 levels off.
        """
        return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")

    def resize(self, images: tf.Tensor) -> tf.Tensor:
        """`[height, width, 3]` or `[batch, height, width, 3]`, 0..255 -> the model's input, float32 0..255."""
        return resample(images, self.image_size, self.crop)

    def within(self, frame: tuple[float, float, float, float]) -> "Preprocessing":
        """The same part of faces for images that show them in a box, see `Examples.frame`."""
        top, left, bottom, right = frame
        crop = tuple(
            start + fraction * (end - start)
            for fraction, start, end in zip(self.crop, (top, left) * 2, (bottom, right) * 2, strict=True)
        )
        return Preprocessing(self.image_size, crop)

    def to_dict(self) -> dict:
        return {"image_size": list(self.image_size), "crop": list(self.crop)}

    @classmethod
    def from_dict(cls, values: dict) -> "Preprocessing":
        return cls(tuple(values["image_size"]), tuple(values["crop"]))


def resample(images, size: tuple[int, int], box) -> tf.Tensor:
    """Resizes the part of an image inside a box with an antialiased bilinear (triangle) filter.

    Written as two matrix products, rows and then columns: unlike antialiased `tf.image.resize` it converts to TFLite
    builtins, and a shift, a scale or a flip of the box costs nothing more. For the whole frame the result equals
    `tf.image.resize(images, size, antialias=True)`. Beyond its border the image repeats its edge.

    Args:
        images: `[height, width, channels]` or `[batch, height, width, channels]`, numbers of any dtype.
        size: Height and width of the result.
        box: Top, left, bottom, right as fractions of height and width, four numbers or a tensor `[4]`. May reach
            beyond the image; left > right flips it.

    Returns:
        float32 of the shape of `images` with the new height and width.
    """
    images = tf.cast(images, tf.float32)
    top, left, bottom, right = tf.unstack(tf.convert_to_tensor(box, tf.float32))
    shape = tf.shape(images)
    height, width, channels = shape[-3], shape[-2], images.shape[-1]
    rows = _triangle_weights(height, size[0], top, bottom)  # (H', H)
    columns = _triangle_weights(width, size[1], left, right)  # (W', W)
    lead = shape[:-3]
    # (H', H) x (H, W C) -> (H', W C), then (W', W) x (W, C) for each row.
    flat = tf.reshape(images, tf.concat([lead, [height, width * channels]], 0))
    flat = tf.matmul(rows if images.shape.rank == 3 else rows[None], flat)
    lines = tf.reshape(flat, tf.concat([lead, [size[0], width, channels]], 0))
    resized = tf.matmul(columns, lines)
    return tf.ensure_shape(resized, [*images.shape[:-3], *size, channels])


def _triangle_weights(length, new_length: int, start, end) -> tf.Tensor:
    """`[new_length, length]` float32: how much each input sample gives to each output sample; rows sum to 1."""
    length = tf.cast(length, tf.float32)
    step = (end - start) * length / new_length  # input samples per output sample; negative when flipped
    centres = start * length + (tf.range(new_length, dtype=tf.float32) + 0.5) * step - 0.5
    centres = tf.clip_by_value(centres, 0.0, length - 1.0)
    support = tf.maximum(tf.abs(step), 1.0)
    distance = tf.abs(tf.range(length)[None, :] - centres[:, None]) / support
    weights = tf.nn.relu(1.0 - distance)
    return weights / tf.reduce_sum(weights, axis=1, keepdims=True)
