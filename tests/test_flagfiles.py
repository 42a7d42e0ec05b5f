"""Flags and flagfiles, made from the settings; each flagfile in configs/ is one that works."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import farkeras
from farkeras.attributes import load_grouping
from farkeras.cli.flags import Flags
from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.flagfiles import (
    SHIPPED,
    find_flagfile,
    join_list,
    load_config,
    read_flagfile,
    save_flagfile,
    split_list,
)
from farkeras.models.backbones import backbone_names
from farkeras.training.building import build_model

pytestmark = pytest.mark.core

CONFIGS = sorted(
    path
    for path in (Path(farkeras.__file__).parents[1] / "configs").glob("*.flags")
    if not path.name.startswith("study")  # flagfiles of farkeras.study, see tests/test_study.py
)

NAME, PATH = "C:\\a b=ü,#", "/头 [lr=3e-4]/-'\"*?#\n\r\u2028\udcff "

# Each setting with another value than its default.
CHANGED = Config(
    **{
        field.name: {bool: not field.default, int: 4, float: 0.3, str: PATH if field.metadata["path"] else NAME}[
            type(field.default)
        ]
        for field in dataclasses.fields(Config)
        if not field.metadata["choices"] and not isinstance(field.default, tuple)
    },
    **{field.name: field.metadata["choices"][-1] for field in dataclasses.fields(Config) if field.metadata["choices"]},
    exclude_attributes=("Male", "subjective"),
    image_size=(64, 48),
    crop=(0.0, 0.1, 0.25, 1 / 3),
    mask_widths=(8, 16, 24),
    loss_factors=("Hair=10", "a, b=0.5"),
    label_noise=("all=0.1",),
    ignore_columns=("notes", "file name", "a, b", 'in "quotes"', '"', " ", "", " c ", "d\\"),
    split_ratios=(0.5, 0.25, 0.25),
    data_service=("grpc://a:5050", "grpc://b:5050"),
)


def parse(*arguments):
    own = Flags()
    own.settings()
    own.parse(["farkeras", *arguments])
    return own.config()


def test_no_flags_are_the_defaults():
    assert parse() == Config()


def test_flags():
    config = parse(
        "--image_size=64,48", "--noaugment_flip", "--crop=0,0.1,1,0.9", "--epochs=3", "--exclude_attributes=Male"
    )
    assert config.image_size == (64, 48)
    assert config.augment_flip is False
    assert config.crop == (0.0, 0.1, 1.0, 0.9)
    assert config.epochs == 3.0
    assert config.exclude_attributes == ("Male",)


def test_some_settings_and_which_of_them_were_given():
    own, names = Flags(), ("image_column", "split_ratios", "ignore_columns")
    own.settings(names)
    assert set(names) <= set(own)
    assert "learning_rate" not in own
    own.parse(["farkeras", "--split_ratios=0.5,0.5,0", "--image_column=image"])
    assert own.given(names) == {"image_column": "image", "split_ratios": [0.5, 0.5, 0.0]}
    own.parse(["farkeras", "--split_ratios=0.5,0.5,0.5"])
    with pytest.raises(FarkerasError, match="`split_ratios` must be three shares"):
        own.given(names)


def test_the_last_value_wins_and_lists_are_replaced(tmp_path):
    (tmp_path / "base.flags").write_text("# a comment\n--image_size=64,48\n--exclude_attributes=Male\n--seed=1\n")
    config = parse(f"--flagfile={tmp_path / 'base.flags'}", "--seed=2", "--exclude_attributes=Young")
    assert (config.image_size, config.exclude_attributes, config.seed) == ((64, 48), ("Young",), 2)


@pytest.mark.parametrize("config", [Config(), CHANGED], ids=["defaults", "changed"])
def test_flagfile_round_trip(config, tmp_path):
    save_flagfile(config, tmp_path / "flags.txt")
    assert read_flagfile(tmp_path / "flags.txt") == config
    assert parse(f"--flagfile={tmp_path / 'flags.txt'}") == config


def test_an_ordinary_flagfile_is_as_written(tmp_path):
    config = Config(data_dir="/data/my faces", ignore_columns=("person", "notes, free"))
    save_flagfile(config, tmp_path / "flags.txt")
    lines = (tmp_path / "flags.txt").read_text().splitlines()
    assert {"--data_dir=/data/my faces", '--ignore_columns=person,"notes, free"', "--mask_gradients=false"} < set(lines)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", []),
        ("a", ["a"]),
        ("a, b ,c", ["a", "b", "c"]),
        ("a,,", ["a", "", ""]),
        ('"a, b", " c "', ["a, b", " c "]),
        ('"in ""quotes""",5"', ['in "quotes"', '5"']),
        ('""', [""]),
    ],
)
def test_lists(text, items):
    assert split_list(text) == items
    assert split_list(join_list(items)) == items


@pytest.mark.parametrize("text", ['"a', '"a"b', 'a,"b'])
def test_a_double_quote_without_end(text):
    with pytest.raises(ValueError, match="an item that begins with a double quote must end with one"):
        split_list(text)
    with pytest.raises(FarkerasError, match=r"flag --ignore_columns=.*: an item that begins with a double quote"):
        parse(f"--ignore_columns={text}")


def test_a_flagfile_of_windows(tmp_path):
    (tmp_path / "own.flags").write_bytes("\ufeff--data_dir=C:\\Träger\r\n\r\n # a comment\r\n--seed=2\r\n".encode())
    assert parse(f"--flagfile={tmp_path / 'own.flags'}") == Config(data_dir="C:\\Träger", seed=2)


def test_flagfiles_in_flagfiles(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a b.flags").write_text("--seed=1\n--epochs=3\n")
    (tmp_path / "own.flags").write_text("--flagfile=~/a b.flags\n--seed=2\n")
    assert read_flagfile("~/own.flags") == parse("--flagfile", "~/own.flags") == Config(seed=2, epochs=3)
    (tmp_path / "a b.flags").write_text("--flagfile=~/own.flags\n")
    with pytest.raises(FarkerasError, match=r"a b\.flags: --flagfile=.*own\.flags leads back to this file; remove"):
        parse("--flagfile=~/own.flags")


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config = Config(data_dir="~/faces", init_from="~/run", grouping="~/groups.json", backbone_weights="none")
    assert (config.data_dir, config.init_from) == (f"{tmp_path}/faces", f"{tmp_path}/run")
    assert (config.grouping, config.backbone_weights) == (f"{tmp_path}/groups.json", "none")
    assert parse("--data_dir=~/faces").data_dir == f"{tmp_path}/faces"
    assert parse("--data_dir=./~").data_dir == "./~"


def test_changed_differs_everywhere():
    same = [f.name for f in dataclasses.fields(Config) if getattr(CHANGED, f.name) == f.default]
    assert not same


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--image_size=64,wide", "`image_size` must be int values separated by commas. Received: 64,wide."),
        ("--image_size=64.5,48", "`image_size` must be int values separated by commas"),
        ("--crop=a,b,c,d", "`crop` must be float values separated by commas. Received: a,b,c,d."),
        ("--batch_size=0", "`batch_size` must be at least 1"),
    ],
)
def test_wrong_value(argument, message):
    with pytest.raises(FarkerasError, match=message):
        parse(argument)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--batchsize=3", r"flags\.txt: Unknown command line flag 'batchsize'"),
        ("--batch_size=many", r"flags\.txt: flag --batch_size=many: "),
        ("--weighting=gradnorm", r"flags\.txt: flag --weighting=gradnorm: value should be one of <dws|uniform|dwa"),
        ("--dropout=2", "`dropout` must be at least 0 and at most 0.95"),
        (
            '"--seed=3',
            r"flags\.txt, line 1: a line in double quotes must be a JSON string \(.*\)\. Correct it, or remove",
        ),
        ("--image_column=a\tb", r"`image_column`: the name 'a\\tb' has the control character '\\t'; expected a name"),
    ],
)
def test_wrong_line_in_a_flagfile(line, message, tmp_path):
    (tmp_path / "flags.txt").write_text(line + "\n")
    with pytest.raises(FarkerasError, match=message):
        read_flagfile(tmp_path / "flags.txt")


def test_no_flagfile(tmp_path):
    with pytest.raises(
        FarkerasError, match=r"nowhere: cannot be read \(No such file or directory\); expected a flagfile"
    ):
        read_flagfile(tmp_path / "nowhere")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_configs(path):
    config = read_flagfile(path)
    assert config.backbone in backbone_names()
    grouping = load_grouping(config.grouping).without(config.excluded)
    assert len(grouping) > 0
    # The header says how to train with this very file.
    header = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    command = "pretrain_masks" if path.stem == "masks_procedural" else "train"
    assert any(f"python -m farkeras.{command} --flagfile=configs/{path.name}" in line for line in header)


@pytest.mark.parametrize(
    ("name", "parameters"), [("celeba_mobile.flags", 2_746_313), ("celeba_mgmtn_mobile.flags", 2_782_608)]
)
def test_size_of_the_models_for_phones(name, parameters):
    path = CONFIGS[0].with_name(name)
    config = dataclasses.replace(read_flagfile(path), backbone_weights="none")
    model = build_model(config, load_grouping(config.grouping))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == parameters
    assert f"Size: {parameters:,} trainable parameters" in path.read_text(encoding="utf-8")


def test_there_are_configs():
    of_both = {"celeba", "celeba_mgmtn", "celeba_mgmtn_mobile", "celeba_mobile"}
    others = {"demo_pretrained", "lfwa", "masks_procedural", "own_small"}
    expected = of_both | {name.replace("celeba", "demo") for name in of_both} | others
    assert {path.stem for path in CONFIGS} == expected


@pytest.mark.parametrize("name", ["demo", "demo.flags", "configs/demo.flags"])
def test_a_configuration_of_the_package_by_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_flagfile(name) == SHIPPED / "demo.flags"
    assert load_config(name, seed=3) == dataclasses.replace(read_flagfile(SHIPPED / "demo.flags"), seed=3)


@pytest.mark.parametrize("name", ["/demo", "elsewhere/configs/demo.flags", "/configs/demo.flags", "../demo.flags"])
def test_a_wrong_path_is_not_taken_for_a_configuration_of_the_package(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_flagfile(name) == Path(name)
    with pytest.raises(FarkerasError, match=f"^{name}: "):
        load_config(name)
