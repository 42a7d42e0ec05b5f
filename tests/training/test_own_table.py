"""A user's own table as a run opens it: groups, splits and keypoints; whole runs are in tests/test_readme.py."""

import pytest

from farkeras.errors import FarkerasError
from farkeras.training.building import Run, open_data
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
    with pytest.raises(
        FarkerasError, match=r"grouping 'mgmtn8' needs CelebA's 40 attributes, but the data has 7: Hat, "
    ):
        open_data(config_of(folder, grouping="mgmtn8"))
    assert open_data(config_of(folder, grouping="one")).grouping.groups == {"All": tuple(NAMES)}


def test_attributes_can_be_left_out(folder):
    data = open_data(config_of(folder, exclude_attributes=("Glasses",)))
    assert data.grouping.names == ("Hair", "Mouth")
    assert data.train.attributes == tuple(name for name in NAMES if name != "Glasses")


def test_only_the_attributes_of_the_groups_are_trained(folder, tmp_path):
    groups = tmp_path / "groups.json"
    groups.write_text('{"Mouth": ["Smile"], "Hair": ["Hat"]}')
    data = open_data(config_of(folder, grouping=str(groups), exclude_attributes=("Glasses",)))
    assert data.train.attributes == data.validation.attributes == data.grouping.attributes == ("Hat", "Smile")
    assert data.left_out == ("Fringe", "Glasses", "Open_Mouth", "Lipstick", "Moustache")
    groups.write_text('{"Mouth": ["Smile", "Laugh"]}')
    with pytest.raises(FarkerasError, match=r"Group 'Mouth' lists 'Laugh', .* Known: Hat, Fringe, Glasses, Smile, "):
        open_data(config_of(folder, grouping=str(groups)))
    with pytest.raises(FarkerasError, match=r"Cannot exclude unknown attributes: Laugh"):
        open_data(config_of(folder, exclude_attributes=("Laugh",)))


def test_blank_for_no_is_refused_before_the_first_step(folder):
    table = folder / "blank.csv"
    table.write_text((folder / "faces.csv").read_text().replace(",0", ","))
    expected = (
        r"Nothing can be learned from the training split: expected an attribute with positive and negative labels, but "
        r"Hat is always positive \(and 6 more\)\. An empty cell means unknown, not no: write 0 where an attribute is "
    )
    with pytest.raises(FarkerasError, match=expected):
        open_data(config_of(folder, table))


def test_a_figure_that_selects_nothing_is_refused_before_the_first_step(folder, tmp_path):
    config = config_of(folder)
    data = open_data(config)
    data.validation.labels[data.validation.labels == 0] = -1
    with pytest.raises(FarkerasError, match=r"`select_by=mean_balanced_accuracy` is undefined on the validation split"):
        Run(config, tmp_path, data)
