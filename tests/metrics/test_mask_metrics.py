"""IoU of the regions from counted pixels."""

import numpy as np
import pytest

from farkeras.attributes import REGIONS
from farkeras.metrics.mask_metrics import evaluate_masks


def test_iou_by_hand():
    overlaps = np.array([[3, 0, 5, 0, 0, 0, 0, 0], [4, 2, 5, 0, 0, 0, 0, 0]])
    result = evaluate_masks(overlaps, 9)
    assert list(result["mask_iou"]) == list(REGIONS)
    assert list(result["mask_iou"].values()) == [0.75, 0.0, 1.0] + [None] * 5  # a region that is nowhere has none
    assert result["mean_mask_iou"] == pytest.approx(1.75 / 3)
    assert result["mask_images"] == 9


def test_no_region_anywhere():
    assert evaluate_masks(np.zeros((2, 8), int), 0)["mean_mask_iou"] is None
