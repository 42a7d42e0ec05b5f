"""Images and words on a Matplotlib figure, at places in inches from its left and lower edges."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def add_frame(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes for an image, without lines and labels."""
    full_width, full_height = figure.get_size_inches()
    axes = figure.add_axes((left / full_width, bottom / full_height, width / full_width, height / full_height))
    axes.axis("off")
    return axes


def write(figure: Figure, left: float, bottom: float, text: str, **style: object) -> None:
    """A line of text; it is shown as it is, never read as a formula."""
    width, height = figure.get_size_inches()
    figure.text(left / width, bottom / height, text, style, parse_math=False)
