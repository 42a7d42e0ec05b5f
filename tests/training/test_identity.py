"""Which run a workdir holds: the same data elsewhere continue it, other data in the same place do not."""

import shutil
from dataclasses import replace

import pytest

from farkeras.config import Config
from farkeras.data.packing import pack_data_set
from farkeras.data.sources.opening import open_source
from farkeras.errors import FarkerasError
from farkeras.flagfiles import save_flagfile
from farkeras.training.building import open_data
from farkeras.training.identity import check_workdir, fingerprint, identity_of, write_identity

FACES = {f"{number}.png": number % 2 for number in range(8)}


def write_table(folder, labels=FACES):
    """A table with a row for each of `labels`; the first six train."""
    (folder / "faces").mkdir(parents=True, exist_ok=True)
    lines = ["image,Smile,split"]
    for row, (name, label) in enumerate(labels.items()):
        (folder / "faces" / name).write_bytes(bytes(100 + int(name[0])))
        lines.append(f"faces/{name},{label},{'train' if row < 6 else 'validation'}")
    (folder / "faces.csv").write_text("\n".join(lines))
    return settings(folder / "faces.csv")


def settings(table, **others):
    return Config(**{"source": "table", "data_dir": table, "grouping": "one", "batch_size": 2} | others)


def start(workdir, config, replicas=1):
    """What `train_and_evaluate` checks and writes when it starts; the model is not built."""
    data = open_data(config)
    identity = identity_of(data, replicas)
    check_workdir(workdir, config, data.grouping, identity)
    write_identity(workdir, config.absolute(), data.grouping, identity)


def test_data_that_moved_or_are_named_otherwise_are_the_same(tmp_path, monkeypatch):
    start(tmp_path / "run", write_table(tmp_path / "one"))
    (tmp_path / "one").rename(tmp_path / "two")
    start(tmp_path / "run", settings(tmp_path / "two/faces.csv"))
    monkeypatch.chdir(tmp_path / "two")
    start(tmp_path / "run", settings("faces.csv"))
    flags = (tmp_path / "run" / "flags.txt").read_text()
    assert f"--data_dir={tmp_path}/two/faces.csv\n" in flags
    assert "--grouping=one\n" in flags  # a name, and no path


def test_a_packed_data_set_is_its_original(tmp_path):
    config = write_table(tmp_path / "data")
    start(tmp_path / "run", config)
    pack_data_set(open_source("table", config.data_dir), config.data_dir, tmp_path / "packed")
    start(tmp_path / "run", replace(config, source="packed", data_dir=tmp_path / "packed"))


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        (FACES | {"0.png": 1}, "their labels differ"),
        ({"9.png" if name == "0.png" else name: label for name, label in FACES.items()}, "the names or the order"),
        (dict(list(FACES.items())[:-1]), "the names or the order of the images, the sizes of their files, their"),
        (dict(sorted(FACES.items(), reverse=True)), "the names or the order"),
    ],
)
def test_other_data_in_the_same_place_are_refused(tmp_path, labels, what):
    start(tmp_path / "run", write_table(tmp_path / "data"))
    config = write_table(tmp_path / "data", labels)
    with pytest.raises(FarkerasError, match=f"run was started with other data than .*faces.csv holds now: .*{what}"):
        start(tmp_path / "run", config)


def test_an_image_of_another_size_is_another(tmp_path):
    config = write_table(tmp_path / "data")
    start(tmp_path / "run", config)
    (tmp_path / "data/faces/0.png").write_bytes(b"another")
    with pytest.raises(FarkerasError, match=r"holds now: the sizes of their files differ\. Use another `workdir`, or"):
        start(tmp_path / "run", config)


def test_other_key_points_are_other_data(annotated_dir, tmp_path):
    config = Config(data_dir=annotated_dir, model="mgmtn")
    start(tmp_path / "run", config)
    shutil.copytree(annotated_dir / "keypoints", tmp_path / "points")
    elsewhere = replace(config, keypoints_dir=tmp_path / "points")
    start(tmp_path / "run", elsewhere)
    data = open_data(elsewhere)
    data.train_keypoints.points[0] += 1
    with pytest.raises(FarkerasError, match=r"holds now: their keypoints differ"):
        check_workdir(tmp_path / "run", elsewhere, data.grouping, identity_of(data, 1))


def test_another_number_of_replicas_needs_synchronised_statistics(tmp_path):
    config = write_table(tmp_path)
    start(tmp_path / "run", config, replicas=4)
    start(tmp_path / "run", replace(config, replicas=4), replicas=4)  # said, and found: the same
    message = r"started with 4 replica\(s\), and now there are 2\. Without `sync_batch_norm`, each replica"
    with pytest.raises(FarkerasError, match=message):
        start(tmp_path / "run", config, replicas=2)
    synchronised = replace(config, sync_batch_norm=True)
    start(tmp_path / "synchronised", synchronised, replicas=4)
    start(tmp_path / "synchronised", replace(synchronised, replicas=2), replicas=2)


def test_an_old_workdir_has_its_settings_alone(tmp_path, monkeypatch):
    config = write_table(tmp_path)
    monkeypatch.chdir(tmp_path)
    save_flagfile(replace(config, data_dir="faces.csv", replicas=2), tmp_path / "run/flags.txt")
    with pytest.raises(FarkerasError, match=r"`replicas` \(was 2, now 0\)\. Without `sync_batch_norm` the number of"):
        start(tmp_path / "run", config)
    with pytest.raises(FarkerasError, match=r"other settings: `data_dir` \(was .*/faces.csv, now .*/moved/faces.csv\)"):
        start(tmp_path / "run", replace(write_table(tmp_path / "moved"), replicas=2))
    start(tmp_path / "run", replace(config, replicas=2))  # the same place, by another name
    assert (tmp_path / "run/identity.json").is_file()


def test_a_damaged_identity(tmp_path):
    config = write_table(tmp_path)
    start(tmp_path / "run", config)
    (tmp_path / "run/identity.json").write_text("{")
    with pytest.raises(FarkerasError, match=r"identity\.json is damaged\. Restore it, or use another `workdir`\."):
        start(tmp_path / "run", config)


def test_a_missing_image_has_no_size(tmp_path):
    data = open_data(write_table(tmp_path))
    before = fingerprint(data.train)
    (tmp_path / "faces/0.png").unlink()
    assert fingerprint(data.train) == before | {"sizes": fingerprint(data.train)["sizes"]}
