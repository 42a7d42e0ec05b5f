"""The server of the demo page in tests, and what it is sent."""

import json
import urllib.error
import urllib.request

import keras

from farkeras.attributes import Grouping
from farkeras.data.preprocessing import Preprocessing
from farkeras.decisions import Calibration
from farkeras.exporters.saved_model import write_saved_model
from farkeras.models import MGMTN
from farkeras.models.model_file import ModelMetadata, save_model
from farkeras.serving.answers import Answers
from farkeras.serving.configuration import one_model
from farkeras.serving.gate import Gate
from farkeras.serving.http_server import HttpServer
from farkeras.serving.loaded import ModelSettings
from farkeras.serving.metrics import Metrics
from farkeras.serving.models import Models
from farkeras.serving.rest import Rest

GROUPING = Grouping({"Mouth": ("Smile", "Open_Mouth"), "Own": ("<b>Hat</b>",)}, ("<b>Hat</b>", "Open_Mouth", "Smile"))
PREPROCESSING = Preprocessing((64, 48), (0.1, 0.0, 0.9, 1.0))
CALIBRATION = Calibration(
    dict.fromkeys(GROUPING.attributes, 1.5),
    dict.fromkeys(GROUPING.attributes, 0.5),
    {"<b>Hat</b>": 0.0001, "Open_Mouth": 0.9999, "Smile": 0.25},
)


def write_export(folder):
    """Writes a model with masks; returns the folder of its versions."""
    keras.utils.set_random_seed(0)
    size = PREPROCESSING.image_size
    model = MGMTN(GROUPING, "ResNetTiny", size, backbone_alpha=0.25, mask_widths=(8, 8), mask_stride=2, fusion_width=8)
    metadata = ModelMetadata(GROUPING, PREPROCESSING, procedural=True, calibration=CALIBRATION)
    save_model(model, metadata, folder / "model.keras")
    write_saved_model(folder, folder / "export")
    return folder / "export"


def serve(folder):
    """Starts a server, which the caller stops."""
    metrics = Metrics()
    models = Models([one_model("faces", folder)], ModelSettings(), metrics, poll_seconds=60)
    server = HttpServer(Rest(Answers(models, metrics), metrics, Gate(2)), "127.0.0.1", 0)
    server.start()
    return server


def post(url, kind, content):
    """Sends a request of the page, GET without content; returns the status and the answer."""
    try:
        with urllib.request.urlopen(f"{url}/demo/{kind}", content, timeout=30) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
