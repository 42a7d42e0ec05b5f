"""Writes the model card of an evaluated model: Markdown with the metadata of Hugging Face's model cards in its head."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farkeras.models.model_file import ModelMetadata
from farkeras.report.card_sections import CELEBA_PAGE, Section, card_sections, data_set
from farkeras.report.consistency import consistency_notes
from farkeras.report.decisions import (
    CALIBRATION_HEADER,
    THRESHOLD_HEADER,
    calibration_notes,
    calibration_rows,
    threshold_note,
    threshold_rows,
)
from farkeras.report.subgroups import markdown_subgroups
from farkeras.report.summary import PROCEDURAL, headline, interval, markdown_table, percent, readable

MODEL_CARD_FILE = "model_card.md"

_MODELS = {
    "far_amtn": "FAR-AMTN (arXiv 2601.01537)",
    "mgmtn": "MGMTN (arXiv 2601.01408)",
    "shared_trunk": "shared trunk",
}
_INDEXED = {
    "mean_accuracy": "Mean accuracy over the attributes",
    "mean_balanced_accuracy": "Mean balanced accuracy over the attributes",
    "mean_f1": "Mean F1 over the attributes",
    "mean_roc_auc": "Mean ROC AUC over the attributes",
}
"""Figures of an evaluation -> their names in the `model-index`, which leaves out undefined ones."""


def model_name(path: str | os.PathLike) -> str:
    """Returns the name of a model: that of its workdir or of its `.keras` file."""
    place = Path(os.path.abspath(path))
    return place.parent.name if place.name == "model.keras" else place.stem if place.suffix == ".keras" else place.name


def model_card(evaluation: dict, metadata: ModelMetadata, data_licence: str = "") -> str:
    """Returns the model card as Markdown; see `card_sections` for the arguments."""
    use, scope, data, limits, subjective = card_sections(evaluation, metadata, data_licence)
    run = evaluation["run"]
    name, file = model_name(run["model"]), Path(run["model"]).name
    file = file if file.endswith(".keras") else "model.keras"
    attributes = [
        (attribute, percent(values["accuracy"]), interval(values["accuracy_ci95"]), *_more(values))
        for attribute, values in evaluation["attributes"].items()
    ]
    parts = [
        f"---\n{_front_matter(name, evaluation, metadata, data_licence)}---",
        "<!-- farkeras evaluate writes this file and replaces it: copy it to README.md before you edit it. -->",
        f"# Model card of {_escaped(name)}",
        f"> **{PROCEDURAL}.**" if run["procedural"] else "",
        *_section(Section("Model", _model(metadata))),
        *_section(use),
        *_section(scope),
        *_section(data),
        *_section(Section("Training", _training(metadata))),
        "## Figures",
        f"All figures are in percent, at a threshold of {percent(evaluation['threshold'], 0)} %.",
        markdown_table(("Metric", "Percent", "Remark"), headline(evaluation)),
        markdown_table(("Attribute", "Accuracy", "95 % interval", "Majority", "Balanced", "ROC AUC"), attributes),
        *_calibration(evaluation),
        *markdown_subgroups(evaluation),
        *(["## Consistency", " ".join(notes)] if (notes := consistency_notes(evaluation)) else []),
        *_section(limits),
        *_section(subjective),
        "## How to use the model",
        f"```python\nimport farkeras\n\nrecognizer = farkeras.load({_quoted(file)})\n"
        'print(recognizer(["photo.jpg"])[0])  # attribute -> probability\n```',
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _model(metadata: ModelMetadata) -> list[str]:
    config, grouping = metadata.config, metadata.grouping
    height, width = metadata.preprocessing.image_size
    kind = _MODELS.get(config.get("model", ""), "A model of farkeras")
    backbone = f" on the backbone {config['backbone']}" if "backbone" in config else ""
    groups = [f"{readable(name)}: {', '.join(members)}." for name, members in grouping.groups.items()]
    versions = ", ".join(f"{name} {version}" for name, version in metadata.versions.items() if version)
    return [
        f"{kind}{backbone}. It takes a face of {height} x {width} pixels (height x width), aligned as in CelebA, and "
        f"answers with the probability of each of {len(grouping.attributes)} attributes.",
        *groups,
        *([f"Trained with {versions}."] if versions else []),
    ]


def _training(metadata: ModelMetadata) -> list[str]:
    config, lines = metadata.config, []
    if "epochs" in config:
        names = (
            "epochs batch_size optimizer learning_rate schedule weight_decay weighting positive_weights seed".split()
        )
        lines.append(", ".join(f"{name} {_plain(config[name])}" for name in names if name in config) + ".")
        start = Path(str(config.get("init_from", ""))).name or Path(str(config.get("backbone_weights", "none"))).name
        lines.append(f"Initial weights: {'random' if start == 'none' else start}.")
        augmented = [f"{name} {_plain(v)}" for name, v in config.items() if name.startswith("augment_") and v]
        lines.append(f"Augmentation: {', '.join(augmented) or 'none'}.")
        lines.append("flags.txt in the workdir holds every setting; training with it repeats the run.")
    if "step" in metadata.metrics:
        lines.append(
            f"The weights are those of step {metadata.metrics['step']:,}, the best on the validation split "
            f"by {config.get('select_by', 'its metric')}."
        )
    return lines or ["The model file holds no settings of its training."]


def _more(values: Mapping[str, Any]) -> list[str]:
    return [percent(values[name]) for name in ("majority_accuracy", "balanced_accuracy", "roc_auc")]


def _calibration(evaluation: dict) -> list[str]:
    """Returns the section on calibration and thresholds; [] without them, which the limits then say."""
    if not evaluation.get("calibration", {}).get("fitted"):
        return []
    means = threshold_rows(evaluation)[:1]
    return [
        "## Calibration and thresholds",
        " ".join(calibration_notes(evaluation)),
        markdown_table(CALIBRATION_HEADER, calibration_rows(evaluation)),
        f"{threshold_note(evaluation)} Means over the attributes:",
        markdown_table(("", *THRESHOLD_HEADER[2:]), [(row[0], *row[2:]) for row in means]),
    ]


def _section(section: Section) -> list[str]:
    return [f"## {section.title}", "\n".join(f"- {_escaped(line)}" for line in section.lines)]


def _front_matter(name: str, evaluation: dict, metadata: ModelMetadata, data_licence: str) -> str:
    """Returns the metadata as YAML. A JSON text is YAML, so every text is quoted as in JSON."""
    run, trained = evaluation["run"], metadata.config
    data = data_set(run["source"], run["data_dir"], run["procedural"], data_licence)
    training = data_set(trained.get("source", ""), trained.get("data_dir", ""), metadata.procedural, data_licence)
    lines = ['library_name: "keras"', 'pipeline_tag: "image-classification"', "tags:"]
    lines += [f"- {_quoted(tag)}" for tag in ("farkeras", "face-attributes", "multi-task-learning")]
    if training.kind in ("celeba", "lfwa"):
        lines += ['license: "other"', 'license_name: "celeba-agreement"', f"license_link: {_quoted(CELEBA_PAGE)}"]
    elif data_licence:
        slug = re.sub(r"[^a-z0-9.]+", "-", data_licence.lower()).strip("-") or "own"
        lines += ['license: "other"', f"license_name: {_quoted(slug)}"]
    else:
        lines.append('license: "unknown"')
    figures = [(key, label, evaluation[key]) for key, label in _INDEXED.items() if evaluation[key] is not None]
    if not figures:  # no label is known, and the form requires a metric
        return "\n".join(lines) + "\n"
    lines += ["metrics:", *(f"- {_quoted(key.removeprefix('mean_'))}" for key, _, _ in figures), "model-index:"]
    lines += [f"- name: {_quoted(name)}", "  results:", "  - task:", '      type: "image-classification"']
    lines += ['      name: "Face attribute recognition"', "    dataset:", f"      type: {_quoted(data.kind)}"]
    lines += [f"      name: {_quoted(data.name)}", f"      split: {_quoted(run['split'])}", "    metrics:"]
    for key, label, value in figures:
        lines += [f"    - type: {_quoted(key.removeprefix('mean_'))}", f"      name: {_quoted(label)}"]
        lines.append(f"      value: {value:.4f}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\x7f")


def _escaped(text: str) -> str:
    return re.sub(r"[\\*_<\[]", r"\\\g<0>", text) if "`" not in text else text


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
