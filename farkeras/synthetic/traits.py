"""Samples the parameters of a face from its attributes.

Every number is sampled from the generator whether it is needed or not, so that two faces from the same generator state
differ only where their attributes differ. An attribute moves its numbers to another range. The ranges do not overlap,
because a label must be true of the image.
"""

from collections.abc import Mapping

import numpy as np

from farkeras.synthetic import palette
from farkeras.synthetic import parameters as drawn
from farkeras.synthetic.parameters import Colour, FaceParameters, Jewel
from farkeras.synthetic.scenes import sample_scene

_HAIR_COLOURS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")


class _Traits:
    """Attributes and a random generator, with numbers from ranges that depend on an attribute."""

    def __init__(self, attributes: Mapping[str, bool], rng: np.random.Generator):
        self.has, self.rng = attributes, rng

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def by(self, name: str, present: tuple[float, float], absent: tuple[float, float]) -> float:
        return self.between(*(present if self.has[name] else absent))

    def seed(self) -> int:
        return int(self.rng.integers(2**31))


def _head(t: _Traits) -> drawn.Head:
    cheek = t.between(45.5, 49.5)
    jaw = t.by("Male", (37.5, 40.5), (31.5, 35.5))
    chin = t.by("Male", (17, 21), (11, 14))
    chin_y = t.between(172, 176)
    round_jaw, oval_jaw, square = t.between(4, 7), t.between(2, 4), t.between(0, 4)
    if t.has["Oval_Face"]:
        cheek, jaw, chin, chin_y = cheek - 5, jaw - oval_jaw - 2, chin - 2, chin_y + 5
    else:
        cheek, jaw, chin, chin_y = cheek + 1, jaw + round_jaw * 0.7, chin + 3 + square, chin_y - 2
    fat = t.between(10, 13)
    if t.has["Chubby"]:
        cheek, jaw, chin = cheek + 0.6 * fat, jaw + fat, chin + 0.5 * fat
    return drawn.Head(
        temple=t.between(45, 47.5) - 1.5 * t.has["Oval_Face"],
        cheek=cheek,
        jaw=jaw,
        chin=chin,
        chin_y=chin_y,
        neck=t.by("Male", (31, 35), (22, 26)) + 4 * t.has["Chubby"],
        double_chin=t.by("Double_Chin", (0.75, 1), (0, 0)),
    )


def _skin(t: _Traits, colour: Colour, tone: float) -> drawn.Skin:
    return drawn.Skin(
        colour=colour,
        tone=tone,
        wrinkles=t.by("Young", (0, 0.0), (0.75, 1.0)),
        bags=t.by("Bags_Under_Eyes", (0.75, 1), (0, 0.08)),
        rosy=t.by("Rosy_Cheeks", (0.7, 1), (0, 0.06)),
        cheekbones=t.by("High_Cheekbones", (0.75, 1), (0, 0.08)),
        blemishes=int(t.by("Attractive", (0, 0.99), (45, 80))),
        blotches=t.by("Attractive", (0, 0.0), (0.5, 0.9)),
    )


def _eyes(t: _Traits) -> drawn.Eyes:
    return drawn.Eyes(
        size=t.by("Attractive", (1.1, 1.18), (0.92, 1.0)),
        aperture=t.by("Narrow_Eyes", (0.16, 0.22), (0.55, 0.65)),
        iris=palette.one_of(palette.IRISES, t.rng, 10),
        gaze=t.between(-1.2, 1.2),
        shadow=palette.one_of(palette.SHADOWS, t.rng, 15),
        makeup=t.by("Heavy_Makeup", (0.75, 1), (0, 0)),
        lashes=t.by("Male", (0.1, 0.3), (0.5, 0.7)),
        slant=t.between(-0.6, 1.2),
    )


def _brows(t: _Traits) -> drawn.Brows:
    return drawn.Brows(
        thickness=t.by("Bushy_Eyebrows", (8.5, 10.5), (3.0, 4.0)) + t.has["Male"] * 0.6,
        arch=t.by("Arched_Eyebrows", (8, 10), (0, 1.2)),
        y=t.by("Male", (98, 99.5), (96, 97.5)),
        darkness=t.by("Bushy_Eyebrows", (0.85, 0.95), (0.65, 0.85)),
        skew=t.by("Attractive", (0, 0), (2.0, 3.5)) * (1 if t.rng.random() < 0.5 else -1),
    )


def _mouth(t: _Traits, skin: Colour) -> drawn.Mouth:
    smile = t.by("Smiling", (6.5, 8.5), (-2.0, 0))
    return drawn.Mouth(
        width=t.between(15, 16.5) + (2.5 if t.has["Smiling"] else 0),
        gap=t.by("Mouth_Slightly_Open", (7.5, 11), (0, 0)),
        lips=t.by("Big_Lips", (9, 10.5), (3.0, 4.0)),
        smile=smile,
        skew=t.by("Attractive", (0, 0), (1, 2)) * (1 if t.rng.random() < 0.5 else -1),
        colour=palette.lips(t.rng, skin, t.has["Wearing_Lipstick"]),
        lipstick=float(t.has["Wearing_Lipstick"]),
    )


def _hair(t: _Traits, colour: Colour) -> drawn.Hair:
    long, short = t.between(165, 235), t.between(96, 112)
    is_long = t.rng.random() < (0.25 if t.has["Male"] else 0.7)
    style = next((s for s in ("Wavy", "Straight") if t.has[f"{s}_Hair"]), "Plain").lower()
    return drawn.Hair(
        bald=t.has["Bald"],
        colour=colour,
        length=long if is_long else short,
        volume=t.between(1.5, 5),
        hairline=t.between(66, 71),
        receding=t.by("Receding_Hairline", (0.8, 1), (0, 0)),
        bangs=t.has["Bangs"],
        bangs_y=t.between(90, 95),
        style=style,
        part=t.between(-18, 18),
        seed=t.seed(),
    )


def _beard(t: _Traits, colour: Colour) -> drawn.Beard:
    red, green, blue = colour
    return drawn.Beard(
        stubble=t.by("5_o_Clock_Shadow", (0.75, 1), (0, 0)),
        mustache=t.by("Mustache", (0.85, 1), (0, 0)),
        goatee=t.by("Goatee", (0.85, 1), (0, 0)),
        sideburns=t.by("Sideburns", (0.85, 1), (0, 0)),
        colour=(0.8 * red, 0.8 * green, 0.8 * blue),
        seed=t.seed(),
    )


def _clothes(t: _Traits) -> drawn.Clothes:
    kind = ("round", "vee", "shirt")[t.rng.integers(3)]
    bright = t.between(60, 250)
    shirt = tuple(np.clip(bright + t.rng.uniform(-20, 20, 3), 20, 252))
    tie = palette.anything(t.rng)
    closed = t.rng.random() < 0.5
    return drawn.Clothes(
        kind="shirt" if t.has["Wearing_Necktie"] else kind,
        colour=palette.anything(t.rng),
        shirt=shirt,
        tie=tie if t.has["Wearing_Necktie"] else None,
        closed=closed or t.has["Wearing_Necktie"],
        stripes=t.between(-1, 1),
    )


def sample_parameters(attributes: Mapping[str, bool], rng: np.random.Generator) -> FaceParameters:
    """Samples a face with the given attributes, in a scene of which only the blur depends on an attribute.

    Args:
        attributes: Attribute name -> whether it is present, for all 40 attributes.
        rng: The random generator. From the same state, other attributes give the same face except for these attributes.

    Returns:
        The parameters of the face and its scene.
    """
    scene_rng, face_rng = (np.random.default_rng(s) for s in rng.integers(2**63, size=2))
    pose, light, backdrop, camera = sample_scene(scene_rng, attributes["Blurry"])
    t = _Traits(attributes, face_rng)
    skin, tone = palette.skin(face_rng, attributes["Pale_Skin"])
    colour = palette.hair(face_rng, next((n for n in _HAIR_COLOURS if attributes[n]), None))
    hat = drawn.Hat(
        ("beanie", "cap", "brim")[face_rng.integers(3)],
        palette.anything(face_rng),
        palette.anything(face_rng),
    )
    glasses = drawn.Glasses(t.between(0, 1), t.between(2.5, 3.6), palette.anything(face_rng), t.between(0.0, 0.3))
    earrings = Jewel(int(face_rng.integers(3)), t.between(1.2, 1.5), palette.one_of(palette.METALS, face_rng, 12))
    necklace = Jewel(int(face_rng.integers(3)), t.between(1.2, 1.5), palette.one_of(palette.METALS, face_rng, 12))
    return FaceParameters(
        pose=pose,
        light=light,
        backdrop=backdrop,
        camera=camera,
        head=_head(t),
        skin=_skin(t, skin, tone),
        eyes=_eyes(t),
        brows=_brows(t),
        nose=drawn.Nose(
            width=t.by("Big_Nose", (18.5, 21), (10, 12)),
            tip_y=t.between(134, 136) + (2.5 if attributes["Big_Nose"] else 0),
            point=float(attributes["Pointy_Nose"]),
        ),
        mouth=_mouth(t, skin),
        hair=_hair(t, colour),
        beard=_beard(t, colour),
        clothes=_clothes(t),
        hat=hat if attributes["Wearing_Hat"] else None,
        glasses=glasses if attributes["Eyeglasses"] else None,
        earrings=earrings if attributes["Wearing_Earrings"] else None,
        necklace=necklace if attributes["Wearing_Necklace"] else None,
    )
