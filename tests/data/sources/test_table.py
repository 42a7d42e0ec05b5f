"""A user's table, CSV or Parquet: what is read, and one sentence for each thing wrong."""

import shlex

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from farkeras.cli.flags import Flags
from farkeras.config import Config
from farkeras.data.learnable import check_classes
from farkeras.data.procedural import is_procedural
from farkeras.data.sources import opening as sources
from farkeras.data.sources.opening import open_source
from farkeras.data.sources.table import OwnTable, TableSettings
from farkeras.errors import FarkerasError

pytestmark = pytest.mark.core

LINES = [
    "image,person,Hat,split,Smile",
    "photos/a.jpg,ann,1,train,true",
    "photos/b.jpg,ann,0,train,FALSE",
    "photos/c.jpg,bob,,validation,True",
    "photos/d.jpg,cem,1,test,",
]
WORDS = ["train", "train", "validation", "test"]
SETTINGS = {"group_column": "person"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in "abcd":
        Image.new("RGB", (178, 218)).save(tmp_path / f"photos/{name}.jpg")
    return tmp_path


@pytest.fixture
def table(folder):
    return write(folder / "faces.csv", LINES)


def write(path, lines, newline="\n", encoding="utf-8"):
    path.write_bytes((newline.join(lines) + newline).encode(encoding))
    return path


def with_column(table, name, cells):
    rows = [f"{line},{cell}" for line, cell in zip(LINES, [name, *cells], strict=True)]
    return write(table, rows)


def error(path, **settings):
    with pytest.raises(FarkerasError) as raised:
        OwnTable(path, TableSettings(**SETTINGS | settings))
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def labels(source):
    return np.concatenate([source.split(name).labels for name in ("train", "validation", "test")]).tolist()


def test_a_table_with_its_splits(table, folder):
    source = OwnTable(table, TableSettings(**SETTINGS))
    assert source.attributes == ("Hat", "Smile")  # in the table's order, without the reserved columns
    assert labels(source) == [[1, 1], [0, 0], [-1, 1], [1, -1]]
    train = source.split("train")
    assert train.paths.tolist() == [str(folder / "photos/a.jpg"), str(folder / "photos/b.jpg")]
    assert train.labels.dtype == np.int8
    assert train.landmarks is None
    assert train.people.tolist() == ["ann", "ann"]
    assert OwnTable(table, TableSettings(ignore_columns=["person"])).split("train").people is None


def test_columns_that_are_no_attributes_can_be_read(table):
    source = OwnTable(
        with_column(table, "region", ["north", " south", "", "north"]), TableSettings("image", "person", ["region"])
    )
    assert source.column("region", "train").tolist() == ["north", "south"]
    assert source.column("region", "validation").tolist() == [""]
    assert source.column("age", "train") is None


def test_the_settings_of_a_run_say_how_it_is_read(table, monkeypatch):
    settings = {"group_column": "person", "ignore_columns": ["Hat"], "data_dir": "elsewhere", "seed": 3}
    assert open_source("table", str(table), settings=settings).attributes == ("Smile",)
    monkeypatch.setattr(sources, "OwnTable", lambda _, settings, progress: settings)
    run = Config(image_column="file", group_column="person", ignore_columns=("a",), split_ratios=(0.5, 0.25, 0.25))
    expected = TableSettings("file", "person", ["a"], [0.5, 0.25, 0.25])
    assert open_source("table", str(table), settings=run.to_dict()) == expected


@pytest.mark.parametrize("absolute", [True, False])
def test_paths_are_absolute_or_relative_to_the_table(folder, absolute, monkeypatch):
    (folder / "lists").mkdir()
    image = folder / "photos/a.jpg" if absolute else "../photos/a.jpg"
    write(folder / "lists/faces.csv", ["image,Hat,split", f"{image},1,train"])
    monkeypatch.chdir(folder / "lists")
    (path,) = OwnTable("faces.csv").split("train").paths
    assert Image.open(path).size == (178, 218)


@pytest.mark.parametrize(
    "change",
    [
        {"newline": "\r\n"},
        {"newline": "\r"},
        {"encoding": "utf-8-sig"},
        {"newline": "\n\n"},
        {"lines": [line.replace(",", ";") for line in LINES]},
        {"lines": [line.replace(",", "\t") for line in LINES]},
        {"lines": [line.replace(",", " , ") for line in LINES]},
        {"lines": [",".join(f'"{field}"' for field in line.split(",")) for line in LINES]},
        {"lines": [line.replace("validation", "Val").replace(",train,", ",TRAIN,") for line in LINES]},
    ],
    ids=["CRLF", "CR", "BOM", "empty lines", "semicolons", "tabs", "blanks", "quotes", "val"],
)
def test_the_same_table_written_otherwise(folder, change):
    source = OwnTable(write(folder / "faces.csv", **{"lines": LINES} | change), TableSettings(**SETTINGS))
    assert source.attributes == ("Hat", "Smile")
    assert labels(source) == [[1, 1], [0, 0], [-1, 1], [1, -1]]


def test_quoted_fields_hold_commas_quotes_and_line_ends(table, folder):
    Image.new("RGB", (8, 8)).save(folder / "photos/e, 5.jpg")
    write(table, [*LINES, '"photos/e, 5.jpg","Eve ""X""\nY",0,train,1'])
    assert OwnTable(table, TableSettings(**SETTINGS)).split("train").paths[-1].endswith("e, 5.jpg")
    write(table, [LINES[0], '"photos/e, 5.jpg","Eve ""X""\nY",0,train,1', "photos/a.jpg,ann,maybe,train,1"])
    assert error(table).startswith(", line 4: the column 'Hat' holds 'maybe'")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "0", "", "1"], [1, 0, -1, 1]),
        (["1", "-1", "", "-1"], [1, 0, -1, 0]),
        (["TRUE", "false", "", "True"], [1, 0, -1, 1]),
        (["yes", "No", "", "YES"], [1, 0, -1, 1]),
        (["1.0", "0.0", "", "1.0"], [1, 0, -1, 1]),  # as pandas writes a column with unknown cells
        (["1.00", "0e0", "NaN", "1e0"], [1, 0, -1, 1]),
        (["+1", "-1.000", "", "1."], [1, 0, -1, 1]),
    ],
)
def test_values(table, cells, expected):
    assert OwnTable(with_column(table, "New", cells), TableSettings(**SETTINGS))._labels[:, -1].tolist() == expected


@pytest.mark.parametrize(
    "hats",
    [
        pa.array([True, False, None, True]),
        pa.array([1, 0, None, 1], pa.int8()),
        pa.array([1.0, -1.0, float("nan"), 1.0]),
        pa.array(["1", "0", "", "1"]),
        pa.array(["1", "0", None, "1"]).dictionary_encode(),
        pa.array([1, 0, None, 1]).cast(pa.decimal128(22, 2)),
    ],
    ids=["bool", "int", "float", "text", "category", "decimal"],
)
def test_parquet(folder, hats):
    images, splits = [f"photos/{name}.jpg" for name in "abcd"], ["train", "train", "val", "test"]
    values = pa.table({"image": images, "split": splits, "Hat": hats, "x.y": [0, 0, 1, 1]})
    pa.parquet.write_table(values, folder / "faces.parquet")
    source = OwnTable(folder / "faces.parquet")
    assert source.attributes == ("Hat", "x.y")
    assert labels(source) == [[1, 0], [0, 0], [-1, 1], [1, 1]]


def test_errors_in_parquet_name_the_row(folder):
    path = folder / "faces.parquet"
    images = [f"photos/{name}.jpg" for name in "abcd"]
    pa.parquet.write_table(pa.table({"image": images, "Hat": [1, 0, 7, 0]}), path)
    assert error(path, group_column="").startswith(", row 3: the column 'Hat' holds '7'; expected 1 or 0")
    pa.parquet.write_table(pa.table({"image": images, "Hat": [1, 0, 1, 0], "box": [[1, 2]] * 4}), path)
    message = error(path, group_column="")
    assert ": column 'box' has the type list<" in message
    assert message.endswith(
        "; expected text, numbers or booleans. If the column is not an attribute, set `ignore_columns=box`."
    )
    assert error(path, group_column="", image_column="box").endswith(
        "; expected text, numbers or booleans. Name another column with `image_column=NAME`."
    )
    assert OwnTable(path, TableSettings(ignore_columns=("box",))).attributes == ("Hat",)
    path.write_bytes(path.read_bytes()[:-20])
    assert " is a damaged or incomplete Parquet file" in error(path)


def test_columns_to_ignore(table):
    with_column(table, "notes", ["left", "", "blurred", "x"])
    message = error(table)
    assert message.startswith(", line 2: the column 'notes' holds 'left'; expected 1 or 0, 1 or -1, true or false, yes")
    assert message.endswith("Correct it. If the column is not an attribute, set `ignore_columns=notes`.")
    assert OwnTable(table, TableSettings(ignore_columns=("notes", "absent"), **SETTINGS)).attributes == ("Hat", "Smile")
    assert "If these columns are not attributes, set `ignore_columns=Hat,person,notes`." in error(
        table, group_column="", ignore_columns=("Hat",)
    )


def test_advice_works_as_it_is_copied(table):
    name = "Unnamed: 0's, $HOME & more"
    rows = [line.replace("Hat", f'"{name}"') for line in LINES]
    write(table, [row.replace(",1,", ",41,") for row in rows])
    options = Flags()
    options.settings()
    advice = options.as_flags(error(table)).rsplit("set ", 1)[1].removesuffix(".")
    options.parse(["train", *shlex.split(advice)])
    assert OwnTable(table, TableSettings(ignore_columns=options.config().ignore_columns, **SETTINGS)).attributes == (
        "Smile",
    )


def test_an_open_quote_in_a_column_to_ignore_hides_no_rows(table):
    with_column(table, "notes", ["left", '"right', "", ""])
    assert ", line 3: a quote is not closed" in error(table, ignore_columns=("notes",))


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("Split", ["Train", "training", "valid", "testing"]),
        ("SPLIT", ["train", "train", "dev", "eval"]),
        ("partition", ["0", "0", "1", "2"]),  # Kaggle's CelebA
        ("split", ["0.0", "0.0", "1.0", "2.0"]),
    ],
)
def test_other_words_for_the_splits(table, folder, name, cells):
    rows = [
        line.replace("split", name).replace(word, cell)
        for line, word, cell in zip(LINES[1:], WORDS, cells, strict=True)
    ]
    source = OwnTable(write(table, [LINES[0].replace("split", name), *rows]), TableSettings(**SETTINGS))
    assert source.attributes == ("Hat", "Smile")
    assert [len(source.split(split)) for split in ("train", "validation", "test")] == [2, 1, 1]


def test_columns_that_may_or_may_not_say_the_split(table):
    """None is used or left out silently, since another split would be drawn."""
    with_column(table, "Usage", ["Training", "Training", "Dev", "Testing"])
    assert error(table).endswith(
        ", line 2: the column 'Usage' holds 'Training'; expected labels. If it gives the split of each image, rename "
        "it to 'split'. If the column is not an attribute, set `ignore_columns=Usage`."
    )
    with_column(table, "Partition", ["0", "0", "1", "2"])
    assert error(table) == (
        " has several columns for the split, split, Partition; expected one. Ignore the others with "
        "`ignore_columns=Partition`."
    )
    source = OwnTable(table, TableSettings(ignore_columns=("Partition",), **SETTINGS))
    assert len(source.split("train")) == 2
    source = OwnTable(table, TableSettings(ignore_columns=("Partition", "split"), split_ratios=(0, 1, 0), **SETTINGS))
    assert len(source.split("validation")) == 4
    write(table, [line.replace(word, cell) for line, word, cell in zip(LINES, ["-", *WORDS], "-1100", strict=True)])
    assert ", line 2: the column 'split' holds 0 or 1 but never 2, so their meaning is unclear; expected" in error(
        table
    )


def numbered(folder, count, people=None):
    """A table without a column `split`."""
    images = [folder / f"photos/{i}.jpg" for i in range(count)]
    for image in images:
        image.touch()
    header = "image,Hat" + (",person" if people else "")
    rows = [f"photos/{i}.jpg,1" + (f",{people[i]}" if people else "") for i in range(count)]
    return write(folder / "faces.csv", [header, *rows])


def split_of(source):
    return {path: name for name in ("train", "validation", "test") for path in source.split(name).paths}


def test_splits_by_ratio_do_not_move_with_new_rows(folder):
    before = split_of(OwnTable(numbered(folder, 200)))
    after = split_of(OwnTable(numbered(folder, 400)))
    assert before.items() <= after.items()
    shares = [list(after.values()).count(name) / 400 for name in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.05)


def test_splits_by_ratio_keep_a_group_together(folder):
    people = [f"person {i // 3}" if i < 297 else "" for i in range(300)]
    split = split_of(
        OwnTable(numbered(folder, 300, people), TableSettings(group_column="person", split_ratios=(0.4, 0.3, 0.3)))
    )
    homes = [{split[str(folder / f"photos/{i}.jpg")] for i in range(3 * p, 3 * p + 3)} for p in range(99)]
    assert all(len(home) == 1 for home in homes)
    assert set().union(*homes) == {"train", "validation", "test"}


def test_an_empty_split(table, folder):
    write(table, LINES[:4])
    with pytest.raises(
        FarkerasError, match=r"'test' of .*faces.csv is empty: the column 'split' gives it no images. Either"
    ):
        OwnTable(table, TableSettings(**SETTINGS)).split("test")
    with pytest.raises(FarkerasError, match="has no split 'val'; expected train, validation, test"):
        OwnTable(table, TableSettings(**SETTINGS)).split("val")
    people = numbered(folder, 30, ["ann"] * 30)
    with pytest.raises(
        FarkerasError, match=r"is empty: `split_ratios=0.8,0.2,0` gives it no person. Change `split_ratios`, or"
    ):
        OwnTable(people, TableSettings(group_column="person", split_ratios=(0.8, 0.2, 0))).split("test")


def test_drawn_faces_beside_the_table_are_told(table, folder):
    assert not is_procedural(str(table))
    (folder / "synthesize.json").write_text("{}")
    assert is_procedural(str(table))


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        (
            1,
            "file,person,Hat,split,Smile",
            " has no column 'image' for the images; its columns are file,",
        ),
        (1, "image,who,Hat,split,Smile", " has no column 'person' for the groups; its columns are "),
        (1, "image,person,Hat,split,Hat", ", line 1: column 'Hat' appears twice. Rename or remove one of the two"),
        (
            1,
            "image,person,Hat,split,a\x1b[1mb",
            ": the column 'a\\x1b[1mb' has the control character '\\x1b'; expected",
        ),
        (1, "image,person,Hat,split,", ", line 1: column 5 has no name. Name it or remove it"),
        (3, "photos/b.jpg,ann,maybe,train,0", ", line 3: the column 'Hat' holds 'maybe'; expected 1 or 0, 1 or -1,"),
        (3, "photos/b.jpg,ann,2,train,0", ", line 3: the column 'Hat' holds '2'"),
        (5, "photos/d.jpg,cem,-1,test,", ", line 5: the column 'Hat' holds -1, but 0 in "),
        (3, "photos/a.jpg,ann,1,test,0", ", line 3: photos/a.jpg is listed a second time, first in "),
        (
            3,
            "photos/b.jpg,ann,0,held out,0",
            ", line 3: the column 'split' holds 'held out'; expected train, validation (or val, valid, dev) and test, ",
        ),
        (3, "photos/b.jpg,ann,0,,0", ", line 3: the column 'split' holds ''; expected train"),
        (5, "photos/d.jpg,ann,1,test,", ", line 5: person 'ann' is in the split test, but in "),
        (4, ",bob,,validation,True", ", line 4: the column 'image' is empty. Enter the image's path or remove"),
        (4, "photos/x.jpg,bob,,validation,1", ", line 4: 1 of the 4 listed images are not on disk: "),
        (
            4,
            "photos/c.jpg,bob,,validation",
            ", line 4: expected 5 fields, as many as line 1 has names. Received: 4. Correct",
        ),
        (
            4,
            "photos/c.jpg,bob,1,2,validation,1",
            ", line 4: expected 5 fields, as many as line 1 has names. Received: 6",
        ),
        (
            3,
            'photos/b.jpg,"ann,0,train,0',
            ", line 3: a quote is not closed, or text follows the closing quote. Correct",
        ),
        (4, 'photos/c.jpg,"bob" "jr",,validation,1"', ", line 4: a quote is not closed, or text follows the closing"),
    ],
)
def test_a_wrong_line(table, line, text, expected):
    write(table, [*LINES[: line - 1], text, *LINES[line:]])
    assert expected in error(table)


def test_images_that_are_not_there(table, folder):
    for name in "bcd":
        (folder / f"photos/{name}.jpg").unlink()
    write(table, [*LINES, "elsewhere/e.jpg,,1,train,1"])
    message = error(table)
    assert message.startswith(f", line 3: 4 of the 5 listed images are not on disk: {folder}/photos/b.jpg, ")
    assert f"{folder}/photos/d.jpg and 1 more. Paths must be absolute or relative to the table's folder" in message


def test_without_attributes_and_without_rows(table):
    write(table, ["image,person,split", "photos/a.jpg,ann,train"])
    unlabelled = OwnTable(table, TableSettings(**SETTINGS)).split("train")
    assert (unlabelled.attributes, unlabelled.labels.shape) == ((), (1, 0))
    with pytest.raises(FarkerasError, match=r"no attributes, so only a mask network.*Add a column of 1 and 0 for each"):
        check_classes(unlabelled)
    write(table, LINES[:1])
    assert " lists no images; expected a row per image below the column names." in error(table)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", " is empty; expected a line of column names"),
        (b"\n\n", " is empty; expected a line of column names"),
        (b"<!DOCTYPE html><title>Sign in</title>", " is an HTML page; expected a table, CSV or Parquet"),
        (b"PK\x03\x04\x14\0", " is an Excel workbook or a zip archive; expected a table"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", " is a binary file or not UTF-8; expected a table"),
        ("image,Hat\n".encode("utf-16"), " is a binary file or not UTF-8; expected a table"),
        ("image,Hat\nphotos/ü.jpg,1\n".encode("latin-1"), ", line 2: expected UTF-8 text. Received: other bytes"),
        ("image,Hüt\nphotos/a.jpg,1\n".encode("latin-1"), ", line 1: expected UTF-8 text. Received: other bytes"),
        (b'image,Hat\na.jpg,"' + b"x,\n" * 70_000, ", line 2: a quote is not closed, or text follows"),
        (b"PAR1 and no more", " is a damaged or incomplete Parquet file"),
    ],
)
def test_something_else_in_place_of_a_table(table, content, expected):
    table.write_bytes(content)
    assert expected in error(table)


def test_no_such_table(folder, table):
    with pytest.raises(FarkerasError, match=r"Cannot read the table .*x\.csv \(No such file or directory\); check"):
        OwnTable(folder / "x.csv")
    assert f" is a folder; expected a table, or a folder of Parquet files only. Set `data_dir={table}`." in error(
        folder
    )
    assert " is a folder; expected a table, or a folder of Parquet files only. It holds no .csv or .parquet." in error(
        folder / "photos"
    )
