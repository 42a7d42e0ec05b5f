"""Colours of skin, hair, lips and objects, as RGB triples in 0..255."""

import numpy as np

from farkeras.synthetic.parameters import Colour

# From light to dark; the tone of a face is interpolated between two neighbours.
_SKINS = np.array([(236, 196, 168), (226, 180, 148), (206, 156, 122), (172, 122, 90), (130, 88, 62), (96, 64, 46)])
_PALE = np.array((252, 238, 232))
_HAIR = {
    "Black_Hair": ((18, 16, 20), (36, 30, 32)),
    "Brown_Hair": ((84, 52, 30), (124, 80, 48)),
    "Blond_Hair": ((218, 182, 112), (244, 220, 160)),
    "Gray_Hair": ((150, 152, 156), (212, 214, 218)),
}
# Hair of none of the four colours: red, and sometimes dyed.
_OTHER_HAIR = np.array([(176, 70, 24), (196, 90, 34), (150, 44, 28), (122, 24, 44), (40, 110, 120), (120, 70, 150)])
_LIPSTICKS = np.array([(196, 20, 44), (150, 14, 48), (224, 50, 130), (110, 20, 80), (236, 70, 60)])
SHADOWS = np.array([(90, 60, 190), (30, 130, 200), (190, 60, 150), (40, 26, 26), (50, 170, 100), (250, 210, 120)])
IRISES = np.array([(70, 42, 22), (46, 28, 18), (60, 110, 150), (80, 120, 80), (110, 84, 40)])
METALS = np.array([(236, 190, 60), (225, 228, 235), (60, 180, 200), (200, 40, 70), (40, 40, 48)])  # and gems


def _rgb(colour: np.ndarray) -> Colour:
    red, green, blue = np.clip(colour, 4, 254).tolist()
    return red, green, blue


def skin(rng: np.random.Generator, pale: bool) -> tuple[Colour, float]:
    """Samples the colour of a skin, and its tone from 0 (light) to 1 (dark); pale skin is lighter than all others."""
    share = rng.uniform(0, 1) ** 1.4
    tone = share * (len(_SKINS) - 1.001)
    place = int(tone)
    colour = _SKINS[place] + (tone - place) * (_SKINS[place + 1] - _SKINS[place])
    jitter = rng.uniform(-5, 5, 3)
    return _rgb((_PALE if pale else colour) + jitter), 0.0 if pale else float(share)


def tone_class(tone: float) -> str:
    """Returns the class of a skin tone, "light", "medium" or "dark": about 54, 24 and 22 % of all faces."""
    return "light" if tone < 0.4 else "medium" if tone < 0.7 else "dark"


def hair(rng: np.random.Generator, name: str | None) -> Colour:
    """Samples a hair colour for an attribute such as `Brown_Hair`; for None, a colour that none of the four names."""
    along, other = rng.random(), rng.random()
    jitter = rng.uniform(-8, 8, 3)
    if name is None:
        return _rgb(_OTHER_HAIR[int(other**1.3 * len(_OTHER_HAIR))] + jitter)
    low, high = (np.array(colour) for colour in _HAIR[name])
    return _rgb(low + along * (high - low) + jitter / 4)


def lips(rng: np.random.Generator, over: Colour, lipstick: bool) -> Colour:
    """Samples the colour of lips: slightly redder than the skin, `over`, or that of a lipstick."""
    painted = _LIPSTICKS[rng.integers(len(_LIPSTICKS))] + rng.uniform(-15, 15, 3)
    own = np.array(over) * (rng.uniform(0.84, 0.95), 0.72, 0.74)
    return _rgb(painted if lipstick else own)


def one_of(colours: np.ndarray, rng: np.random.Generator, spread: float) -> Colour:
    """Samples one of the colours `[n, 3]`, and changes each channel by at most `spread`."""
    return _rgb(colours[rng.integers(len(colours))] + rng.uniform(-spread, spread, 3))


def anything(rng: np.random.Generator) -> Colour:
    """Samples any colour, for objects that exist in all colours."""
    return _rgb(rng.uniform(0, 1, 3) ** rng.uniform(0.5, 1.8) * 235 + 10)
