"""A user's own table as a run opens it: groups, splits and keypoints; whole runs are in tests/test_readme.py."""

import pytest

from farkeras.errors import FarkerasError
from farkeras.training.building import open_data
from tests.own_table import NAMES, write_groups, write_own_table
from tests.training.small_run import small_config


@pytest.fixture(scope="module")
def folder(annotated_dir, tmp_path_factory):
    """The user's folder: a table of 240 faces, the faces, their keypoints, the groups."""
    folder = tmp_path_factory.mktemp("own")
    for name in ("img_align_celeba", "keypoints"):
        (folder / name).symlink_to(annotated_dir / name)
    write_own_table(folder / "faces.csv", annotated_dir)
    write_groups(folder / "groups.json")
    return folder


def config_of(folder, table=None, **changes):
    settings = {"source": "table", "grouping": str(folder / "groups.json")}
    settings |= {"group_column": "person", "ignore_columns": ("notes",), "split_ratios": (0.6, 0.2, 0.2)}
    return small_config(table or folder / "faces.csv", **settings | changes)


def test_the_settings_reach_the_table(folder):
    data = open_data(config_of(folder))
    assert data.train.attributes == data.validation.attributes == tuple(NAMES)
    assert not set(data.train.paths) & set(data.validation.paths)
    assert len(data.validation) > len(open_data(config_of(folder, split_ratios=(0.8, 0.1, 0.1))).validation)


def test_mgmtn_reads_the_keypoints_beside_the_table(folder):
    data = open_data(config_of(folder, model="mgmtn"))
    assert len(data.train_keypoints.found) == len(data.train)
    assert data.train_keypoints.found.sum() >= len(data.train) - 1  # one of all faces was not found


def test_without_keypoints_the_command_is_that_of_a_table(folder, faces_dir, tmp_path):
    (tmp_path / "img_align_celeba").symlink_to(faces_dir / "img_align_celeba")
    table = write_own_table(tmp_path / "faces.csv", faces_dir)
    expected = rf"in {tmp_path}/keypoints, .*farkeras\.annotate --source=table --data_dir={table}, with the table's"
    with pytest.raises(FarkerasError, match=expected):
        open_data(config_of(folder, table, model="mgmtn"))


def test_celebas_groups_do_not_fit(folder):
    with pytest.raises(FarkerasError, match=r"grouping 'mgmtn8' is of CelebA's 40 attributes, the data has 7: Hat, "):
        open_data(config_of(folder, grouping="mgmtn8"))
    assert open_data(config_of(folder, grouping="one")).grouping.groups == {"All": tuple(NAMES)}


def test_attributes_can_be_left_out(folder):
    data = open_data(config_of(folder, exclude_attributes=("Glasses",)))
    assert data.grouping.names == ("Hair", "Mouth")
    assert data.train.attributes == tuple(name for name in NAMES if name != "Glasses")
