"""Metrics of predicted masks: their overlap with the target masks of the facial regions."""

import numpy as np

from farkeras.attributes import REGIONS


def evaluate_masks(overlaps: np.ndarray, num_images: int) -> dict:
    """Computes the intersection over union (IoU) of each region's mask, over the pixels of all images together.

    Args:
        overlaps: `[2, R]`: the number of pixels in the intersection and in the union of the predicted and the target
            mask, with regions in the order of `farkeras.attributes.REGIONS`.
        num_images: The number of images that were counted, those in which a face was found.

    Returns:
        A dict with `mask_iou` (region -> IoU in 0..1, or None for a region without any pixel), `mean_mask_iou` (the
        mean of the defined values, or None) and `mask_images` (`num_images`).
    """
    by_region = {
        region: float(both / either) if either else None
        for region, both, either in zip(REGIONS, *np.asarray(overlaps), strict=True)
    }
    known = [iou for iou in by_region.values() if iou is not None]
    mean = sum(known) / len(known) if known else None
    return {"mask_iou": by_region, "mean_mask_iou": mean, "mask_images": num_images}
