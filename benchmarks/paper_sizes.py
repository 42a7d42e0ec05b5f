"""Counts the trainable parameters of the models at paper size by building them: `python benchmarks/paper_sizes.py`.

The models have 40 attributes in K = 4, 8, 9 or 40 groups, on ResNet50 and ResNeSt50. 8 groups are mgmtn8, 9 are mcnn9,
40 are one for each attribute, and 4 are pairs of the groups of mgmtn8. The numbers go to benchmarks/paper_sizes.json,
from which docs/study.md is made. No data is read; the largest model takes about 5 GB of memory.

`--times` measures instead the time of a forward pass of 4 images relative to the bare backbone, for 8 groups on
ResNet50, and adds it to the file. All models take turns, so other load on the machine affects them alike.
"""

import json
import sys
from pathlib import Path
from typing import Any

import keras

from farkeras.attributes import Grouping, load_grouping
from farkeras.config import Config
from farkeras.files import write_text
from farkeras.models import MODELS
from farkeras.models.backbones import build_backbone
from farkeras.studies.running import forward_times, trainable_parameters

FILE = Path(__file__).with_name("paper_sizes.json")
SIZES = {"ResNet50": (224, 192), "ResNeSt50": (227, 227)}
"""Backbone -> size of its images, in our configurations of both papers."""

NETWORKS: dict[str, dict[str, Any]] = {
    "shared trunk": {"model": "shared_trunk"},
    "FAR-AMTN": {"model": "far_amtn"},
    "FAR-AMTN, private channels": {"model": "far_amtn", "private_channels": 192, "fusion": "none"},
    "MGMTN": {"model": "mgmtn"},
    "private blocks": {"model": "private_blocks"},
    "private conv5": {"model": "private_stage"},
}
"""Name in the tables -> the settings of the network."""


def grouping_of(number: int) -> Grouping:
    """Returns the 40 attributes in 4, 8, 9 or 40 groups."""
    eight = load_grouping("mgmtn8")
    if number == 40:
        return Grouping({name: (name,) for name in eight.attributes}, eight.attributes)
    if number == 4:
        members = list(eight.groups.values())
        return Grouping({f"group {i}": members[i] + members[i + 4] for i in range(4)}, eight.attributes)
    return load_grouping({8: "mgmtn8", 9: "mcnn9"}[number])


def build(name: str, backbone: str, number: int) -> keras.Model:
    """Returns one of the networks at paper size, with random weights."""
    settings = {"backbone_weights": "none", "mask_widths": (16, 32, 64, 128, 256), "mask_stride": 4, **NETWORKS[name]}
    config = Config(backbone=backbone, image_size=SIZES[backbone], **settings)
    return MODELS[config.model].from_settings(config, grouping_of(number))


def add_times() -> None:
    """Adds the forward times to the file."""
    counts = json.loads(FILE.read_text(encoding="utf-8"))
    models = {name: build(name, "ResNet50", 8) for name in NETWORKS}
    backbone = build_backbone("ResNet50", SIZES["ResNet50"])
    counts["ResNet50"]["forward_times"] = forward_times(backbone, models, batch_size=4, rounds=9)
    print(counts["ResNet50"]["forward_times"], file=sys.stderr)
    write_text(FILE, json.dumps(counts, indent=1) + "\n")


def main() -> None:
    if "--times" in sys.argv:
        add_times()
        return
    counts: dict[str, dict] = {}
    for backbone, size in SIZES.items():
        counts[backbone] = {"backbone": trainable_parameters(build_backbone(backbone, size)), "models": {}}
        for name in NETWORKS:
            counts[backbone]["models"][name] = by_groups = {}
            for number in (4, 8, 9, 40):
                keras.backend.clear_session()
                by_groups[str(number)] = trainable_parameters(build(name, backbone, number))
                print(f"{backbone}, {name}, K = {number}: {by_groups[str(number)]:,}", file=sys.stderr, flush=True)
    write_text(FILE, json.dumps(counts, indent=1) + "\n")


if __name__ == "__main__":
    main()
