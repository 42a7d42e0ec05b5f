"""Procedural faces with known attributes and landmarks, in the frame of aligned CelebA.

The faces are drawn, not photographed. They exercise loaders, training and export with data in the right format and with
correct labels. Results on them say nothing about CelebA, LFWA or people.
"""

from farkeras.synthetic.canvas import HEIGHT, WIDTH
from farkeras.synthetic.drawing import draw, render
from farkeras.synthetic.frequencies import sample_attributes
from farkeras.synthetic.parameters import FaceParameters
from farkeras.synthetic.traits import sample_parameters

__all__ = [
    "HEIGHT",
    "WIDTH",
    "FaceParameters",
    "draw",
    "render",
    "sample_attributes",
    "sample_parameters",
]
