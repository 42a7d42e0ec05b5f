"""Samples the attributes of a face from a joint distribution with CelebA's published frequencies.

Each attribute is sampled after those on which it depends, with probability `min(1, scale * weight(face so far))`. A
weight of zero excludes a combination. `scale` is solved attribute by attribute, on a population sampled by the same
rules, so that the attribute's share over all faces is the published one.
"""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES, CELEBA_PERCENT_POSITIVE
from farkeras.errors import FarkerasError

_Faces = Mapping[str, np.ndarray | np.bool_]
_where = np.where

# The order matters: a weight may depend only on the attributes above it.
_WEIGHTS: dict[str, Callable[[_Faces], np.ndarray | float]] = {
    "Male": lambda f: 1.0,
    "Young": lambda f: _where(f["Male"], 0.65, 0.86),
    "Bald": lambda f: f["Male"] * _where(f["Young"], 0.5, 2.0),
    "Wearing_Hat": lambda f: ~f["Bald"] * _where(f["Male"], 1.5, 0.8),
    "Receding_Hairline": lambda f: (
        ~(f["Bald"] | f["Wearing_Hat"]) * _where(f["Male"], 2.0, 1.0) * _where(f["Young"], 1, 3.0)
    ),
    "Bangs": lambda f: ~(f["Bald"] | f["Wearing_Hat"] | f["Receding_Hairline"]) * _where(f["Male"], 0.4, 1.0),
    "Gray_Hair": lambda f: ~f["Bald"] * _where(f["Young"], 0.05, 1.0) * _where(f["Male"], 1.8, 1.0),
    "Black_Hair": lambda f: ~(f["Bald"] | f["Gray_Hair"]) * _where(f["Male"], 1.4, 1.0) * _where(f["Young"], 1.3, 0.8),
    "Blond_Hair": lambda f: ~(f["Bald"] | f["Gray_Hair"] | f["Black_Hair"]) * _where(f["Male"], 0.15, 1.0),
    "Brown_Hair": lambda f: (
        ~(f["Bald"] | f["Gray_Hair"] | f["Black_Hair"] | f["Blond_Hair"]) * _where(f["Young"], 1.2, 0.8)
    ),
    "Wavy_Hair": lambda f: ~f["Bald"] * _where(f["Male"], 0.4, 1.0),
    "Straight_Hair": lambda f: ~(f["Bald"] | f["Wavy_Hair"]) * 1.0,
    "No_Beard": lambda f: _where(f["Male"], 1.0, 1e3),  # women have no beard
    "5_o_Clock_Shadow": lambda f: ~f["No_Beard"] * 1.0,
    "Goatee": lambda f: ~f["No_Beard"] * _where(f["5_o_Clock_Shadow"], 0.7, 1.5),
    "Mustache": lambda f: ~f["No_Beard"] * _where(f["Goatee"], 1.5, 1.0),
    # A beard has at least one form: without any of the others, it has sideburns.
    "Sideburns": lambda f: ~f["No_Beard"] * _where(f["5_o_Clock_Shadow"] | f["Goatee"] | f["Mustache"], 1.0, 1e3),
    "Heavy_Makeup": lambda f: _where(f["Male"], 0.005, 1.0) * _where(f["Young"], 1.2, 0.8),
    "Wearing_Lipstick": lambda f: _where(f["Male"], 0.01, 1.0) * _where(f["Heavy_Makeup"], 1.5, 0.8),
    "Attractive": lambda f: (
        _where(f["Male"], 0.6, 1.0) * _where(f["Young"], 1.3, 0.4) * _where(f["Heavy_Makeup"], 1.2, 0.8)
    ),
    "Smiling": lambda f: _where(f["Male"], 0.8, 1.1),
    "Mouth_Slightly_Open": lambda f: _where(f["Smiling"], 0.75, 0.25),
    "High_Cheekbones": lambda f: _where(f["Smiling"], 0.75, 0.25) * _where(f["Male"], 0.7, 1.2),
    "Rosy_Cheeks": lambda f: _where(f["Male"], 0.05, 1.0) * _where(f["Heavy_Makeup"], 2.0, 0.7),
    "Arched_Eyebrows": lambda f: _where(f["Male"], 0.3, 1.2) * _where(f["Heavy_Makeup"], 1.4, 1.0),
    "Bushy_Eyebrows": lambda f: _where(f["Male"], 2.0, 0.7),
    "Bags_Under_Eyes": lambda f: _where(f["Male"], 1.8, 0.7) * _where(f["Young"], 0.8, 1.6),
    "Narrow_Eyes": lambda f: 1.0,
    "Eyeglasses": lambda f: _where(f["Male"], 1.6, 0.5) * _where(f["Young"], 0.6, 1.8),
    "Big_Lips": lambda f: _where(f["Male"], 0.7, 1.2),
    "Pointy_Nose": lambda f: _where(f["Male"], 0.7, 1.2),
    "Big_Nose": lambda f: _where(f["Pointy_Nose"], 0.5, 1.2) * _where(f["Male"], 1.8, 0.6),
    "Oval_Face": lambda f: _where(f["Male"], 0.8, 1.2),
    "Chubby": lambda f: _where(f["Oval_Face"], 0.5, 1.0) * _where(f["Male"], 1.8, 0.7),
    "Double_Chin": lambda f: _where(f["Chubby"], 8.0, 1.0) * _where(f["Young"], 0.7, 1.6),
    "Pale_Skin": lambda f: _where(f["Male"], 0.7, 1.2),
    "Blurry": lambda f: 1.0,
    "Wearing_Earrings": lambda f: _where(f["Male"], 0.1, 1.0),
    "Wearing_Necktie": lambda f: _where(f["Male"], 1.0, 0.02),
    "Wearing_Necklace": lambda f: ~f["Wearing_Necktie"] * _where(f["Male"], 0.15, 1.0),
}
LINKS = {"Pointy_Nose": "Wavy_Hair", "Arched_Eyebrows": "Big_Lips", "Wearing_Earrings": "Bags_Under_Eyes"}
"""World "linked": attribute -> the attribute of another region of the face that tells most about it."""

_LINK = 30.0  # how many times as often an attribute is present if that on which it depends is
_HIDDEN = 0.5  # the share of faces that do not show the attribute
WORLDS = ("standard", "linked")
"""How attributes depend on one another, and whether each face shows them all; see `sample_attributes`, `shown`."""

_POPULATION = 100_000
# Attributes that a person keeps from image to image, as far as the other attributes allow (a hat hides a hairline).
_LASTING = (
    "Male Young Bald Receding_Hairline Bangs Gray_Hair Black_Hair Blond_Hair Brown_Hair Wavy_Hair Straight_Hair "
    "Attractive Arched_Eyebrows Bushy_Eyebrows Narrow_Eyes Big_Lips Pointy_Nose Big_Nose Oval_Face Chubby Double_Chin "
    "Pale_Skin"
).split()


def check_world(world: str) -> None:
    """Raises a `FarkerasError` unless the world is one of `WORLDS`."""
    if world not in WORLDS:
        raise FarkerasError(f"`world` must be one of {', '.join(WORLDS)}. Received: '{world}'.")


@cache
def _weights(world: str) -> dict[str, Callable[[_Faces], np.ndarray | float]]:
    """Returns the weights of a world, in the order in which the attributes are sampled."""
    check_world(world)
    if world == "standard":
        return _WEIGHTS
    weights: dict[str, Callable[[_Faces], np.ndarray | float]] = {}
    for name, weigh in _WEIGHTS.items():
        if name not in LINKS:  # these directly follow the attribute on which they depend
            weights[name] = weigh
            weights |= {linked: _linked(source) for linked, source in LINKS.items() if source == name}
    return weights


def _linked(source: str) -> Callable[[_Faces], np.ndarray | float]:
    return lambda f: _where(f[source], _LINK, 1.0)


@cache
def _scales(world: str) -> dict[str, float]:
    """Returns, for each attribute of a world, the factor that turns its weight into a probability."""
    rng = np.random.default_rng(0)
    faces: dict[str, np.ndarray] = {}
    scales = {}
    for name, weigh in _weights(world).items():
        weight = np.broadcast_to(np.asarray(weigh(faces), float), _POPULATION)
        values, counts = np.unique(weight, return_counts=True)
        low, high = 0.0, 1e4
        for _ in range(60):
            scale = (low + high) / 2
            share = counts @ np.minimum(1, scale * values) / _POPULATION
            low, high = (low, scale) if 100 * share > CELEBA_PERCENT_POSITIVE[name] else (scale, high)
        scales[name] = high
        faces[name] = rng.random(_POPULATION) < high * weight
    return scales


def sample_attributes(
    rng: np.random.Generator, person: np.random.Generator | None = None, world: str = "standard"
) -> dict[str, bool]:
    """Samples the 40 attributes of a face from the joint distribution.

    In the world "linked", each attribute of `LINKS` depends on the other one of its pair, and on nothing else. With
    that one it is about 30 times as frequent as without, while its share of all faces stays that of CelebA.

    Args:
        rng: The random generator.
        person: A second generator for the lasting attributes of a person (sex, age, hair, features); two images of the
            same person use the same state. The distribution over all faces does not change. None: `rng` decides all.
        world: One of `WORLDS`.

    Returns:
        Attribute name -> whether it is present, in the order of `CELEBA_ATTRIBUTES`.
    """
    weights = _weights(world)
    chances = rng.random(len(weights))
    if person is not None:
        lasting = [name in _LASTING for name in weights]
        chances = np.where(lasting, person.random(len(weights)), chances)
    face: dict[str, np.bool_] = {}
    for (name, weigh), scale, chance in zip(weights.items(), _scales(world).values(), chances, strict=True):
        face[name] = np.bool_(chance < scale * weigh(face))
    return {name: bool(face[name]) for name in CELEBA_ATTRIBUTES}


def shown(attributes: Mapping[str, bool], rng: np.random.Generator, world: str = "standard") -> dict[str, bool]:
    """Returns the attributes that a face is drawn with.

    In the world "linked", half of all faces do not show an attribute of `LINKS`: they are drawn without it, whatever
    their label is. There, only the other attribute of the pair tells about it.

    Args:
        attributes: The 40 attributes of the face, its labels.
        rng: The random generator; it is not used in the standard world.
        world: One of `WORLDS`.
    """
    if world == "standard":
        return dict(attributes)
    hidden = dict(zip(LINKS, rng.random(len(LINKS)) < _HIDDEN, strict=True))
    return {name: present and not hidden.get(name, False) for name, present in attributes.items()}
