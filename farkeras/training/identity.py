"""Which run a workdir holds: what decides its numbers, wherever it lies.

Settings that only say where data and groups are found may change from one start to the next. What is found there is
compared instead: the groups in `grouping.json`, and in `identity.json` hashes of the data and the number of replicas.
Workdirs of farkeras 0.1.0 have no `identity.json`; their settings are compared as they are written.
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
_WORDS = {
    "names": "the names or the order of the images",
    "sizes": "the sizes of their files",
    "labels": "their labels",
    "frame": "the frame that they show",
    "points": "their key points",
}


def fingerprint(*splits: Examples) -> dict[str, str]:
    """Hashes of the images' names, the sizes of their files in bytes, and their labels; the frame as it is.

    Names count from the folder that holds all images, so the same data elsewhere have the same hashes; a packed data
    set has those of its original.
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
    except OSError:  # left out in training, as one that cannot be decoded
        return -1


def _hash(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def identity_of(data: Data, replicas: int) -> dict[str, Any]:
    """What `identity.json` holds."""
    hashes = fingerprint(data.train, data.validation)
    if points := [keypoints for keypoints in (data.train_keypoints, data.validation_keypoints) if keypoints]:
        hashes["points"] = _hash(*(array.tobytes() for keypoints in points for array in keypoints))
    return {"replicas": replicas, "data": hashes}


def read_identity(workdir: Path) -> dict[str, Any]:
    """What `identity.json` holds; nothing where there is none."""
    path = workdir / IDENTITY_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise FarkerasError(f"{path} is damaged; restore it, or start in another `workdir`.") from None


def write_identity(workdir: Path, config: Config, grouping: Grouping, identity: dict[str, Any]) -> None:
    """Writes `flags.txt`, `grouping.json` and `identity.json`, which `check_workdir` reads."""
    write_text(workdir / IDENTITY_FILE, json.dumps(identity, indent=1) + "\n")
    write_text(workdir / GROUPING_FILE, grouping_text(grouping))
    save_flagfile(config, workdir / FLAGS_FILE)


def check_workdir(workdir: Path, config: Config, grouping: Grouping, identity: dict[str, Any]) -> None:
    """Refuses a workdir that was started with other settings, groups or data; a new one takes anything.

    Raises:
        FarkerasError: Names what differs, with both values where it is a setting.
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
        why = " Without `sync_batch_norm` the number of replicas changes the numbers." if "replicas" in changed else ""
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
                f"{identity['replicas']}. Without `sync_batch_norm` each normalises its share of a batch by itself, so "
                "another number changes the results. Use as many GPUs or `replicas` as before, or start in another "
                "`workdir`, with `sync_batch_norm` if the number is to change again."
            )


def _check_data(workdir: Path, data_dir: str, before: dict[str, str], now: dict[str, str]) -> None:
    differ = [words for name, words in _WORDS.items() if before.get(name) != now.get(name)]
    if differ:
        raise FarkerasError(
            f"{workdir} was started with other data than {data_dir} holds now: {', '.join(differ)} differ. Use another "
            "`workdir`, or name the place of the data that it was started with by `data_dir`."
        )


def grouping_text(grouping: Grouping) -> str:
    """The groups as a grouping file."""
    return json.dumps({name: list(members) for name, members in grouping.groups.items()}, indent=1) + "\n"
