"""Exports versioned SavedModels for TF Serving that include the preprocessing, so that clients send image files."""

import os
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from farkeras.attributes import REGIONS
from farkeras.errors import FarkerasError
from farkeras.exporters.artifact import Exported, new_artifact, writing
from farkeras.exporters.metadata import export_metadata, write_metadata
from farkeras.exporters.parity import FLOAT32, Runtime, compare_with_reference, image_runtime, write_parity
from farkeras.exporters.reference import ParityImages, keras_reference
from farkeras.exporters.served_graph import check_servable
from farkeras.exporters.served_images import MAX_PIXELS, decode_rows, put_rows
from farkeras.exporters.warmup import MAX_RECORDS, write_warmup
from farkeras.files import as_path, plain_path
from farkeras.models.base import LogitsModel
from farkeras.models.model_file import ModelMetadata, load_model

WARMUP_BATCH_SIZES = (1, 8)


def write_saved_model(
    model_path: str | os.PathLike,
    export_dir: str | os.PathLike,
    parity: ParityImages | None = None,
    warmup_batch_sizes: Sequence[int] = WARMUP_BATCH_SIZES,
    calibrate: str = "auto",
) -> Exported:
    """Writes the next integer version of a SavedModel. The version appears when it is complete.

    Three endpoints return `{"probabilities": float32 [batch, attributes], "valid": bool [batch]}`, in the attribute
    order of the metadata:

    - `serving_default` (`bytes`: string `[batch]`) takes encoded JPEG or PNG files. A file that is undecodable, or has
      more than `MAX_PIXELS` pixels, gets NaN probabilities and `valid` False, and does not affect the other rows. A
      request with only such files fails with INVALID_ARGUMENT.
    - `images` (`images`: uint8 `[batch, height, width, 3]`) takes decoded RGB images of any size.
    - `tensors` (`images`: float32 `[batch, H, W, 3]`) takes the model's own input, RGB in 0..255.

    A model with masks (MGMTN) also has the endpoint `masks`, which takes the same `images` as the endpoint `images` and
    returns `{"masks": float32 [batch, h, w, R]}`: the probabilities in 0..1 of the R regions in
    `farkeras.attributes.REGIONS`, at each position of the part of the face that the model sees.

    All endpoints except `tensors` include the preprocessing of training and evaluation. All endpoints expect
    CelebA-aligned faces and compute in float32. The folder `assets.extra` holds the attributes, groups and settings
    (`farkeras.json`, `labels.txt`), the comparison (`parity.json`), and the requests that warm up TF Serving.

    Args:
        model_path: Workdir of a training run, or its `.keras` file.
        export_dir: Folder of the versions, which is TF Serving's base path.
        parity: The images on which the export, loaded as TF Serving loads it, is compared with the Keras model; None
            skips the comparison.
        warmup_batch_sizes: Number of images in each warm-up request.
        calibrate: "auto": with the temperatures and thresholds in the model file; "none": without.

    Returns:
        The folder of the new version, and the comparison.

    Raises:
        FarkerasError: There is no model, TF Serving cannot run its graph, or the folder cannot be written.
        ParityError: The export differs from the model by more than the limits; it is kept as `<version>.rejected`.
    """
    sizes = list(dict.fromkeys(warmup_batch_sizes))
    if len(sizes) > MAX_RECORDS or not all(size > 0 for size in sizes):
        raise FarkerasError(f"`warmup_batch_sizes` must be at most {MAX_RECORDS} numbers above 0. Received: {sizes}.")
    model, metadata = load_model(model_path, calibrate)
    reference = keras_reference(model, metadata, parity) if parity else None
    target, report = _next_version(as_path(export_dir)), None
    with new_artifact(target) as aside:
        with writing(target), plain_path(aside) as plain:
            _archive(model, metadata).write_out(plain, verbose=False)
        check_servable(aside)
        extra = aside / "assets.extra"
        with writing(target):
            extra.mkdir()
            details = _described(model, metadata, sizes) | {"calibrate": calibrate}
            write_metadata(extra, export_metadata(metadata, "saved_model", (), **details))
            write_warmup(extra, sizes)
        if reference:
            report = compare_with_reference(reference, session_runtimes(aside, metadata), FLOAT32)
            write_parity(extra, report)
    return Exported(target, report)


def session_runtimes(folder: str | os.PathLike, metadata: ModelMetadata) -> dict[str, Runtime]:
    """Loads a SavedModel in a Session, as TF Serving does, and returns its endpoints by name."""
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default(), plain_path(folder) as plain:
        signatures = tf.compat.v1.saved_model.loader.load(session, ["serve"], plain).signature_def

    def call(name: str, value: np.ndarray) -> np.ndarray:
        (argument,) = signatures[name].inputs.values()
        return session.run(signatures[name].outputs["probabilities"].name, {argument.name: value})

    return {
        "serving_default": lambda faces: call("serving_default", np.array(faces.encoded, object)),
        "images": image_runtime(lambda images: call("images", images)),
        "tensors": image_runtime(lambda images: call("tensors", metadata.preprocessing.resize(images).numpy())),
    }


def _next_version(export_dir: Path) -> Path:
    try:
        names = [path.name for path in export_dir.iterdir()] if export_dir.exists() else []
    except OSError as error:
        raise FarkerasError(f"Cannot write the export {export_dir} ({error.strerror}).") from None
    return export_dir / str(1 + max((int(name) for name in names if name.isdecimal()), default=0))


def _archive(model: LogitsModel, metadata: ModelMetadata) -> keras.export.ExportArchive:
    preprocessing, num_attributes = metadata.preprocessing, len(metadata.grouping.attributes)

    def answers(probabilities: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = tf.ensure_shape(probabilities, [None, num_attributes])
        return {"probabilities": probabilities, "valid": tf.reduce_all(tf.math.is_finite(probabilities), axis=1)}

    def tensors(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return answers(model.probabilities(tf.ensure_shape(images, [None, *preprocessing.image_size, 3])))

    def images(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return answers(model.probabilities(preprocessing.resize(tf.ensure_shape(images, [None, None, None, 3]))))

    def masks(images: tf.Tensor) -> dict[str, tf.Tensor]:
        masks = model.masks(preprocessing.resize(tf.ensure_shape(images, [None, None, None, 3])))
        return {"masks": tf.ensure_shape(masks, [None, *model.mask_size, len(REGIONS)])}

    def encoded(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        encoded = tf.ensure_shape(encoded, [None])
        rows, inputs = decode_rows(encoded, preprocessing)
        none = tf.debugging.assert_positive(
            tf.size(rows), f"No image of the request can be decoded; expected JPEG or PNG, at most {MAX_PIXELS} pixels"
        )
        with tf.control_dependencies([none]):
            inputs = tf.identity(inputs)
        return answers(put_rows(rows, model.probabilities(inputs), tf.size(encoded)))

    archive = keras.export.ExportArchive()
    archive.track(model)
    size = preprocessing.image_size
    archive.add_endpoint("serving_default", encoded, [tf.TensorSpec([None], tf.string, name="bytes")])
    archive.add_endpoint("images", images, [tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")])
    archive.add_endpoint("tensors", tensors, [tf.TensorSpec([None, *size, 3], tf.float32, name="images")])
    if model.has_masks:
        archive.add_endpoint("masks", masks, [tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")])
    return archive


def _described(model: LogitsModel, metadata: ModelMetadata, warmup_batch_sizes: list[int]) -> dict[str, object]:
    height, width = metadata.preprocessing.image_size
    images = {"images": "uint8 [batch, height, width, 3]: RGB, any size"}
    endpoints = {
        "serving_default": {"bytes": "string [batch]: JPEG or PNG files"},
        "images": images,
        "tensors": {"images": f"float32 [batch, {height}, {width}, 3]: RGB in 0..255, preprocessed"},
    }
    outputs = {
        "probabilities": "float32 [batch, attributes]; NaN in a row whose file is undecodable",
        "valid": "bool [batch]; whether the row has probabilities",
    }
    if model.has_masks:
        endpoints["masks"] = images
        outputs["masks"] = f"float32 [batch, {', '.join(map(str, model.mask_size))}, regions]; endpoint masks only"
    return {
        "endpoints": endpoints,
        "outputs": outputs,
        "max_pixels": MAX_PIXELS,
        "warmup_batch_sizes": warmup_batch_sizes,
    }
