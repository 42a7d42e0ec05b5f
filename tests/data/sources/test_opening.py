"""Sources by name: what reaches them, and one sentence for what cannot be opened."""

import pytest

from farkeras.data.sources import opening as sources
from farkeras.data.sources.opening import open_source
from farkeras.errors import FarkerasError


def test_folder_progress_and_settings_reach_the_source(monkeypatch):
    monkeypatch.setitem(sources.SOURCES, "three", lambda *given: given)
    assert open_source("three", "folder", print, {"seed": 3}) == ("folder", print, {"seed": 3})
    assert open_source("three", "folder") == ("folder", None, {})


@pytest.mark.parametrize(
    ("name", "data_dir", "message"),
    [
        ("celebb", "folder", r"Unknown source 'celebb'\. Known: celeba"),
        ("celeba", "", r"No data folder given; name it with `data_dir=PATH`"),
    ],
)
def test_what_cannot_be_opened(name, data_dir, message):
    with pytest.raises(FarkerasError, match=message):
        open_source(name, data_dir)
