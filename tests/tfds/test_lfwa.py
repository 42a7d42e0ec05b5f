"""TFDS's own test of the builder `lfwa`, and what it does beside.

`dummy_data` was drawn by `python -m farkeras.synthesize --layout=lfwa --num_images=10`, its images then saved by Pillow
with quality 20, and `synthesize.json` left out.
"""

import shutil
from pathlib import Path
from types import MappingProxyType

import pytest

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.procedural import SETTINGS_FILE
from farkeras.data.sources.lfwa import LFWA
from farkeras.errors import FarkerasError

tfds = pytest.importorskip("tensorflow_datasets", reason="TFDS is not installed: pip install 'farkeras[tfds]'")
for _name in ("importlib_resources", "dill"):
    pytest.importorskip(_name, reason=f"{_name} is not installed, which TFDS's test needs: pip install 'farkeras[dev]'")

from farkeras.tfds.lfwa import lfwa_dataset_builder  # noqa: E402  it imports TFDS

DUMMY_DATA = Path(lfwa_dataset_builder.__file__).with_name("dummy_data")


class LFWATest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = lfwa_dataset_builder.Builder
    SPLITS = MappingProxyType({"train": 4, "validation": 1, "test": 5})


def prepare(data_dir, manual_dir):
    builder = lfwa_dataset_builder.Builder(data_dir=data_dir)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual_dir))
    return builder


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """TFDS asks its public bucket for what is known of a data set, which is nothing for this one."""
    monkeypatch.setattr("tensorflow_datasets.core.utils.gcs_utils.is_dataset_on_gcs", lambda name: False)
    monkeypatch.setattr("tensorflow_datasets.core.utils.gcs_utils.gcs_dataset_info_files", lambda name: None)


def test_examples_are_those_of_the_official_files(tmp_path):
    test = LFWA(DUMMY_DATA).split("test")
    expected = {path: labels.tolist() for path, labels in zip(test.paths, test.labels, strict=True)}
    dataset = prepare(tmp_path, DUMMY_DATA).as_dataset("test", decoders={"image": tfds.decode.SkipDecoding()})
    for example in dataset.as_numpy_iterator():
        file = example["file"].decode()
        path = DUMMY_DATA / "lfw" / file
        assert example["person"].decode() == path.parent.name
        assert example["image"] == path.read_bytes()
        assert [example["attributes"][name] for name in CELEBA_ATTRIBUTES] == expected.pop(str(path))
    assert not expected


def test_drawn_faces_are_refused(tmp_path):
    shutil.copytree(DUMMY_DATA, tmp_path / "drawn")
    (tmp_path / "drawn" / SETTINGS_FILE).touch()
    with pytest.raises(
        FarkerasError, match=f"drawn holds procedural faces.*`source=lfwa`, `data_dir={tmp_path}/drawn`"
    ):
        prepare(tmp_path / "tfds", tmp_path / "drawn")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FarkerasError, match=r"has no lfw_att_40\.mat; get it from https.*non-commercial"):
        prepare(tmp_path / "tfds", tmp_path)


def test_the_description_holds_the_licence(tmp_path):
    assert "non-commercial" in lfwa_dataset_builder.Builder(data_dir=tmp_path).info.description
