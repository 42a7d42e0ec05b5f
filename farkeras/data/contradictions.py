"""Pairs of CelebA attributes that cannot both be true of a face, and the images whose labels say that they are.

Such contradicting labels are noise (arXiv 2210.07356 describes the label noise of CelebA). The pairs follow our reading
of the attributes' names: a moustache counts as a beard, a bald head has no bangs and no straight, wavy or coloured
hair, and hair has one colour. A pair is checked if the data set has both attributes.
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
"""Pairs of attributes. At most one attribute of each pair can be true of a face."""


def contradictions(examples: Examples) -> dict[tuple[str, str], np.ndarray]:
    """Finds images with contradicting labels.

    Returns:
        Each pair of `EXCLUSIVE` that is positive together in at least one image, with the positions of these images:
        int64 in ascending order.
    """
    columns = {name: examples.labels[:, i] == 1 for i, name in enumerate(examples.attributes)}
    pairs = [pair for pair in EXCLUSIVE if set(pair) <= set(columns)]
    rows = {pair: np.flatnonzero(columns[pair[0]] & columns[pair[1]]) for pair in pairs}
    return {pair: where for pair, where in rows.items() if len(where)}
