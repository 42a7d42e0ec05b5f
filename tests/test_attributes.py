"""Attribute names and groupings: data checks and each error message."""

import json
from pathlib import Path

import pytest

from farkeras.attributes import (
    CELEBA_ATTRIBUTES,
    CELEBA_PERCENT_POSITIVE,
    GROUPINGS,
    SUBJECTIVE_ATTRIBUTES,
    Grouping,
    load_grouping,
    region_of,
)
from farkeras.errors import FarkerasError


def test_the_40_names_in_celebas_order():
    assert len(set(CELEBA_ATTRIBUTES)) == 40
    assert list(CELEBA_ATTRIBUTES) == sorted(CELEBA_ATTRIBUTES, key=str.lower)
    assert (CELEBA_ATTRIBUTES[0], CELEBA_ATTRIBUTES[20], CELEBA_ATTRIBUTES[39]) == ("5_o_Clock_Shadow", "Male", "Young")
    assert tuple(CELEBA_PERCENT_POSITIVE) == CELEBA_ATTRIBUTES
    assert set(SUBJECTIVE_ATTRIBUTES) < set(CELEBA_ATTRIBUTES)


@pytest.mark.parametrize(("name", "groups"), [("mgmtn8", 8), ("mcnn9", 9)])
def test_published_groupings_partition_the_attributes(name, groups):
    grouping = load_grouping(name)
    members = [member for group in grouping.groups.values() for member in group]
    assert len(grouping) == groups
    assert sorted(members) == sorted(CELEBA_ATTRIBUTES)
    assert grouping.attributes == CELEBA_ATTRIBUTES


def test_group_of_each_attribute():
    grouping = Grouping({"first": ("c", "a"), "second": ("b",)}, ("a", "b", "c"))
    assert grouping.names == ("first", "second")
    assert grouping.group_of == (0, 1, 0)
    assert Grouping({"first": ("c", "a"), "second": ("b",)}).attributes == ("c", "a", "b")


def test_without():
    grouping = Grouping({"first": ("c", "a"), "second": ("b",)}, ("a", "b", "c"))
    assert grouping.without(["a"]) == Grouping({"first": ("c",), "second": ("b",)}, ("b", "c"))
    assert grouping.without(["b"]) == Grouping({"first": ("c", "a")}, ("a", "c"))
    assert grouping.without([]) == grouping
    with pytest.raises(FarkerasError, match=r"Cannot exclude unknown attributes: d, e\. Known: a, b, c\."):
        grouping.without(["e", "a", "d"])


@pytest.mark.parametrize(
    ("groups", "attributes", "message"),
    [
        ({}, (), "The grouping has no attributes; expected at least one group with one attribute"),
        ({"first": ("a",), "second": ()}, (), "Group 'second' is empty. Add an attribute or remove the group"),
        (
            {"first": ("a", "z")},
            ("a", "b"),
            "Group 'first' lists 'z', which is not an attribute of the data. Known: a, b",
        ),
        ({"first": ("a",), "second": ("a",)}, (), "Attribute 'a' is in two groups: first and second. Keep one"),
        ({"first": ("a", "a")}, (), "Attribute 'a' is in two groups: first and first. Keep one"),
        ({"first": ("a",)}, ("a", "b"), "Attribute 'b' is in no group. Add it to a group"),
        (
            {"up\tper": ("a",)},
            (),
            r"Group 'up\\tper' has the control character '\\t'; expected a name without",
        ),
        (
            {"first": ("a", "头\n发")},
            (),
            r"Attribute '头\\n发' has the control character '\\n'; expected",
        ),
        ({"first": ("a", "\u2028")}, (), r"Attribute '\\u2028' has the control character '\\u2028'; expected a name"),
        (
            {"\0": ("a",)},
            (),
            r"Group '\\x00' has the control character '\\x00'; expected a name without control characters",
        ),
    ],
)
def test_errors_of_a_grouping(groups, attributes, message):
    with pytest.raises(FarkerasError, match=message):
        Grouping(groups, attributes)


def test_grouping_from_a_file(tmp_path):
    path = tmp_path / "grouping.json"
    path.write_text(json.dumps({"Gesicht ü": ["b", "a"], "rest": ["c"]}), encoding="utf-8")
    assert load_grouping(path, "abc") == Grouping({"Gesicht ü": ("b", "a"), "rest": ("c",)}, ("a", "b", "c"))


def test_a_file_that_begins_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "grouping.json"
    path.write_text('{"first": ["a"]}', encoding="utf-8-sig")
    assert load_grouping(path, "a") == Grouping({"first": ("a",)})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"grouping\.json is not JSON \(.+\); expected"),
        ("\xff", r"grouping\.json is not JSON \(.+\); expected"),
        ('["a"]', r"grouping\.json is not a grouping; expected"),
        ('{"first": "a"}', r"grouping\.json is not a grouping; expected"),
        ('{"first": [1]}', r"grouping\.json is not a grouping; expected"),
        ('{"x": ["a"], "x": ["b"]}', r"grouping\.json: group 'x' appears twice; merge its members into one list"),
        (
            '{"first": ["z"]}',
            r"grouping\.json: Group 'first' lists 'z', .* not an attribute of the data\. Known: a, b\.",
        ),
    ],
)
def test_errors_of_a_file(text, message, tmp_path):
    path = tmp_path / "grouping.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FarkerasError, match=message):
        load_grouping(path, ("a", "b"))


def test_a_file_of_some_attributes_leaves_out_the_others(tmp_path):
    path = tmp_path / "grouping.json"
    path.write_text(json.dumps({"Mouth": ["Smiling"], "Eyes": ["Eyeglasses", "Narrow_Eyes"]}))
    grouping = load_grouping(path)
    assert grouping == Grouping(
        {"Mouth": ("Smiling",), "Eyes": ("Eyeglasses", "Narrow_Eyes")}, ("Eyeglasses", "Narrow_Eyes", "Smiling")
    )
    # Of those to exclude, the ones in no group are left out already.
    assert load_grouping(path, excluded=("Narrow_Eyes", "Attractive")) == grouping.without(["Narrow_Eyes"])
    with pytest.raises(
        FarkerasError, match=r"Cannot exclude unknown attributes: Fringe\. Known: Eyeglasses, Narrow_Eyes"
    ):
        load_grouping(path, excluded=("Attractive", "Fringe"))


def test_a_published_grouping_of_data_with_more_attributes():
    assert load_grouping("mgmtn8", (*CELEBA_ATTRIBUTES, "Freckles")) == load_grouping("mgmtn8")


def test_all_attributes_in_one_group():
    assert load_grouping("one", ("b", "a")) == Grouping({"All": ("b", "a")})


@pytest.mark.parametrize("name", ["mgmtn8", "mcnn9"])
def test_a_published_grouping_for_other_attributes_says_how_to_write_ones_own(name):
    message = (
        f"The grouping '{name}' needs CelebA's 40 attributes, but the data has 3: Hat, Smile, Größe. Write a JSON file "
        'with the attributes to train, {"group": ["Hat", "Smile", ...], ...}, and set `grouping=FILE`; or set '
        "`grouping=one` for a single group."
    )
    with pytest.raises(FarkerasError) as raised:
        load_grouping(name, ("Hat", "Smile", "Größe"))
    assert str(raised.value) == message


def test_no_such_grouping():
    with pytest.raises(
        FarkerasError, match="Unknown grouping 'mgmtn9'; expected mgmtn8, mcnn9, one, or the path of a JSON file"
    ):
        load_grouping("mgmtn9")


def test_a_grouping_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(
        FarkerasError, match=r"Cannot read the grouping '.*' \(Is a directory\); expected mgmtn8, mcnn9"
    ):
        load_grouping(tmp_path)

    def refuse(self, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(FarkerasError, match=r"'mine\.json' \(Permission denied\); expected .* the path of a JSON file"):
        load_grouping("mine.json")


def test_subjective_attributes_can_be_left_out_of_every_grouping():
    for name in GROUPINGS:
        assert len(load_grouping(name).without(SUBJECTIVE_ATTRIBUTES).attributes) == 31


def test_a_group_reads_the_mask_of_its_name_or_of_the_whole_face():
    assert [region_of(g) for g in ("Lower_Face", "lower face", "Nose", "FacialHair")] == [
        "Lower_Face",
        "Lower_Face",
        "Nose",
        "Object",
    ]
