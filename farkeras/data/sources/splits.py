"""The names of the splits in various data sets, and splits by a hash for data sets that define none."""

import hashlib
import re
from collections.abc import Iterable, Sequence

import numpy as np

SPLITS = ("train", "validation", "test")

SPLIT_COLUMNS = ("split", "partition")
"""Names of columns that give the split, in lower case: ours, and the one in Kaggle's CelebA."""

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("validation", "valid", "val", "dev"), 1),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), 2),
}
"""Word in lower case -> index in `SPLITS`: the words of torchvision, Kaggle, TFDS and Hugging Face."""

_DIGEST = 6  # bytes, which a float64 represents exactly


def split_in_path(path: str) -> int | None:
    """Returns the split that a path names, such as "data/train-00000-of-00002.parquet", or None.

    The name of the file takes precedence over the folders above it.
    """
    for part in reversed(path.split("/")):
        for word in re.findall("[a-z]+", part.lower()):
            if word in SPLIT_WORDS:
                return SPLIT_WORDS[word]
    return None


def assign_splits(keys: Iterable[str], ratios: Sequence[float]) -> np.ndarray:
    """Assigns each key to a split by its hash, which gives the same result on every machine.

    Args:
        keys: The keys, such as persons' names or images' paths. Equal keys are in the same split.
        ratios: Shares of the keys in each of `SPLITS`, with a sum of 1. The result matches them only approximately,
            because the hash decides about each key separately.

    Returns:
        `int8` array `[keys]`, indices in `SPLITS`.
    """
    digests = (hashlib.blake2b(key.encode(), digest_size=_DIGEST).digest() for key in keys)
    place = np.fromiter((int.from_bytes(digest, "big") for digest in digests), np.float64) / 256**_DIGEST
    return np.searchsorted(np.cumsum(ratios)[:2], place, side="right").astype(np.int8)
