"""Draws the diagrams of the documentation: `python docs/pictures/draw.py` writes the SVG files next to this script.

Shapes and parameter counts are those of `configs/celeba.flags` and `configs/celeba_mgmtn.flags`, as counted from the
models (docs/papers.md names the tests). Text is at least 21 units high in a width of 900, so that a picture stays
legible when a phone scales it to its screen.
"""

from html import escape
from pathlib import Path

WIDTH, LEFT, RIGHT, CENTRE = 900, 28, 872, 450
SIZE, SMALL, LINE = 24, 21, 31  # font sizes and the distance of two lines

# Fill and stroke; blue and orange differ for all kinds of colour vision.
SHARED, GROUP, PLAIN = ("#dcebf7", "#0072b2"), ("#fde6cf", "#c2570c"), ("#ffffff", "#57606a")
INK, CARD, FRAME = "#1b1f24", "#ffffff", "#d0d7de"

HEADS = "Hair 10, Eyes 5, Nose 2, Cheeks 2, Mouth 4, Ear 2, Lower_Face 5, Object 10".split(", ")


class Picture:
    """An SVG file: a light card with boxes, arrows and text. Coordinates are in units of the view box."""

    def __init__(self, title: str, description: str) -> None:
        self.title, self.description = title, description
        self.parts: list[str] = []

    def text(
        self, x: float, y: float, line: str, size: int = SMALL, anchor: str = "middle", bold: bool = False
    ) -> None:
        """Writes one line with its baseline at `y`; `_x` in it is a subscript of one letter."""
        head, *tails = line.split("_") if "Lower_Face" not in line and "check_data" not in line else [line]
        spans = escape(head)
        for tail in tails:
            spans += f'<tspan dy="5" font-size="17">{escape(tail[0])}</tspan><tspan dy="-5">{escape(tail[1:])}</tspan>'
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}"{weight}>{spans}</text>')

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        lines: list[str],
        colors: tuple[str, str] = PLAIN,
        ours: bool = False,
        copies: int = 1,
    ) -> None:
        """Draws a box with centred lines, the first one larger; a dashed border means our formulation."""
        fill, stroke = colors
        dash = ' stroke-dasharray="9 6"' if ours else ""
        for copy in reversed(range(copies)):
            self.parts.append(
                f'<rect x="{x + 8 * copy}" y="{y - 8 * copy}" width="{width}" height="{height}" rx="10" fill="{fill}" '
                f'stroke="{stroke}" stroke-width="2.5"{dash}/>'
            )
        top = y + (height - LINE * len(lines)) / 2 + 23
        for i, line in enumerate(lines):
            self.text(x + width / 2, top + LINE * i, line, SMALL if i else SIZE, bold=not i)

    def frame(self, y: float, height: float, title: str, x: float = LEFT, width: float = RIGHT - LEFT) -> None:
        """Draws the border of a part of the architecture, with its name at the upper left."""
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="14" fill="#f6f8fa" stroke="#8c959f" '
            'stroke-width="1.5"/>'
        )
        self.text(x + 16, y + 33, title, SIZE, "start", bold=True)

    def arrow(self, *points: tuple[float, float], label: str = "", side: str = "start") -> None:
        """Draws a line through points with a head at the last; the label is next to its last piece."""
        path = " ".join(f"{x},{y}" for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{INK}" stroke-width="2.5" marker-end="url(#head)"/>'
        )
        if label:
            (_, y0), (x, y1) = points[-2:]
            self.text(x + (12 if side == "start" else -12), (y0 + y1) / 2 + 6, label, anchor=side)

    def line(self, *points: tuple[float, float]) -> None:
        """Draws a line without a head."""
        path = " ".join(f"{x},{y}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{INK}" stroke-width="2.5"/>')

    def heads(self, y: float, title: str) -> None:
        """Draws the eight heads in two rows, which take 186 units."""
        self.frame(y, 186, title)
        for i, head in enumerate(HEADS):
            self.box(LEFT + 16 + 205 * (i % 4), y + 50 + 64 * (i // 4), 197, 52, [head], GROUP)

    def legend(self, y: float) -> None:
        """Explains colours and borders in a legend, which takes 84 units."""
        entries = [
            (SHARED, False, "weights shared by all groups"),
            (GROUP, False, "weights of one group or region"),
            (PLAIN, False, "solid border: published"),
            (PLAIN, True, "dashed border: our formulation"),
        ]
        for i, (colors, ours, meaning) in enumerate(entries):
            x, row = LEFT + 14 + 420 * (i % 2), y + 42 * (i // 2)
            self.box(x, row, 44, 28, [], colors, ours)
            self.text(x + 58, row + 22, meaning, anchor="start")

    def write(self, name: str, height: float) -> None:
        """Writes the picture to a file next to this script."""
        body = "\n".join(self.parts)
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'role="img" aria-labelledby="title description" fill="{INK}" '
            "font-family=\"Roboto, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif\">\n"
            f'<title id="title">{escape(self.title)}</title>\n'
            f'<desc id="description">{escape(self.description)}</desc>\n'
            '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0,0 L10,5 L0,10 z" fill="{INK}"/></marker></defs>\n'
            f'<rect x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" rx="20" fill="{CARD}" stroke="{FRAME}" '
            f'stroke-width="2"/>\n{body}\n</svg>\n'
        )
        Path(__file__).with_name(name).write_text(svg, encoding="utf-8")


def far_amtn() -> None:
    """Draws FAR-AMTN with the settings of `configs/celeba.flags`."""
    picture = Picture(
        "FAR-AMTN as farkeras builds it",
        "An image of 224 x 192 pixels passes through ResNet50 up to the second block of conv5, which gives the map X "
        "of 7 x 6 x 2048. WSGSA computes eight gates, one per attribute group, from the mean of X, and multiplies the "
        "pooled output of the shared last block f with each. CGFF, our formulation, lets the eight group vectors "
        "exchange features. Eight linear heads give 40 logits. In training, DWS, our formulation, weights the losses.",
    )
    picture.box(CENTRE - 200, 28, 400, 84, ["Image, 224 × 192 × 3", "input size: ours"], ours=True)
    picture.arrow((CENTRE, 112), (CENTRE, 144))
    picture.frame(144, 206, "Trunk: ResNet50 to conv5, block 2 (19,068,928 parameters)")
    stages = [
        ["conv1", "7 × 7", "112 × 96", "× 64"],
        ["conv2", "3 blocks", "56 × 48", "× 256"],
        ["conv3", "4 blocks", "28 × 24", "× 512"],
        ["conv4", "6 blocks", "14 × 12", "× 1024"],
        ["conv5", "blocks 1, 2", "7 × 6", "× 2048"],
    ]
    for i, lines in enumerate(stages):
        x = LEFT + 14 + 167 * i
        picture.box(x, 196, 146, 138, lines, SHARED)
        if i:
            picture.arrow((x - 21, 265), (x, 265))

    left, right = 238, 662
    picture.frame(392, 414, "WSGSA")
    picture.line((CENTRE, 350), (CENTRE, 442))
    picture.text(CENTRE + 12, 378, "X: 7 × 6 × 2048", anchor="start")
    picture.arrow((CENTRE, 442), (left, 442), (left, 464))
    picture.arrow((CENTRE, 442), (right, 442), (right, 464))
    picture.box(left - 150, 464, 300, 48, ["Mean over H, W"])
    picture.arrow((left, 512), (left, 562), label="Z: 2048")
    gates = ["8 gates: σ(W₂ relu(W₁ Z))", "2048 → 128 → 2048", "526,464 parameters each"]
    picture.box(left - 190, 578, 370, 114, gates, GROUP, copies=3)
    block = ["f: conv5, block 3", "convolutions; shortcut: ours", "4,465,664 parameters"]
    picture.box(right - 190, 464, 380, 110, block, SHARED)
    picture.arrow((right, 574), (right, 616), label="7 × 6 × 2048")
    picture.box(right - 190, 616, 380, 76, ["Mean over H, W", "exact fold: before the gates"], ours=True)
    picture.box(CENTRE - 130, 738, 260, 50, ["Multiply"])
    picture.arrow((left, 692), (left, 763), (CENTRE - 130, 763))
    picture.text(left - 12, 738, "Ψ: 8 × 2048", anchor="end")
    picture.arrow((right, 692), (right, 763), (CENTRE + 130, 763))
    picture.text(right + 12, 738, "2048", anchor="start")

    picture.arrow((CENTRE, 788), (CENTRE, 860))
    picture.text(CENTRE + 12, 838, "G: 8 × 2048", anchor="start")
    fusion = [
        "CGFF: G′ = G + γ A G",
        "A = softmax of the groups’ affinities, 8 × 8",
        "524,289 parameters; formula: ours",
    ]
    picture.box(CENTRE - 280, 860, 560, 114, fusion, SHARED, ours=True)
    picture.arrow((CENTRE, 974), (CENTRE, 1018), label="G′: 8 × 2048")
    picture.heads(1018, "8 linear heads (members of the groups: ours)")
    picture.arrow((CENTRE, 1204), (CENTRE, 1236))
    picture.box(CENTRE - 190, 1236, 380, 50, ["40 logits"])
    picture.arrow((CENTRE, 1286), (CENTRE, 1330), label="training only")
    loss = ["Loss: Σ w_g n_g L_g / Σ n_g", "DWS sets the weight w_g of each group’s loss L_g; formula: ours"]
    picture.box(CENTRE - 380, 1330, 760, 84, loss, ours=True)
    picture.legend(1440)
    picture.write("far_amtn.svg", 1528)


def mgmtn() -> None:
    """Draws MGMTN with the settings of `configs/celeba_mgmtn.flags`."""
    picture = Picture(
        "MGMTN as farkeras builds it",
        "An image of 227 x 227 pixels goes to two networks. AML, a UNet, predicts one mask of 57 x 57 for each of "
        "eight facial regions. ResNeSt50 gives feature maps at strides 8, 16 and 32. G2FF, our formulation, pools each "
        "map through each group's mask, adds the global feature through a gate, and gives eight vectors of 256 to "
        "eight linear heads. In training, 478 MediaPipe landmarks become the masks that AML learns.",
    )
    left, right, bus = 233, 686, 470
    picture.box(CENTRE - 190, 28, 380, 52, ["Image, 227 × 227 × 3"])
    picture.arrow((CENTRE, 80), (CENTRE, 106), (left, 106), (left, 136))
    picture.arrow((CENTRE, 80), (CENTRE, 106), (right, 106), (right, 136))

    picture.frame(136, 480, "AML: UNet (1,357,528)", width=410)
    levels = ["Stem: 57 × 57 × 32", "57 × 57 × 64", "29 × 29 × 128", "15 × 15 × 256"]
    for i, level in enumerate(levels):
        y = 186 + 74 * i
        picture.box(LEFT + 16 + 24 * i, y, 378 - 48 * i, 48, [level], SHARED, ours=True)
        if i:
            picture.arrow((left - 50, y - 26), (left - 50, y))
        if i > 1:
            picture.arrow((left + 50, y), (left + 50, y - 26))
    picture.arrow((388, 308), (388, 494))
    picture.box(
        LEFT + 16, 494, 378, 106, ["8 heads, one per region", "1 × 1 convolution, sigmoid", "520 parameters"], GROUP
    )

    picture.frame(136, 480, "ResNeSt50 (25,434,240)", x=500, width=372)
    stages = [
        "Stem: 57 × 57 × 64",
        "Stage 1: 57 × 57 × 256",
        "F₃: 29 × 29 × 512",
        "F₄: 15 × 15 × 1024",
        "F₅: 8 × 8 × 2048",
    ]
    for i, stage in enumerate(stages):
        y = 186 + 87 * i
        picture.box(516, y, 340, 62, [stage], SHARED)
        if i:
            picture.arrow((right, y - 25), (right, y))
        if i > 1:
            picture.line((516, y + 31), (bus, y + 31))

    picture.frame(704, 424, "G2FF")
    picture.arrow((left, 600), (left, 758))
    for i, (before, after) in enumerate([("no gradient", "masks P:"), ("by default", "57 × 57 × 8")]):
        picture.text(left - 12, 650 + 28 * i, before, anchor="end")
        picture.text(left + 12, 650 + 28 * i, after, anchor="start")
    picture.arrow((bus, 391), (bus, 758))
    picture.arrow((right, 596), (right, 758))
    pooling = ["Pool F₃, F₄, F₅ in each mask", "Σ P F / (Σ P + 1), and the area of P", "8 × (512 + 1024 + 2048 + 1)"]
    picture.box(LEFT + 16, 758, 452, 108, pooling, ours=True)
    picture.box(516, 758, 340, 108, ["Mean over H, W", "of F₅: 2048"], ours=True)
    for x in (270, right):
        picture.arrow((x, 866), (x, 902))
        picture.arrow((x, 958), (x, 996))
    picture.box(LEFT + 16, 902, 452, 56, ["Group: 3585 → 256"], SHARED, ours=True)
    picture.box(516, 902, 340, 56, ["Global: 2048 → 256"], SHARED, ours=True)
    fusion = [
        "fused = group + u · global",
        "u = σ(W [group ; global]), for each of the 8 groups",
        "G2FF has 1,573,888 parameters; formula: ours",
    ]
    picture.box(LEFT + 16, 996, 812, 116, fusion, SHARED, ours=True)
    picture.arrow((CENTRE, 1112), (CENTRE, 1200))
    picture.text(CENTRE + 12, 1184, "8 × 256", anchor="start")
    picture.heads(1200, "8 linear heads (members of the groups: ours)")
    picture.arrow((CENTRE, 1386), (CENTRE, 1418))
    picture.box(CENTRE - 190, 1418, 380, 50, ["40 logits"])
    picture.arrow((CENTRE, 1468), (CENTRE, 1512), label="training only")
    loss = [
        "Loss: attributes (as FAR-AMTN) + masks",
        "masks: cross-entropy (published) + Dice (ours)",
        "targets: 8 region masks from 478 MediaPipe landmarks (ours)",
    ]
    picture.arrow((LEFT + 16, 547), (14, 547), (14, 1567), (CENTRE - 380, 1567))
    picture.box(CENTRE - 380, 1512, 760, 110, loss, ours=True)
    picture.legend(1648)
    picture.write("mgmtn.svg", 1736)


def pipeline() -> None:
    """Draws the way from files to a device."""
    picture = Picture(
        "From files to a device with farkeras",
        "Data sources are checked, a model is trained, and its run is evaluated, used for prediction and exported to "
        "SavedModel, ONNX and LiteRT, each compared with the Keras model, and served to clients or run on a device.",
    )
    picture.frame(28, 146, "Data sources")
    sources = [["CelebA"], ["LFWA"], ["Table", "CSV, Parquet"], ["TFDS"], ["Packed", "large files"]]
    for i, lines in enumerate(sources):
        picture.box(LEFT + 14 + 165 * i, 76, 156, 82, lines)
    picture.arrow((CENTRE, 174), (CENTRE, 208))
    check = ["farkeras check_data", "undecodable or missing images, contradicting labels"]
    picture.box(LEFT, 208, 844, 88, check, SHARED)
    picture.arrow((CENTRE, 296), (CENTRE, 330))
    train = [
        "farkeras train",
        "FAR-AMTN or MGMTN: loss weights by DWS, checkpoints, exact resume",
        "for MGMTN, farkeras annotate finds the keypoints first",
    ]
    picture.box(LEFT, 330, 844, 118, train, SHARED)
    columns = [LEFT + 134, CENTRE, RIGHT - 134]
    uses = [
        ("farkeras evaluate", "metrics, report"),
        ("farkeras predict", "photographs"),
        ("Export", "with a parity check"),
    ]
    for x, use in zip(columns, uses, strict=True):
        picture.arrow((x, 448), (x, 500), label="workdir")
        picture.box(x - 134, 500, 268, 88, list(use), SHARED)
    artifacts = [
        ("SavedModel", "TF Serving", "or farkeras serve", "gRPC, REST clients"),
        ("ONNX", "ONNX Runtime", "servers, desktops"),
        ("LiteRT", "Phones, devices", "float32 to int8"),
    ]
    picture.line((columns[2], 588), (columns[2], 622), (columns[0], 622))
    for x, (artifact, *lines) in zip(columns, artifacts, strict=True):
        picture.arrow((x, 622), (x, 654))
        picture.box(x - 134, 654, 268, 54, [artifact], GROUP)
        picture.arrow((x, 708), (x, 742))
        picture.box(x - 134, 742, 268, 114, lines)
    for i, (colors, meaning) in enumerate([(SHARED, "command"), (GROUP, "artifact"), (PLAIN, "input or use")]):
        picture.box(LEFT + 14 + 290 * i, 884, 44, 28, [], colors)
        picture.text(LEFT + 72 + 290 * i, 906, meaning, anchor="start")
    picture.write("pipeline.svg", 936)


if __name__ == "__main__":
    far_amtn()
    mgmtn()
    pipeline()
