"""Files that appear complete or not at all."""

import os
import subprocess
import sys
import time

import pytest

from farkeras.files import plain_path, write_text, written_aside


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


@pytest.mark.parametrize("name", ["[1]", "a*", "a?", "back\\slash"])
def test_a_path_without_the_signs_of_a_pattern(name, tmp_path):
    (tmp_path / name).mkdir()
    with plain_path(tmp_path / name) as plain:
        assert not set(plain) & set("[*?\\")
        write_text(f"{plain}/file", "text")
    assert (tmp_path / name / "file").read_text() == "text"
    assert not os.path.lexists(plain)


@pytest.mark.parametrize("name", ["plain", "100% {a,b} #'头\n"])
def test_other_paths_stay(name, tmp_path):
    with plain_path(tmp_path / name) as plain:
        assert plain == str(tmp_path / name)


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


class TestLeftBehind:
    """What a killed process leaves half written is no result, and goes once it is a day old."""

    WRITER = """
import sys
from farkeras.files import written_aside

with written_aside(sys.argv[1]) as aside:
    aside.mkdir()
    (aside / "half").touch()
    print("writing", flush=True)
    sys.stdin.read()
"""

    @pytest.fixture
    def writer(self, tmp_path):
        """Another process, in the middle of writing the folder `a`."""
        command = [sys.executable, "-c", self.WRITER, str(tmp_path / "a")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "writing\n"
            yield process
            process.kill()

    @staticmethod
    def days_pass(folder):
        """What lies in the folder was last changed two days ago."""
        for path in folder.rglob("*"):
            os.utime(path, (time.time() - 2 * 24 * 3600,) * 2)

    def test_a_killed_process(self, writer, tmp_path):
        writer.kill()  # SIGKILL: no clean-up runs
        writer.wait()
        (left,) = names(tmp_path)
        assert (left[:3], left[-8:]) == (".a.", ".partial")
        write_text(tmp_path / "a", "whole")
        assert names(tmp_path) == [left, "a"]  # its writer may still live, perhaps on another host
        self.days_pass(tmp_path)
        write_text(tmp_path / "b", "of another name")
        assert names(tmp_path) == [left, "a", "b"]
        write_text(tmp_path / "a", "whole")
        assert names(tmp_path) == ["a", "b"]

    def test_a_living_process(self, writer, tmp_path):
        self.days_pass(tmp_path)
        (folder,) = tmp_path.iterdir()
        (folder / "a" / "more").touch()  # after days it still writes
        write_folder(tmp_path / "a", "ours")
        assert len(names(tmp_path)) == 2
        (tmp_path / "a").rename(tmp_path / "ours")
        writer.communicate("")  # goes on to its end
        assert writer.returncode == 0
        assert names(tmp_path / "a") == ["half", "more"]
        assert names(tmp_path) == ["a", "ours"]

    def test_twice_in_one_process(self, tmp_path):
        with written_aside(tmp_path / "a") as aside:
            aside.write_text("begun first")
            write_text(tmp_path / "a", "begun second")
            assert (tmp_path / "a").read_text() == "begun second"
        assert (tmp_path / "a").read_text() == "begun first"
        assert names(tmp_path) == ["a"]
