"""Data sets that TFDS prepared, read as image files: what is read, and one sentence for each thing wrong.

TFDS's own `celeb_a` is prepared from drawn faces in CelebA's files, in place of its downloads.
"""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.data.check import check_data_set
from farkeras.data.examples import FULL_FRAME
from farkeras.data.keypoints import annotate_images, load_keypoints
from farkeras.data.packing import pack_data_set
from farkeras.data.reading import encoded_images
from farkeras.data.sources.celeba import CelebA
from farkeras.data.sources.lfwa import FRAME, LFWA
from farkeras.data.sources.opening import open_source
from farkeras.data.sources.packed import Packed
from farkeras.data.sources.packed_files import INDEX
from farkeras.data.sources.source import filled_splits
from farkeras.data.sources.tfds import FOLDER, TFDS
from farkeras.errors import FarkerasError

pytestmark = pytest.mark.core

tfds = pytest.importorskip("tensorflow_datasets", reason="TFDS is not installed: pip install 'farkeras[tfds]'")
pytest.importorskip("importlib_resources", reason="TFDS's builders need it: pip install 'farkeras[tfds]'")

from farkeras.tfds.lfwa import lfwa_dataset_builder  # noqa: E402  it imports TFDS

DUMMY_LFWA = os.path.join(os.path.dirname(lfwa_dataset_builder.__file__), "dummy_data")


def prepare(builder, manual_dir):
    config = tfds.download.DownloadConfig(manual_dir=manual_dir, try_download_gcs=False)
    builder.download_and_prepare(download_config=config)


@pytest.fixture(scope="module")
def no_bucket():
    """TFDS asks its public bucket for what is known of a data set, where it is not prepared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tensorflow_datasets.core.utils.gcs_utils.gcs_dataset_info_files", lambda name: None)
        yield


@pytest.fixture(scope="module")
def official(faces_dir, tmp_path_factory):
    """The files of `celeb_a`, as its message says to place them: CelebA's own, and a list of identities."""
    folder = tmp_path_factory.mktemp("official")
    shutil.make_archive(folder / "img_align_celeba", "zip", faces_dir, "img_align_celeba")
    for name in ("list_attr_celeba", "list_eval_partition", "list_landmarks_align_celeba"):
        shutil.copy(faces_dir / f"{name}.txt", folder)
    images = (faces_dir / "list_attr_celeba.txt").read_text().splitlines()[2:]
    (folder / "identity_CelebA.txt").write_text("".join(f"{line.split()[0]} 1\n" for line in images))
    return folder


@pytest.fixture(scope="module")
def built(official, tmp_path_factory, no_bucket):
    """TFDS's folder with `celeb_a`, prepared by TFDS from files that were placed by hand."""
    folder = tmp_path_factory.mktemp("tfds")
    builder = tfds.builder("celeb_a", data_dir=folder)
    with pytest.MonkeyPatch.context() as patch:  # checksums are those of the real files
        manager = "tensorflow_datasets.core.download.DownloadManager._register_or_validate_checksums"
        patch.setattr(manager, lambda *_, **__: None)
        prepare(builder, official)
    return folder


@pytest.fixture
def celeb_a(built, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(built, tmp_path / "tfds")


@pytest.fixture(scope="module")
def opened_once(built, tmp_path_factory):
    folder = shutil.copytree(built, tmp_path_factory.mktemp("opened [1]*") / "tfds")
    TFDS(folder)
    return folder


@pytest.fixture
def opened(opened_once, tmp_path):
    """A copy in which the images are written already."""
    return shutil.copytree(opened_once, tmp_path / "tfds")


def error(data_dir):
    with pytest.raises(FarkerasError) as raised:
        TFDS(data_dir)
    message = str(raised.value)
    assert "\n" not in message
    return message


def prepare_code(name, data_dir, module=""):
    """What a message tells to run; the tests of `lfwa` and `celeb_a` run the same with other folders."""
    code = f'tfds.builder("{name}", data_dir="{data_dir}").download_and_prepare()'
    return f"import tensorflow_datasets as tfds{module}; {code}"


def by_pixels(examples):
    """File's bytes -> labels and landmarks."""
    content = [read() for read in encoded_images(examples)]
    return dict(zip(content, zip(examples.labels.tolist(), examples.landmarks.tolist(), strict=True), strict=True))


def test_celeb_a_is_what_the_official_files_hold(celeb_a, faces_dir):
    calls = []
    source = open_source("tfds", str(celeb_a), lambda *call: calls.append(call))
    assert source.attributes == CELEBA_ATTRIBUTES
    for split in ("train", "validation", "test"):
        examples, expected = source.split(split), CelebA(faces_dir).split(split)
        assert by_pixels(examples) == by_pixels(expected)
        assert (examples.labels.dtype, examples.landmarks.dtype, examples.frame) == (np.int8, np.float32, FULL_FRAME)
    assert (calls[0], calls[-1]) == ((1, 240), (240, 240))


def test_the_images_are_written_once_and_then_tfds_is_not_needed(celeb_a, monkeypatch):
    first = TFDS(celeb_a).split("test")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    calls = []
    for data_dir in (celeb_a, celeb_a / "celeb_a", celeb_a / "celeb_a" / "2.1.0"):
        again = TFDS(data_dir, lambda *call: calls.append(call)).split("test")
        assert again.paths.tolist() == first.paths.tolist()
        np.testing.assert_array_equal(again.labels, first.labels)
    assert calls == []


def test_a_stopped_start_leaves_nothing(celeb_a):
    def stop(done, total):
        if done == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        TFDS(celeb_a, stop)
    assert not [path for path in (celeb_a / "celeb_a" / "2.1.0").iterdir() if FOLDER in path.name]
    assert len(TFDS(celeb_a).split("train")) == 192


def test_check_data_finds_nothing_that_stops_training(opened):
    report = check_data_set("tfds", str(opened), 2)
    assert not report.training_fails
    assert [split.num_images for split in report.splits.values()] == [192, 24, 24]


def test_lfwa_is_framed_and_split_as_from_its_files(tmp_path, no_bucket):
    prepare(lfwa_dataset_builder.Builder(data_dir=tmp_path), DUMMY_LFWA)
    for split in ("train", "validation", "test"):
        examples, expected = TFDS(tmp_path).split(split), LFWA(DUMMY_LFWA).split(split)
        assert examples.frame == expected.frame == FRAME
        assert examples.landmarks is None
        labels = [
            {read(): row.tolist() for read, row in zip(encoded_images(part), part.labels, strict=True)}
            for part in (examples, expected)
        ]
        assert labels[0] == labels[1]


def test_the_newest_version_is_read(opened):
    shutil.copytree(opened / "celeb_a" / "2.1.0", opened / "celeb_a" / "2.0.1")
    (opened / "celeb_a" / "incomplete.AB12CD_3.0.0").mkdir()
    (opened / "celeb_a" / "incomplete.AB12CD_3.0.0" / "dataset_info.json").touch()
    assert "/2.1.0/" in TFDS(opened).split("test").paths[0]


def test_several_data_sets(opened):
    shutil.copytree(opened / "celeb_a", opened / "other")
    assert f"several data sets, celeb_a, other; name one, such as `data_dir={opened}/celeb_a`." in error(opened)
    assert len(TFDS(opened / "other").split("test")) == 24


def test_nothing_prepared_says_how_and_what_to_do_when_google_drive_refuses(tmp_path):
    for data_dir in (tmp_path, tmp_path / "celeb_a"):
        message = error(data_dir)
        assert message.endswith(f"'{prepare_code('celeb_a', tmp_path)}'")
        for part in ("NonMatchingChecksumError", "img_align_celeba.zip", "`source=celeba`", "non-commercial"):
            assert part in message
        assert f"Or place them, and identity_CelebA.txt, in {tmp_path}/downloads/manual" in message


@pytest.mark.parametrize("place", ["ucexport_download_id_0B7EVK.tmp.0a1b/uc", "manual/img_align_celeba.zip"])
def test_a_download_that_google_drive_refused_is_named(tmp_path, place):
    page = tmp_path / "downloads" / place
    page.parent.mkdir(parents=True)
    page.write_bytes(b"<!DOCTYPE html><html>Quota exceeded</html>")
    assert f"{page} is a web page: Google Drive refused the download." in error(tmp_path)


def test_lfwa_is_prepared_from_files_placed_by_hand(tmp_path):
    message = error(tmp_path / "lfwa")
    assert message.endswith(f"'{prepare_code('lfwa', tmp_path, ', farkeras.tfds.lfwa.lfwa_dataset_builder')}'")
    assert "`source=lfwa`" in message


def test_without_tfds_it_says_how_to_install_it(celeb_a, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert "pip install 'farkeras[tfds]'" in error(celeb_a)


def prepare_own(data_dir, features, examples):
    """A data set of one's own, `own`, with one split, train."""

    class Own(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            image = {"image": tfds.features.Image(shape=(8, 8, 3))}
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(image | features))

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for key, example in enumerate(examples):
                yield key, {"image": np.full((8, 8, 3), key, np.uint8)} | example

    prepare(Own(data_dir=data_dir), None)


def test_attributes_of_ones_own_and_png(tmp_path, no_bucket):
    examples = [{"attributes": {"Hat": hat, "Beard": not hat}} for hat in (True, False)]
    prepare_own(tmp_path, {"attributes": {"Hat": np.bool_, "Beard": np.bool_}}, examples)
    train = TFDS(tmp_path).split("train")
    hats = {
        tf.io.decode_png(read())[0, 0, 0].numpy(): labels
        for read, labels in zip(encoded_images(train), train.select(("Hat",)).labels.tolist(), strict=True)
    }
    assert hats == {0: [1], 1: [0]}
    assert train.attributes == ("Beard", "Hat")
    assert all(path.endswith(".png") for path in train.paths)
    with pytest.raises(
        FarkerasError,
        match=r"split 'test' of .* is empty: the data set has images only in train\. Use a data set with all",
    ):
        TFDS(tmp_path).split("test")


def test_a_data_set_of_something_else(tmp_path, no_bucket):
    prepare_own(tmp_path, {"label": np.int64}, [{"label": 1}])
    assert "has the features image, label; expected 'image', an image, and 'attributes', named booleans" in error(
        tmp_path
    )


@pytest.mark.parametrize("name", ["celeb_a-train.tfrecord-00000-of-00001", "dataset_info.json", "features.json"])
@pytest.mark.parametrize("damage", [os.remove, lambda path: os.truncate(path, 1000)])
def test_what_tfds_prepared_is_damaged(celeb_a, name, damage):
    prepared = celeb_a / "celeb_a" / "2.1.0"
    damage(prepared / name)
    message = error(prepared)
    assert str(prepared) in message
    assert message.endswith(f"'{prepare_code('celeb_a', celeb_a)}'")
    assert not (prepared / FOLDER).exists()


def test_examples_that_are_missing_at_the_end_of_a_shard(celeb_a):
    prepared = celeb_a / "celeb_a" / "2.1.0"
    shutil.copy(prepared / "celeb_a-test.tfrecord-00000-of-00001", prepared / "celeb_a-train.tfrecord-00000-of-00001")
    assert f"{prepared} is not as TFDS prepared it" in error(celeb_a)


def test_images_or_labels_that_are_gone(opened):
    folder = opened / "celeb_a" / "2.1.0" / FOLDER
    whole = (folder / "images-test.tfrecord").read_bytes()
    (folder / "images-test.tfrecord").write_bytes(whole[:-1])
    message = error(opened)
    assert f"{folder}/images-test.tfrecord is missing or incomplete" in message
    assert message.endswith(f"Remove {folder}; it is then created again from TFDS's files.")
    (folder / INDEX).write_bytes(b"")
    assert f"{folder / INDEX} cannot be read and may be damaged" in error(opened)


def test_the_image_files_of_an_older_farkeras_are_replaced(celeb_a, caplog):
    folder = celeb_a / "celeb_a" / "2.1.0" / FOLDER
    folder.mkdir()
    (folder / "labels.npz").touch()
    assert len(TFDS(celeb_a).split("test")) == 24
    assert [record.getMessage() for record in caplog.records] == [f"Replacing {folder}, which an older farkeras wrote"]
    assert sorted(path.name for path in folder.iterdir()) == [
        *(f"images-{split}.tfrecord" for split in ("test", "train", "validation")), INDEX,
    ]  # fmt: skip


def test_images_are_annotated_and_packed_out_of_the_records(opened, tmp_path):
    pytest.importorskip("mediapipe")
    splits = filled_splits(TFDS(opened))
    assert annotate_images(opened, [splits["test"]], 1).num_images == 24
    keypoints = load_keypoints(opened, splits["test"].paths, "tfds")
    assert keypoints.found.sum() > 12
    pack_data_set(TFDS(opened), opened, tmp_path / "packed")
    packed = Packed(tmp_path / "packed").split("test")
    assert [read() for read in encoded_images(packed)] == [read() for read in encoded_images(splits["test"])]
    again = load_keypoints(tmp_path / "packed", packed.paths, "packed")
    np.testing.assert_array_equal(again.points, keypoints.points)


def test_a_split_that_does_not_exist(opened):
    with pytest.raises(FarkerasError, match="no split 'val'; expected train, validation, test"):
        TFDS(opened).split("val")


def test_import_farkeras_and_its_sources_does_not_import_tfds():
    code = "import sys, farkeras, farkeras.data.sources.opening; assert 'tensorflow_datasets' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
