"""A model of a user's own seven attributes in three groups: trained, measured, exported, asked, by their names."""

import json

import numpy as np
import pytest
import tensorflow as tf
from absl import flags

import farkeras
from farkeras import evaluate
from farkeras.data.table import OwnTable
from farkeras.errors import FarkerasError
from farkeras.exporters.saved_model import export_saved_model
from farkeras.models.model_file import load_model
from farkeras.training.evaluation import evaluate_model
from farkeras.training.loop import open_data, train_and_evaluate
from tests.own_table import GROUPS, NAMES, write_groups, write_own_table
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


@pytest.fixture(scope="module")
def workdir(folder, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    train_and_evaluate(config_of(folder), workdir)
    return workdir


def test_the_model_knows_the_names_and_groups(workdir):
    model, metadata = load_model(workdir)
    assert metadata.grouping.attributes == tuple(NAMES)
    assert {name: list(members) for name, members in metadata.grouping.groups.items()} == GROUPS
    assert list(model.heads) == ["head_Hair", "head_Eyes", "head_Mouth"]
    assert not metadata.procedural  # no synthesize.json lies beside the table


def test_evaluation_rebuilds_the_splits_of_training(workdir, folder):
    data = open_data(config_of(folder))
    for split, examples in {"train": data.train, "validation": data.validation}.items():
        evaluation = evaluate_model(str(workdir), split).evaluation
        assert evaluation["num_images"] == len(examples)
        assert list(evaluation["attributes"]) == list(NAMES)
        known = (examples.labels >= 0).sum(axis=0)
        assert [figures["num_known"] for figures in evaluation["attributes"].values()] == known.tolist()
    assert not set(data.train.paths) & set(data.validation.paths)


def test_evaluation_on_another_table(workdir, folder, capsys):
    lines = (folder / "faces.csv").read_text().splitlines()
    header = lines[0].replace("image", "file").replace("person", "split")
    rows = [line.replace(f",p{row // 2},", ",test,") for row, line in enumerate(lines[1:31])]
    (folder / "other.csv").write_text("\n".join([header, *rows]))
    values = flags.FlagValues()
    evaluate.define(values)
    output = folder / "output"
    arguments = [f"--data_dir={folder / 'other.csv'}", "--image_column=file", "--group_column=", f"--output={output}"]
    values(["evaluate", f"--workdir={workdir}", *arguments])
    evaluate.main([], values)
    evaluation = json.loads((output / "evaluation.json").read_text())
    assert evaluation["num_images"] == 30
    assert evaluation["run"]["source"] == "table"
    assert "Open Mouth" in (output / "report.html").read_text()
    assert "Mouth" in capsys.readouterr().out


def test_export_and_prediction_by_name(workdir, folder, tmp_path):
    paths = OwnTable(folder / "faces.csv", ignore_columns=("notes", "person")).split("test").paths[:3].tolist()
    answers = farkeras.load(workdir)(paths, align=False)
    assert [list(answer) for answer in answers] == [list(NAMES)] * 3
    version = export_saved_model(workdir, tmp_path / "export")
    described = json.loads((version / "assets.extra" / "farkeras.json").read_text(encoding="utf-8"))
    assert described["attributes"] == list(NAMES)
    assert described["groups"] == GROUPS
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    images = tf.constant([tf.io.read_file(path).numpy() for path in paths])
    expected = [list(answer.values()) for answer in answers]
    np.testing.assert_allclose(served(bytes=images)["probabilities"], expected, atol=5e-5)


def test_mgmtn_reads_the_keypoints_beside_the_table(folder):
    data = open_data(config_of(folder, model="mgmtn"))
    assert len(data.train_keypoints.found) == len(data.train)
    assert data.train_keypoints.found.sum() >= len(data.train) - 1  # one of all faces was not found


def test_without_keypoints_the_command_is_that_of_a_table(folder, faces_dir, tmp_path):
    (tmp_path / "img_align_celeba").symlink_to(faces_dir / "img_align_celeba")
    table = write_own_table(tmp_path / "faces.csv", faces_dir)
    expected = rf"in {tmp_path}/keypoints, .*farkeras\.annotate --data_dir={table} --source=table, with the table's"
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
