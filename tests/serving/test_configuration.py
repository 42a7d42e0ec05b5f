"""TF Serving's configuration files, and what is wrong with some."""

import pytest

from farkeras.errors import FarkerasError
from farkeras.serving.batching import BatchSettings
from farkeras.serving.configuration import one_model, read_batching, read_models, versions_on_disk, wanted_versions
from farkeras.wire.protos.config_pb2 import VersionPolicy


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "some.config"
        path.write_text(text)
        return path

    return write


MODEL = 'config { name: "a" base_path: "/models/a" model_platform: "tensorflow" %s }'


def test_models(file):
    labelled = MODEL % 'model_version_policy { specific { versions: 7 } } version_labels { key: "stable" value: 7 }'
    (model,) = read_models(file(f"model_config_list {{ {labelled} }}  # a comment"))
    assert (model.name, model.base_path, dict(model.version_labels)) == ("a", "/models/a", {"stable": 7})
    assert list(model.model_version_policy.specific.versions) == [7]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"some\.config names no model"),
        ("model_config_list {", r"Cannot read .*some\.config \(.*\)\. Expected a file in TF Serving's text format"),
        ("models {}", r'Cannot read .*some\.config \(.*"models".*\)'),
        (f"model_config_list {{ {MODEL % ''} {MODEL % ''} }}", "a unique name. Received: 'a'"),
        (f"model_config_list {{ {MODEL.replace('/models/a', 'models/a') % ''} }}", "base_path of 'a' must be an abs"),
        (f"model_config_list {{ {MODEL.replace('tensorflow', 'caffe') % ''} }}", 'must be "tensorflow". .* "caffe"'),
    ],
)
def test_wrong_models(file, text, message):
    with pytest.raises(FarkerasError, match=message):
        read_models(file(text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FarkerasError, match=r"Cannot read .*nowhere \(No such file or directory\)"):
        read_models(tmp_path / "nowhere")


def test_one_model(tmp_path):
    (tmp_path / "export" / "saved_model" / "1").mkdir(parents=True)
    folder = tmp_path / "export" / "saved_model"
    assert one_model("faces", folder).base_path == str(folder)
    with pytest.raises(FarkerasError, match=rf"holds no version .* Did you mean `model_dir={folder}`\?"):
        one_model("faces", tmp_path)
    with pytest.raises(FarkerasError, match=r"holds no version .* Run export/export_saved_model\.py\."):
        one_model("faces", tmp_path / "nowhere")


def test_batching(file):
    text = """
        max_batch_size { value: 16 } batch_timeout_micros { value: 1500 } max_enqueued_batches { value: 5 }
        num_batch_threads { value: 3 } allowed_batch_sizes: 4 allowed_batch_sizes: 16
        thread_pool_name { value: "batches" }
    """
    assert read_batching(file(text)) == BatchSettings(16, 1500, 5, 3, (4, 16))
    assert read_batching(file("")) == BatchSettings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size { value: 0 }", "max_batch_size must be at least 1. Received: 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be at least 0. Received: -1"),
        (
            "max_batch_size { value: 4 } allowed_batch_sizes: [2, 3]",
            r"max_batch_size \(4\). Received: \[2, 3\]",
        ),
        ("max_batch_size { value: 4 } allowed_batch_sizes: [4, 2, 4]", r"must ascend .* \[4, 2, 4\]"),
    ],
)
def test_wrong_batching(file, text, message):
    with pytest.raises(FarkerasError, match=message):
        read_batching(file(text))


def test_versions_on_disk(tmp_path):
    for name in ("1", "007", "12", "next", ".5.partial", "-3", "1.5", "٣"):
        (tmp_path / name).mkdir()
    (tmp_path / "4").write_text("a file")
    assert versions_on_disk(tmp_path) == {1: tmp_path / "1", 7: tmp_path / "007", 12: tmp_path / "12"}
    assert versions_on_disk(tmp_path / "nowhere") == {}


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        ({}, {9}),
        ({"latest": {}}, {9}),
        ({"latest": {"num_versions": 2}}, {4, 9}),
        ({"all": {}}, {1, 4, 9}),
        ({"specific": {"versions": [4, 5]}}, {4}),
    ],
)
def test_policies(policy, wanted):
    assert wanted_versions(VersionPolicy(**policy), {1, 4, 9}) == wanted
    assert wanted_versions(VersionPolicy(**policy), set()) == set()
