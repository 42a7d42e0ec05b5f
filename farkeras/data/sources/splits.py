"""Splits that a data set does not bring: by a hash of each example's key, so that new examples move no others."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

SPLITS = ("train", "validation", "test")

_DIGEST = 6  # bytes: what a float64 holds exactly


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
