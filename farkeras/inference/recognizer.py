"""Recognition of attributes in photographs with a trained model: `farkeras.load("runs/demo")(["a.jpg"])`."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from farkeras.attributes import REGIONS
from farkeras.consistency.answers import Consistency
from farkeras.data.preprocessing import pixels_of
from farkeras.decisions import check_share, chosen, decide
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
    """The result for one photograph: probabilities, or an error.

    Attributes:
        photo: The path of the photograph, or `"image 0"`, `"image 1"`, ... for images without a path.
        probabilities: Attribute -> probability in 0..1, in the model's order; None after an error.
        error: A sentence that names the photograph and the cause, or None.
        regions: The photograph and the masks of its face, or None if they were not requested.
        decisions: Attribute -> True if its probability reaches its threshold, False if not, None if the answer is
            unsure, see `Recognizer.predict_each`; None after an error.
    """

    photo: str
    probabilities: dict[str, float] | None = None
    error: str | None = None
    regions: FaceRegions | None = None
    decisions: dict[str, bool | None] | None = None

    @property
    def positive(self) -> list[str]:
        """The attributes that are present."""
        return chosen(self.decisions, True)

    @property
    def unsure(self) -> list[str]:
        """The attributes whose answer is unsure."""
        return chosen(self.decisions, None)


def load(path: str | os.PathLike, batch_size: int = 8, calibrate: str = "auto") -> "Recognizer":
    """Loads a trained model for prediction.

    Args:
        path: The workdir of a training run, or a `.keras` file.
        batch_size: Number of photographs per call of the model. The last batch is padded, so the model is compiled only
            once.
        calibrate: "auto": use the temperatures and thresholds in the model file, if it has any. "none": return the
            model's own probabilities, and decide at 50 %.

    Returns:
        A `Recognizer`.

    Raises:
        FarkerasError: The model does not exist, was not saved by farkeras, or `calibrate` is neither of the two.
    """
    return Recognizer(*load_model(path, calibrate), batch_size)


class Recognizer:
    """Recognises face attributes in photographs or in aligned faces.

    Several threads may share a recogniser. A forked child process must not use a recogniser of its parent, because a
    fork does not copy TensorFlow's threads; the recogniser then raises an error.

    Args:
        model: A model with the attributes of the metadata, in the same order.
        metadata: The attributes, their groups, and the preprocessing of the model.
        batch_size: Number of photographs per call of the model.

    Attributes:
        attributes: The attributes, in the order of all results.
        groups: Group name -> its attributes.
        thresholds: Attribute -> probability from which on it is present; 0.5 for a model without calibration.
        calibrated: Whether the probabilities are calibrated.
        procedural: Whether the model was trained on procedural faces. Its predictions for photographs then mean little.
    """

    def __init__(self, model: LogitsModel, metadata: ModelMetadata, batch_size: int = 8) -> None:
        self._model = model
        self.attributes = metadata.grouping.attributes
        self.groups: Mapping[str, tuple[str, ...]] = metadata.grouping.groups
        self._preprocessing = metadata.preprocessing
        self._batch_size = batch_size
        self.procedural = metadata.procedural
        self.thresholds, self.calibrated = metadata.thresholds, metadata.calibration is not None
        self._process = os.getpid()
        self._forward, self._masks = tf.function(model.probabilities), tf.function(model.masks)

    def __call__(self, photos: Photo | Iterable[Photo], align: bool = True) -> list[dict[str, float]]:
        """Recognises the attributes of the largest face in each photograph.

        Args:
            photos: One or several photographs: paths, open files, bytes of files, Pillow images, or RGB `uint8` arrays
                or tensors `[height, width, 3]`; or one array `[batch, height, width, 3]`.
            align: Whether to find and align the face in each photograph first. If False, the images must be aligned
                faces, such as CelebA's crops, and files must be JPEG or PNG. In both cases, an image is first rotated
                according to its EXIF orientation.

        Returns:
            One dict per photograph: attribute -> probability in 0..1, in the model's order.

        Raises:
            FarkerasError: A photograph cannot be read or has no face (use `predict_each` to continue after such
                errors), or this process is a forked child of the process that loaded the model.
        """
        predictions = []
        for prediction in self.predict_each(photos, align):
            if prediction.probabilities is None:
                raise FarkerasError(prediction.error)
            predictions.append(prediction.probabilities)
        return predictions

    def predict_each(
        self,
        photos: Photo | Iterable[Photo],
        align: bool = True,
        regions: bool = False,
        min_confidence: float = 0.0,
        threshold: float | None = None,
        consistency: Consistency | None = None,
    ) -> Iterator[Prediction]:
        """Recognises the attributes batch by batch, and returns errors as results.

        Args:
            photos: The photographs, as for calling the recogniser.
            align: Whether to find and align the faces, as for calling the recogniser.
            regions: Whether each result includes the photograph and the model's masks, for
                `farkeras.report.overlay.write_overlay`.
            min_confidence: The lowest confidence of an answer, 0..1; below it, the answer is unsure. The confidence is
                0.5 at the threshold, so that every answer is given up to 0.5. See `farkeras.decisions.confidence`.
            threshold: One threshold in 0..1 for all attributes; by default each has its own, `thresholds`.
            consistency: `farkeras.Consistency(recognizer.attributes)`, to answer without contradictions; by default
                each attribute is decided alone.

        Yields:
            One prediction per photograph, in their order.

        Raises:
            FarkerasError: `regions` is set and the model has no masks, `min_confidence` or `threshold` is not in 0..1,
                or this process is a forked child of the process that loaded the model.
        """
        check_share("min_confidence", min_confidence)
        thresholds = self.thresholds
        if threshold is not None:
            check_share("threshold", threshold)
            thresholds = dict.fromkeys(self.attributes, threshold)
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
                    if regions:  # otherwise, large photographs are not kept in memory
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
                    probabilities = dict(zip(self.attributes, rows[i], strict=True))
                    decisions = decide(probabilities, thresholds, min_confidence, consistency)
                    yield Prediction(name, probabilities, regions=seen, decisions=decisions)

    def probabilities(self, crops: Photo | Iterable[Photo]) -> np.ndarray:
        """Computes the probabilities of aligned faces.

        Args:
            crops: Aligned faces, as for calling the recogniser with `align=False`; their sizes may differ.

        Returns:
            `float32` array `[crops, attributes]` in 0..1.

        Raises:
            FarkerasError: A crop cannot be read.
        """
        return self._in_batches(self._forward, crops, (len(self.attributes),))

    def masks(self, crops: Photo | Iterable[Photo]) -> np.ndarray:
        """Computes the masks of the facial regions in aligned faces.

        Args:
            crops: Aligned faces, as for `probabilities`.

        Returns:
            `float32` array `[crops, h, w, R]` of probabilities in 0..1, with regions in the order of
            `farkeras.attributes.REGIONS`. The masks cover the crop box of the model's preprocessing.

        Raises:
            FarkerasError: The model has no masks, or a crop cannot be read.
        """
        self._check_masks()
        return self._in_batches(self._masks, crops, (*self._model.mask_size, len(REGIONS)))

    def _check_masks(self) -> None:
        if not self._model.has_masks:
            raise FarkerasError(
                f"The model '{self._model.name}' has no masks of facial regions; expected an MGMTN model. "
                "Leave out `overlay`, or train with `model=mgmtn`."
            )

    def _check_process(self) -> None:
        if os.getpid() != self._process:  # TensorFlow would wait for threads that do not exist
            raise FarkerasError(
                "This recogniser was loaded before the process was forked, and TensorFlow does not work in a forked "
                "child process. Load the model in the child process; with gunicorn, leave out --preload."
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
        """Returns the crop, the photograph, and the `[2, 3]` matrix from the crop's to the photograph's pixels."""
        image = read_photo(photo, name) if align else read_crop(photo, name)
        if not align:
            return image, image, np.eye(2, 3)
        try:
            load_face_finder()
        except FarkerasError as error:
            raise FarkerasError(f"{error} Aligned faces need no face detection: set `align=False`.") from None
        eyes = find_eyes(image, name)
        try:
            return alignment.cut_crop(image, eyes), image, alignment.inverse(alignment.similarity_from_eyes(eyes))
        except FarkerasError as error:  # it does not name the photograph
            raise FarkerasError(f"{name}: {error}") from None

    def _regions(self, crop: np.ndarray, photo: np.ndarray, to_photo: np.ndarray, masks: np.ndarray) -> FaceRegions:
        """Places the masks, which cover the preprocessing's crop box, on the photograph; pixel centres are integers."""
        top, left, bottom, right = pixels_of(self._preprocessing.crop, crop.shape[:2])
        turn, shift = to_photo[:, :2], to_photo[:, 2]
        sides, corner = (right - left, bottom - top), (left - 0.5, top - 0.5)
        return FaceRegions(photo, masks, np.column_stack([turn * sides, turn @ corner + shift]))
