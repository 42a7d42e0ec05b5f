"""The identity of a run: everything that determines its results, independent of the folders of workdir and data.

Settings that only locate data and groups may change when a run continues. Their content is compared instead: the
groups in `grouping.json`, and hashes of the data and the number of replicas in `identity.json`. Workdirs from before
the release of 0.1.0 may have no `identity.json`; all their settings are compared.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from farkeras.attributes import Grouping
from farkeras.config import Config
from farkeras.data.examples import Examples
from farkeras.errors import FarkerasError
from farkeras.files import write_text
from farkeras.flagfiles import FLAGS_FILE, read_flagfile, save_flagfile
from farkeras.training.building import Data

GROUPING_FILE = "grouping.json"
IDENTITY_FILE = "identity.json"

_COMPARED_BY_CONTENT = {"source", "data_dir", "grouping", "replicas"}
DIFFERENCES = {
    "names": "the names or the order of the images",
    "sizes": "the sizes of their files",
    "labels": "their labels",
    "frame": "the frame of the faces in them",
    "points": "their keypoints",
}


def fingerprint(*splits: Examples) -> dict[str, str]:
    """Computes hashes of the names, file sizes in bytes and labels of the images, and their frames as text.

    Names are relative to the common folder of all images, so the same data in another folder have the same hashes. A
    packed data set has the hashes of its original.
    """
    folders_and_names = [os.path.split(path) for examples in splits for path in examples.paths.tolist()]
    folders = {folder: os.path.abspath(folder) for folder, _ in folders_and_names}
    root = os.path.commonpath(folders.values())
    below = {folder: Path(os.path.relpath(path, root)).as_posix() for folder, path in folders.items()}
    names = [f"{below[folder]}/{name}" for folder, name in folders_and_names]
    sizes = [_size(stored.file) if stored.length < 0 else stored.length for e in splits for stored in e.stored()]
    lengths = [len(examples) for examples in splits]
    return {
        "names": _hash(json.dumps([lengths, names]).encode()),
        "sizes": _hash(np.array(sizes, np.int64).tobytes()),
        "labels": _hash(*(np.ascontiguousarray(examples.labels, np.int8).tobytes() for examples in splits)),
        "frame": json.dumps([round(side, 6) for examples in splits for side in examples.frame]),
    }


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:  # a missing image is left out of training like an undecodable one
        return -1


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def identity_of(data: Data, replicas: int) -> dict[str, Any]:
    """Returns the content of `identity.json` for a run."""
    hashes = fingerprint(data.train, data.validation)
    if points := [keypoints for keypoints in (data.train_keypoints, data.validation_keypoints) if keypoints]:
        hashes["points"] = _hash(*(array.tobytes() for keypoints in points for array in keypoints))
    return {"replicas": replicas, "data": hashes}


def read_identity(workdir: Path) -> dict[str, Any]:
    """Reads `identity.json` of a workdir; an empty dict if there is no such file."""
    path = workdir / IDENTITY_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise FarkerasError(f"{path} is damaged. Restore it, or use another `workdir`.") from None


def write_identity(workdir: Path, config: Config, grouping: Grouping, identity: dict[str, Any]) -> None:
    """Writes `flags.txt`, `grouping.json` and `identity.json`, which `check_workdir` compares."""
    write_text(workdir / IDENTITY_FILE, json.dumps(identity, indent=1) + "\n")
    write_text(workdir / GROUPING_FILE, grouping_text(grouping))
    save_flagfile(config, workdir / FLAGS_FILE)


def check_workdir(workdir: Path, config: Config, grouping: Grouping, identity: dict[str, Any]) -> None:
    """Checks that a workdir was started with the same settings, groups and data; a new workdir passes.

    Raises:
        FarkerasError: The message names what differs; for a setting, also both values.
    """
    flags = workdir / FLAGS_FILE
    if not flags.exists():
        return
    started, before = read_flagfile(flags).absolute(), read_identity(workdir)
    changed = config.absolute().changed_from(started)
    if before:
        changed = [name for name in changed if name not in _COMPARED_BY_CONTENT]
    elif config.sync_batch_norm:
        changed = [name for name in changed if name != "replicas"]
    if changed:
        listed = ", ".join(f"`{name}` (was {getattr(started, name)}, now {getattr(config, name)})" for name in changed)
        why = " Without `sync_batch_norm` the number of replicas changes the results." if "replicas" in changed else ""
        raise FarkerasError(
            f"{workdir} was started with other settings: {listed}.{why} Use another `workdir`, or the settings of "
            f"{flags}."
        )
    path = workdir / GROUPING_FILE
    if path.exists() and path.read_text(encoding="utf-8") != grouping_text(grouping):
        raise FarkerasError(
            f"{workdir} was started with other groups than `grouping={config.grouping}` gives now. Use another "
            f"`workdir`, or the groups of {path}."
        )
    if before:
        _check_data(workdir, config.data_dir, before["data"], identity["data"])
        if before["replicas"] != identity["replicas"] and not config.sync_batch_norm:
            raise FarkerasError(
                f"{workdir} was started with {before['replicas']} replica(s), and now there are "
                f"{identity['replicas']}. Without `sync_batch_norm`, each replica normalises its part of a batch by "
                "itself, so their number changes the results. Use as many GPUs or `replicas` as before, or another "
                "`workdir`, with `sync_batch_norm` if the number may change again."
            )


def _check_data(workdir: Path, data_dir: str, before: dict[str, str], now: dict[str, str]) -> None:
    differ = [words for name, words in DIFFERENCES.items() if before.get(name) != now.get(name)]
    if differ:
        raise FarkerasError(
            f"{workdir} was started with other data than {data_dir} holds now: {', '.join(differ)} differ. Use another "
            "`workdir`, or set `data_dir` to the data of the start."
        )


def grouping_text(grouping: Grouping) -> str:
    """Returns the groups as the text of a grouping file."""
    return json.dumps({name: list(members) for name, members in grouping.groups.items()}, indent=1) + "\n"
