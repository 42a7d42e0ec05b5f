"""Folds for cross-validation, in which all images of a person are in the same fold."""

import numpy as np

from farkeras.errors import FarkerasError


def assign_folds(people: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Assigns images to folds of about equal size.

    Args:
        people: `str` array `[N]`, the person in each image; "" for an image whose person is not known, which counts as
            a person of its own.
        folds: Number of folds.
        seed: Seed of the random order of people.

    Returns:
        int64 array `[N]`, the fold of each image, from 0.

    Raises:
        FarkerasError: There are fewer people than folds.
    """
    named, number = np.unique(people, return_inverse=True)
    unknown = people == ""
    number = np.where(unknown, len(named) + np.arange(len(people)), number)  # each a person of its own
    _, number, counts = np.unique(number, return_inverse=True, return_counts=True)
    if not 2 <= folds <= len(counts):
        raise FarkerasError(
            f"`folds` must be at least 2 and at most the number of people, {len(counts):,}. Received: {folds}."
        )
    sizes, fold_of = np.zeros(folds, np.int64), np.zeros(len(counts), np.int64)
    for person in np.random.default_rng(seed).permutation(len(counts)):
        smallest = fold_of[person] = int(np.argmin(sizes))
        sizes[smallest] += counts[person]
    return fold_of[number]
