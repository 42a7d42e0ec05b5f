from .attribute_metrics import evaluate_attributes as evaluate_attributes
from .convergence import convergence_steps as convergence_steps
from .history import read_history as read_history
from .mask_metrics import evaluate_masks as evaluate_masks
