"""Versioned SavedModels for TF Serving, preprocessing included: a client sends image bytes."""

import json
from pathlib import Path

import keras
import tensorflow as tf

from farkeras.errors import FarkerasError
from farkeras.files import written_aside
from farkeras.models.model_file import ModelMetadata, load_model

METADATA_FILE = "farkeras.json"


def export_saved_model(model_path: str | Path, export_dir: str | Path) -> Path:
    """Writes the next integer version of a SavedModel, complete or not at all.

    Endpoints, all `-> {"probabilities": float32 [batch, attributes]}` in the attribute order of the metadata:

    - `serving_default` (`bytes`: string `[batch]`): encoded JPEG or PNG files;
    - `images` (`images`: uint8 `[batch, height, width, 3]`): decoded RGB images of any size;
    - `tensors` (`images`: float32 `[batch, H, W, 3]`): the model's own input, RGB in 0..255.

    The first two hold the preprocessing of training and evaluation. All expect CelebA-aligned faces. Attributes, groups
    and settings lie in `assets.extra/farkeras.json`.

    Args:
        model_path: Workdir of a training run, or its `.keras` file.
        export_dir: Folder of the versions; TF Serving's base path.

    Returns:
        The folder of the new version.

    Raises:
        FarkerasError: No model there, or the folder cannot be written.
    """
    model, metadata = load_model(model_path)
    export_dir = Path(export_dir)
    try:
        export_dir.mkdir(parents=True, exist_ok=True)
        version = 1 + max((int(p.name) for p in export_dir.iterdir() if p.name.isdigit()), default=0)
        with written_aside(export_dir / str(version)) as aside:
            _archive(model, metadata).write_out(str(aside), verbose=False)
            extra = aside / "assets.extra"
            extra.mkdir()
            (extra / METADATA_FILE).write_text(json.dumps(metadata.to_dict(), indent=1), encoding="utf-8")
    except OSError as error:
        raise FarkerasError(f"Cannot write the export to {export_dir}: {error}. Nothing was left behind.") from None
    return export_dir / str(version)


def _archive(model: keras.Model, metadata: ModelMetadata) -> keras.export.ExportArchive:
    preprocessing, num_attributes = metadata.preprocessing, len(metadata.grouping.attributes)

    def tensors(images):
        images = tf.ensure_shape(images, [None, *preprocessing.image_size, 3])
        probabilities = tf.sigmoid(model(images, training=False)["logits"])
        return {"probabilities": tf.ensure_shape(probabilities, [None, num_attributes])}

    def images(images):
        images = tf.ensure_shape(images, [None, None, None, 3])
        return tensors(preprocessing.resize(images))

    def encoded(encoded):
        encoded = tf.ensure_shape(encoded, [None])
        size = (*preprocessing.image_size, 3)
        return tensors(
            tf.map_fn(
                lambda image: preprocessing.resize(preprocessing.decode(image)),
                encoded,
                fn_output_signature=tf.TensorSpec(size, tf.float32),
            )
        )

    archive = keras.export.ExportArchive()
    archive.track(model)
    size = preprocessing.image_size
    archive.add_endpoint("serving_default", encoded, [tf.TensorSpec([None], tf.string, name="bytes")])
    archive.add_endpoint("images", images, [tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")])
    archive.add_endpoint("tensors", tensors, [tf.TensorSpec([None, *size, 3], tf.float32, name="images")])
    return archive
