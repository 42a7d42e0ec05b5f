"""Reads a data set that TensorFlow Datasets (TFDS) has prepared, such as `celeb_a` or our `lfwa`, without network.

Training reads images in any order and resumes at any step, which TFDS's shards do not allow. So the data set is packed
once, with its encoded images byte for byte, into the folder `farkeras` in the data set's own folder. This doubles the
disk space, by 1.4 GB for CelebA. The folder appears complete or not at all and disappears when TFDS replaces or removes
the data set. Once it exists, TFDS is not needed.
"""

import json
import logging
import os
import re
import shlex
import shutil
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.examples import FULL_FRAME
from farkeras.data.sources import lfwa
from farkeras.data.sources.archives import is_html
from farkeras.data.sources.celeba import LANDMARKS
from farkeras.data.sources.packed import Packed
from farkeras.data.sources.packed_files import INDEX, Index, write_index
from farkeras.data.sources.source import PAGE
from farkeras.data.sources.splits import SPLITS
from farkeras.errors import FarkerasError
from farkeras.files import written_aside
from farkeras.progress import Progress, report

if TYPE_CHECKING:
    from tensorflow_datasets.core import DatasetBuilder
    from tensorflow_datasets.core.features import FeaturesDict

FOLDER = "farkeras"

_FRAMES = {"lfwa": lfwa.FRAME}
_CELEBA_FILES = (
    "img_align_celeba.zip, list_attr_celeba.txt, list_eval_partition.txt and list_landmarks_align_celeba.txt"
)
_LFWA_FILES = "lfw_att_40.mat, indices_train_test.mat and the images, lfw/ or lfw.zip,"
_CELEBA_MORE = ", and identity_CelebA.txt,"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_PNG = b"\x89PNG"


class TFDS(Packed):
    """A data set prepared by TFDS, with an image and named booleans. The constructor checks everything but the pixels.

    `attributes` are the booleans of the feature `attributes`, in the order of `CELEBA_ATTRIBUTES` if the names are
    these, else sorted. Labels are never unknown. The splits are those of the data set, in TFDS's order. `landmarks` are
    the five points of the feature `landmarks`, if the data set has them as `celeb_a` does. The frame of `lfwa` is
    `lfwa.FRAME`.

    Args:
        data_dir: One of three folders: TFDS's folder, if it holds a single data set; the data set's folder
            (`tensorflow_datasets/celeb_a`), of which the newest version is read; or the folder of a version
            (`tensorflow_datasets/celeb_a/2.1.0`).
        progress: Called as `progress(files_done, files_total)` while the images are written.

    Raises:
        FarkerasError: The folder holds no prepared data set (the message says how to prepare one, and what to do if
            Google Drive refuses the download), holds several, or holds one that is damaged or has other features; or
            TFDS is not installed.
    """

    def __init__(self, data_dir: str | os.PathLike, progress: Progress | None = None):
        prepared = _find_prepared(Path(data_dir))
        folder = prepared / FOLDER
        if not (folder / INDEX).exists():
            _pack(prepared, folder, progress)
        super().__init__(folder, f"Remove {folder}; it is then created again from TFDS's files.")
        filled = ", ".join(SPLITS[number] for number in np.unique(self._split))
        self._why_empty = (
            f"the data set has images only in {filled}. Use a data set with all of {', '.join(SPLITS)}, or your own "
            "table: `source=table`."
        )


def _find_prepared(folder: Path) -> Path:
    """Returns the folder of the newest version of the only data set at or below `folder`."""
    if (folder / "dataset_info.json").is_file():
        return folder
    versions: dict[Path, list[Path]] = {}  # data set (and its configuration, if it has one) -> prepared versions
    for depth in ("*", "*/*", "*/*/*"):
        for info in folder.glob(f"{depth}/dataset_info.json"):
            if _VERSION.fullmatch(info.parent.name):
                versions.setdefault(info.parent.parent, []).append(info.parent)
    if not versions:
        raise FarkerasError(_not_prepared(folder))
    if len(versions) > 1:
        raise FarkerasError(
            f"{folder} holds several data sets, {', '.join(sorted(str(p.relative_to(folder)) for p in versions))}; "
            f"name one, such as `data_dir={min(versions)}`."
        )
    (found,) = versions.values()
    return max(found, key=lambda path: [int(number) for number in path.name.split(".")])


def _not_prepared(folder: Path) -> str:
    name, root = _name_and_root(folder)
    source, files, more = ("lfwa", _LFWA_FILES, "") if name == "lfwa" else ("celeba", _CELEBA_FILES, _CELEBA_MORE)
    page = _refused_download(root)
    found = f"{page} is a web page: Google Drive refused the download. " if page else ""
    return (
        f"{folder} holds no data set prepared by TFDS; expected a folder such as {root / name} with a version in it. "
        f"{found}If Google Drive refuses the download (NonMatchingChecksumError, a bad zip, or a web page of 3 KB "
        f"instead of a file mean that a quota is exceeded), download {files} with a browser from {PAGE} into one "
        f"folder and read them without TFDS: `source={source}`, `data_dir=FOLDER`. Or place them{more} in "
        f"{root / 'downloads' / 'manual'} and let TFDS prepare them: {_prepare_command(name, root)}"
    )


def _name_and_root(folder: Path) -> tuple[str, Path]:
    """Guesses the name of the data set from the name of a folder, and TFDS's folder from its place."""
    folder = folder.parent if _VERSION.fullmatch(folder.name) else folder
    return (folder.name, folder.parent) if folder.name in ("celeb_a", "lfwa") else ("celeb_a", folder)


def _prepare_command(name: str, root: Path) -> str:
    """Returns the command that prepares a data set.

    It does not use TFDS's own command `tfds build`, which needs apache-beam and does not say so.
    """
    module = ", farkeras.tfds.lfwa.lfwa_dataset_builder" if name == "lfwa" else ""
    call = f"tfds.builder({json.dumps(name)}, data_dir={json.dumps(os.fspath(root))}).download_and_prepare()"
    return f"python -c {shlex.quote(f'import tensorflow_datasets as tfds{module}; {call}')}"


def _refused_download(root: Path) -> Path | None:
    """Returns a file among TFDS's downloads that is a web page because the download was refused, or None."""
    for pattern in ("downloads/*.tmp.*/*", "downloads/manual/*", "downloads/*"):
        for path in sorted(root.glob(pattern)):
            with suppress(OSError), open(path, "rb") as file:  # opening a folder also raises OSError
                if is_html(file.read(512)):
                    return path
    return None


def _pack(prepared: Path, folder: Path, progress: Progress | None) -> None:
    """Writes images and labels of all splits to `folder`, which appears complete or not at all."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise FarkerasError(
            f"Reading a data set of TFDS requires TFDS ({error}). Install it: pip install 'farkeras[tfds]'"
        ) from None
    import tensorflow as tf

    try:
        builder = tfds.builder_from_directory(prepared)
    except Exception as error:  # TFDS's readers of JSON raise errors of many kinds
        raise FarkerasError(_damaged(prepared, error)) from None
    attributes = _attributes(prepared, builder.info.features, tfds)
    try:
        with written_aside(folder) as aside:
            aside.mkdir()
            _pack_splits(builder, attributes, aside, progress, tfds)
            if folder.is_dir() and not (folder / INDEX).exists():
                logging.getLogger("farkeras").warning("Replacing %s, which an older farkeras wrote", folder)
                shutil.rmtree(folder)
    except (tf.errors.OpError, AssertionError) as error:  # TFDS asserts that all examples are there
        raise FarkerasError(_damaged(prepared, error)) from None
    except OSError as error:
        if (folder / INDEX).exists():
            return  # another process was faster; its folder has the same content
        raise FarkerasError(
            f"Cannot write the images to {folder} ({error.strerror}); free disk space and make {prepared} writable, or "
            "copy it to a disk with enough space."
        ) from None


def _damaged(prepared: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    name, root = _name_and_root(prepared)
    command = f": {_prepare_command(name, root)}" if name in prepared.parts else ", as you did"
    return f"{prepared} is not as TFDS prepared it ({reason}). Remove it and prepare it again{command}"


def _pack_splits(
    builder: "DatasetBuilder", attributes: tuple[str, ...], folder: Path, progress: Progress | None, tfds: ModuleType
) -> None:
    import tensorflow as tf

    features, found = builder.info.features, builder.info.splits
    with_landmarks = "landmarks" in features and set(LANDMARKS) <= set(features["landmarks"])
    splits = [name for name in SPLITS if name in found and found[name].num_examples]
    files = [f"images-{name}.tfrecord" for name in splits]
    total = sum(found[name].num_examples for name in splits)
    rows: list[tuple[str, int, int, np.ndarray, np.ndarray]] = []  # name, file, bytes, labels, landmarks

    def pick(example: dict) -> tuple:
        picked = tf.cast(tf.stack([example["attributes"][name] for name in attributes]), tf.int8)
        points = tf.stack([example["landmarks"][name] for name in LANDMARKS]) if with_landmarks else ()
        return example["image"], picked, points

    for number, split in enumerate(splits):
        examples = builder.as_dataset(
            split=split,
            decoders={"image": tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),  # keeps the shards' order
        )
        with tf.io.TFRecordWriter(os.fsencode(folder / files[number])) as writer:
            picked = examples.map(pick).prefetch(64).as_numpy_iterator()
            for row, (encoded, label, points) in enumerate(picked):
                writer.write(encoded)
                name = f"{split}/{row:06}.{'png' if encoded.startswith(_PNG) else 'jpg'}"
                rows.append((name, number, len(encoded), label, points))
                report(progress, len(rows), total)
    names, file_of, length, labels, landmarks = zip(*rows, strict=True)
    index = Index(
        attributes=np.array(attributes),
        names=np.array(names),
        split=np.array([SPLITS.index(name) for name in splits], np.int8)[list(file_of)],
        labels=np.array(labels, np.int8),
        landmarks=np.array(landmarks if with_landmarks else (), np.float32).reshape(-1, 5, 2),
        frame=np.array(_FRAMES.get(builder.info.name, FULL_FRAME)),
        files=np.array(files),
        file_of=np.array(file_of, np.int64),
        length=np.array(length, np.int64),
    )
    write_index(folder, index)


def _attributes(prepared: Path, features: "FeaturesDict", tfds: ModuleType) -> tuple[str, ...]:
    """Checks the features of the data set and returns the names of its booleans."""
    image, named = (dict(features).get(name, {}) for name in ("image", "attributes"))
    names = tuple(sorted(named)) if isinstance(named, tfds.features.FeaturesDict) else ()
    are_booleans = bool(names) and all(named[name].np_dtype == np.bool_ for name in names)
    if not isinstance(image, tfds.features.Image) or not are_booleans:
        raise FarkerasError(
            f"{prepared} has the features {', '.join(sorted(features))}; expected 'image', an image, and 'attributes', "
            "named booleans, as in celeb_a and our lfwa. Use such a data set, or a table: `source=table`."
        )
    # features.json is a protobuf map, whose order differs between versions of protobuf
    return CELEBA_ATTRIBUTES if set(names) == set(CELEBA_ATTRIBUTES) else names
