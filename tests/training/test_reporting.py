"""The metrics file after a kill, and what TensorBoard gets."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from farkeras.attributes import REGIONS
from farkeras.data.examples import Examples
from farkeras.data.preprocessing import Preprocessing
from farkeras.errors import FarkerasError
from farkeras.report.overlay import overlay_strip
from farkeras.training.reporting import MetricsFile, TensorBoard, heat_strips

TRAIN = {
    "step": 4,
    "steps": 4,
    "loss": 0.5,
    "group_loss": {"Eyes": 0.25, "Nose": 0.75},
    "learning_rate": 0.001,
    "undecodable": ["a.jpg"],
}
VALIDATION = {"step": 4, "best": True, "validation": {"loss": 0.6, "mean_roc_auc": None, "group_loss": {"Eyes": 0.5}}}


def test_records_come_back_in_order(tmp_path):
    metrics = MetricsFile(tmp_path / "run" / "metrics.jsonl")
    assert metrics.read() == []
    metrics.on_train(None, TRAIN)
    metrics.on_validation(None, VALIDATION)
    assert metrics.read() == [TRAIN, VALIDATION]


def test_cut_back_drops_what_the_run_will_write_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2}\n{"step": 4}\n{"step": 6}\n{"step": 8, "lo')  # killed while it wrote
    metrics = MetricsFile(path)
    metrics.cut_back(4)
    assert path.read_text() == '{"step": 2}\n{"step": 4}\n'
    metrics.on_train(None, {"step": 6})
    assert [record["step"] for record in metrics.read()] == [2, 4, 6]


def test_cut_back_ends_a_half_line_even_when_nothing_is_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 2}\n{"st')
    metrics = MetricsFile(path)
    metrics.cut_back(4)
    metrics.on_train(None, {"step": 6})
    assert [record["step"] for record in metrics.read()] == [2, 6]


def test_cut_back_before_the_first_record(tmp_path):
    MetricsFile(tmp_path / "metrics.jsonl").cut_back(0)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_ends_the_run_with_one_sentence(tmp_path, file_size_limit):
    metrics, board = MetricsFile(tmp_path / "metrics.jsonl"), TensorBoard(tmp_path / "tensorboard")
    metrics.on_train(None, TRAIN)
    board.writer = tf.summary.create_file_writer(str(board.folder))
    file_size_limit(metrics.path.stat().st_size + 5)
    with pytest.raises(
        FarkerasError, match=r"^Cannot write .*metrics\.jsonl \(File too large\); free disk .* already saved"
    ):
        metrics.on_train(None, VALIDATION)
    with pytest.raises(
        FarkerasError, match=r"^Cannot write .*tensorboard \(File too large\); free disk .* already saved"
    ):
        board.on_train(None, TRAIN)
    assert metrics.read() == [TRAIN]


@pytest.fixture
def run(tmp_path):
    """What TensorBoard reads of a run: data, and a model that explains."""
    paths = []
    for i in range(2):
        paths.append(str(tmp_path / f"{i}.png"))
        tf.io.write_file(paths[-1], tf.io.encode_png(tf.fill([8, 8, 3], tf.constant(100, tf.uint8))))
    validation = Examples(("a",), np.array(paths), np.zeros((2, 1), np.int8))
    return SimpleNamespace(
        data=SimpleNamespace(validation=validation, preprocessing=Preprocessing((8, 8))),
        training_dataset=lambda start: [{"image": tf.zeros((3, 8, 8, 3))}],
        final_model=SimpleNamespace(
            has_masks=False, explain=lambda faces: {"maps": tf.random.uniform((len(faces), 3, 2, 2))}
        ),
    )


def events(folder):
    """(tag, step) -> the value written."""
    found = {}
    for path in folder.glob("events*"):
        for event in read_events(path):
            for value in event.summary.value:
                found[value.tag, event.step] = tf.make_ndarray(value.tensor)
    return found


def read_events(path):
    return [tf.compat.v1.Event.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]


def test_tensorboard(run, tmp_path):
    board = TensorBoard(tmp_path / "tensorboard")
    board.on_start(run, 0)
    board.on_train(run, TRAIN)
    board.on_validation(run, VALIDATION)
    board.on_end(run)
    found = events(tmp_path / "tensorboard")
    scalars = {key: float(value) for key, value in found.items() if value.shape == ()}
    assert scalars == {
        ("train/loss", 4): pytest.approx(0.5),
        ("train/group_loss/Eyes", 4): pytest.approx(0.25),
        ("train/group_loss/Nose", 4): pytest.approx(0.75),
        ("train/learning_rate", 4): pytest.approx(0.001),
        ("validation/loss", 4): pytest.approx(0.6),
        ("validation/group_loss/Eyes", 4): pytest.approx(0.5),
    }
    # Width, height and one PNG per image: three training images; two faces beside three maps each.
    images = {tag: (list(map(int, value[:2])), len(value) - 2) for (tag, _), value in found.items() if value.shape}
    assert images == {"training_images": ([8, 8], 3), "group_maps": ([8 * 4, 8], 2)}


def test_tensorboard_keeps_groups_apart_whose_names_differ_in_one_sign(run, tmp_path):
    losses = {"Hair/top": 0.25, "Hair top": 0.5, "Hair_top": 0.75, "頭髪": 1.0}
    board = TensorBoard(tmp_path / "tensorboard")
    board.on_start(run, 0)
    board.on_train(run, {"step": 4, "group_loss": losses})
    board.on_end(run)
    scalars = {tag: float(value) for (tag, _), value in events(tmp_path / "tensorboard").items() if value.shape == ()}
    assert scalars == {f"train/group_loss/{name}": loss for name, loss in losses.items()}


def test_tensorboard_of_a_continued_run_has_each_step_once(run, tmp_path):
    folder = tmp_path / "tensorboard"
    board = TensorBoard(folder)
    board.on_start(run, 0)
    for step in (4, 6):
        board.on_train(run, {"step": step, "loss": float(step)})
    (file,) = folder.glob("events*")
    file.write_bytes(file.read_bytes()[:-3])  # killed while it wrote
    board = TensorBoard(folder)
    board.on_start(run, 4)
    board.on_train(run, {"step": 6, "loss": 60.0})
    board.on_end(run)
    written = [e.step for path in folder.glob("events*") for e in read_events(path) if e.summary.value]
    assert sorted(written) == [0, 4, 6]
    assert events(folder)["train/loss", 6] == 60.0


def test_a_model_with_masks_shows_them_on_the_faces(run, tmp_path):
    run.final_model = SimpleNamespace(has_masks=True, masks=lambda faces: tf.ones((len(faces), 4, 4, len(REGIONS))))
    board = TensorBoard(tmp_path / "tensorboard")
    board.on_start(run, 0)
    board.on_validation(run, VALIDATION)
    board.on_end(run)
    width, height, png = events(tmp_path / "tensorboard")["masks", 4]
    strip = tf.io.decode_png(png).numpy()
    assert strip.shape == (int(height), int(width), 3)
    np.testing.assert_array_equal(
        strip, tf.io.decode_png(overlay_strip(np.full((2, 8, 8, 3), 100), np.ones((2, 4, 4, 8))), channels=3)
    )


def test_model_that_explains_nothing(run, tmp_path):
    run.final_model = SimpleNamespace(has_masks=False, explain=lambda faces: {})
    board = TensorBoard(tmp_path / "tensorboard")
    board.on_start(run, 0)
    board.on_validation(run, VALIDATION)
    board.on_end(run)
    assert "group_maps" not in {tag for tag, _ in events(tmp_path / "tensorboard")}


def test_heat_strips():
    faces = np.full((1, 4, 4, 3), 100.0)
    maps = np.zeros((1, 2, 4, 4))
    maps[0, 1, :, 2:] = 7.0  # stretched to its own range; the first map is even and stays cold
    strip = heat_strips(faces, maps)
    assert strip.shape == (1, 4, 12, 3)
    assert strip.dtype == np.uint8
    assert (strip[0, :, :10] == 100).all()
    np.testing.assert_allclose(strip[0, 0, 10], [100 * 0.4 + 255 * 0.6, 100 * 0.4 + 40 * 0.6, 100 * 0.4], atol=1)
