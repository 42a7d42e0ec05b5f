"""Pairs of attributes that CelebA's own names say cannot both be true of a face.

Labels that break them are noise (arXiv 2210.07356 describes CelebA's). The table is our reading of the names: a
moustache counts as a beard, a bald head has no hair to be parted, coloured or curled, and hair has one colour. A pair
is looked at where a data set has both attributes.
"""

import numpy as np

from farkeras.data.examples import Examples

_HAIR_COLOURS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")

EXCLUSIVE: tuple[tuple[str, str], ...] = (
    *(("No_Beard", beard) for beard in ("5_o_Clock_Shadow", "Goatee", "Mustache", "Sideburns")),
    *(("Bald", hair) for hair in ("Bangs", *_HAIR_COLOURS, "Straight_Hair", "Wavy_Hair")),
    *((one, other) for i, one in enumerate(_HAIR_COLOURS) for other in _HAIR_COLOURS[i + 1 :]),
    ("Straight_Hair", "Wavy_Hair"),
)
"""Two attributes of which at most one is positive."""


def contradictions(examples: Examples) -> dict[tuple[str, str], np.ndarray]:
    """Each pair of `EXCLUSIVE` that is positive together somewhere -> where, int64, ascending."""
    columns = {name: examples.labels[:, i] == 1 for i, name in enumerate(examples.attributes)}
    pairs = [pair for pair in EXCLUSIVE if set(pair) <= set(columns)]
    rows = {pair: np.flatnonzero(columns[pair[0]] & columns[pair[1]]) for pair in pairs}
    return {pair: where for pair, where in rows.items() if len(where)}
