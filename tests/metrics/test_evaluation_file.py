"""A stored evaluation is taken only for the data and the split that are asked for."""

import json

import pytest

from farkeras.errors import FarkerasError
from farkeras.metrics.evaluation_file import read_evaluation


def write(folder, data_dir="data", split="test"):
    evaluation = {"run": {"data_dir": data_dir, "split": split}, "attributes": {}}
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return evaluation


def error(folder, data_dir="data"):
    with pytest.raises(FarkerasError) as raised:
        read_evaluation(folder, data_dir)
    message, command = str(raised.value).split(": ")
    assert command == f"python -m farkeras.evaluate --workdir={folder} --data_dir={data_dir} --split=test"
    return message.replace(str(folder), "FOLDER")


def test_it_comes_back(tmp_path):
    written = write(tmp_path, split="validation")
    assert read_evaluation(tmp_path, "data", "validation") == written


def test_a_folder_may_have_two_names(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    written = write(tmp_path, data_dir=str(tmp_path / "data"))
    assert read_evaluation(tmp_path, tmp_path / "link") == written


def test_of_another_split(tmp_path):
    write(tmp_path, split="validation")
    assert (
        error(tmp_path)
        == "FOLDER/evaluation.json evaluates the split 'validation'; expected 'test'. Write it again with"
    )


def test_of_other_data(tmp_path):
    write(tmp_path, data_dir="older")
    assert error(tmp_path) == "FOLDER/evaluation.json evaluates the data in older; expected data. Write it again with"


def test_none_there(tmp_path):
    assert error(tmp_path) == "FOLDER/evaluation.json does not exist. Write it with"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"run": {"split": "test", "data_dir": "data"}}', '{"run": 1}'])
def test_something_else(tmp_path, text):
    (tmp_path / "evaluation.json").write_text(text)
    assert error(tmp_path) == "FOLDER/evaluation.json is not a file of farkeras.evaluate. Write it again with"


def test_one_that_cannot_be_read(tmp_path):
    (tmp_path / "evaluation.json").mkdir()
    assert error(tmp_path) == "Cannot read FOLDER/evaluation.json (Is a directory). Write it again with"
