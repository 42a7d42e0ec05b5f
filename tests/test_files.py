"""Files that appear complete or not at all."""

import pytest

from farkeras.files import write_text, written_aside


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text(tmp_path):
    write_text(tmp_path / "a" / "b" / "c.txt", "ü\n")
    assert (tmp_path / "a" / "b" / "c.txt").read_bytes() == "ü\n".encode()
    assert names(tmp_path / "a" / "b") == ["c.txt"]


def test_nothing_is_there_before_the_end(tmp_path):
    with written_aside(tmp_path / "a.txt") as aside:
        aside.write_text("new")
        assert aside.name == "a.txt"  # Keras looks at the name's ending
        assert not (tmp_path / "a.txt").exists()
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(error, tmp_path):
    write_text(tmp_path / "a.txt", "old")

    def write_half():
        with written_aside(tmp_path / "a.txt") as aside:
            aside.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_replaces_a_file(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"


def write_folder(path, name):
    with written_aside(path) as aside:
        aside.mkdir()
        (aside / name).write_text("x")


def test_a_folder(tmp_path):
    write_folder(tmp_path / "1", "part")
    assert names(tmp_path / "1") == ["part"]


def test_a_folder_does_not_replace_a_folder(tmp_path):
    write_folder(tmp_path / "1", "old")
    with pytest.raises(OSError, match="1"):
        write_folder(tmp_path / "1", "new")
    assert names(tmp_path / "1") == ["old"]
    assert names(tmp_path) == ["1"]
