"""Hooks of mkdocs, see `hooks` in mkdocs.yml.

They make the pages of the commands and the settings from the code, and convert formulas to MathML, which browsers show
without a script.
"""

import ast
import importlib
import inspect
import re
import socket
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from absl import flags
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from farkeras.cli.commands import PACKAGE, commands
from farkeras.cli.flags import Flags
from farkeras.config import Config
from farkeras.native_logs import without_native_logs

with without_native_logs():  # Keras imports TensorFlow
    from farkeras.models.presets import PRESETS

REPOSITORY = PACKAGE.parent
SHARED_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "configs/README.md": "configurations.md",
    "export/README.md": "export.md",
    "serving/README.md": "serving.md",
}
"""Documents of the repository that are pages of the site."""

SHARED_FILES = ("compose.yaml", "kubernetes.yaml", "models.config", "batching.config", "monitoring.config")
"""Files of the folder serving/ that the page about serving links to."""

_TYPES = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}
_REQUIRED, _PER_PROCESSOR, _THIS_MACHINE = "required", "one for each processor", "name of this machine"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made from the code."""
    pages = {"commands": commands_page(), "settings": settings_page(), "presets": presets_page()}
    for path, content in pages.items():
        files.append(File.generated(config, f"reference/{path}.md", content=content))
    for name in SHARED_FILES:
        files.append(File.generated(config, f"serving/{name}", abs_src_path=str(REPOSITORY / "serving" / name)))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Redirects links between documents of the repository to the pages that include these documents."""
    docs = Path(config.docs_dir)
    folder = (docs / page.file.src_uri).parent

    def on_site(found: re.Match) -> str:
        target = (folder / found["path"]).resolve()
        if not target.is_relative_to(REPOSITORY) or target.is_relative_to(docs):
            return found[0]
        name = target.relative_to(REPOSITORY).as_posix()
        name = SHARED_PAGES.get(f"{name}/README.md" if target.is_dir() else name, name)
        return f"]({'../' * page.file.src_uri.count('/')}{name}{found['anchor'] or ''})"

    return re.sub(r"\]\((?P<path>(?:\.\.?/)[^)#\s]*)(?P<anchor>#[^)\s]*)?\)", on_site, markdown)


def on_page_content(html: str, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Converts LaTeX, which the extension arithmatex marks, to MathML, and redirects links in a notebook to pages."""
    if page.file.src_uri.endswith(".ipynb"):
        html = re.sub(r'href="([\w/]+)\.md(?=[#"])', r'href="\1.html', html)

    def mathml(found: re.Match) -> str:
        block = found["open"] == "["
        latex = found["latex"].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()
        return convert(latex, display="block" if block else "inline")

    return re.sub(
        r'<(?P<tag>span|div) class="arithmatex">\\(?P<open>[(\[])(?P<latex>.*?)\\[)\]]</(?P=tag)>',
        mathml,
        html,
        flags=re.DOTALL,
    )


def presets_page() -> str:
    """All presets with their architecture and cost."""
    lines = [
        "# Presets",
        "",
        'A preset is a model by name. `farkeras.models.FARAMTN.from_preset("far_amtn_resnet50")` builds one with',
        "random weights; its flagfile, on the page [Configurations](../configurations.md), trains it, with the",
        "preprocessing and the initial weights that it names. No preset has trained weights of its own. Parameters and",
        "multiply-adds are those for CelebA's 40 attributes and one image (`python benchmarks/presets.py`).",
        "",
        "| Preset | Backbone | Input | Parameters | Multiply-adds | Flagfile |",
        "| --- | --- | --- | ---: | ---: | --- |",
    ]
    for preset in PRESETS:
        config = preset.config
        size = " x ".join(map(str, config.image_size))
        cells = (f"`{preset.name}`", config.backbone, size, f"{preset.parameters:,}")
        lines.append(f"| {' | '.join(cells)} | {preset.multiply_adds:,} M | `{preset.flagfile}` |")
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """Returns a page of all settings of a run, in the sections of `farkeras.Config`."""
    names = {field.name: field for field in fields(Config)}
    lines = [
        "# Settings",
        "",
        "Each setting is a field of `farkeras.Config` and a flag of the commands that train, check or study:",
        "`farkeras.Config(batch_size=32)` is `--batch_size=32`. A flagfile holds one flag on each line; the shipped",
        "flagfiles are on the page [Configurations](../configurations.md). Lists are written with commas.",
        "",
    ]
    for line in inspect.getsource(Config).splitlines():
        if section := re.fullmatch(r"    # (\w.*)", line):
            lines += [
                "",
                f"## {section[1]}",
                "",
                "| Setting | Default | Values | Meaning |",
                "| --- | --- | --- | --- |",
            ]
        elif (found := re.match(r"    (\w+): (.+?) = setting\(", line)) and found[1] in names:
            field = names.pop(found[1])
            lines.append(
                _row(f"`{field.name}`{{ #{field.name} }}", field.default, _values(field), field.metadata["help"])
            )
    assert not names, f"settings outside the sections of Config: {', '.join(names)}"
    return "\n".join(lines) + "\n"


def _values(field: Any) -> str:
    limits, default = field.metadata, field.default
    if limits["choices"]:
        return ", ".join(f"`{choice}`" for choice in limits["choices"])
    item = (default or ("",))[0] if isinstance(default, tuple) else default
    words = "path" if limits["path"] else _TYPES[type(item)]
    low, high = limits["at_least"], limits["at_most"]
    bounds = [f"from {low:,}"] if low is not None else []
    bounds += [f"to {high:,}"] if high is not None else []
    return " ".join([words if item is default else f"{words}s", *bounds])


class _Listed(Flags):
    """The flags of a command, as its page lists them."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__.update({"defaults": {}, "of_settings": None})

    def text(self, name: str, default: str, help: str) -> None:
        super().text(name, default, help)
        if default == socket.gethostname():
            self.__dict__["defaults"][name] = _THIS_MACHINE

    def worker_count(self, what: str, name: str = "workers") -> None:
        super().worker_count(what, name)
        self.__dict__["defaults"][name] = _PER_PROCESSOR

    def settings(self, names: Any = None) -> None:
        before = set(self)
        super().settings(names)
        self.__dict__["of_settings"] = (names, set(self) - before)


def commands_page() -> str:
    """Returns a page of all commands with their flags."""
    lines = [
        "# Commands",
        "",
        "`farkeras train ...` and `python -m farkeras.train ...` are the same command. Flags are written",
        "`--name=value`; `--flagfile=FILE` reads flags from a file, and `--help` lists the flags of a command.",
        "",
    ]
    return "\n".join([*lines, *(line for name in commands() for line in _command(name))]) + "\n"


def _command(name: str) -> Iterator[str]:
    module = importlib.import_module(f"farkeras.{name}")
    text = ast.get_docstring(ast.parse(Path(inspect.getfile(module)).read_text(encoding="utf-8"))) or ""
    yield from ("", f"## {name}", "", text, "")
    if not hasattr(module, "define"):  # argparse's, for it runs without absl
        yield from ("| Flag | Default | Meaning |", "| --- | --- | --- |")
        for action in module.make_parser()._actions:
            flag = action.option_strings[0] if action.option_strings else action.metavar
            if flag != "-h":
                help = action.help.replace("; by default %(default)s", "")
                yield _row(f"`{flag}`", action.default, help)
        return
    listed = _Listed()
    module.define(listed)
    names, of_settings = listed.__dict__["of_settings"] or ((), set())
    if accepted := listed.__dict__["_accepted"]:
        yield from (f"Arguments: `{accepted}`.", "")
    own = [flag for flag in _in_order(listed) if flag.name not in of_settings]
    if own:
        yield from ("| Flag | Default | Meaning |", "| --- | --- | --- |")
    for flag in own:
        required = flag.name in listed.__dict__["_required"]
        default = _REQUIRED if required else listed.__dict__["defaults"].get(flag.name, flag.default)
        help = flag.help
        if isinstance(flag, flags.EnumFlag):  # absl puts "<value|value>: " before the help, which HTML takes for a tag
            values = ", ".join(f"`{value}`" for value in flag.parser.enum_values)
            help = f"{help.partition('>: ')[2]} One of {values}."
        yield _row(f"`--{flag.name}`", default, help)
    if of_settings:
        links = ", ".join(f"[`--{each}`](settings.md#{each})" for each in sorted(of_settings))
        yield from ("", "All [settings](settings.md)." if names is None else f"Settings: {links}.")


def _in_order(listed: Flags) -> list[flags.Flag]:
    """Returns the flags without absl's own, in the order of their definition."""
    return [listed[name] for name in listed if name not in ("flagfile", "undefok")]


def _row(name: str, default: Any, *cells: str) -> str:
    if isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, tuple | list):
        default = ",".join(map(str, default))
    plain = default in (_REQUIRED, _PER_PROCESSOR, _THIS_MACHINE)
    shown = "" if default in ("", None) else (default if plain else f"`{default}`")
    return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in (name, shown, *cells)) + " |"
