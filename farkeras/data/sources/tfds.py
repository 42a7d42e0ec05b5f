"""A data set that TensorFlow Datasets has prepared, such as `celeb_a` or our `lfwa`: read from its files, no network.

The pipeline reads images by path, and training in any order from any place on, which TFDS's shards do not allow. So
their encoded images are written once, byte for byte as they are stored, to the folder `farkeras` in the data set's own
folder, with the labels beside them in `labels.npz`. That doubles the disk space, 1.4 GB for CelebA. The folder appears
complete or not at all, goes when TFDS replaces or removes the data set, and once it is there TFDS is not needed.
"""

import json
import os
import re
import shlex
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.examples import FULL_FRAME, Examples
from farkeras.data.sources import lfwa
from farkeras.data.sources.archives import is_html
from farkeras.data.sources.celeba import LANDMARKS
from farkeras.data.sources.splits import SPLITS
from farkeras.errors import FarkerasError
from farkeras.files import written_aside
from farkeras.progress import Progress

FOLDER = "farkeras"
LABELS = "labels.npz"

_SOURCE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (non-commercial research licence)"
_FRAMES = {"lfwa": lfwa.FRAME}
_CELEBA_FILES = (
    "img_align_celeba.zip, list_attr_celeba.txt, list_eval_partition.txt and list_landmarks_align_celeba.txt"
)
_LFWA_FILES = "lfw_att_40.mat, indices_train_test.mat and the images, lfw/ or lfw.zip,"
_CELEBA_MORE = ", and identity_CelebA.txt,"
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_PNG = b"\x89PNG"


class TFDS:
    """A data set prepared by TFDS, with an image and named booleans; construction checks everything but the pixels.

    `attributes` are the booleans of its feature of this name, labels are never unknown; the splits are those that the
    data set has. `landmarks`, where it has them as `celeb_a` does, are the five points.

    Args:
        data_dir: TFDS's folder, if it holds one data set, or the data set's (`tensorflow_datasets/celeb_a`), of which
            the newest version is read, or a version's (`tensorflow_datasets/celeb_a/2.1.0`).
        progress: Called as `progress(files_done, files_total)` while the images are written.

    Raises:
        FarkerasError: Nothing prepared there (says how to prepare it, and what to do when Google Drive refuses),
            several data sets, not such a data set, a damaged one, or TFDS is missing.
    """

    def __init__(self, data_dir: str | os.PathLike, progress: Progress | None = None):
        self._prepared = _find_prepared(Path(data_dir))
        self._folder = self._prepared / FOLDER
        if not self._folder.is_dir():
            _write_files(self._prepared, self._folder, progress)
        self._stored = _read_labels(self._folder)
        self._check_images()

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names in the order of the label columns, `CELEBA_ATTRIBUTES` where it is these, else sorted."""
        return tuple(self._stored["attributes"].tolist())

    def split(self, name: str) -> Examples:
        """One of the splits, as TFDS has it.

        Args:
            name: "train", "validation" or "test".

        Returns:
            Examples in TFDS's order, labels 1 or 0; those of `lfwa` framed by `farkeras.data.sources.lfwa.FRAME`.

        Raises:
            FarkerasError: No such split, or it has no images.
        """
        if name not in SPLITS:
            raise FarkerasError(f"{self._prepared} has no split '{name}'; expected {', '.join(SPLITS)}.")
        images = self._stored.get(f"{name}_images", ())
        if not len(images):
            filled = [split for split in SPLITS if len(self._stored.get(f"{split}_images", ()))]
            raise FarkerasError(
                f"{self._prepared} has no images in the split '{name}', only in {', '.join(filled)}; expected "
                f"{', '.join(SPLITS)}. Take a data set with all three, or a table of your own: --source=table."
            )
        paths = np.char.add(f"{self._folder}{os.sep}", images)
        landmarks = self._stored.get(f"{name}_landmarks")
        frame = _FRAMES.get(str(self._stored["name"]), FULL_FRAME)
        return Examples(self.attributes, paths, self._stored[f"{name}_labels"], landmarks, frame)

    def _check_images(self) -> None:
        for split in SPLITS:
            images = self._stored.get(f"{split}_images", np.array([], str)).tolist()
            folder = self._folder / split
            on_disk = {f"{split}/{name}" for name in os.listdir(folder)} if folder.is_dir() else set()
            missing = [image for image in images if image not in on_disk]
            if missing:
                raise FarkerasError(
                    f"{self._folder} lacks {len(missing)} of the {len(images)} images of the split '{split}', first "
                    f"{missing[0]}; remove the folder, and it is made again from TFDS's files."
                )


def _find_prepared(folder: Path) -> Path:
    """The folder of the newest version of the one data set at or below `folder`."""
    if (folder / "dataset_info.json").is_file():
        return folder
    versions: dict[Path, list[Path]] = {}  # data set, with its configuration if it has any -> prepared versions
    for depth in ("*", "*/*", "*/*/*"):
        for info in folder.glob(f"{depth}/dataset_info.json"):
            if _VERSION.fullmatch(info.parent.name):
                versions.setdefault(info.parent.parent, []).append(info.parent)
    if not versions:
        raise FarkerasError(_not_prepared(folder))
    if len(versions) > 1:
        raise FarkerasError(
            f"{folder} holds several data sets, {', '.join(sorted(str(p.relative_to(folder)) for p in versions))}; "
            f"name one, such as --data_dir={shlex.quote(os.fspath(min(versions)))}"
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
        f"{found}Where Google Drive refuses (NonMatchingChecksumError, a bad zip, or a web page of 3 KB in place of a "
        f"file mean over quota), get {files} with a browser from {_SOURCE} into one folder and read them without TFDS: "
        f"--source={source} --data_dir=FOLDER. Or place them{more} in {root / 'downloads' / 'manual'} and let TFDS "
        f"prepare them: {_prepare_command(name, root)}"
    )


def _name_and_root(folder: Path) -> tuple[str, Path]:
    """Which data set is meant, by a folder's name, and TFDS's folder."""
    folder = folder.parent if _VERSION.fullmatch(folder.name) else folder
    return (folder.name, folder.parent) if folder.name in ("celeb_a", "lfwa") else ("celeb_a", folder)


def _prepare_command(name: str, root: Path) -> str:
    """Not TFDS's own command, `tfds build`, which needs apache-beam and does not say so."""
    module = ", farkeras.tfds.lfwa.lfwa_dataset_builder" if name == "lfwa" else ""
    call = f"tfds.builder({json.dumps(name)}, data_dir={json.dumps(os.fspath(root))}).download_and_prepare()"
    return f"python -c {shlex.quote(f'import tensorflow_datasets as tfds{module}; {call}')}"


def _refused_download(root: Path) -> Path | None:
    """A web page among TFDS's downloads, in place of what was asked for."""
    for pattern in ("downloads/*.tmp.*/*", "downloads/manual/*", "downloads/*"):
        for path in sorted(root.glob(pattern)):
            with suppress(OSError), open(path, "rb") as file:  # of a folder, too
                if is_html(file.read(512)):
                    return path
    return None


def _import_tfds() -> Any:
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise FarkerasError(f"Reading a data set of TFDS needs TFDS ({error}): pip install farkeras[tfds]") from None
    return tensorflow_datasets


def _write_files(prepared: Path, folder: Path, progress: Progress | None) -> None:
    """Writes images and labels of all splits to `folder`, which appears complete or not at all."""
    tfds = _import_tfds()
    import tensorflow as tf

    try:
        builder = tfds.builder_from_directory(prepared)
    except Exception as error:  # whatever TFDS's readers of JSON raise
        raise FarkerasError(_damaged(prepared, error)) from None
    attributes = _attributes(prepared, builder.info.features, tfds)
    try:
        with written_aside(folder) as aside:
            _write_splits(builder, attributes, aside, progress, tfds)
    except (tf.errors.OpError, AssertionError) as error:  # TFDS checks that all is there
        raise FarkerasError(_damaged(prepared, error)) from None
    except OSError as error:
        if folder.is_dir():
            return  # another process was faster; its folder is as good as ours
        raise FarkerasError(
            f"Cannot write the images to {folder} ({error.strerror}); make room and {prepared} writable, or copy it to "
            "where there is both."
        ) from None


def _damaged(prepared: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    name, root = _name_and_root(prepared)
    command = f": {_prepare_command(name, root)}" if name in prepared.parts else ", as you did"
    return f"{prepared} is not as TFDS prepared it ({reason}); remove it and prepare it again{command}"


def _write_splits(builder, attributes: tuple[str, ...], folder: Path, progress: Progress | None, tfds) -> None:
    import tensorflow as tf

    features = builder.info.features
    with_landmarks = "landmarks" in features and set(LANDMARKS) <= set(features["landmarks"])
    splits = [name for name in SPLITS if name in builder.info.splits]
    done, total = 0, sum(builder.info.splits[name].num_examples for name in splits)
    stored = {"name": np.array(builder.info.name), "attributes": np.array(attributes)}

    def pick(example):
        labels = tf.cast(tf.stack([example["attributes"][name] for name in attributes]), tf.int8)
        points = tf.stack([example["landmarks"][name] for name in LANDMARKS]) if with_landmarks else ()
        return example["image"], labels, points

    for split in splits:
        (folder / split).mkdir(parents=True)
        images, labels, landmarks = [], [], []
        examples = builder.as_dataset(
            split=split,
            decoders={"image": tfds.decode.SkipDecoding()},
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),  # in the order of the shards
        )
        for encoded, label, points in examples.map(pick).prefetch(64).as_numpy_iterator():
            images.append(f"{split}/{len(images):06}.{'png' if encoded.startswith(_PNG) else 'jpg'}")
            (folder / images[-1]).write_bytes(encoded)
            labels.append(label)
            landmarks.append(points)
            done += 1
            if progress:
                progress(done, total)
        stored[f"{split}_images"] = np.array(images, str)
        stored[f"{split}_labels"] = np.array(labels, np.int8).reshape(-1, len(attributes))
        if with_landmarks:
            stored[f"{split}_landmarks"] = np.array(landmarks, np.float32).reshape(-1, 5, 2)
    np.savez(folder / LABELS, **stored)


def _attributes(prepared: Path, features, tfds) -> tuple[str, ...]:
    """Names of the booleans, after a look at what the data set has."""
    named = dict(features).get("attributes")
    is_named = isinstance(named, tfds.features.FeaturesDict) and all(named[name].np_dtype == np.bool_ for name in named)
    if "image" not in features or not isinstance(features["image"], tfds.features.Image) or not is_named:
        raise FarkerasError(
            f"{prepared} has the features {', '.join(sorted(features))}; expected 'image', an image, and 'attributes', "
            "booleans by name, as celeb_a and our lfwa have them. Use such a data set, or a table: --source=table."
        )
    # features.json is a map of protobuf's, whose order differs between its versions
    return CELEBA_ATTRIBUTES if set(named) == set(CELEBA_ATTRIBUTES) else tuple(sorted(named))


def _read_labels(folder: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(folder / LABELS) as stored:
            return dict(stored)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        raise FarkerasError(
            f"{folder / LABELS} cannot be read, it may be damaged; remove {folder}, and it is made again from TFDS's "
            "files."
        ) from None
