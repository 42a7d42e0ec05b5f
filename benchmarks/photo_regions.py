"""Measures how close a model's masks are to face regions: `python benchmarks/photo_regions.py WORKDIR PHOTO`.

For the model of `make demo-mgmtn`, run `python benchmarks/photo_regions.py runs/demo_mgmtn data/astronaut.png`. That
model learned the regions from procedural faces, so its masks on a photograph depend on details of the training and
differ between processors. No test checks these distances.
"""

import argparse

import numpy as np

import farkeras
from farkeras.photos.landmarks import EYES, find_face
from farkeras.photos.reader import read_photo
from farkeras.report.region_centres import MESH_POINTS, mesh_centre, region_centre


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", help="workdir of a run with masks (MGMTN)")
    parser.add_argument("photo", help="photograph with a face")
    options = parser.parse_args()
    photo = read_photo(options.photo)
    face = find_face(photo)
    (prediction,) = farkeras.load(options.workdir).predict_each(photo, regions=True)
    eye_distance = np.hypot(*np.subtract(*face[list(EYES)]))
    print("Distance between the centre of each region in the masks and in the landmarks, in eye distances:")
    for region in MESH_POINTS:
        apart = np.hypot(*(region_centre(prediction.regions, region) - mesh_centre(face, region)))
        print(f"  {region:6}{apart / eye_distance:5.2f}")


if __name__ == "__main__":
    main()
