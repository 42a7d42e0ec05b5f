"""Checks a data set in one pass before training: what it contains, what is wrong, and what would stop a run.

These findings would stop a run or the evaluation after it:

- "source", "split": The source cannot be opened, or a split is empty.
- "settings": Settings do not fit the data, or do not fit the devices (`training.building.start_findings`).
- "labels": No attribute can be learned, or the best model cannot be selected.
- "keypoints": `model=mgmtn` needs keypoints that are not stored.
- "room": The disk has too little room (`training.building.start_findings`).
- "missing": Images are listed but do not exist.
- "undecodable": More than 1 % of a split's images are missing or undecodable. Training leaves out fewer of them.

The user decides about all other findings:

- "shared": An image is in two splits, which makes the metrics too high.
- "duplicate": An image is in a split twice.
- "contradiction": The labels of an image contradict each other.
- "one class": The known labels of an attribute are not of both classes.
- "few labels": An attribute has so few labels of one class that its metrics depend on single images.
- "grouping": The attributes are not CelebA's 40, so that training needs another `grouping` than the default.
- "odd size": The size of an image differs from the others.
- "turned": EXIF asks for a rotated or mirrored display, which training ignores.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from farkeras.attributes import CELEBA_ATTRIBUTES, load_grouping
from farkeras.config import Config
from farkeras.consistency.answers import Consistency
from farkeras.data.examples import UNKNOWN, Examples, folder_of
from farkeras.data.image_files import ImageFile, read_image_files
from farkeras.data.keypoints import load_keypoints
from farkeras.data.learnable import advice_on_blanks, check_batch_size, check_classes, check_selection, one_class
from farkeras.data.pipeline import MAX_UNDECODABLE
from farkeras.data.reading import encoded_images
from farkeras.data.sources.opening import open_source
from farkeras.data.sources.source import MissingImages, Source
from farkeras.data.sources.splits import SPLITS
from farkeras.errors import FarkerasError
from farkeras.progress import Progress

_FEW = 5  # images with the rarer label of an attribute
_USUAL = 0.9  # share of images that must have a size to make it the usual one
_SMALLEST = 32  # pixels; also the smallest `image_size`
_MOST_OBLONG = 3  # largest ratio of the sides, used if there is no usual size


class Place(NamedTuple):
    """An image that a finding concerns.

    Attributes:
        path: Path of the image, relative to the data set's folder.
        split: Name of its split.
        detail: What is wrong with this image, or None.
    """

    path: str
    split: str
    detail: str | None = None


_Images = Sequence[tuple[Place, ImageFile]]


class Finding(NamedTuple):
    """One fault of a data set or of the settings.

    Attributes:
        kind: One of the names in the module's docstring.
        summary: One or two sentences about the fault.
        images: All images that it concerns.
        training_fails: Whether training or evaluation would end with an error.
    """

    kind: str
    summary: str
    images: tuple[Place, ...] = ()
    training_fails: bool = False


class SplitCounts(NamedTuple):
    """Numbers of images and labels in a split.

    Attributes:
        num_images: Number of listed images.
        missing: Number of images that do not exist.
        undecodable: Number of images that exist but cannot be decoded.
        known: Attribute -> number of images with a known label.
        positive: Attribute -> number of images with a positive label.
    """

    num_images: int
    missing: int
    undecodable: int
    known: dict[str, int]
    positive: dict[str, int]


class Report(NamedTuple):
    """Contents of a data set and its faults.

    Attributes:
        attributes: Attributes of the source; empty if it cannot be opened.
        splits: Split -> its numbers, for the splits that can be opened.
        findings: All findings. Those that would stop training come first.
    """

    attributes: tuple[str, ...]
    splits: dict[str, SplitCounts]
    findings: tuple[Finding, ...]

    @property
    def training_fails(self) -> bool:
        """Whether a finding would stop training or the evaluation after it."""
        return any(finding.training_fails for finding in self.findings)

    def to_dict(self) -> dict:
        """Returns the report as JSON-ready values, with every image of every finding."""
        images = [[place._asdict() for place in finding.images] for finding in self.findings]
        findings = [one._asdict() | {"images": places} for one, places in zip(self.findings, images, strict=True)]
        splits = {name: counts._asdict() for name, counts in self.splits.items()}
        return {"training_fails": self.training_fails, "splits": splits, "findings": findings}


def check_data_set(
    source: str,
    data_dir: str,
    workers: int | None = None,
    unpacking: Progress | None = None,
    progress: Progress | None = None,
    settings: Mapping[str, Any] | None = None,
    consistency_rules: str | os.PathLike = "",
) -> Report:
    """Opens a source and checks every image and label. Each file is read once.

    Args:
        source: Kind of data set, a name that `open_source` knows.
        data_dir: The data set's folder, or the table.
        workers: Number of threads; by default one per core.
        unpacking: Called while an archive is extracted, see `open_source`.
        progress: Called as `progress(images_read, images_total)`.
        settings: Settings of a run, `Config.to_dict()`. They say how to read a table and are checked against the data.
            Absent settings are not checked. The default `grouping` is not checked if an attribute of CelebA is absent.
        consistency_rules: File of rules in addition to those of the package, see `Consistency`.

    Returns:
        The report, which also holds errors of the data set.

    Raises:
        FarkerasError: `workers` is less than 1, or `consistency_rules` is invalid.
    """
    if workers is not None and workers < 1:
        raise FarkerasError(f"`workers` must be at least 1. Received: {workers}.")
    try:
        opened = open_source(source, data_dir, unpacking, settings)
    except MissingImages as error:
        opened = error.source  # the missing images are reported below, together with all other findings
    except FarkerasError as error:
        return Report((), {}, (Finding("source", str(error), training_fails=True),))
    consistency = Consistency(opened.attributes, consistency_rules)
    splits, findings = _open_splits(opened)
    settings, trained = settings or {}, opened.attributes
    grouping = settings.get("grouping", Config.grouping)
    if grouping != Config.grouping or set(trained) >= set(CELEBA_ATTRIBUTES):  # the default only suits CelebA
        excluded = Config(exclude_attributes=settings.get("exclude_attributes", ())).excluded
        try:
            trained = load_grouping(grouping, trained, excluded).attributes
        except FarkerasError as error:
            findings.append(Finding("settings", str(error), training_fails=True))
    elif "grouping" in settings:
        text = "The attributes are not CelebA's 40. To train, set `grouping=FILE` with their groups, or `grouping=one`."
        findings.append(Finding("grouping", text))
    of_trained = {name: examples.select(trained) for name, examples in splits.items()}
    findings += _certain_failures(of_trained, settings)
    if settings.get("model") == "mgmtn":  # MGMTN learns its masks from the keypoints
        paths = [path for name in ("train", "validation") if name in splits for path in splits[name].paths.tolist()]
        where = (source, settings.get("keypoints_dir", ""))
        findings += failure("keypoints", load_keypoints, data_dir, paths, *where)
    folder = folder_of(data_dir)
    places = [
        Place(os.path.relpath(path, folder), name) for name, examples in splits.items() for path in examples.paths
    ]
    readers = [read for examples in splits.values() for read in encoded_images(examples)]
    files = read_image_files(readers, workers or os.cpu_count() or 1, progress)
    images = list(zip(places, files, strict=True))
    counts = {
        name: _count(examples, [file for place, file in images if place.split == name])
        for name, examples in splits.items()
    }
    findings += [
        *_missing(images),
        *_undecodable(images, counts),
        *_copies(images),
        *_contradictions(splits, data_dir, consistency),
        *_one_class(of_trained),
        *_few_labels(of_trained),
        *_odd_sizes(images),
        *_turned(images),
    ]
    findings.sort(key=lambda finding: not finding.training_fails)
    return Report(tuple(opened.attributes), counts, tuple(findings))


def _open_splits(source: Source) -> tuple[dict[str, Examples], list[Finding]]:
    splits, findings = {}, []
    for name in SPLITS:
        try:
            splits[name] = source.split(name)
        except FarkerasError as error:
            findings.append(Finding("split", str(error), training_fails=True))
    return splits, findings


def failure(kind: str, check: Callable[..., Any], *arguments: Any) -> list[Finding]:
    """Runs a check and returns its error, if there is one, as a finding that stops training."""
    try:
        check(*arguments)
    except FarkerasError as error:
        return [Finding(kind, str(error), training_fails=True)]
    return []


def _certain_failures(splits: Mapping[str, Examples], settings: Mapping[str, Any]) -> Iterator[Finding]:
    """Finds what makes a run end before its first step. `splits` hold only the attributes that the run trains."""
    if "train" in splits:
        yield from failure("settings", check_batch_size, splits["train"], settings.get("batch_size", 0))
        yield from failure("labels", check_classes, splits["train"])
    if "validation" in splits and "select_by" in settings:
        yield from failure("labels", check_selection, splits["validation"], settings["select_by"])


def _count(examples: Examples, files: Sequence[ImageFile]) -> SplitCounts:
    missing = sum(file.missing for file in files)
    known, positive = (examples.labels != UNKNOWN).sum(axis=0), (examples.labels == 1).sum(axis=0)
    return SplitCounts(
        len(examples),
        missing,
        sum(file.problem is not None for file in files) - missing,
        dict(zip(examples.attributes, known.tolist(), strict=True)),
        dict(zip(examples.attributes, positive.tolist(), strict=True)),
    )


def _missing(images: _Images) -> Iterator[Finding]:
    if places := tuple(place for place, file in images if file.missing):
        summary = f"{_number(places)} listed but missing; restore them, or remove them from the lists."
        yield Finding("missing", summary, places, training_fails=True)


def _undecodable(images: _Images, counts: Mapping[str, SplitCounts]) -> Iterator[Finding]:
    places = tuple(place._replace(detail=file.problem) for place, file in images if file.problem and not file.missing)
    if not places:
        return
    too_many = [
        name
        for name, split in counts.items()
        if split.undecodable and split.missing + split.undecodable > MAX_UNDECODABLE * split.num_images
    ]
    verdict = "Training leaves undecodable images out."
    if too_many:
        verdict = f"In {', '.join(too_many)}, more than the allowed {MAX_UNDECODABLE:.0%} cannot be used; replace them."
    yield Finding("undecodable", f"{_number(places)} undecodable. {verdict}", places, bool(too_many))


def _copies(images: _Images) -> Iterator[Finding]:
    """Finds files with identical bytes, in two splits or in one."""
    groups = defaultdict(list)
    for place, file in images:
        if file.size:  # undecodable files have their own finding, so two empty files are not a pair
            groups[file.digest].append(place)
    shared: list[Place] = []
    duplicates: list[Place] = []
    for first, *others in (places for places in groups.values() if len(places) > 1):
        for place in others:
            copy = place._replace(detail=f"the same bytes as {first.path} ({first.split})")
            (duplicates if place.split == first.split else shared).append(copy)
    if shared:
        summary = f"{_number(shared)} also in another split, which makes metrics too high; remove one of each pair."
        yield Finding("shared", summary, tuple(shared))
    if duplicates:
        yield Finding("duplicate", f"{_number(duplicates)} identical to another of the same split.", tuple(duplicates))


def _contradictions(splits: Mapping[str, Examples], data_dir: str, consistency: Consistency) -> Iterator[Finding]:
    places: dict[str, list[Place]] = defaultdict(list)
    folder = folder_of(data_dir)
    for name, examples in splits.items():
        for one, found in zip(consistency.contradictions, consistency.found(examples.labels).T, strict=True):
            paths = examples.paths[found].tolist()
            places[str(one)] += [Place(os.path.relpath(path, folder), name) for path in paths]
    for contradiction, images in sorted(places.items(), key=lambda item: -len(item[1])):
        if images:
            yield Finding("contradiction", f"{_number(images)} labelled {contradiction}.", tuple(images))


def _one_class(splits: Mapping[str, Examples]) -> Iterator[Finding]:
    for name, examples in splits.items():
        if alike := one_class(examples):
            listed = ", ".join(f"{attribute} ({labels})" for attribute, labels in alike.items())
            summary = f"In {name}, these attributes lack labels of both classes: {listed}.{advice_on_blanks(examples)}"
            yield Finding("one class", summary)


def _few_labels(splits: Mapping[str, Examples]) -> Iterator[Finding]:
    """Finds attributes with labels of both classes, but so few of one that a metric depends on single images."""
    for name, examples in splits.items():
        if len(examples) < 4 * _FEW:  # every attribute would be listed
            continue
        rarer = np.minimum((examples.labels == 1).sum(axis=0), (examples.labels == 0).sum(axis=0)).tolist()
        few = [f"{attribute} ({n})" for attribute, n in zip(examples.attributes, rarer, strict=True) if 0 < n < _FEW]
        if few:
            yield Finding(
                "few labels", f"In {name}, fewer than {_FEW} images have the rarer label of: {', '.join(few)}."
            )


def _odd_sizes(images: _Images) -> Iterator[Finding]:
    sizes = [(place, file.size) for place, file in images if file.size]
    if not sizes:
        return
    usual, times = Counter(size for _, size in sizes).most_common(1)[0]
    if times >= _USUAL * len(sizes):
        odd = [(place, size) for place, size in sizes if size != usual]
        unlike = f"not {usual[1]} x {usual[0]} pixels like the others"
    else:
        odd = [(place, size) for place, size in sizes if min(size) < _SMALLEST or max(size) > _MOST_OBLONG * min(size)]
        unlike = f"smaller than {_SMALLEST} pixels or more than {_MOST_OBLONG} times as long as wide"
    if places := tuple(place._replace(detail=f"{size[1]} x {size[0]}") for place, size in odd):
        yield Finding("odd size", f"{_number(places)} {unlike}.", places)


def _turned(images: _Images) -> Iterator[Finding]:
    if places := tuple(place for place, file in images if file.turned):
        advice = "Align them with python -m farkeras.align."
        yield Finding("turned", f"{_number(places)} turned by EXIF metadata, which training ignores. {advice}", places)


def _number(places: Sequence[Place]) -> str:
    return "1 image is" if len(places) == 1 else f"{len(places):,} images are"
