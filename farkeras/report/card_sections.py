"""The sections of a model card in words: use, data and licence, limits, and subjective attributes.

The terms of CelebA and LFWA are in our words, and the advice on use is ours. Everything else is in the evaluation or in
the model file.
"""

from pathlib import Path
from typing import NamedTuple

from farkeras.attributes import SUBJECTIVE_REASONS
from farkeras.errors import few
from farkeras.models.model_file import ModelMetadata
from farkeras.report.decisions import uncalibrated_note
from farkeras.report.summary import readable

CELEBA_PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
_TERMS = (
    "Its agreement allows non-commercial research only, forbids commercial use of the images and of data derived from "
    "them, and forbids passing the images on; the images belong to others than the authors of the data set. Read the "
    "agreement on the data set's page before you use or pass on this model."
)


class Section(NamedTuple):
    """A section of the card in words.

    Attributes:
        title: Its heading.
        lines: Sentences; each line is an item of a list.
    """

    title: str
    lines: list[str]


class DataSet(NamedTuple):
    """How the card names a data set: `kind` for programs, `name` for people, and its origin and licence in words."""

    kind: str
    name: str
    words: str


def card_sections(evaluation: dict, metadata: ModelMetadata, data_licence: str = "") -> list[Section]:
    """Returns the sections of the card in words, for the card and for the report page.

    Args:
        evaluation: An evaluation, with the entry `run` described in `farkeras.report.page.write_report`.
        metadata: The metadata of the model.
        data_licence: The licence of the user's own data, in words; "" for not stated.
    """
    config, run = metadata.config, evaluation["run"]
    trained = data_set(config.get("source", ""), config.get("data_dir", ""), metadata.procedural, data_licence)
    evaluated = data_set(run["source"], run["data_dir"], run["procedural"], data_licence)
    drawn = metadata.procedural
    data = [f"Training data: {trained.name}. {trained.words}"]
    if evaluated != trained:
        data.append(f"Data of the figures below: {evaluated.name}. {evaluated.words}")
    data.append(f"The figures are of the split {run['split']}, {evaluation['num_images']:,} images.")
    return [
        Section("Intended use", _intended_use(drawn)),
        Section("Out of scope", _OUT_OF_SCOPE),
        Section("Data and licence", data),
        Section("Limits", _limits(evaluation, trained, evaluated)),
        Section("Subjective attributes", _subjective(evaluation)),
    ]


_OUT_OF_SCOPE = [
    "Decisions about people, such as hiring, credit, insurance, access, policing or border control.",
    "Recognition of who somebody is, and surveillance.",
    "Conclusions about what a picture does not show: gender identity, ancestry, health, age, feelings or character. "
    "The attributes say how annotators read a face, and Male is such a reading.",
    "Laws on biometric data and on artificial intelligence may forbid or regulate a use that is technically possible.",
]


def _intended_use(procedural: bool) -> list[str]:
    if procedural:
        return [
            "The model was trained on drawn faces. It shows that the software works, and it is not for photographs of "
            "people."
        ]
    return [
        "Research on face attribute recognition: comparing methods, data sets and devices.",
        "Describing and sorting photographs that the user may process, with a person who checks the result.",
    ]


def data_set(source: str, data_dir: str, procedural: bool, data_licence: str) -> DataSet:
    """Returns how the card names a data set; see `card_sections` for the licence.

    Args:
        source: Kind of data set, as the setting `source`.
        data_dir: Its folder or table.
        procedural: Whether it holds procedural faces.
        data_licence: The licence of the user's own data.
    """
    stated = f"Licence, as stated by its user: {data_licence}." if data_licence else "Its licence is not stated."
    if procedural:
        return DataSet("procedural-faces", "procedural faces", "farkeras draws them; they show nobody.")
    if source == "celeba":
        return DataSet("celeba", "CelebA", f"Photographs of celebrities from the web. {_TERMS}")
    if source == "lfwa":
        return DataSet("lfwa", "LFWA", f"News photographs of LFW with the labels of LFWA. {_TERMS}")
    name = Path(data_dir).name or "own data"
    return DataSet("own-data", name, f"The user's own data set. {stated}")


def _limits(evaluation: dict, trained: DataSet, evaluated: DataSet) -> list[str]:
    known = {name: values for name, values in evaluation["attributes"].items() if values["num_known"]}
    unclear = [name for name, v in known.items() if v["accuracy_ci95"][0] <= v["majority_accuracy"]]
    lines = [
        "The intervals say how much the figures would change with other test images. They do not cover other seeds of "
        "the training, other cameras or other people.",
        f"For {len(unclear)} of {len(known)} attributes, the interval of the accuracy does not lie above the majority "
        f"baseline{': ' + few(unclear) if unclear else ''}.",
    ]
    if "calibration" in evaluation and (note := uncalibrated_note(evaluation)):
        lines.append(note)
    if evaluated.kind != trained.kind:
        lines.append(f"The model was trained on {trained.name} and measured on {evaluated.name}.")
    if trained.kind in ("celeba", "lfwa") or evaluated.kind in ("celeba", "lfwa"):
        lines.append(
            "The labels of CelebA and LFWA have errors (arXiv 2210.07356), and so have figures that rest on them."
        )
    if trained.kind == "procedural-faces":
        lines.append("On photographs, the answers mean little.")
    if "subgroups" in evaluation:
        names = ", ".join(map(readable, evaluation["subgroups"]["names"]))
        lines.append(f"Subgroups other than those by {names} were not measured.")
    else:
        lines.append("No subgroups were measured, so how the model differs between groups of people is not known.")
    return lines


def _subjective(evaluation: dict) -> list[str]:
    left_out = evaluation["run"].get("left_out", [])
    present = [name for name in SUBJECTIVE_REASONS if name in evaluation["attributes"]]
    lines = [f"{readable(name)}: {SUBJECTIVE_REASONS[name]}." for name in present]
    if lines:
        lines.insert(
            0, "These attributes depend on judgement more than on observation (the selection is farkeras's own)."
        )
        lines.append("`farkeras evaluate --leave_out=subjective` leaves them out of the figures.")
        lines.append(
            "`farkeras train --exclude_attributes=subjective`, or a grouping that does not name them, leaves them out "
            "of the model and of its exports."
        )
    if left_out:
        lines.append(f"The model also answers {', '.join(map(readable, left_out))}, which the figures leave out.")
    return lines or ["The model answers none of the attributes that farkeras counts as subjective."]
