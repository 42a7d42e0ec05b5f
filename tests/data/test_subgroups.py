"""Where subgroups come from: labels, a table beside the data set, or the user's own table; and what is refused."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from farkeras.data.examples import Examples
from farkeras.data.sources.table import OwnTable, TableSettings
from farkeras.data.subgroups import SubgroupTable, find_subgroups, find_table
from farkeras.errors import FarkerasError

IMAGES = ["ann/1.jpg", "ann/2.jpg", "bob/1.jpg", "cem/3.jpg"]
LABELS = [[1, 1], [0, 0], [-1, 0], [1, 0]]


class Source:
    place = "data"

    def column(self, name, split):
        return None


@pytest.fixture
def examples(tmp_path):
    return Examples(("Male", "Hat"), np.array([str(tmp_path / image) for image in IMAGES]), np.array(LABELS, np.int8))


@pytest.fixture
def table(tmp_path):
    """`write(lines)`: writes `subgroups.csv` and returns its path."""

    def write(*lines):
        (tmp_path / "subgroups.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / "subgroups.csv"

    return write


def found(names, examples, table=None):
    return find_subgroups(names, Source(), "test", examples, table)


def error(call, *arguments):
    with pytest.raises(FarkerasError) as raised:
        call(*arguments)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_the_labels_of_an_attribute(examples):
    male = found(["Male"], examples)["Male"]
    assert male.values == ("Male", "not Male")
    assert male.member.tolist() == [0, 1, -1, 0]
    assert male.origin == "attribute"
    assert male.take(np.array([1, 3])).member.tolist() == [1, 0]


def test_a_table_beside_the_data_set(table, examples):
    path = table("image,skin,person", "ann/2.jpg,dark,ann", "cem/3.jpg,,", "bob/1.jpg,light,bob", "x/9.jpg,medium,x")
    opened = find_table("", path.parent, examples.paths)
    skin = found(["skin"], examples, opened)["skin"]
    assert skin.values == ("dark", "light")  # of this split; the table may list the images of other splits
    assert skin.member.tolist() == [-1, 0, 1, -1]  # ann/1.jpg is not listed, and the cell of cem/3.jpg is empty
    assert skin.origin == "subgroups.csv"
    assert opened.people.tolist() == ["", "ann", "bob", ""]
    assert SubgroupTable(table("image,skin", "3.jpg,dark"), examples.paths).people is None


def test_without_a_table_there_is_none(tmp_path, examples):
    assert find_table("", tmp_path, examples.paths) is None
    own = tmp_path / "subgroups.csv"
    own.write_text("image\n")
    assert find_table("", own, examples.paths) is None  # the data set itself


@pytest.mark.parametrize("name", ["1.jpg", r"ann\1.jpg", "./ann/1.jpg", "absolute"])
def test_images_are_found_by_the_end_of_their_paths(name, table, examples):
    written = examples.paths[0] if name == "absolute" else name
    path = table("image,skin", f"{written},dark", "ann/2.jpg,light")
    if name == "1.jpg":
        assert error(SubgroupTable, path, examples.paths) == (
            f"{path}: '1.jpg' is the name of 2 images of the split, such as {examples.paths[0]}. Write the folder "
            "before the name."
        )
    else:
        assert SubgroupTable(path, examples.paths).column("skin").tolist() == ["dark", "light", "", ""]


def test_numbers_are_sorted_as_numbers_and_empty_ones_are_unknown(tmp_path, examples):
    columns = {"image": IMAGES, "age": [10, 9, None, 10], "score": [1.5, float("nan"), 2.5, 1.5]}
    pa.parquet.write_table(pa.table(columns), tmp_path / "more.parquet")
    opened = find_table(tmp_path / "more.parquet", tmp_path, examples.paths)
    both = found(["age", "score"], examples, opened)
    assert both["age"].values == ("9", "10")
    assert both["age"].member.tolist() == [1, 0, -1, 1]
    assert both["score"].member.tolist() == [0, -1, 1, 0]


def test_a_further_column_of_the_users_own_table(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.jpg").touch()
    lines = ["image,Hat,region,split", "a.jpg,1,north,test", "b.jpg,0,south,test", "c.jpg,0,east,train"]
    (tmp_path / "faces.csv").write_text("\n".join(lines) + "\n")
    source = OwnTable(tmp_path / "faces.csv", TableSettings(ignore_columns=["region"]))
    region = find_subgroups(["region"], source, "test", source.split("test"), None)["region"]
    assert (region.values, region.member.tolist(), region.origin) == (("north", "south"), [0, 1], "faces.csv")


def test_auto_takes_what_is_known(table, examples):
    opened = find_table("", table("image,skin,one", "ann/1.jpg,dark,x", "ann/2.jpg,light,x").parent, examples.paths)
    assert list(found(["auto"], examples, opened)) == ["Male", "skin"]  # there is no Young, and `one` has one value
    assert list(found(["auto"], examples)) == ["Male"]
    assert list(found(["auto", "Hat"], examples, opened)) == ["Male", "skin", "Hat"]
    assert found(["none"], examples, opened) == {}


def test_names_that_are_refused(table, examples):
    opened = find_table("", table("image,skin,Hat", "ann/1.jpg,dark,1", "ann/2.jpg,dark,0").parent, examples.paths)
    assert error(found, ["Skin"], examples, opened) == (
        f"`subgroups`: 'Skin' is unknown; expected an attribute of the data set (Male, Hat), or a column of "
        f"{opened.path} (skin, Hat). Correct the name, or name a table that has the column with `subgroup_table=FILE`."
    )
    assert "expected an attribute of the data set (Male, Hat). Correct" in error(found, ["skin"], examples)
    assert "'skin' has only dark in the split 'test'; expected at least two" in error(found, ["skin"], examples, opened)
    assert "'Hat' is an attribute of the data set and a column of" in error(found, ["Hat"], examples, opened)


def test_too_many_values(table, tmp_path):
    images = np.array([str(tmp_path / f"{i}.jpg") for i in range(30)])
    examples = Examples(("Hat",), images, np.zeros((30, 1), np.int8))
    opened = find_table("", table("image,age", *(f"{i}.jpg,{i}" for i in range(30))).parent, images)
    assert "the column 'age'" in (message := error(found, ["age"], examples, opened))
    assert "has 30 different values (0, 1, 10 and 27 more); expected at most 20. Write a column with" in message


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["name,skin", "1.jpg,dark"],
            "has no column 'image' for the images' names; its columns are name, skin. Rename",
        ),
        (["image,skin", "3.jpg,dark", "./3.jpg,light"], "lists 3.jpg more than once. Keep one row for each image."),
        (["image,skin", "7.jpg,dark"], "lists none of the 4 images of the split; expected names such as 1.jpg. Rec"),
    ],
)
def test_tables_that_are_refused(lines, message, table, examples):
    path = table(*lines)
    assert error(SubgroupTable, path, examples.paths).startswith(f"{path} {message}")
