"""Random changes of training images. Each change is a pure function of the random numbers drawn for the image.

Rotation and colours cost several times as much as decoding, so the input pipeline can leave them to `finish_images`,
which makes them for a whole batch on the training device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import tensorflow as tf

from farkeras.config import Config
from farkeras.data.preprocessing import bilinear, halve, is_halved, pixels_of, shrink

NUM_DRAWS = 8
"""Number of random numbers per image, see `Augmentation.changes`."""

_RADIANS = 0.017453292519943295  # per degree
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Geometry(NamedTuple):
    """How the content of an image moves: a part becomes the frame, may be mirrored, and is then rotated.

    The same object moves the image and its points, so they stay aligned. With a leading axis it describes many images
    and can move their points.

    Attributes:
        sides: Height and width of the image in pixels, int32 `[2]`.
        part: Top, left, bottom, right of the part in whole pixels inside the image, int32 `[4]`.
        flip: bool, whether to mirror left and right; None for no flip.
        degrees: float32, rotation about the frame's centre after the flip, counter-clockwise in pixels of the frame;
            None for no rotation.
    """

    sides: tf.Tensor
    part: tf.Tensor
    flip: tf.Tensor | None = None
    degrees: tf.Tensor | None = None

    def image(self, image: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
        """Moves the pixels of one image into the frame.

        Args:
            image: `[height, width, channels]` of any numeric dtype; height and width are `sides`.
            image_size: Height and width H, W of the frame in pixels.

        Returns:
            float32 `[H, W, channels]` in the range of the input.
        """
        image = tf.convert_to_tensor(image)
        if self.degrees is not None:
            image = self.source(image, image_size)
            return sampled(image[None], self.transform(tf.shape(image)[:2], image_size)[None], image_size)[0]
        top, left, bottom, right = tf.unstack(self.part)
        part = image[None, top:bottom, left:right]
        # `shrink` would first copy the part in float32.
        halved = is_halved(self.part[2:] - self.part[:2], image_size)
        frame = tf.cond(halved, lambda: shrink(part, image_size), lambda: bilinear(part, image_size))
        frame = tf.ensure_shape(frame, [1, *image_size, image.shape[-1]])[0]
        if self.flip is None:
            return frame
        return tf.reverse(frame, tf.range(1, 1 + tf.cast(self.flip, tf.int32)))  # along axis 1, or along no axis

    def source(self, image: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
        """Returns the image from which `transform` samples: the image, halved while the part is large, see `halve`.

        Args:
            image: `[height, width, channels]` of any numeric dtype; height and width are `sides`.
            image_size: Height and width of the frame in pixels.

        Returns:
            `[halved height, halved width, channels]` of the same dtype; halved pixels are rounded if it is an integer.
        """
        part_sides = self.part[2:] - self.part[:2]

        def halved() -> tf.Tensor:
            smaller = halve(image[None], part_sides, image_size)[0]
            return tf.cast(tf.round(smaller) if image.dtype.is_integer else smaller, image.dtype)

        return tf.cond(is_halved(part_sides, image_size), halved, lambda: image)

    def transform(self, source_sides: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
        """Returns the affine map that crops, flips and rotates in one step, from the frame to `source`.

        The centre of pixel (x, y) of the frame shows the point (a x + b y + c, d x + e y + f) of the source; whole
        numbers are pixel centres in both. Points outside the part but inside the image are used.

        Args:
            source_sides: Height and width of `source` in pixels, int32 `[2]`, or `[N, 2]` for the N images that this
                geometry describes.
            image_size: Height and width of the frame in pixels.

        Returns:
            a, b, c, d, e, f, 0, 0 for `sampled`, float32 `[8]` or `[N, 8]`.
        """
        top, left, bottom, right = tf.unstack(tf.cast(self.part, tf.float32), axis=-1)
        # Pixels of the source per pixel of the image.
        down, across = tf.unstack(tf.cast(source_sides, tf.float32) / tf.cast(self.sides, tf.float32), axis=-1)
        (height, width), angle = image_size, tf.multiply(self.degrees, _RADIANS)
        scale_y, scale_x = down * (bottom - top) / height, across * (right - left) / width
        if self.flip is not None:
            scale_x = tf.where(self.flip, -scale_x, scale_x)
        a, b = scale_x * tf.cos(angle), -scale_x * tf.sin(angle)
        d, e = scale_y * tf.sin(angle), scale_y * tf.cos(angle)
        x, y = (width - 1) / 2, (height - 1) / 2
        c = across * (left + right) / 2 - 0.5 - a * x - b * y
        f = down * (top + bottom) / 2 - 0.5 - d * x - e * y
        return tf.stack([a, b, c, d, e, f, tf.zeros_like(a), tf.zeros_like(a)], axis=-1)

    def points(self, points: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
        """Moves points into the frame.

        Points are x, y as fractions of width and height, counted from the left and top edge: the centre of the first of
        W pixels is at 0.5 / W. They may lie outside 0..1, before and after. A flip moves points with the image and does
        not rename them: the point of a left eye is then on the other side.

        Args:
            points: float32 `[P, 2]` for one image, or `[N, P, 2]` for the N images that this geometry describes, as
                fractions of the image.
            image_size: Height and width of the frame in pixels.

        Returns:
            float32 of the same shape, as fractions of the frame.
        """
        top, left, bottom, right = tf.unstack(tf.cast(self.part, tf.float32)[..., None], axis=-2)
        height, width = tf.unstack(tf.cast(self.sides, tf.float32)[..., None], axis=-2)
        x, y = tf.unstack(points, axis=-1)
        x, y = (x * width - left) / (right - left), (y * height - top) / (bottom - top)
        if self.flip is not None:
            x = tf.where(self.flip[..., None], 1.0 - x, x)
        if self.degrees is None:
            return tf.stack([x, y], axis=-1)
        height, width = image_size
        x, y = (x - 0.5) * width, (y - 0.5) * height  # in pixels, so that angles are right
        angle = self.degrees[..., None] * _RADIANS
        cos, sin = tf.cos(angle), tf.sin(angle)
        x, y = cos * x + sin * y, cos * y - sin * x  # y points down
        return tf.stack([x / width + 0.5, y / height + 0.5], axis=-1)


class Change(NamedTuple):
    """Random change of one image or, with a leading axis, of many. None means that no image changes in this respect.

    Attributes:
        box: Top, left, bottom, right of the part that becomes the frame, as fractions of the image, float64 `[4]`. The
            part is cut off at the image's edges.
        flip: bool, whether to mirror left and right.
        degrees: float32, the rotation in degrees.
        matrix: float32 `[3, 3]`, by which RGB row vectors are multiplied.
        mean: float32, the share of the image's mean that is then added.
    """

    box: tf.Tensor
    flip: tf.Tensor | None
    degrees: tf.Tensor | None
    matrix: tf.Tensor | None
    mean: tf.Tensor | None

    def geometry(self, sides: tf.Tensor) -> Geometry:
        """Returns how an image of `sides`, int32 `[2]`, and its points move into the frame."""
        return Geometry(sides, pixels_of(self.box, sides), self.flip, self.degrees)

    def colour(self, image: tf.Tensor) -> tf.Tensor:
        """Changes the colours of `[H, W, 3]` float32 RGB in 0..255."""
        return image if self.matrix is None else coloured(image, self.matrix, self.mean)


@dataclass(frozen=True)
class Augmentation:
    """Strength of the random changes of training images. Zero or False disables a change; each draw is uniform.

    Attributes:
        flip: Whether to mirror left and right with probability 1/2.
        shift: Largest shift of the crop, as a fraction of the image's height and width.
        scale: Largest relative change of the crop's size. A shifted or larger crop is cut off at the image's edges, and
            the remaining part is resized to the frame.
        rotation: Largest rotation about the centre, in degrees. Outside the image its edge repeats.
        brightness: Largest relative change of all channels.
        contrast: Largest relative change of the difference from the image's mean.
        saturation: Largest relative change of the difference from grey.
    """

    flip: bool = True
    shift: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    @classmethod
    def of_run(cls, config: Config) -> Self:
        """Takes the strengths from the settings of a run."""
        return cls(
            flip=config.augment_flip,
            shift=config.augment_shift,
            scale=config.augment_scale,
            rotation=config.augment_rotation,
            brightness=config.augment_brightness,
            contrast=config.augment_contrast,
            saturation=config.augment_saturation,
        )

    def changes(self, crop: Sequence[float], draws: tf.Tensor) -> Change:
        """Converts random numbers to random changes.

        Args:
            crop: `Preprocessing.crop`.
            draws: float32 `[n, NUM_DRAWS]` in -1..1 for size, shift down, shift right, flip, rotation, brightness,
                contrast and saturation.

        Returns:
            The changes of n images. The methods of `Change` apply to one of them.
        """
        size, shift, flip, turn = draws[:, :1], draws[:, 1:3], draws[:, 3], draws[:, 4]
        start, end = (tf.constant(ends, tf.float64) for ends in (crop[:2], crop[2:]))
        half = (end - start) / 2 * (1.0 + self.scale * tf.cast(size, tf.float64))
        centre = (start + end) / 2 + self.shift * tf.cast(shift, tf.float64)
        # Three steps: x * bright, mean + (x - mean) * contrast, grey + (x - grey) * saturation. Each takes the mean or
        # grey of its own input. Together they are one product with a 3 x 3 matrix plus a share of the mean.
        strengths = 1.0 + tf.constant([self.brightness, self.contrast, self.saturation]) * draws[:, 5:8]
        bright, contrast, saturation = (strengths[:, i, None, None] for i in range(3))
        matrix = saturation * tf.eye(3) + (1.0 - saturation) * tf.constant(_LUMA)[:, None]
        colours = self.brightness or self.contrast or self.saturation
        return Change(
            box=tf.concat([centre - half, centre + half], 1),
            flip=flip > 0 if self.flip else None,
            degrees=self.rotation * turn if self.rotation else None,
            matrix=bright * contrast * matrix if colours else None,
            mean=tf.reshape(bright * (1.0 - contrast), [-1]) if self.contrast else None,
        )


def sampled(images: tf.Tensor, transforms: tf.Tensor, image_size: tuple[int, int]) -> tf.Tensor:
    """Samples images bilinearly at the points of `Geometry.transform`. Outside an image its edge repeats.

    Args:
        images: `[N, height, width, channels]` of any numeric dtype.
        transforms: float32 `[N, 8]`.
        image_size: Height and width H, W of the result in pixels.

    Returns:
        float32 `[N, H, W, channels]`.
    """
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=transforms,
        output_shape=image_size,
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def coloured(images: tf.Tensor, matrix: tf.Tensor, mean: tf.Tensor | None) -> tf.Tensor:
    """Changes the colours of one image or of many: `rgb @ matrix + mean * (mean of the image)`, clipped to 0..255.

    Args:
        images: float32 RGB `[H, W, 3]` or `[N, H, W, 3]` in 0..255.
        matrix: float32 `[3, 3]` or `[N, 3, 3]`, see `Change`.
        mean: float32 `[]` or `[N]`, or None, see `Change`.

    Returns:
        float32 of the shape of `images`.
    """
    pixels = tf.matmul(tf.reshape(images, tf.concat([tf.shape(images)[:-3], [-1, 3]], 0)), matrix)
    if mean is not None:
        pixels += (mean * tf.reduce_mean(images, [-3, -2, -1]))[..., None, None]
    return tf.ensure_shape(tf.reshape(tf.clip_by_value(pixels, 0.0, 255.0), tf.shape(images)), images.shape)


def finish_images(batch: dict[str, tf.Tensor], image_size: tuple[int, int]) -> dict[str, tf.Tensor]:
    """Makes the changes that `training_dataset(..., finished=False)` leaves out, on the device on which it is called.

    Args:
        batch: A batch of that dataset, with `image` and perhaps `transform`, `matrix` and `mean`. A finished batch has
            none of the three and stays as it is.
        image_size: Height and width H, W of the model's input in pixels.

    Returns:
        The batch without the three, with `image` float32 `[B, H, W, 3]` in 0..255.
    """
    rest = dict(batch)
    images, transform, matrix, mean = (rest.pop(name, None) for name in ("image", "transform", "matrix", "mean"))
    if transform is not None:
        images = sampled(images, transform, image_size)
    if matrix is not None:
        images = coloured(images, matrix, mean)
    return rest | {"image": images}
