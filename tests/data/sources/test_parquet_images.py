"""Tables in Parquet that hold the images themselves, in one file or in shards, as Hugging Face stores data sets."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from farkeras.data.check import check_data_set
from farkeras.data.keypoints import decode_image
from farkeras.data.packing import pack_data_set
from farkeras.data.reading import encoded_images, image_reader
from farkeras.data.sources.opening import open_source
from farkeras.data.sources.packed import Packed
from farkeras.data.sources.table import OwnTable, TableSettings
from farkeras.errors import FarkerasError
from tests.bad_images import encode

pytestmark = pytest.mark.core

PHOTOS = [encode(Image.new("RGB", (178, 218), (40 * i, 90, 10)), "PNG" if i % 2 else "JPEG") for i in range(6)]
NAMES = [f"{i:06}.jpg" for i in range(6)]
SPLITS = {"train": slice(0, 3), "validation": slice(3, 5), "test": slice(5, 6)}


def write(path, rows=slice(None), images=None, **columns):
    """A file as `datasets` writes it: columns `image`, `Hat` and those named."""
    if images is None:
        images = [{"bytes": photo, "path": name} for photo, name in zip(PHOTOS, NAMES, strict=True)]
    values = {"image": images[rows], "Hat": [True, False, True, False, True, False][rows], **columns}
    path.parent.mkdir(parents=True, exist_ok=True)
    pa.parquet.write_table(pa.table(values), path, row_group_size=2)
    return path


@pytest.fixture
def shards(tmp_path):
    write(tmp_path / "data/train-00000-of-00002.parquet", slice(0, 2))
    write(tmp_path / "data/train-00001-of-00002.parquet", slice(2, 3))
    write(tmp_path / "data/validation-00000-of-00001.parquet", SPLITS["validation"])
    write(tmp_path / "data/test-00000-of-00001.parquet", SPLITS["test"])
    (tmp_path / "README.md").touch()
    return tmp_path


def error(*arguments, **settings):
    with pytest.raises(FarkerasError) as raised:
        OwnTable(*arguments, TableSettings(**settings))
    return str(raised.value)


def photos(examples):
    return [read() for read in encoded_images(examples)]


@pytest.mark.parametrize(
    "images",
    [None, PHOTOS, pa.array(PHOTOS, pa.large_binary())],
    ids=["Hugging Face", "bytes", "large bytes"],
)
def test_one_file(tmp_path, images):
    table = write(tmp_path / "faces.parquet", images=images, split=["train"] * 3 + ["val"] * 2 + ["test"])
    source = OwnTable(table)
    assert source.attributes == ("Hat",)
    assert [photos(source.split(name)) for name in SPLITS] == [PHOTOS[rows] for rows in SPLITS.values()]
    first = NAMES[0] if images is None else "row 1"
    assert source.split("train").paths[0] == str(table / first)
    (unpacked,) = (tmp_path / "farkeras").iterdir()
    written = unpacked.stat()
    OwnTable(table)
    assert unpacked.stat() == written  # unpacked once


def test_a_folder_whose_name_is_not_utf8(tmp_path):
    folder = tmp_path / os.fsdecode(b"\xfc")
    table = write(tmp_path / "faces.parquet", split=["train"] * 6)
    folder.mkdir()
    table = table.rename(folder / "faces.parquet")
    assert photos(OwnTable(table).split("train")) == PHOTOS
    (folder / "a.jpg").write_bytes(PHOTOS[0])
    (folder / "faces.csv").write_text("image,Hat,split\na.jpg,1,train\n")
    examples = OwnTable(folder / "faces.csv").split("train")
    assert [bytes(image_reader(examples)(0).numpy())] == PHOTOS[:1]
    pack_data_set(OwnTable(table), table, folder / "packed")
    assert photos(Packed(folder / "packed").split("train")) == PHOTOS


def test_shards_say_the_split(shards):
    seen = []
    source = open_source("table", str(shards), lambda *done: seen.append(done))
    assert seen[-1][1] == 6
    assert [photos(source.split(name)) for name in SPLITS] == [PHOTOS[rows] for rows in SPLITS.values()]
    train = source.split("train")
    assert train.labels.tolist() == [[1], [0], [1]]
    assert train.paths[2] == str(shards / "data/train-00001-of-00002.parquet/000002.jpg")
    np.testing.assert_array_equal(decode_image(source.split("test").stored()[0]), np.full((218, 178, 3), (200, 90, 10)))


def test_folders_say_the_split(tmp_path):
    for name, rows in SPLITS.items():
        write(tmp_path / f"default/{name}/0000.parquet", rows)
    source = OwnTable(tmp_path)
    assert [photos(source.split(name)) for name in SPLITS] == [PHOTOS[rows] for rows in SPLITS.values()]


def test_a_split_that_no_file_is_named_after(tmp_path):
    write(tmp_path / "train-0.parquet")
    with pytest.raises(
        FarkerasError,
        match=r"'test' of .* is empty: the names of the files give it no images\. Either rename some files, or split",
    ):
        OwnTable(tmp_path).split("test")
    drawn = OwnTable(tmp_path, TableSettings(ignore_columns=("split",), split_ratios=(0.4, 0.3, 0.3)))
    assert sum(len(drawn.split(name)) for name in SPLITS) == 6


def test_the_same_names_in_several_files(tmp_path):
    """Each image has a name of its own, so that key points are not taken for another's."""
    for name in ("train-0", "train-1"):
        write(tmp_path / f"{name}.parquet", images=[{"bytes": photo, "path": "image.jpg"} for photo in PHOTOS])
    assert len(set(OwnTable(tmp_path).split("train").paths)) == 12


def test_images_that_were_replaced_are_unpacked_again(tmp_path):
    columns = {"split": ["train"] * 6}
    OwnTable(write(tmp_path / "faces.parquet", **columns))
    table = write(tmp_path / "faces.parquet", images=PHOTOS[::-1], **columns)
    assert photos(OwnTable(table).split("train")) == PHOTOS[::-1]


def test_check_and_pack(shards, tmp_path):
    write(shards / "data/train-00001-of-00002.parquet", images=[{"bytes": None, "path": None}], rows=slice(0, 1))
    report = check_data_set("table", str(shards))
    (place,) = next(finding for finding in report.findings if finding.kind == "undecodable").images
    assert place == ("data/train-00001-of-00002.parquet/row 1", "train", "is empty (0 bytes)")
    pack_data_set(OwnTable(shards), shards, tmp_path / "packed")
    assert photos(Packed(tmp_path / "packed").split("test")) == PHOTOS[5:]


def test_paths_in_place_of_bytes(tmp_path):
    """As `datasets` stores images that it does not embed, and as some programs store text."""
    (tmp_path / "000000.jpg").write_bytes(PHOTOS[0])
    for images in ([{"bytes": None, "path": NAMES[0]}], [NAMES[0].encode()]):
        images = (
            pa.array(images, pa.struct({"bytes": pa.binary(), "path": pa.string()})) if len(images[0]) == 2 else images
        )
        table = write(tmp_path / "faces.parquet", slice(0, 1), images, split=["train"])
        assert OwnTable(table).split("train").paths.tolist() == [str(tmp_path / NAMES[0])]


def test_files_that_are_no_one_table(shards):
    odd = write(shards / "data/train-00001-of-00002.parquet", Smile=[True] * 6)
    assert f"{odd} and " in error(shards)
    assert " have different columns: only one of them has 'Smile'. All files of a table must have" in error(shards)
    odd.unlink()
    odd = write(shards / "data/more.parquet")
    assert error(shards).startswith(f"The name of {odd} gives no split, unlike the names of other files in {shards}; ")
    write(shards / "other/train-0.parquet")
    assert error(shards) == (
        f"{shards} holds several data sets, in {shards}/data, {shards}/other; name one, such as "
        f"`data_dir={shards}/data`."
    )


def test_errors_name_the_file_and_its_row(shards):
    write(shards / "data/validation-00000-of-00001.parquet", SPLITS["validation"], Hat=[1, 7])
    expected = f"{shards}/data/validation-00000-of-00001.parquet, row 2: the column 'Hat' holds '7'; "
    assert error(shards).startswith(expected)


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "farkeras").touch()
    message = error(write(tmp_path / "faces.parquet"))
    assert message.startswith(f"Cannot write {tmp_path}/farkeras/faces-")
    assert "remove the file that is in the place of a folder" in message


def test_unpacked_images_that_were_cut(tmp_path):
    table = write(tmp_path / "faces.parquet")
    OwnTable(table)
    (unpacked,) = (tmp_path / "farkeras").iterdir()
    unpacked.write_bytes(unpacked.read_bytes()[:-3])
    assert (
        error(table)
        == f"{unpacked} is damaged: it does not end with a complete record. Remove it and start the same command again."
    )
