"""Two small models with different answers."""

from pathlib import Path

import keras

from farkeras.attributes import Grouping
from farkeras.data.preprocessing import Preprocessing
from farkeras.exporters.saved_model import write_saved_model
from farkeras.models import FARAMTN
from farkeras.models.model_file import ModelMetadata, save_model

_GROUPING = Grouping({"first": ("a", "b"), "second": ("c",)}, ("a", "b", "c"))
_PREPROCESSING = Preprocessing((64, 56))


def export_small_models(folder: Path) -> list[Path]:
    """Exports two small FAR-AMTN networks with random weights.

    Returns:
        Folders of the exported versions.
    """
    exports = []
    for seed in (0, 1):
        keras.utils.set_random_seed(seed)
        model = FARAMTN(_GROUPING, "ResNetTiny", _PREPROCESSING.image_size, backbone_alpha=0.25)
        for head in model.heads:  # otherwise every probability would be about 1/2
            kernel = model.get_layer(head).kernel
            kernel.assign(100.0 * kernel)
        save_model(model, ModelMetadata(_GROUPING, _PREPROCESSING), folder / f"{seed}.keras")
        exports.append(write_saved_model(folder / f"{seed}.keras", folder / f"export_{seed}").path)
    return exports
