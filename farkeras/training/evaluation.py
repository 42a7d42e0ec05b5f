"""Evaluation of a trained model on one split of a data set."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from farkeras.attributes import Grouping, with_subjective
from farkeras.consistency.answers import Consistency
from farkeras.data.keypoints import load_keypoints, store_of
from farkeras.data.procedural import is_procedural
from farkeras.data.reading import image_decoder
from farkeras.data.sources.opening import open_split, open_trained_source
from farkeras.data.subgroups import AUTO, find_subgroups, find_table
from farkeras.errors import FarkerasError
from farkeras.files import as_path, write_text, writing
from farkeras.inference.forward import predict_examples
from farkeras.metrics.attribute_metrics import evaluate_attributes
from farkeras.metrics.consistency_metrics import evaluate_consistency
from farkeras.metrics.decision_metrics import calibrated, evaluate_decisions
from farkeras.metrics.evaluation_file import EVALUATION_FILE, check_same_data
from farkeras.metrics.history import read_history
from farkeras.metrics.subgroups import evaluate_subgroups
from farkeras.models.model_file import ModelMetadata, load_model, read_metadata
from farkeras.progress import Progress
from farkeras.report.card_sections import card_sections
from farkeras.report.decisions import markdown_sections
from farkeras.report.gallery import write_gallery
from farkeras.report.model_card import MODEL_CARD_FILE, model_card
from farkeras.report.overlay import overlay_strip
from farkeras.report.page import write_report
from farkeras.report.subgroups import markdown_subgroups
from farkeras.report.summary import markdown_report
from farkeras.training.calibration import described
from farkeras.training.devices import make_strategy
from farkeras.training.identity import fingerprint, read_identity

REPORT_FILE = "report.html"
SHOWN_FACES = 6  # in the strip of overlays


class EvaluatedModel(NamedTuple):
    """The result of `evaluate_model`.

    Attributes:
        evaluation: The metrics, and under `run` the model and data; JSON-ready, as in `evaluation.json`.
        metadata: The metadata of the model.
        undecodable: Paths of the undecodable images, which were left out.
        overlays: PNG image (bytes) of the first faces with the model's masks; None for a model without masks.
    """

    evaluation: dict
    metadata: ModelMetadata
    undecodable: list[str]
    overlays: bytes | None


def results_folder(path: str | os.PathLike, output: str | os.PathLike = "") -> Path:
    """Returns the folder of the results: `output`, or by default the workdir or the folder of the `.keras` file."""
    path = as_path(path)
    return as_path(output) if output else path if path.is_dir() else path.parent


def evaluate_run(
    path: str | os.PathLike,
    split: str = "test",
    batch_size: int = 64,
    source: str = "",
    data_dir: str = "",
    output: str | os.PathLike = "",
    gallery: str | os.PathLike = "",
    progress: Progress | None = None,
    settings: Mapping[str, Any] | None = None,
    consistency_rules: str | os.PathLike = "",
    calibrate: str = "auto",
    subgroups: Sequence[str] = (AUTO,),
    subgroup_table: str | os.PathLike = "",
    leave_out: Sequence[str] = (),
    data_licence: str = "",
) -> EvaluatedModel:
    """Evaluates a trained model and writes `evaluation.json`, `evaluation.md`, `model_card.md` and `report.html`.

    Args:
        path: Workdir of a run, or a `.keras` file.
        split: See `evaluate_model`, as for the other arguments that are not listed here.
        output: Folder of the four files. By default the folder of the model; required for other data than those of
            the training.
        data_licence: Licence of the user's own data in words, for the model card; "" for not stated.

    Returns:
        See `evaluate_model`.

    Raises:
        FarkerasError: `output` is missing or not writable, or see `evaluate_model`.
    """
    folder, metadata = results_folder(path), read_metadata(path)
    if not output:
        try:
            check_same_data(metadata.config, source, data_dir, folder)
        except FarkerasError:
            if not _same_data_elsewhere(folder, metadata, source, data_dir, progress, settings):
                raise
    output = results_folder(path, output)
    evaluated = evaluate_model(
        path,
        split,
        batch_size,
        source,
        data_dir,
        gallery,
        progress,
        settings,
        consistency_rules,
        calibrate,
        subgroups,
        subgroup_table,
        leave_out,
    )
    card = card_sections(evaluated.evaluation, metadata, data_licence)
    history, config = read_history(folder / "metrics.jsonl"), metadata.config
    with writing(f"the results to {output}", instead="output"):
        write_text(output / EVALUATION_FILE, json.dumps(evaluated.evaluation, indent=1, allow_nan=False) + "\n")
        sections = [*markdown_sections(evaluated.evaluation), *markdown_subgroups(evaluated.evaluation)]
        write_text(output / "evaluation.md", markdown_report(evaluated.evaluation, sections))
        write_text(output / MODEL_CARD_FILE, model_card(evaluated.evaluation, metadata, data_licence))
        write_report(evaluated.evaluation, history, output / REPORT_FILE, config, evaluated.overlays, card)
    return evaluated


def _same_data_elsewhere(
    folder: Path,
    metadata: ModelMetadata,
    source: str,
    data_dir: str,
    progress: Progress | None,
    settings: Mapping[str, Any] | None,
) -> bool:
    """Returns whether `data_dir` holds the images and labels that the run in `folder` was started with."""
    started = read_identity(folder).get("data")
    if not started or not data_dir:
        return False
    data = [
        open_split(metadata.grouping.attributes, metadata.config, name, source, data_dir, progress, settings)[0]
        for name in ("train", "validation")
    ]
    return fingerprint(*data).items() <= started.items()


def evaluate_model(
    path: str | os.PathLike,
    split: str,
    batch_size: int = 64,
    source: str = "",
    data_dir: str = "",
    gallery: str | os.PathLike = "",
    progress: Progress | None = None,
    settings: Mapping[str, Any] | None = None,
    consistency_rules: str | os.PathLike = "",
    calibrate: str = "auto",
    subgroups: Sequence[str] = (AUTO,),
    subgroup_table: str | os.PathLike = "",
    leave_out: Sequence[str] = (),
) -> EvaluatedModel:
    """Evaluates a trained model on a split of a data set.

    Masks are evaluated if the data set has keypoints (`python -m farkeras.annotate`). Otherwise the evaluation has no
    `mask_iou`, and `masks_annotated` in its `run` is False.

    Args:
        path: Workdir of a run, or a `.keras` file.
        split: "train", "validation" or "test".
        batch_size: Images per batch, over all GPUs.
        source: Kind of data set; by default that of the training. From images of another data set, the same part of
            the face is cropped, see `Examples.frame`.
        data_dir: Folder or table of the data set; by default that of the training.
        gallery: PNG file to write, with the first 12 faces of the split and their predictions; "" for none.
        progress: Called while an archive is extracted, see `open_source`.
        settings: Settings for reading a table, and `keypoints_dir`, that replace those of the training.
        consistency_rules: File of rules in addition to those of the package, see `farkeras.Consistency`.
        calibrate: "auto": measure the calibrated probabilities, and the thresholds in the model file next to 50 %.
            "none": measure the model's own probabilities at 50 %, as for a file without calibration.
        subgroups: Attributes of the data set, columns of `subgroup_table` or further columns of the user's own table by
            which the images are divided, see `evaluate_subgroups`. `("auto",)` stands for Male and Young, where the
            data set has them, and for every column of `subgroups.csv`; `("none",)` for no subgroups.
        subgroup_table: CSV or Parquet file with a column `image` and a row for each image; by default `subgroups.csv`
            in the data set's folder, if there is one. Its column `person` names the people for the bootstrap.
        leave_out: Attributes of the model that the evaluation leaves out; `subjective` stands for the subjective set.

    Returns:
        The evaluation, an `EvaluatedModel`.

    Raises:
        FarkerasError: The model or the data are missing or invalid, the data lack an attribute of the model, too many
            images are undecodable, `gallery` is not writable, or `consistency_rules` is invalid.
    """
    strategy = make_strategy()
    with strategy.scope():
        model, metadata = load_model(path, calibrate)
    model.calibration = None  # figures before and after calibration come from the same predictions
    attributes, grouping = metadata.grouping.attributes, _without(metadata.grouping, leave_out)
    consistency = Consistency(grouping.attributes, consistency_rules)
    # Another data set does not have its keypoints in the folder of the training.
    keypoints_dir = dict(settings or {}).get("keypoints_dir") or (
        "" if data_dir else metadata.config.get("keypoints_dir", "")
    )
    data, source, data_dir = open_trained_source(attributes, metadata.config, source, data_dir, progress, settings)
    with_all_labels = data.split(split)
    examples = with_all_labels.select(attributes)
    table = find_table(subgroup_table, data_dir, examples.paths)
    divisions = find_subgroups(subgroups, data, split, with_all_labels, table)
    people = table.people if table and table.people is not None else examples.people
    preprocessing = metadata.preprocessing
    has_masks, annotated = model.has_masks, bool(keypoints_dir) or store_of(data_dir).is_dir()
    keypoints = None
    if has_masks and annotated:
        keypoints = load_keypoints(data_dir, examples.paths, source, keypoints_dir)
    labels, own_probabilities, undecodable, mask_metrics = predict_examples(
        model, examples, preprocessing, batch_size, strategy, keypoints=keypoints
    )
    kept = [attributes.index(name) for name in grouping.attributes]
    labels, own_probabilities = labels[:, kept], own_probabilities[:, kept]
    probabilities = calibrated(own_probabilities, metadata.calibration, grouping.attributes)
    thresholds = [metadata.thresholds[name] for name in grouping.attributes]
    shown = [row for row, path in enumerate(examples.paths) if path not in undecodable][:12]
    framed, decoded = preprocessing.within(examples.frame), image_decoder(examples)
    faces = [decoded(row) for row in shown]
    if gallery:
        shown_faces = [face.numpy() for face in faces]
        with writing(gallery, instead="gallery"):
            write_gallery(
                gallery, shown_faces, labels[:12], probabilities[:12], grouping.attributes, thresholds=thresholds
            )
    overlays = None
    if has_masks:
        inputs = tf.stack([framed.resize(face) for face in faces[:SHOWN_FACES]])
        overlays = overlay_strip(inputs.numpy(), model.masks(inputs).numpy())
    run = {
        "model": os.fspath(as_path(path)),
        "source": source,
        "data_dir": os.path.abspath(data_dir),
        "split": split,
        "procedural": is_procedural(data_dir),
        "undecodable": len(undecodable),
        "undecodable_images": undecodable,
        "calibrate": calibrate,
        **({"masks_annotated": annotated} if has_masks else {}),
        **({"left_out": [name for name in attributes if name not in grouping.attributes]} if leave_out else {}),
    }
    evaluation = {
        "run": run,
        **evaluate_attributes(labels, own_probabilities, grouping),  # at 50 %, as papers publish them
        "consistency": evaluate_consistency(labels, probabilities, consistency, thresholds),
        **mask_metrics,
        **evaluate_decisions(
            labels,
            own_probabilities,
            metadata.calibration,
            grouping,
            described(source, data_dir, split),
        ),
    }
    if divisions:
        seen = np.flatnonzero(~np.isin(examples.paths, undecodable))
        divisions = {name: division.take(seen) for name, division in divisions.items()}
        people = None if people is None else people[seen]
        evaluation["subgroups"] = evaluate_subgroups(
            labels, probabilities, grouping.attributes, divisions, people, np.array(thresholds)
        )
    return EvaluatedModel(evaluation, metadata, undecodable, overlays)


def _without(grouping: Grouping, leave_out: Sequence[str]) -> Grouping:
    """Returns the grouping without these attributes; `subjective` stands for those of the subjective set in it."""
    named = set(leave_out) | (set(with_subjective(leave_out)) & set(grouping.attributes))
    try:
        return grouping.without(named - {"subjective"})
    except FarkerasError as error:
        raise FarkerasError(f"`leave_out`: {error}") from None
