"""Listeners of a run: their base class, the metrics file and TensorBoard."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.util import event_pb2

from farkeras.data.pipeline import evaluation_dataset
from farkeras.files import write_text, writing, written_aside
from farkeras.metrics.history import read_history
from farkeras.report.overlay import overlay_strip
from farkeras.training.building import Run


class Listener:
    """Base class of objects that a run calls. Records are JSON-ready dicts."""

    def on_start(self, run: Run, step: int) -> None:
        """Called before the first step. `step` is above 0 if the run continues."""

    def on_train(self, run: Run, record: dict) -> None:
        """Called after each call of the compiled loop, with losses and weights by group, learning rate and speed."""

    def on_validation(self, run: Run, record: dict) -> None:
        """Called after each validation, with its metrics."""

    def on_end(self, run: Run) -> None:
        """Called after the last step."""


class MetricsFile(Listener):
    """Writes training and validation records to a file, one JSON object per line, in the order of steps."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[dict]:
        """Returns all records so far."""
        return read_history(self.path)

    def cut_back(self, step: int) -> None:
        """Removes the records after `step`, because the continued run writes them again."""
        if self.path.exists():
            kept = [record for record in self.read() if record["step"] <= step]
            with writing(self.path, "saved"):
                write_text(self.path, "".join(json.dumps(record) + "\n" for record in kept))

    def _append(self, record: dict) -> None:
        with writing(self.path, "saved"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")

    def on_train(self, run: Run, record: dict) -> None:
        self._append(record)

    def on_validation(self, run: Run, record: dict) -> None:
        self._append(record)


class TensorBoard(Listener):
    """Writes scalars and images for TensorBoard.

    Scalars are losses and weights by group and validation metrics. Images are training images, and validation faces
    with the model's masks (MGMTN) or with the maps of its groups (FAR-AMTN).
    """

    NUM_FACES = 4

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_start(self, run: Run, step: int) -> None:
        with writing(self.folder, "saved"):
            cut_back_events(self.folder, step)
            self.writer = tf.summary.create_file_writer(os.fsencode(self.folder))
        if not step:
            batch = next(iter(run.training_dataset(start=0)))
            with self._writing(0):
                tf.summary.image("training_images", tf.cast(batch["image"][:8], tf.uint8), max_outputs=8)
        batch = next(iter(evaluation_dataset(run.data.validation, run.data.preprocessing, self.NUM_FACES)))
        self.faces = batch["image"][batch["example"] >= 0]  # without the filler of a small split

    def on_train(self, run: Run, record: dict) -> None:
        self._scalars("train", record)

    def on_validation(self, run: Run, record: dict) -> None:
        self._scalars("validation", record["validation"], record["step"])
        with self._writing(record["step"]):
            if line := record.get("ended_early"):
                tf.summary.text("ended_early", line)
            if run.final_model.has_masks:
                strip = overlay_strip(self.faces.numpy(), np.asarray(run.final_model.masks(self.faces)))
                tf.summary.image("masks", tf.io.decode_png(strip, channels=3)[None])
            elif (maps := run.final_model.explain(self.faces).get("maps")) is not None:
                tf.summary.image("group_maps", heat_strips(self.faces.numpy(), np.asarray(maps)), max_outputs=8)

    def on_end(self, run: Run) -> None:
        with writing(self.folder, "saved"):
            self.writer.close()

    def _scalars(self, prefix: str, record: dict, step: int | None = None) -> None:
        with self._writing(record.get("step", step)):
            for name, value in record.items():
                for key, number in value.items() if isinstance(value, dict) else [("", value)]:
                    if isinstance(number, float):
                        tf.summary.scalar("/".join(filter(None, (prefix, name, key))), number)
            self.writer.flush()

    @contextmanager
    def _writing(self, step: int | None) -> Iterator[None]:
        with writing(self.folder, "saved"), self.writer.as_default(step=step):
            yield


def cut_back_events(folder: Path, step: int) -> None:
    """Removes TensorBoard's events after `step`, because the continued run writes them again."""
    for path in folder.glob("events.out.tfevents.*"):
        # A killed run may leave an incomplete record at the end.
        records = tf.data.TFRecordDataset(os.fsencode(path)).ignore_errors(log_warning=False)
        events = [record.numpy() for record in records]
        kept = [event for event in events if event_pb2.Event.FromString(event).step <= step]
        with written_aside(path) as aside, tf.io.TFRecordWriter(os.fsencode(aside)) as file:
            for event in kept:
                file.write(event)


def heat_strips(faces: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Puts each face next to K copies of it, each with the map of one group as a red overlay.

    Args:
        faces: `[B, H, W, 3]` in 0..255.
        maps: `[B, K, h, w]`; each map is scaled to its own range.

    Returns:
        uint8 `[B, H, (K + 1) W, 3]`.
    """
    low = maps.min(axis=(2, 3), keepdims=True)
    heat = (maps - low) / (maps.max(axis=(2, 3), keepdims=True) - low + 1e-9)
    heat = tf.image.resize(np.moveaxis(heat, 1, -1), faces.shape[1:3]).numpy()  # (B, H, W, K)
    strips = [faces]
    for g in range(maps.shape[1]):
        h = heat[..., g : g + 1]
        strips.append(faces * (1 - 0.6 * h) + np.array([255.0, 40.0, 0.0]) * 0.6 * h)
    return np.concatenate(strips, axis=2).clip(0, 255).astype(np.uint8)
