"""The front door: what `farkeras` offers, and how its modules run."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import farkeras
from farkeras.cli.commands import commands

PACKAGE = Path(farkeras.__file__).parent


def python(*arguments, **options):
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, **options)


def test_every_public_name_is_there_typed_and_documented():
    for name in farkeras.__all__:
        value = getattr(farkeras, name)
        assert value.__doc__, name
        if callable(value) and not isinstance(value, type):
            assert set(inspect.signature(value).parameters) | {"return"} == set(value.__annotations__), name
    assert farkeras.layers.WSGSA.__name__ == "WSGSA"


def test_importing_farkeras_is_light():
    code = "import sys, farkeras; sys.exit(bool({'tensorflow', 'keras', 'numpy', 'rich', 'absl'} & set(sys.modules)))"
    assert python("-c", code).returncode == 0


def test_no_public_function_has_the_name_of_a_command():
    names = set(commands())
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                assert node.name not in names, f"{path}: {node.name}"
    assert not names & set(farkeras.__all__)


def test_all_commands_in_one_process():
    imports = "\n".join(f"import farkeras.{name}" for name in commands())
    code = (
        f"{imports}\nfrom absl import flags\nprint([f for f in flags.FLAGS if f in ('workdir', 'data_dir', 'output')])"
    )
    done = python("-c", code)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize("name", commands())
def test_help(name):
    done = python("-m", "farkeras", name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first = ast.get_docstring(ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))).splitlines()[0]
    assert first in done.stdout
    if name != "client_grpc":  # argparse's, for it runs without absl
        assert f"Usage: python -m farkeras.{name} " in done.stdout
        assert python("-m", f"farkeras.{name}", "--help").stdout == done.stdout


def test_a_verb_is_the_module(tmp_path):
    for command in (["farkeras", "train"], ["farkeras.train"]):
        done = python("-m", *command, "--workdir=run", "--flagfile=demo", "--batch_size=0", cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr == (
            f"demo: {PACKAGE / 'configs' / 'demo.flags'}\nerror: --batch_size must be at least 1. Received: 0.\n"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["farkeras.config"], "farkeras.config is not a command. Commands: align, annotate, "),
        (["farkeras.trian"], "farkeras.trian is not a command. Did you mean train?"),
        (["farkeras.training"], "farkeras.training is not a command. Did you mean train?"),
        (["farkeras.data.pipeline"], "farkeras.data.pipeline is not a command. Commands: "),
        (["farkeras", "trian"], "'trian' is not a command of farkeras. Did you mean train?"),
    ],
)
def test_what_is_not_a_command(arguments, message):
    done = python("-m", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1


def test_the_list_of_commands():
    listed = python("-m", "farkeras").stdout
    assert all(f"\n  {name} " in listed for name in commands())
    assert python("-m", "farkeras", "--version").stdout == f"{farkeras.__version__}\n"


def test_an_unknown_flag_is_one_line():
    done = python("-m", "farkeras.train", "--workdir=x", "--bach_size=3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: Unknown command line flag 'bach_size'. Did you mean")
    assert done.stderr.count("\n") == 1
