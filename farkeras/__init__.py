"""Face attribute recognition (FAR) with TensorFlow and Keras 3: FAR-AMTN and MGMTN, from data to device.

`import farkeras` is light: TensorFlow is loaded by the first name that needs it.
"""

__version__ = "0.1.0"
__all__ = ["FarkerasError", "__version__", "align_face", "align_faces", "load"]

from farkeras.errors import FarkerasError


def __getattr__(name: str):
    if name == "load":
        from farkeras.inference.recognizer import load

        return load
    if name in ("align_face", "align_faces"):
        from farkeras.photos import crops

        return getattr(crops, name)
    raise AttributeError(f"module 'farkeras' has no attribute {name!r}")
