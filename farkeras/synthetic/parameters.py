"""Parameters of everything that is drawn; a face is a `FaceParameters`.

Unless stated otherwise, lengths are in pixels of the aligned 178 x 218 frame, angles in radians, colours RGB triples in
0..255, and amounts in 0..1. An accessory that is not worn is None.
"""

from typing import NamedTuple

Colour = tuple[float, float, float]


class Pose(NamedTuple):
    """Pose and build of the head: `yaw` and `pitch` turn it; `roll`, `scale`, `dx` and `dy` move it in the image.

    `widths` are factors of the width at forehead, eyes and jaw. `drops` move top, hairline, brows, eyes (two values),
    nose, mouth and chin down.
    """

    yaw: float
    pitch: float
    roll: float
    scale: float
    dx: float
    dy: float
    widths: tuple[float, ...]
    drops: tuple[float, ...]


class Light(NamedTuple):
    """The direction of the light (unit vector; z towards the viewer, y down), and the share of light that has it."""

    x: float
    y: float
    z: float
    strength: float


class Backdrop(NamedTuple):
    """Background: two colours blended along `angle`, under a texture with `cells` bumps across, and grain.

    `texture` and `grain` are amounts in levels of 0..255.
    """

    first: Colour
    second: Colour
    angle: float
    cells: int
    texture: float
    grain: float
    seed: int


class Camera(NamedTuple):
    """Effects of the camera on the whole image: blur (sigma in pixels), noise (sigma in levels) and exposure.

    `gain` is a factor per channel. `patches` is the strength of light and dark patches over the image, `cells` their
    number across.
    """

    blur: float
    noise: float
    gain: Colour
    contrast: float
    patches: float
    cells: int
    seed: int


class Head(NamedTuple):
    """Outline of the head: half widths at temple, cheek, jaw, chin and neck; `chin_y` is the y of the chin's end."""

    temple: float
    cheek: float
    jaw: float
    chin: float
    chin_y: float
    neck: float
    double_chin: float


class Skin(NamedTuple):
    """Colour of the skin, its tone from 0 (light) to 1 (dark), and amounts of its features; `blemishes` are spots."""

    colour: Colour
    tone: float
    wrinkles: float
    bags: float
    rosy: float
    cheekbones: float
    blemishes: int
    blotches: float


class Eyes(NamedTuple):
    """Eyes: `size` is a factor, `aperture` the opening divided by the width, `gaze` a shift of the irises in pixels.

    `shadow` is the colour of the eye shadow; `makeup` is the amount of shadow and liner.
    """

    size: float
    aperture: float
    iris: Colour
    gaze: float
    shadow: Colour
    makeup: float
    lashes: float
    slant: float


class Brows(NamedTuple):
    """Eyebrows: `thickness` and `arch` in pixels; `skew` is the difference in height of the two brows."""

    thickness: float
    arch: float
    y: float
    darkness: float
    skew: float


class Nose(NamedTuple):
    """Nose: half width at the wings, y of the tip, and a tip that is pointed (`point` = 1) or round (0)."""

    width: float
    tip_y: float
    point: float


class Mouth(NamedTuple):
    """Mouth: half width, gap and lip thickness; `smile` lifts both corners, `skew` is their difference in height."""

    width: float
    gap: float
    lips: float
    smile: float
    skew: float
    colour: Colour
    lipstick: float


class Hair(NamedTuple):
    """Hair: `length` is the y of its end, `volume` its height over the skull, `hairline` the y of the hairline.

    `style` is "wavy", "straight" or "plain". A `bald` head has no hair.
    """

    bald: bool
    colour: Colour
    length: float
    volume: float
    hairline: float
    receding: float
    bangs: bool
    bangs_y: float
    style: str
    part: float
    seed: int


class Beard(NamedTuple):
    """Beard: the amount of each form, 0 for none, and the colour of the hair."""

    stubble: float
    mustache: float
    goatee: float
    sideburns: float
    colour: Colour
    seed: int


class Hat(NamedTuple):
    """Hat: `kind` is "beanie", "cap" or "brim"."""

    kind: str
    colour: Colour
    band: Colour


class Glasses(NamedTuple):
    """Eyeglasses: roundness and tint of the lenses in 0..1, and `width` of the frame's lines in pixels."""

    roundness: float
    width: float
    colour: Colour
    tint: float


class Jewel(NamedTuple):
    """An earring or a necklace: `kind` is 0, 1 or 2, `size` a factor."""

    kind: int
    size: float
    colour: Colour


class Clothes(NamedTuple):
    """Clothes: `kind` is "round", "vee" or "shirt". A shirt is `closed` or shows the neck; a necktie needs a shirt."""

    kind: str
    colour: Colour
    shirt: Colour
    tie: Colour | None
    closed: bool
    stripes: float


class FaceParameters(NamedTuple):
    """One face in its scene."""

    pose: Pose
    light: Light
    backdrop: Backdrop
    camera: Camera
    head: Head
    skin: Skin
    eyes: Eyes
    brows: Brows
    nose: Nose
    mouth: Mouth
    hair: Hair
    beard: Beard
    clothes: Clothes
    hat: Hat | None
    glasses: Glasses | None
    earrings: Jewel | None
    necklace: Jewel | None
