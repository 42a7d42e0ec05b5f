"""The papers' modules as Keras layers, on any Keras backend."""

from farkeras.layers.cgff import CGFF
from farkeras.layers.wsgsa import WSGSA

__all__ = ["CGFF", "WSGSA"]
