"""Files that appear complete or not at all."""

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import tensorflow as tf

from farkeras.errors import FarkerasError
from farkeras.files import alone_in, plain_path, reason, write_text, writing, written_aside


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


class TestFoldersWithOneWriter:
    def test_a_second_one_is_refused_by_name(self, tmp_path):
        with (
            alone_in(tmp_path / "run", "workdir"),
            pytest.raises(FarkerasError, match=rf"run is in use by process {os.getpid()} on .*; the files of two"),
            alone_in(tmp_path / "run", "workdir"),
        ):
            pass
        with alone_in(tmp_path / "run", "workdir"):  # free again
            pass

    def test_the_lock_of_a_killed_process_is_gone(self, tmp_path):
        hold = "from farkeras.files import alone_in\nwith alone_in('.', ''): print(flush=True), input()"
        command = [sys.executable, "-c", hold]
        with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            with (
                pytest.raises(FarkerasError, match=f"in use by process {process.pid} on"),
                alone_in(tmp_path, "output"),
            ):
                pass
            process.kill()
            process.wait()
            with alone_in(tmp_path, "output"):
                pass

    def test_a_disk_without_locks(self, tmp_path, monkeypatch, caplog):
        def flock(*_):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr("fcntl.flock", flock)
        with alone_in(tmp_path, "workdir"), alone_in(tmp_path, "workdir"):
            assert f"{tmp_path} cannot be locked (No locks available). Do not start a second command" in caplog.text

    def test_a_system_without_fcntl(self, tmp_path, monkeypatch, caplog):
        monkeypatch.setitem(sys.modules, "fcntl", None)
        with alone_in(tmp_path, "workdir"):
            assert "cannot be locked (this system has no fcntl)" in caplog.text

    def test_a_file_in_its_place(self, tmp_path):
        (tmp_path / "file").touch()
        for folder, why in (("file", "File exists"), ("file/run", "Not a directory")):
            message = rf"{folder} \({why}\); remove the file that is in the place of a folder, or name another"
            with pytest.raises(FarkerasError, match=message), alone_in(tmp_path / folder, "workdir"):
                pass


TENSORFLOW_PUTS_IT_SO = "{{function_node __wrapped__SaveV2}} run/ckpt-1; No space left on device [Op:SaveV2]"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.EROFS, "Read-only file system", "a.txt"), "Read-only file system"),
        (OSError("h5py names no number"), "h5py names no number"),
        (tf.errors.ResourceExhaustedError(None, None, TENSORFLOW_PUTS_IT_SO), "No space left on device"),
        (tf.errors.OutOfRangeError(None, None, "events; File too large\n\tFailed to flush 1 events"), "File too large"),
        (tf.errors.FailedPreconditionError(None, None, "{{node}} Not a directory [Op:Create]"), "Not a directory"),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[8]"), ""),
        (ValueError("a bug"), ""),
    ],
)
def test_what_the_system_says(error, why):
    assert reason(error) == why


def test_a_failed_write_says_what_to_do():
    message = (
        r"^Cannot write model \(Disk full\); free disk space or make the folder writable, or name another with `output`"
        r"\. Then start the same command again; it does not repeat what is already saved\.$"
    )
    with pytest.raises(FarkerasError, match=message), writing("model", "saved", "output"):
        raise OSError(errno.ENOSPC, "Disk full")
    with pytest.raises(ZeroDivisionError), writing("model"):
        raise ZeroDivisionError


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path):
    def full(folder):
        with written_aside(folder / "a.txt") as aside:
            raise OSError(errno.ENOSPC, "No space left on device", *([str(aside)] if folder == tmp_path else []))

    for folder in (tmp_path, tmp_path / "sub"):
        with pytest.raises(OSError, match=r"a\.txt") as raised:
            full(folder)
        assert raised.value.filename == str(folder / "a.txt")


def test_a_pipe_stays_a_pipe_and_gets_the_content(tmp_path):
    """As root, renaming a file to /dev/null would remove the device of the whole machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_text)
        write_text(pipe, "all of it")
        assert read.result(timeout=10) == "all of it"
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]
