"""How near a model's masks lie to the regions of a photograph: `python benchmarks/photo_regions.py WORKDIR PHOTO`.

For the model that `make demo-mgmtn` leaves: `python benchmarks/photo_regions.py runs/demo_mgmtn data/astronaut.png`.
It learned the regions from drawings, so what it finds in a photograph depends on details of its training, and differs
between processors; this is a figure to look at, not to test.
"""

import argparse

import numpy as np

import farkeras
from farkeras.photos.landmarks import EYES, find_face
from farkeras.photos.reader import read_photo
from farkeras.report.region_centres import MESH_POINTS, mesh_centre, region_centre


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", help="folder of a run with masks")
    parser.add_argument("photo", help="image file with a face")
    options = parser.parse_args()
    photo = read_photo(options.photo)
    face = find_face(photo)
    (prediction,) = farkeras.load(options.workdir).predict_each(photo, regions=True)
    eye_distance = np.hypot(*np.subtract(*face[list(EYES)]))
    print("Distance of each region's centre, by the masks and by the landmarks, in eye distances:")
    for region in MESH_POINTS:
        apart = np.hypot(*(region_centre(prediction.regions, region) - mesh_centre(face, region)))
        print(f"  {region:6}{apart / eye_distance:5.2f}")


if __name__ == "__main__":
    main()
