"""How entry points end: one line of error, exit codes; and that light imports stay light."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from farkeras.errors import FarkerasError
from farkeras.cli.run import run_command

def main(options):
    {body}

run_command(lambda flags: None, main)
"""


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("body", "code", "out", "err"),
    [
        ("print('done')", 0, "done\n", ""),
        ("return 3", 3, "", ""),
        ("print('\\udcff')", 0, "\\udcff\n", ""),  # of a file's name that is not UTF-8
        ("raise FarkerasError('No photo. Give one.')", 1, "", "error: No photo. Give one.\n"),
        ("raise KeyboardInterrupt", 130, "", "stopped\n"),
        (
            "open('/nowhere/a')",
            1,
            "",
            "error: Cannot read or write /nowhere/a (No such file or directory); free disk space, change its "
            "permissions, or name another.\n",
        ),
    ],
)
def test_how_a_command_ends(body, code, out, err):
    done = python(PROGRAM.format(body=body))
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


def test_a_line_of_the_library_is_seen_beside_silenced_native_code():
    body = """import logging, os
    from farkeras.native_logs import silence_native_logs
    silence_native_logs()
    os.write(2, b"native noise")
    logging.getLogger("farkeras").warning("Downloading the face model")"""
    assert python(PROGRAM.format(body=body)).stderr == "Downloading the face model\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("body", ["print('done')", "print('x' * 100_000)"])
def test_output_to_a_full_disk(body):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", PROGRAM.format(body=body)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Cannot read or write a file or the output (No space left on device); free")
    assert done.stderr.count("\n") == 1


def test_a_reader_that_has_seen_enough():
    command = [sys.executable, "-c", PROGRAM.format(body="print('x' * 1_000_000)")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""


def test_what_tensorflow_says_of_a_file():
    body = """import tensorflow as tf
    tf.io.write_file("/dev/null/a", "text")"""
    done = python(PROGRAM.format(body=body))
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        "error: Cannot read or write a file or the output (Not a directory); free disk space, change its "
        "permissions, or name another.",
    )
    assert "Traceback" not in done.stderr


def test_a_bug_keeps_its_traceback():
    done = python(PROGRAM.format(body="raise ZeroDivisionError('a bug')"))
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError: a bug" in done.stderr


def test_importing_the_package_and_its_settings_loads_no_tensorflow():
    light = "farkeras.attributes, farkeras.flagfiles, farkeras.cli.run, farkeras.cli.flags, farkeras.files"
    done = python(f"import sys, {light}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_unknown_name():
    done = python("import farkeras; farkeras.lode")
    assert "AttributeError: No farkeras attribute lode" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["surplus"], "error: Unexpected argument 'surplus'. Give settings as --name=value."),
        ([], "error: --workdir is missing. Folder of the run. The same command continues a run that was stopped."),
        (["--workdir=run", "--batch_size=0"], "error: --batch_size must be at least 1. Received: 0."),
    ],
)
def test_wrong_training_command(arguments, message, tmp_path):
    command = [sys.executable, "-m", "farkeras.train", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, message + "\n")
    assert not list(tmp_path.iterdir())
