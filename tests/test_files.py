"""Files that appear complete or not at all."""

import platform
import subprocess
import sys

import pytest

from farkeras import files
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


class TestLeftBehind:
    """What a killed process leaves half written goes with the next write; a living one's stays."""

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
    def kill(process):
        process.kill()  # SIGKILL: no clean-up runs
        process.wait()

    def test_a_killed_process(self, writer, tmp_path):
        self.kill(writer)
        assert len(names(tmp_path)) == 1
        write_text(tmp_path / "b", "of another name")
        assert len(names(tmp_path)) == 2
        write_text(tmp_path / "a", "whole")
        assert names(tmp_path) == ["a", "b"]

    def test_a_living_process(self, writer, tmp_path):
        write_folder(tmp_path / "a", "ours")
        assert len(names(tmp_path)) == 2
        (tmp_path / "a").rename(tmp_path / "ours")
        writer.communicate("")  # goes on to its end
        assert writer.returncode == 0
        assert names(tmp_path / "a") == ["half"]
        assert names(tmp_path) == ["a", "ours"]

    def test_twice_in_one_process(self, tmp_path):
        with written_aside(tmp_path / "a") as aside:
            aside.write_text("begun first")
            write_text(tmp_path / "a", "begun second")
            assert (tmp_path / "a").read_text() == "begun second"
        assert (tmp_path / "a").read_text() == "begun first"
        assert names(tmp_path) == ["a"]

    def test_of_another_host(self, writer, tmp_path, monkeypatch):
        self.kill(writer)
        monkeypatch.setattr(platform, "node", lambda: "elsewhere")
        write_text(tmp_path / "a", "whole")
        assert len(names(tmp_path)) == 2  # whether its writer lives cannot be seen from here

    def test_where_nothing_can_be_locked(self, writer, tmp_path, monkeypatch):
        self.kill(writer)
        monkeypatch.setattr(files, "fcntl", None)
        write_text(tmp_path / "a", "whole")
        assert (tmp_path / "a").read_text() == "whole"
        assert len(names(tmp_path)) == 2
