"""A packed data set gives what its files give, to the bit; it is there whole or it is none."""

import filecmp
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from farkeras.data import packing
from farkeras.data.augmentation import Augmentation
from farkeras.data.examples import Examples
from farkeras.data.keypoints import load_keypoints
from farkeras.data.packing import pack_data_set
from farkeras.data.pipeline import evaluation_dataset, find_undecodable, training_dataset
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.procedural import is_procedural
from farkeras.data.reading import image_reader
from farkeras.data.sources.opening import open_source
from farkeras.data.sources.packed import Packed
from farkeras.data.sources.splits import SPLITS
from farkeras.data.subgroups import find_table
from farkeras.errors import FarkerasError

pytestmark = pytest.mark.core

PREPROCESSING = Preprocessing((32, 24))
STRONG = Augmentation(True, 0.2, 0.2, 30, 0.3, 0.3, 0.3)


@pytest.fixture(scope="module")
def packed_dir(annotated_dir, tmp_path_factory):
    """240 drawn faces with key points in 5 files."""
    folder = tmp_path_factory.mktemp("packed") / "faces"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "_FILE_SIZE", 50)
        pack_data_set(open_source("celeba", str(annotated_dir)), annotated_dir, folder)
    return folder


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Seven "images" of a source with two splits, three to a file; and what packs them."""
    monkeypatch.setattr(packing, "_FILE_SIZE", 3)
    folder = tmp_path / "images"
    folder.mkdir()
    paths = [folder / f"{i}.jpg" for i in range(7)]
    for i, path in enumerate(paths):
        path.write_bytes(b"%d" % i * i * 1000)  # the first is empty

    class Source:
        attributes = ("a", "b")
        labels = np.arange(14, dtype=np.int8).reshape(7, 2)

        def split(self, name):
            rows = {"train": slice(5), "test": slice(5, 7)}.get(name)
            if rows is None:
                raise FarkerasError("empty")
            return Examples(self.attributes, np.array([str(path) for path in paths[rows]]), self.labels[rows])

    def run(progress=None):
        return pack_data_set(source, folder, tmp_path / "packed", progress)

    source = Source()
    run.source, run.paths, run.output = source, paths, tmp_path / "packed"
    return run


def batches(dataset):
    return list(dataset.as_numpy_iterator())


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def both(annotated_dir, packed_dir, split):
    """(examples, key points) from the files and from the packed folder."""
    for source, folder in (("celeba", annotated_dir), ("packed", packed_dir)):
        examples = open_source(source, str(folder)).split(split)
        yield examples, load_keypoints(folder, examples.paths, source)


@pytest.mark.parametrize("split", SPLITS)
def test_examples_are_those_of_the_files(annotated_dir, packed_dir, split):
    (files, _), (packed, _) = both(annotated_dir, packed_dir, split)
    assert packed.attributes == files.attributes
    assert packed.frame == files.frame
    np.testing.assert_array_equal(packed.labels, files.labels)
    np.testing.assert_array_equal(packed.landmarks, files.landmarks)
    names = [[Path(path).name for path in examples.paths] for examples in (packed, files)]
    assert names[0] == names[1]
    read = image_reader(packed)
    for row in (0, len(packed) - 1):
        assert read(row).numpy() == Path(files.paths[row]).read_bytes()


def test_training_shows_the_same_in_the_same_order_from_any_counter(annotated_dir, packed_dir):
    def shown(examples, keypoints, start):
        return batches(training_dataset(examples, PREPROCESSING, STRONG, 16, 3, start, 250, keypoints))

    files, packed = both(annotated_dir, packed_dir, "train")
    whole = shown(*packed, 0)
    assert_equal(whole, shown(*files, 0))
    rest = shown(*packed, 64)
    assert_equal(rest, whole[4:])
    counters = np.concatenate([batch["counter"] for batch in whole])
    np.testing.assert_array_equal(counters, np.arange(240))


def test_evaluation_shows_the_same(annotated_dir, packed_dir):
    shown = [
        batches(evaluation_dataset(examples, PREPROCESSING, 16, keypoints))
        for examples, keypoints in both(annotated_dir, packed_dir, "test")
    ]
    assert_equal(*shown)


def test_the_folder_is_complete_by_itself(packed_dir, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(packed_dir, moved)
    assert len(list(moved.glob("images-*.tfrecord"))) == 5
    assert is_procedural(moved)  # drawn faces stay known as such
    examples = Packed(moved).split("validation")
    assert examples.paths[0].startswith(str(moved))
    assert load_keypoints(moved, examples.paths, "packed").found.any()


def test_records_are_plain_tfrecords(small):
    assert small().num_files == 3
    files = sorted(str(path) for path in small.output.glob("images-*.tfrecord"))
    records = [record.numpy() for record in tf.data.TFRecordDataset(files)]
    assert records == [path.read_bytes() for path in small.paths]


def test_a_source_without_landmarks_and_with_two_splits(small):
    small()
    test = Packed(small.output).split("test")
    assert test.landmarks is None
    np.testing.assert_array_equal(test.labels, [[10, 11], [12, 13]])
    with pytest.raises(FarkerasError, match=r"The split 'validation' of .*packed is empty"):
        Packed(small.output).split("validation")
    with pytest.raises(FarkerasError, match="no split 'dev'; expected train, validation, test"):
        Packed(small.output).split("dev")


def test_people_are_packed_and_older_folders_have_none(small, monkeypatch):
    split = small.source.split
    people = {"train": ["ann", "", "bob", "bob", "bob"], "test": ["cem", "ann"]}
    monkeypatch.setattr(small.source, "split", lambda name: replace(split(name), people=np.array(people.get(name, ()))))
    small()
    assert Packed(small.output).split("test").people.tolist() == people["test"]
    index = dict(np.load(small.output / "index.npz"))
    del index["people"]
    np.savez(small.output / "index.npz", **index)
    assert Packed(small.output).split("test").people is None


def test_a_table_of_subgroups_is_packed(small):
    (small.paths[0].parent / "subgroups.csv").write_text("image,skin\n5.jpg,dark\n6.jpg,light\n")
    small()
    table = find_table("", small.output, Packed(small.output).split("test").paths)
    assert table.column("skin").tolist() == ["dark", "light"]


def test_packing_continues_where_it_was_stopped(small):
    content = small.paths[4].read_bytes()
    small.paths[4].unlink()
    with pytest.raises(FarkerasError, match=r"Cannot read .*4\.jpg \(No such file.*images that are not packed yet"):
        small()
    with pytest.raises(FarkerasError, match=r"packed is not a complete packed data set.*farkeras\.pack"):
        Packed(small.output)
    (first,) = small.output.glob("[!.]*")  # nothing half made
    before = first.stat().st_mtime_ns
    small.paths[4].write_bytes(content)
    calls = []
    result = small(lambda *call: calls.append(call))
    assert calls == [(3, 7), (6, 7), (7, 7)]
    assert (result.num_images, result.num_files, result.keypoints) == (7, 3, False)
    assert first.stat().st_mtime_ns == before
    read = image_reader(Packed(small.output).split("train"))
    assert [read(row).numpy() for row in range(5)] == [path.read_bytes() for path in small.paths[:5]]


def test_packing_again_takes_new_labels_and_key_points(small):
    small()
    small.source.labels = small.source.labels[::-1]
    store, packed_store = small.paths[0].parent / "keypoints", small.output / "keypoints"
    store.mkdir()
    (store / "part-00000.npz").write_bytes(b"old")
    (store / "part-00001.npz").write_bytes(b"more")
    assert small().keypoints
    (store / "part-00000.npz").write_bytes(b"new")
    (store / "part-00001.npz").unlink()
    calls = []
    small(lambda *call: calls.append(call))
    assert calls == [(7, 7)]
    np.testing.assert_array_equal(Packed(small.output).split("test").labels, small.source.labels[5:])
    assert filecmp.dircmp(store, packed_store).same_files == ["part-00000.npz"]
    assert [path.name for path in packed_store.iterdir()] == ["part-00000.npz"]


def test_a_folder_of_other_images_is_refused(small):
    small()
    small.paths[0] = small.paths[0].rename(small.paths[0].with_name("other.jpg"))
    with pytest.raises(
        FarkerasError,
        match=r"packed holds images of another data set, or .*\(images-00000-.*name another one with `output`",
    ):
        small()


def test_nothing_to_pack(small):
    split = small.source.split
    small.source.split = lambda name: split("validation")
    with pytest.raises(FarkerasError, match="None of the splits train, validation, test has images"):
        small()


def damage(path, place, value=b"\xff"):
    content = bytearray(path.read_bytes())
    content[place : place + len(value)] = value
    path.write_bytes(content)


def test_a_damaged_record_is_an_undecodable_image(packed_dir, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(packed_dir, folder)
    examples = Packed(folder).split("train")
    damage(sorted(folder.glob("images-*"))[1], int(examples.records.offset[60]) + 500, b"damaged")
    assert find_undecodable(examples, PREPROCESSING) == [examples.paths[60]]


def test_a_file_that_is_not_whole(small):
    small()
    file = sorted(small.output.glob("images-*"))[1]
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    message = (
        rf"images-00001-.* is missing or incomplete \({len(whole) - 1:,} of {len(whole):,} bytes\)\. Copy it again"
    )
    with pytest.raises(FarkerasError, match=message):
        Packed(small.output)
    with pytest.raises(
        FarkerasError, match=r"images-00001-.* is damaged: it does not end with a complete record\. Remove it"
    ):
        small()
    file.unlink()
    with pytest.raises(FarkerasError, match="is missing or incomplete"):
        Packed(small.output)
    small()
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, r"index\.npz cannot be read and may be damaged.*Pack again"), (9, r"has version 9, expected 1.*Pack")],
)
def test_an_index_that_cannot_be_read(small, content, message):
    small()
    index = small.output / "index.npz"
    if content is None:
        index.write_bytes(index.read_bytes()[:-100])
    else:
        np.savez(index, version=content)
    with pytest.raises(FarkerasError, match=message):
        Packed(small.output)


def test_no_room_to_write(small):
    small.output.write_text("a file")
    with pytest.raises(FarkerasError, match=r"Cannot write .*packed \(.*\); remove .* name another with `output`"):
        small()
