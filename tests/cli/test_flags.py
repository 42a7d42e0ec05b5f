"""Flags of the commands, read as a shell gives them."""

import importlib
import re
from dataclasses import fields

import pytest

from farkeras.cli.commands import commands
from farkeras.cli.flags import Flags
from farkeras.config import Config
from farkeras.errors import FarkerasError

SETTINGS = {field.name for field in fields(Config)}


def parse(*arguments, **paths):
    options = Flags()
    options.settings()
    for name in paths:
        options.path(name, f"Folder of {name}.", required=paths[name])
    options.parse(["command", *arguments])
    return options


def test_a_path(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert parse("--output=~/a [b]", output=False).output == "/home/me/a [b]"
    assert parse("--output", "~", output=False).output == "/home/me"
    assert parse("--output=./~", output=False).output == "./~"
    assert parse(output=False).output == ""
    with pytest.raises(FarkerasError, match=r"--output is missing\. Folder of output\."):
        parse(output=True)


@pytest.mark.parametrize("command", sorted(set(commands()) - {"client_grpc"}))  # without absl
def test_every_path_of_a_command(command, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    options = Flags()
    importlib.import_module(f"farkeras.{command}").define(options)
    for name in set(options) - SETTINGS:
        if options[name].flag_type() == "string" and re.search("[Ff]older|[Ff]ile|Workdir", options[name].help):
            options[name].parse("~/x")
            assert options[name].value == "/home/me/x", name


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("Set `seed` or `seed=3`.", "Set --seed or --seed=3."),
        ("Set `grouping=my groups.json`.", "Set --grouping='my groups.json'."),
        ('Set `ignore_columns=a,"b, c"`.', "Set --ignore_columns='a,\"b, c\"'."),
        ("Set `augment_flip=False` or `augment_flip=True`.", "Set --noaugment_flip or --augment_flip."),
        ("The `tensor` stays.", "The `tensor` stays."),
    ],
)
def test_settings_in_messages_are_flags_for_the_shell(message, shown):
    assert parse().as_flags(message) == shown


def test_a_flagfile_without_a_name():
    with pytest.raises(FarkerasError, match=r"--flagfile names no file; expected --flagfile=FILE\."):
        parse("--flagfile=")


def test_a_flagfile_that_replaces_flags_before_it(tmp_path, capsys):
    (tmp_path / "my.flags").write_text("--seed=3\n--grouping=one\n")
    assert parse("--seed=1", f"--flagfile={tmp_path / 'my.flags'}", "--grouping=mcnn9").seed == 3
    assert capsys.readouterr().err == (
        f"Warning: {tmp_path / 'my.flags'} replaces --seed. Put --flagfile before the flags that it must not replace.\n"
    )
    assert parse(f"--flagfile={tmp_path / 'my.flags'}", "--seed=1").seed == 1
    assert capsys.readouterr().err == ""


def test_what_follows_two_dashes_is_no_flag():
    options = Flags()
    options.accept_arguments("PHOTO...", "No photo given.")
    options.parse(["command", "--", "--flagfile=x", "-y.jpg"])
    assert options.arguments == ["--flagfile=x", "-y.jpg"]
