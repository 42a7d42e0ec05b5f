"""Everything that is drawn, as numbers: one face is one `FaceParameters`.

Lengths are pixels of the aligned 178 x 218 frame, angles radians, colours RGB triples in 0..255, amounts 0..1
unless said otherwise. A thing that is not worn is None.
"""

from typing import NamedTuple

Colour = tuple[float, float, float]


class Pose(NamedTuple):
    """How the head stands and is built: yaw and pitch turn it, roll, scale and shift move it in the image.

    `widths` are factors of the width from forehead to jaw, `drops` move hairline, brows, nose, mouth and chin down.
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
    """A direction (unit vector; z towards the viewer, y down) and its share of the light."""

    x: float
    y: float
    z: float
    strength: float


class Backdrop(NamedTuple):
    """Two colours blended along an angle, with a texture of a given coarseness (cells across) and amount."""

    first: Colour
    second: Colour
    angle: float
    cells: int
    texture: float
    grain: float
    seed: int


class Camera(NamedTuple):
    """What the camera makes of the whole image: blur (sigma, pixels), noise (sigma, levels), exposure.

    `patches` is the depth of light and shadow that lie over everything, `cells` how many across.
    """

    blur: float
    noise: float
    gain: Colour
    contrast: float
    patches: float
    cells: int
    seed: int


class Head(NamedTuple):
    """The outline: half widths in pixels at temple, cheek and jaw; where the chin ends; how square it is."""

    temple: float
    cheek: float
    jaw: float
    chin: float
    chin_y: float
    neck: float
    double_chin: float


class Skin(NamedTuple):
    """The skin's colour and what lies on it; `wrinkles`, `bags`, `rosy`, `cheekbones` in 0..1."""

    colour: Colour
    wrinkles: float
    bags: float
    rosy: float
    cheekbones: float
    blemishes: int
    blotches: float


class Eyes(NamedTuple):
    """`size` scales the eye, `aperture` is its opening over its width; shadow and liner are make-up."""

    size: float
    aperture: float
    iris: Colour
    gaze: float
    shadow: Colour
    makeup: float
    lashes: float
    slant: float


class Brows(NamedTuple):
    """Thickness and arch in pixels; `skew` lifts one brow over the other."""

    thickness: float
    arch: float
    y: float
    darkness: float
    skew: float


class Nose(NamedTuple):
    """Half width at the wings, y of the tip, and how pointed (1) or round (0) the tip is."""

    width: float
    tip_y: float
    point: float


class Mouth(NamedTuple):
    """Half width, gap and lip thickness in pixels; `smile` lifts the corners by pixels, `skew` one of them."""

    width: float
    gap: float
    lips: float
    smile: float
    skew: float
    colour: Colour
    lipstick: float


class Hair(NamedTuple):
    """`length` is the y where it ends, `volume` pixels over the skull, `hairline` the y above the brow.

    `style` is "wavy", "straight" or "plain"; `bald` leaves it out.
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
    """Amounts of each form, 0 for none; `colour` of the hair."""

    stubble: float
    mustache: float
    goatee: float
    sideburns: float
    colour: Colour
    seed: int


class Hat(NamedTuple):
    """`kind` is "beanie", "cap" or "brim"."""

    kind: str
    colour: Colour
    band: Colour


class Glasses(NamedTuple):
    """`roundness` of the lenses 0..1, frame `width` in pixels, `tint` of the lenses 0..1."""

    roundness: float
    width: float
    colour: Colour
    tint: float


class Jewel(NamedTuple):
    """An earring or a necklace: `kind` 0, 1 or 2, its `size` in pixels and colour."""

    kind: int
    size: float
    colour: Colour


class Clothes(NamedTuple):
    """`kind` is "round", "vee" or "shirt"; a necktie is worn with a shirt, which is `closed` or shows the neck."""

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
