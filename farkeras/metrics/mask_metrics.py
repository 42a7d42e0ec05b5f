"""How well a model finds the facial regions: the overlap of its masks with the targets."""

import numpy as np

from farkeras.attributes import REGIONS


def evaluate_masks(overlaps: np.ndarray, num_images: int) -> dict:
    """Intersection over union of each region's mask, counted over the pixels of all images together.

    Args:
        overlaps: `[2, R]`: pixels in both and pixels in either of the predicted and the target mask, in the order of
            `REGIONS`.
        num_images: Number of images that were counted: those whose face was found.

    Returns:
        `{"mask_iou": {region: IoU in 0..1, or None for a region that is in neither}, "mean_mask_iou": their mean,
        "mask_images": num_images}`.
    """
    by_region = {
        region: float(both / either) if either else None
        for region, both, either in zip(REGIONS, *np.asarray(overlaps), strict=True)
    }
    known = [iou for iou in by_region.values() if iou is not None]
    mean = sum(known) / len(known) if known else None
    return {"mask_iou": by_region, "mean_mask_iou": mean, "mask_images": num_images}
