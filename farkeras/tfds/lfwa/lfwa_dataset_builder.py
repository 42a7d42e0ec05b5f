"""`lfwa`: LFW's images with the 40 attributes of CelebA, read from the authors' files, which users place by hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets.public_api as tfds

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.procedural import is_procedural
from farkeras.data.sources.lfwa import LFWA
from farkeras.data.sources.splits import SPLITS
from farkeras.errors import FarkerasError


class Builder(tfds.core.GeneratorBasedBuilder):
    """LFWA with the splits of `farkeras.data.sources.lfwa.LFWA`. The images are stored byte for byte."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First version: image, file, person and 40 attributes."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    LFWA may be used for non-commercial research only. Download the files from
    https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html (LFWA) and place them in one folder, the manual_dir:

    - lfw_att_40.mat
    - indices_train_test.mat
    - the images, as the folder lfw/ (lfw/Person/Person_0001.jpg) or as lfw.zip.

    If Google Drive returns a web page instead of a file because a quota is exceeded, try again on another day, or in a
    browser in which you are signed in.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(250, 250, 3), encoding_format="jpeg"),
                    "file": tfds.features.Text(),
                    "person": tfds.features.Text(),
                    "attributes": {name: np.bool_ for name in CELEBA_ATTRIBUTES},
                }
            ),
            homepage="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        folder = dl_manager.manual_dir
        if is_procedural(folder):
            raise FarkerasError(
                f"{folder} holds procedural faces, which TFDS could not distinguish from LFWA; expected the files of "
                f"LFWA. Read procedural faces with `source=lfwa`, `data_dir={folder}`"
            )
        source = LFWA(folder)
        return {name: self._generate_examples(source, name) for name in SPLITS}

    def _generate_examples(self, source: LFWA, split: str) -> Iterator[tuple[str, dict]]:
        examples = source.split(split)
        for path, labels in zip(map(Path, examples.paths), examples.labels, strict=True):
            file = f"{path.parent.name}/{path.name}"
            attributes = dict(zip(CELEBA_ATTRIBUTES, (labels == 1).tolist(), strict=True))
            yield file, {"image": path, "file": file, "person": path.parent.name, "attributes": attributes}
