"""The documentation site: `make docs` builds it, and nothing public is missing from it."""

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import farkeras
from farkeras import layers, losses, metrics, models, optimizers, testing, weighting
from farkeras.cli.commands import commands
from farkeras.cli.flags import Flags
from farkeras.config import Config

pytest.importorskip("mkdocs", reason="the documentation's packages are not installed")

ROOT = Path(farkeras.__file__).parents[1]
NOT_DOCUMENTED = {"models.MODELS"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site. A broken link, a missing page or an unknown cross-reference ends the build with an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", f"--config-file={ROOT / 'mkdocs.yml'}"]
    done = subprocess.run([*command, f"--site-dir={folder}"], capture_output=True, text=True, timeout=600, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def anchors(site):
    """Page -> its anchors."""
    pages = site.rglob("*.html")
    return {p.relative_to(site).as_posix(): set(re.findall(r'id="([^"]+)"', p.read_text("utf-8"))) for p in pages}


def test_every_command_with_its_flags(site, anchors):
    page = (site / "reference/commands.html").read_text("utf-8")
    for name in commands():
        assert name in anchors["reference/commands.html"], name
        section = page.split(f'<h2 id="{name}"')[1].split("<h2")[0]
        module = __import__(f"farkeras.{name}", fromlist=["define"])
        if not hasattr(module, "define"):
            assert "--align" in section
            continue
        options = Flags()
        module.define(options)
        if "All <a" not in section:
            for flag in set(options) - {"flagfile", "undefok"}:
                assert f"--{flag}<" in section, f"{name}: {flag}"


def test_every_setting(anchors):
    assert {field.name for field in fields(Config)} <= anchors["reference/settings.html"]


@pytest.mark.parametrize("package", [layers, losses, metrics, models, optimizers, testing, weighting])
def test_every_public_class_and_function(package, anchors):
    name = package.__name__.removeprefix("farkeras.")
    missing = {f"{name}.{each}" for each in package.__all__} - NOT_DOCUMENTED
    assert not {each for each in missing if f"farkeras.{each}" not in anchors[f"reference/{name}.html"]}


def test_every_name_of_the_front_door(anchors):
    packages = {"layers", "losses", "metrics", "models", "optimizers", "weighting"}
    missing = {f"farkeras.{name}" for name in farkeras.__all__ if name not in packages}
    assert missing <= anchors["reference/farkeras.html"]


def test_formulas_are_mathematics(site):
    page = (site / "papers.html").read_text("utf-8")
    assert page.count("<math ") > 50
    assert "arithmatex" not in page


def test_links_lead_somewhere(site, anchors):
    """Also those that mkdocs does not check: links in HTML, and anchors that are made from the code."""
    for page in anchors:
        html = (site / page).read_text("utf-8")
        for link in re.findall(r'(?:href|src)="([^"]*)"', html):
            target, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:|//", target) or page == "404.html":
                continue
            path = (site / page).parent / target if target else site / page
            if path.is_dir():
                path /= "index.html"
            assert path.exists(), f"{page}: {link}"
            if anchor and path.suffix == ".html":
                assert anchor in anchors[path.resolve().relative_to(site.resolve()).as_posix()], f"{page}: {link}"


def test_nothing_is_loaded_from_the_network(site):
    for path in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|iframe)[^>]* src="(https?:[^"]*)"|<link[^>]* href="(https?:[^"]*)"',
            path.read_text("utf-8"),
        )
        assert not loaded, f"{path}: {loaded}"


def test_a_broken_link_is_an_error(tmp_path):
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "configs", "export", "serving", "farkeras"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / "docs/lfwa.md").write_text("[gone](nowhere.md)")
    command = [sys.executable, "-m", "mkdocs", "build", f"--site-dir={tmp_path / 'site'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=tmp_path)
    assert done.returncode == 1
    assert "contains a link 'nowhere.md'" in done.stdout + done.stderr


def test_the_readme_fits_on_a_few_screens():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150
