"""The modules of FAR-AMTN and MGMTN as Keras layers, and two beside them, for any Keras backend."""

from farkeras.layers.aml import AML
from farkeras.layers.cgff import CGFF
from farkeras.layers.cross_stitch import CrossStitch
from farkeras.layers.g2ff import G2FF
from farkeras.layers.private_channels import PrivateChannels
from farkeras.layers.wsgsa import WSGSA

__all__ = ["AML", "CGFF", "G2FF", "WSGSA", "CrossStitch", "PrivateChannels"]
