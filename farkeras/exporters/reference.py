"""The reference for comparisons: image files of the test split, and the Keras model's probabilities for them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from farkeras.attributes import Grouping
from farkeras.data.examples import FULL_FRAME
from farkeras.data.pipeline import check_undecodable
from farkeras.data.preprocessing import Preprocessing, pixels_of
from farkeras.data.procedural import is_procedural
from farkeras.data.reading import image_reader
from farkeras.data.sources.opening import open_split
from farkeras.errors import FarkerasError
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import ModelMetadata
from farkeras.progress import Progress

BATCH_SIZE = 32
_DECODE = Preprocessing((1, 1)).decode  # decoding does not depend on the size


class Faces(NamedTuple):
    """A batch of image files of faces.

    Attributes:
        encoded: Contents of the files, JPEG or PNG.
        crops: Decoded images, `uint8 [height, width, 3]` RGB. Their sizes may differ.
    """

    encoded: list[bytes]
    crops: list[np.ndarray]


@dataclass(frozen=True)
class ParityImages:
    """Images of the test split, evenly spread, on which exports are compared with the Keras model.

    Attributes:
        number: Largest number of images; 0 skips the comparison where a function allows it.
        source: Kind of data set; by default that of the training data.
        data_dir: Folder of the data set, or path of the table; by default that of the training data.
        settings: Settings for reading a table; they replace those of training.
        progress: Function that is called while an archive is extracted; see `open_source`.
    """

    number: int = 512
    source: str = ""
    data_dir: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress | None = None


@dataclass(frozen=True)
class Reference:
    """N image files, with the Keras model's probabilities for A attributes.

    Attributes:
        encoded: Contents of the files. If the images of the data set show more than CelebA's frame
            (`Examples.frame`), these are PNG files of the part inside the frame.
        labels: `int8 [N, A]`: 1 and 0 are known labels, -1 is unknown.
        probabilities: `float32 [N, A]`.
        grouping: The attributes and their groups.
        data: Origin of the images, ready for JSON.
        thresholds: `float [A]`: the probability from which on an attribute is present.
    """

    encoded: list[bytes]
    labels: np.ndarray
    probabilities: np.ndarray
    grouping: Grouping
    data: dict
    thresholds: np.ndarray

    def batches(self) -> Iterator[Faces]:
        """Yields all files in order, `BATCH_SIZE` at a time."""
        return _batches(self.encoded)


def keras_reference(model: LogitsModel, metadata: ModelMetadata, images: ParityImages) -> Reference:
    """Runs the Keras model on the images for the comparison.

    Raises:
        FarkerasError: The data set is missing, it has no test images, it lacks an attribute of the model, or too many
            images are undecodable.
    """
    attributes, preprocessing = metadata.grouping.attributes, metadata.preprocessing
    where = (images.source, images.data_dir, images.progress, images.settings)
    try:
        examples, source, data_dir = open_split(attributes, metadata.config, "test", *where)
    except FarkerasError as error:
        raise FarkerasError(f"{error} To export without a comparison, set `parity_images=0`.") from None
    if not len(examples):
        raise FarkerasError(
            f"{data_dir} has no test images for the comparison. To export without a comparison, set `parity_images=0`."
        )
    chosen = np.unique(np.linspace(0, len(examples) - 1, min(images.number, len(examples))).astype(int))
    read_image, encoded = image_reader(examples), {}
    for row in chosen:
        try:
            encoded[row] = _in_frame(read_image(row), examples.frame)
        except tf.errors.OpError:  # undecodable images are counted below
            continue
    check_undecodable([str(examples.paths[row]) for row in chosen if row not in encoded], len(chosen))

    forward = tf.function(model.probabilities, [tf.TensorSpec([None, *preprocessing.image_size, 3], tf.float32)])
    probabilities = [
        forward(tf.stack([preprocessing.resize(crop) for crop in faces.crops])).numpy()
        for faces in _batches(list(encoded.values()))
    ]
    data = {
        "source": source,
        "data_dir": Path(data_dir).name,  # not the whole path, because an export may be passed on
        "split": "test",
        "images": len(encoded),
        "undecodable": len(chosen) - len(encoded),
        "procedural": is_procedural(data_dir),
    }
    rows = list(encoded)
    return Reference(
        encoded=list(encoded.values()),
        labels=examples.labels[rows],
        probabilities=np.concatenate(probabilities),
        grouping=metadata.grouping,
        data=data,
        thresholds=np.array([metadata.thresholds[name] for name in attributes]),
    )


def _in_frame(encoded: tf.Tensor, frame: tuple[float, float, float, float]) -> bytes:
    """Returns the file, or a PNG file of the part inside CelebA's frame if the image shows more."""
    pixels = _DECODE(encoded)
    if frame == FULL_FRAME:
        return encoded.numpy()
    top, left, bottom, right = pixels_of(frame, tuple(pixels.shape[:2]))
    return tf.io.encode_png(pixels[top:bottom, left:right]).numpy()


def _batches(encoded: list[bytes]) -> Iterator[Faces]:
    for start in range(0, len(encoded), BATCH_SIZE):
        files = encoded[start : start + BATCH_SIZE]
        yield Faces(files, [_DECODE(file).numpy() for file in files])
