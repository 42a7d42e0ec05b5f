"""Attribute probabilities of photographs with a trained model: `farkeras.load("runs/demo")(["a.jpg"])`."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from farkeras.attributes import REGIONS
from farkeras.data.preprocessing import pixels_of
from farkeras.errors import FarkerasError
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import ModelMetadata, load_model
from farkeras.photos import alignment
from farkeras.photos.face_landmarkers import load_face_finder
from farkeras.photos.landmarks import find_eyes
from farkeras.photos.reader import Photo, named, read_crop, read_photo
from farkeras.photos.regions import FaceRegions


@dataclass(frozen=True)
class Prediction:
    """What came of one photograph: probabilities, or the reason why not.

    Attributes:
        photo: Its path, or "image 0", "image 1", ... for images without a path.
        probabilities: Attribute -> probability in 0..1, in the model's order; None after an error.
        error: One sentence that names the photograph, or None.
        regions: The photograph and the masks of its face, where they were asked for.
    """

    photo: str
    probabilities: dict[str, float] | None = None
    error: str | None = None
    regions: FaceRegions | None = None


def load(path: str | os.PathLike, batch_size: int = 8) -> "Recognizer":
    """Loads a trained model for prediction.

    Args:
        path: The folder of a training run, or a `.keras` file.
        batch_size: Photographs per call of the model; the last batch is filled up, so one compiled function serves all.

    Raises:
        FarkerasError: No model there, or one that farkeras did not write.
    """
    return Recognizer(*load_model(path), batch_size)


class Recognizer:
    """Recognises face attributes in photographs or in CelebA-aligned crops.

    Any number of threads may share a recogniser: each gets the answers that it would get alone, and threads that end
    leave nothing behind. In a forked child, a recogniser of its parent raises an error, since a fork copies none of
    TensorFlow's threads.

    Args:
        model: Any with the metadata's attributes, in order.
        metadata: The attributes, their groups, and the model's preprocessing.
        batch_size: Photographs per call of the model.

    Attributes:
        attributes: The attributes in the order of all results.
        groups: Group name -> its attributes.
        procedural: Whether the model learned from drawn faces; what it says of photographs then means little.
    """

    def __init__(self, model: LogitsModel, metadata: ModelMetadata, batch_size: int = 8) -> None:
        self._model = model
        self.attributes = metadata.grouping.attributes
        self.groups: Mapping[str, tuple[str, ...]] = metadata.grouping.groups
        self._preprocessing = metadata.preprocessing
        self._batch_size = batch_size
        self.procedural = metadata.procedural
        self._process = os.getpid()
        self._forward, self._masks = tf.function(model.probabilities), tf.function(model.masks)

    def __call__(self, photos: Photo | Iterable[Photo], align: bool = True) -> list[dict[str, float]]:
        """Recognises the attributes of each photograph's largest face.

        Args:
            photos: One or several: paths, open files or their bytes, Pillow images, or `uint8` arrays or tensors
                `[height, width, 3]`, RGB; or one array `[batch, height, width, 3]`.
            align: Whether these are photographs, in which a face is found and aligned first; with
                False they are crops aligned as CelebA's are, of files that are JPEG or PNG. Either way, an image
                is turned upright by its EXIF orientation first.

        Returns:
            For each photograph, attribute -> probability in 0..1, in the model's order.

        Raises:
            FarkerasError: A photograph cannot be read or has no face (`predict_each` goes on), or this process is a
                forked child of the one that loaded the model.
        """
        predictions = []
        for prediction in self.predict_each(photos, align):
            if prediction.probabilities is None:
                raise FarkerasError(prediction.error)
            predictions.append(prediction.probabilities)
        return predictions

    def predict_each(
        self, photos: Photo | Iterable[Photo], align: bool = True, regions: bool = False
    ) -> Iterator[Prediction]:
        """As calling the recogniser, batch by batch, with errors among the results.

        Args:
            photos: As above.
            align: As above.
            regions: Whether the results hold their photographs with the model's masks, for
                `farkeras.report.overlay.write_overlay`.

        Raises:
            FarkerasError: Regions of a model without masks.
        """
        self._check_process()
        if regions:
            self._check_masks()
        photographs = list(named(photos))
        for start in range(0, len(photographs), self._batch_size):
            crops, origins, errors = {}, {}, {}
            batch = photographs[start : start + self._batch_size]
            for i, (name, photo) in enumerate(batch):
                try:
                    crops[i], image, to_photo = self._face(name, photo, align)
                    if regions:  # else a batch of large photographs need not be held
                        origins[i] = image, to_photo
                except FarkerasError as error:
                    errors[i] = str(error)
            rows = dict(zip(crops, self.probabilities(list(crops.values())).tolist(), strict=True))
            masks = dict(zip(crops, self.masks(list(crops.values())), strict=True)) if regions else {}
            for i, (name, _) in enumerate(batch):
                if i in errors:
                    yield Prediction(name, error=errors[i])
                else:
                    seen = self._regions(crops[i], *origins[i], masks[i]) if regions else None
                    yield Prediction(name, dict(zip(self.attributes, rows[i], strict=True)), regions=seen)

    def probabilities(self, crops: Photo | Iterable[Photo]) -> np.ndarray:
        """The bare model.

        Args:
            crops: Faces aligned as CelebA's, as calling the recogniser takes them; sizes may differ.

        Returns:
            `float32` array `[crops, attributes]` in 0..1.

        Raises:
            FarkerasError: A crop cannot be read.
        """
        return self._in_batches(self._forward, crops, (len(self.attributes),))

    def masks(self, crops: Photo | Iterable[Photo]) -> np.ndarray:
        """Where the model sees each facial region in the part of the crops that it is shown.

        Args:
            crops: As above.

        Returns:
            `float32` array `[crops, h, w, R]`, probabilities in 0..1 of `farkeras.attributes.REGIONS`, over the
            preprocessing's crop box.

        Raises:
            FarkerasError: The model has no masks, or a crop cannot be read.
        """
        self._check_masks()
        return self._in_batches(self._masks, crops, (*self._model.mask_size, len(REGIONS)))

    def _check_masks(self) -> None:
        if not self._model.has_masks:
            raise FarkerasError(
                f"The model '{self._model.name}' has no masks of facial regions; expected one that has, MGMTN. "
                "Leave out `overlay`, or train with `model=mgmtn`."
            )

    def _check_process(self) -> None:
        if os.getpid() != self._process:  # TensorFlow would wait for threads that are not there
            raise FarkerasError(
                "This recogniser was loaded before the process was forked, and TensorFlow does not work in a forked "
                "child. Load it in the child; with gunicorn, leave out --preload."
            )

    def _in_batches(self, function: Callable, photos: Photo | Iterable[Photo], shape: tuple[int, ...]) -> np.ndarray:
        self._check_process()
        crops = [read_crop(crop, name) for name, crop in named(photos)]
        results = [np.zeros((0, *shape), np.float32)]
        for start in range(0, len(crops), self._batch_size):
            part = crops[start : start + self._batch_size]
            images = tf.stack([self._preprocessing.resize(crop) for crop in part])
            images = tf.pad(images, [(0, self._batch_size - len(part)), (0, 0), (0, 0), (0, 0)])
            results.append(function(images)[: len(part)].numpy())
        return np.concatenate(results)

    def _face(self, name: str, photo: Photo, align: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The aligned crop, the photograph, and the `[2, 3]` matrix from pixels of the one to the other's."""
        image = read_photo(photo, name) if align else read_crop(photo, name)
        if not align:
            return image, image, np.eye(2, 3)
        try:
            load_face_finder()
        except FarkerasError as error:
            raise FarkerasError(f"{error} Crops aligned as CelebA's need none: `align=False`.") from None
        eyes = find_eyes(image, name)
        try:
            return alignment.cut_crop(image, eyes), image, alignment.inverse(alignment.similarity_from_eyes(eyes))
        except FarkerasError as error:  # knows the eyes, not whose they are
            raise FarkerasError(f"{name}: {error}") from None

    def _regions(self, crop: np.ndarray, photo: np.ndarray, to_photo: np.ndarray, masks: np.ndarray) -> FaceRegions:
        """The masks cover the preprocessing's box of the crop; its edges are half a pixel beyond the pixel centres."""
        top, left, bottom, right = pixels_of(self._preprocessing.crop, crop.shape[:2])
        turn, shift = to_photo[:, :2], to_photo[:, 2]
        sides, corner = (right - left, bottom - top), (left - 0.5, top - 0.5)
        return FaceRegions(photo, masks, np.column_stack([turn * sides, turn @ corner + shift]))
