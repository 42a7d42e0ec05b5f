"""The splits: how data sets name them, and a hash of each example's key where a data set brings none."""

import hashlib
import re
from collections.abc import Iterable, Sequence

import numpy as np

SPLITS = ("train", "validation", "test")

SPLIT_COLUMNS = ("split", "partition")
"""Names of columns that say it, in lower case: ours, and that of Kaggle's CelebA."""

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("validation", "valid", "val", "dev"), 1),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), 2),
}
"""Word, in lower case -> number in `SPLITS`: those of torchvision, Kaggle, TFDS and Hugging Face."""

_DIGEST = 6  # bytes: what a float64 holds exactly


def split_in_path(path: str) -> int | None:
    """The split that the name of a file or the folders above it say, such as "data/train-00000-of-00002.parquet"."""
    for part in reversed(path.split("/")):
        for word in re.findall("[a-z]+", part.lower()):
            if word in SPLIT_WORDS:
                return SPLIT_WORDS[word]
    return None


def assign_splits(keys: Iterable[str], ratios: Sequence[float]) -> np.ndarray:
    """The split of each key, the same on every machine.

    Args:
        keys: Whatever must stay together, a person's name or an image's path.
        ratios: Shares of `SPLITS`, 1 together; of the keys, and only about, since each key falls where its hash says.

    Returns:
        `int8` array `[keys]`, numbers in `SPLITS`.
    """
    digests = (hashlib.blake2b(key.encode(), digest_size=_DIGEST).digest() for key in keys)
    place = np.fromiter((int.from_bytes(digest, "big") for digest in digests), np.float64) / 256**_DIGEST
    return np.searchsorted(np.cumsum(ratios)[:2], place, side="right").astype(np.int8)
