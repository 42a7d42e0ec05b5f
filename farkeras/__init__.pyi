from . import layers as layers
from . import losses as losses
from . import metrics as metrics
from . import models as models
from . import weighting as weighting
from .cli.training_report import ConsoleReport as ConsoleReport
from .config import Config as Config
from .data.check import check_data_set as check_data_set
from .data.keypoints import annotate_images as annotate_images
from .data.packing import pack_data_set as pack_data_set
from .data.sources.opening import open_source as open_source
from .data.sources.source import filled_splits as filled_splits
from .errors import FarkerasError as FarkerasError
from .exporters.reference import ParityImages as ParityImages
from .exporters.run import export_run as export_run
from .flagfiles import load_config as load_config
from .inference.folder import predict_folder as predict_folder
from .inference.recognizer import load as load
from .photos.crops import align_face as align_face
from .photos.crops import align_faces as align_faces
from .photos.crops import align_photos as align_photos
from .synthetic.generate import FaceSettings as FaceSettings
from .synthetic.generate import draw_faces as draw_faces
from .training.comparison import compare_models as compare_models
from .training.evaluation import evaluate_run as evaluate_run
from .training.run import train_and_evaluate as train_and_evaluate

__version__: str
