"""The input pipeline of a flagfile beside a loop that only reads and decodes the same files."""

import farkeras
from farkeras.data.throughput import BARE, WHOLE, measure_throughput
from farkeras.training.building import open_data


def measure(flagfile: str, data_dir: str, rounds: int, num_images: int) -> dict[str, list[float]]:
    """Returns the seconds per image of the `bare` loop and of the `whole` pipeline in each round.

    Args:
        flagfile: The settings.
        data_dir: Folder of the data set.
        rounds: Number of rounds.
        num_images: Number of images in a round.
    """
    config = farkeras.load_config(flagfile, data_dir=data_dir, backbone_weights="none")
    data = open_data(config)
    rates = measure_throughput(data.train, data.preprocessing, data.augmentation, num_images=num_images, rounds=rounds)
    return {
        name: [1 / rate.images_per_second for rate in rates[pipeline]]
        for name, pipeline in (("bare", BARE), ("whole", WHOLE))
    }
