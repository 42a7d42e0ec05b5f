"""The names of the attributes: from an export, or from a server that knows them."""

import json

import pytest

from farkeras.clients import RestClient
from farkeras.clients.names import METADATA_FILE, read_names
from farkeras.errors import FarkerasError
from tests.clients.fake_server import NAMES, serve


@pytest.fixture
def export_dir(tmp_path):
    """Versions 2 and 10, with an attribute named after each, and one that was refused."""
    for version in ("2", "10", "11.rejected"):
        file = tmp_path / version / METADATA_FILE
        file.parent.mkdir(parents=True)
        name = f"of_{version}"
        file.write_text(json.dumps({"attributes": [name], "groups": {"all": [name]}, "procedural": False}))
    return tmp_path


def test_an_export(export_dir):
    assert read_names(export_dir).attributes == ("of_10",)
    assert read_names(export_dir / "2").groups == {"all": ("of_2",)}
    assert not read_names(export_dir / "2" / METADATA_FILE).procedural


@pytest.mark.parametrize("text", ["{", "[]", '{"attributes": ["a"]}', '{"groups": 3}'])
def test_another_file(tmp_path, text):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(FarkerasError, match=r"other\.json does not name .*; expected the farkeras\.json of an export"):
        read_names(tmp_path / "other.json")


def test_nothing_there(tmp_path):
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(FarkerasError, match=r"Cannot read .* \(No such file.*; expected the folder of an export"):
            read_names(place)


def test_a_rest_server_that_knows_them(model):
    with serve("rest", model) as address, RestClient(address, label="canary") as client:
        assert client.recognize(b"image")[0]["b"] == pytest.approx(0.105)
        assert model.asked_for == ("farkeras", None, "canary")
        assert client.names.groups == {group: tuple(members) for group, members in NAMES["groups"].items()}


def test_one_that_does_not(model):
    model.knows_names = False
    expected = pytest.raises(FarkerasError, match=r"does not name the attributes of farkeras; TF Serving never does\.")
    with serve("rest", model) as address, RestClient(f"http://{address}/") as client, expected:
        client.recognize(b"image")
    assert not model.requests
