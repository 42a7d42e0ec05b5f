"""Places images and text on a Matplotlib figure, in inches from its left and lower edges."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def add_frame(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Adds axes for an image, without lines and labels; position and size in inches."""
    full_width, full_height = figure.get_size_inches()
    axes = figure.add_axes((left / full_width, bottom / full_height, width / full_width, height / full_height))
    axes.axis("off")
    return axes


def write(figure: Figure, left: float, bottom: float, text: str, **style: object) -> None:
    """Writes a line of text at a position in inches; the text is shown as it is, never parsed as a formula."""
    width, height = figure.get_size_inches()
    figure.text(left / width, bottom / height, text, style, parse_math=False)
