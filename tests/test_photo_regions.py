"""Masks learned from drawn faces lie where a photograph's eyes, nose and mouth are, by MediaPipe's points."""

import numpy as np
import pytest

import farkeras
from farkeras.data.keypoints import annotate
from farkeras.data.sources import open_source
from farkeras.training.loop import train_and_evaluate
from tests.region_centres import mesh_centre, region_centre
from tests.training.small_run import small_config

SETTINGS = {
    "model": "mgmtn",
    "image_size": (112, 96),
    "mask_widths": (8, 16, 24, 32),
    "mask_stride": 4,
    "fusion_width": 16,
    # Some 600 steps of the mask network alone, then one of the rest.
    "mask_epochs": 50.0,
    "epochs": 0.1,
    "learning_rate": 1e-2,
    "augment_shift": 0.2,
    "augment_scale": 0.2,
    "augment_brightness": 0.2,
    "augment_contrast": 0.2,
    "augment_saturation": 0.5,
    "steps_per_loop": 50,
    "eval_every_epochs": 100.0,
}


def test_regions_of_a_photograph(faces_dir, tmp_path):
    pytest.importorskip("mediapipe")
    photo = pytest.importorskip("skimage.data").astronaut()
    folder = tmp_path / "faces"
    folder.mkdir()
    for path in faces_dir.iterdir():
        (folder / path.name).symlink_to(path)
    source = open_source("celeba", str(folder))
    annotate(folder, np.concatenate([source.split(name).paths for name in ("train", "validation", "test")]), workers=2)

    run = train_and_evaluate(small_config(folder, **SETTINGS), tmp_path / "run")
    assert run.metrics.read()[-1]["validation"]["mean_mask_iou"] > 0.7

    recognizer = farkeras.load(tmp_path / "run")
    (prediction,) = recognizer.predict_each(photo, regions=True)
    points = recognizer._aligner.landmarks(photo)
    eye_distance = np.hypot(*(points[468] - points[473]))
    for region in ("Eyes", "Nose", "Mouth"):
        away = np.hypot(*(region_centre(prediction.regions, region) - mesh_centre(points, region)))
        assert away < 0.25 * eye_distance, region
