"""Sources by name: what reaches them, and one sentence for what cannot be opened."""

import pytest

from farkeras.data.sources import opening as sources
from farkeras.data.sources.opening import open_source
from farkeras.errors import FarkerasError


def test_folder_and_progress_reach_the_source(monkeypatch):
    monkeypatch.setitem(sources.SOURCES, "pair", lambda data_dir, progress: (data_dir, progress))
    assert open_source("pair", "folder", print) == ("folder", print)
    assert open_source("pair", "folder") == ("folder", None)


@pytest.mark.parametrize(
    ("name", "data_dir", "message"),
    [
        ("celebb", "folder", r"Unknown source 'celebb'\. Known: celeba"),
        ("celeba", "", r"No data folder given; name it with --data_dir=PATH"),
    ],
)
def test_what_cannot_be_opened(name, data_dir, message):
    with pytest.raises(FarkerasError, match=message):
        open_source(name, data_dir)
