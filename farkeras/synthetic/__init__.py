"""Procedural faces with known attributes and landmarks, in the frame of aligned CelebA.

They are drawings, not photographs: they exercise loaders, training, and export with data of the right form whose labels
are true. A result on them says nothing about CelebA, LFWA or about people.
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
