"""Random changes of a training image, a pure function of a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from farkeras.data.preprocessing import Preprocessing, resample

_RADIANS = 0.017453292519943295  # in a degree


@dataclass(frozen=True)
class Geometry:
    """How an image's content moves: a part of the image becomes the frame, then the frame turns about its centre.

    One thing moves the image and the points in it, so they stay together.

    Attributes:
        image_size: Height and width of the frame in pixels.
        box: The part, see `resample`: top, left, bottom, right as fractions of the image, left > right for a flip.
        degrees: The turn, counter-clockwise in pixels of the frame; None for none.
    """

    image_size: tuple[int, int]
    box: Sequence[float] | tf.Tensor
    degrees: tf.Tensor | None = None

    def image(self, image: tf.Tensor) -> tf.Tensor:
        """`[height, width, 3]`, numbers of any dtype -> `[H, W, 3]` float32 in the same range."""
        image = resample(image, self.image_size, self.box)
        return image if self.degrees is None else rotate(image, self.degrees)

    def points(self, points: tf.Tensor) -> tf.Tensor:
        """`[..., 2]` float32, x, y as fractions of the image's width and height -> fractions of the frame's.

        Fractions count from the left and top edge: the centre of the first of W pixels is at 0.5 / W. Points may lie
        outside 0..1, before and after. A flip moves points as the image, it does not rename them: what was a left eye
        is then on the other side.
        """
        top, left, bottom, right = tf.unstack(tf.convert_to_tensor(self.box, tf.float32))
        points = (points - tf.stack([left, top])) / tf.stack([right - left, bottom - top])
        if self.degrees is None:
            return points
        size = tf.constant(self.image_size[::-1], tf.float32)  # lengths and angles are those of pixels
        angle = self.degrees * _RADIANS
        x, y = tf.unstack((points - 0.5) * size, axis=-1)
        cos, sin = tf.cos(angle), tf.sin(angle)
        turned = tf.stack([cos * x + sin * y, cos * y - sin * x], axis=-1)  # y points down
        return turned / size + 0.5


@dataclass(frozen=True)
class Augmentation:
    """How strongly training images vary. Zero or False leaves a change out; each draw is uniform.

    Attributes:
        flip: Mirror left and right with probability 1/2.
        shift: Largest shift, as a fraction of height and of width.
        scale: Largest relative change of size.
        rotation: Largest rotation about the centre, degrees.
        brightness: Largest relative change of all channels.
        contrast: Largest relative change of the distance to the image's mean.
        saturation: Largest relative change of the distance to grey.
    """

    flip: bool = True
    shift: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    def __call__(self, image: tf.Tensor, preprocessing: Preprocessing, seed: tf.Tensor) -> tf.Tensor:
        """`[height, width, 3]` uint8 -> the model's input `[H, W, 3]` float32 0..255, resized and augmented.

        Args:
            image: The decoded image.
            preprocessing: Crop and size; without augmentation the result equals `preprocessing.resize(image)`.
            seed: int32 `[2]`; the same seed gives the same change.
        """
        draw = _draw(seed)
        image = self.geometry(preprocessing, seed).image(image)
        if self.brightness:
            image *= 1.0 + self.brightness * draw[5]
        if self.contrast:
            mean = tf.reduce_mean(image)
            image = mean + (image - mean) * (1.0 + self.contrast * draw[6])
        if self.saturation:
            grey = tf.tensordot(image, [0.299, 0.587, 0.114], 1)[..., None]  # ITU-R BT.601 luma
            image = grey + (image - grey) * (1.0 + self.saturation * draw[7])
        return tf.clip_by_value(image, 0.0, 255.0)

    def geometry(self, preprocessing: Preprocessing, seed: tf.Tensor) -> Geometry:
        """How the image moves under the same arguments: to move points in it along."""
        draw = _draw(seed)
        degrees = self.rotation * draw[4] if self.rotation else None
        return Geometry(preprocessing.image_size, self.box(preprocessing.crop, draw), degrees)

    def box(self, crop, draw: tf.Tensor) -> tf.Tensor:
        """The part of the image to resample (see `resample`): the crop, shifted, scaled and flipped. float32 `[4]`."""
        top, left, bottom, right = crop
        grow = 1.0 + self.scale * draw[0]
        half = tf.stack([(bottom - top) / 2 * grow, (right - left) / 2 * grow])
        centre = tf.stack([(top + bottom) / 2 + self.shift * draw[1], (left + right) / 2 + self.shift * draw[2]])
        start, end = centre - half, centre + half
        box = tf.stack([start[0], start[1], end[0], end[1]])
        if self.flip:
            box = tf.where(draw[3] > 0, tf.gather(box, [0, 3, 2, 1]), box)
        return box


def _draw(seed: tf.Tensor) -> tf.Tensor:
    """All random numbers of an image, `[8]` in -1..1: size, down, right, flip, turn and the three of colour."""
    return tf.random.stateless_uniform([8], seed, -1.0, 1.0)


def rotate(image: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
    """Turns `[H, W, C]` float32 counter-clockwise about its centre, bilinear; beyond the border the edge repeats."""
    angle = degrees * _RADIANS
    cos, sin = tf.cos(angle), tf.sin(angle)
    x, y = (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2
    # From output to input coordinates: in = R (out - centre) + centre.
    transform = [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y, 0.0, 0.0]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.stack(transform)[None],
        output_shape=image.shape[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )[0]
