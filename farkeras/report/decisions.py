"""Calibration, thresholds and abstaining of an evaluation in words and rows, for the page and for Markdown."""

from collections.abc import Mapping

from farkeras.report.summary import UNDEFINED, interval, markdown_table, percent

OBJECTIVES = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "f1": "F1", "precision": "precision"}
CALIBRATION_HEADER = ("Probabilities", "Calibration error", "95 % interval", "By chance")
THRESHOLD_HEADER = (
    "Attribute",
    "Threshold",
    "Balanced at 50 %",
    "Balanced",
    "Accuracy at 50 %",
    "Accuracy",
    "F1 at 50 %",
    "F1",
    "Precision",
    "Recall",
)
COVERAGE_HEADER = ("Kept", "At 50 %", "At thresholds", "Confidence from")
_COVERAGES = (100, 95, 90, 80, 70, 50)


def uncalibrated_note(evaluation: Mapping) -> str:
    """Returns a sentence that says why the probabilities are not calibrated; "" if they are."""
    if evaluation["calibration"]["fitted"]:
        return ""
    if evaluation["run"].get("calibrate") == "none":
        return (
            "Calibration was left out (calibrate=none): the probabilities are the model's own, and answers are at 50 %."
        )
    return (
        "The model file has no calibration: the probabilities are the model's own, and answers are at 50 %. "
        "The command python -m farkeras.calibrate adds one."
    )


def calibration_notes(evaluation: Mapping) -> list[str]:
    """Returns sentences that say what was fitted, on which images, and how the error is measured."""
    calibration = evaluation["calibration"]
    how = (
        f"The expected calibration error is the mean difference of predicted probability and frequency over "
        f"{calibration['bins']} bins with equally many images, per attribute, in percent. Its interval is by bootstrap "
        f"over images. By chance is about the error of perfectly calibrated probabilities on as many labels."
    )
    if not (fitted := calibration["fitted"]):
        return [uncalibrated_note(evaluation), how]
    images = f"{fitted['fitted_on']['images']:,} images, split {fitted['fitted_on']['split']}"
    what = {
        "none": "No temperature or shift improved the cross-entropy in cross-validation, so none is applied",
        "group": "Each group has its own temperature",
        "attribute": "Each attribute has its own temperature",
        "shift": "Each attribute has its own shift of the logit",
        "shift+group": "Each attribute has its own shift of the logit, and each group its own temperature",
        "shift+attribute": "Each attribute has its own shift of the logit and its own temperature",
    }[fitted["scope"]]
    notes = [f"{what}, fitted on {images} of {fitted['fitted_on']['data_dir']}.", how]
    if calibration["on_same_images"]:
        notes.insert(
            1, "These are the images of the calibration, so figures after calibration and at thresholds are too good."
        )
    return notes


def calibration_rows(evaluation: Mapping) -> list[tuple[str, ...]]:
    """Returns the rows under `CALIBRATION_HEADER`."""
    names, calibration = {"before": "Before calibration", "after": "After calibration"}, evaluation["calibration"]
    rows: list[tuple[str, ...]] = [
        (
            names[name],
            percent(values["expected_calibration_error"]),
            interval(values["ci95"]),
            percent(values["expected_by_chance"]),
        )
        for name in names
        if (values := calibration.get(name))
    ]
    if "reduction_ci95" in calibration:
        before, after = (calibration[name]["expected_calibration_error"] for name in names)
        rows.append(("Reduction", percent(before - after), interval(calibration["reduction_ci95"]), ""))
    return rows


def threshold_note(evaluation: Mapping) -> str:
    """Returns a sentence on what the thresholds were chosen for."""
    fitted = evaluation["calibration"]["fitted"]
    wanted = f" of {percent(fitted['precision'], 0)} %" if fitted["precision"] else ""
    objective = f"{OBJECTIVES[fitted['objective']]}{wanted}"
    split = fitted["fitted_on"]["split"]
    return (
        f"The thresholds of the calibrated probabilities were chosen for {objective} on the {split} split. Figures at "
        "50 % are those of the model's own probabilities."
    )


def threshold_rows(evaluation: Mapping) -> list[tuple[str, ...]]:
    """Returns the rows under `THRESHOLD_HEADER`: the means, then each attribute; an empty list without calibration."""
    thresholds = evaluation["thresholds"]
    if "at_thresholds" not in thresholds:
        return []
    at_50, own = thresholds["at_50"], thresholds["at_thresholds"]

    def row(name: str, threshold: str, before: Mapping, after: Mapping, prefix: str = "") -> tuple[str, ...]:
        pairs = [
            percent(values[f"{prefix}{key}"])
            for key in ("balanced_accuracy", "accuracy", "f1")
            for values in (before, after)
        ]
        return name, threshold, *pairs, *(percent(after[f"{prefix}{key}"]) for key in ("precision", "recall"))

    return [
        row("Mean", UNDEFINED, at_50, own, "mean_"),
        *(
            row(name, percent(values["threshold"], 1), at_50["attributes"][name], values)
            for name, values in own["attributes"].items()
        ),
    ]


def coverage_rows(evaluation: Mapping) -> list[tuple[str, ...]]:
    """Returns the rows under `COVERAGE_HEADER`; an empty list without labels."""
    curves = evaluation["risk_coverage"]
    if not curves["at_50"]:
        return []
    own = curves.get("at_thresholds") or curves["at_50"]
    return [
        (
            f"{share} %",
            percent(curves["at_50"]["accuracy"][share - 1]),
            percent(own["accuracy"][share - 1]),
            percent(own["min_confidence"][share - 1], 1),
        )
        for share in _COVERAGES
    ]


def coverage_note(evaluation: Mapping) -> str:
    """Returns a sentence on what the rows of `coverage_rows` mean."""
    curves = evaluation["risk_coverage"]
    areas = f"{percent(curves['at_50']['area'])} % at 50 %"
    if own := curves.get("at_thresholds"):
        areas += f" and {percent(own['area'])} % at the thresholds"
    return (
        "If the least confident answers are left open (--min_confidence), the others are right more often. The "
        "table has the share of answers that are kept, their accuracy, and the confidence from which on they are kept. "
        f"The area under risk (1 - accuracy) over coverage is {areas}; 0 is best."
    )


def markdown_sections(evaluation: Mapping) -> list[str]:
    """Returns the paragraphs and tables for `evaluation.md`."""
    if "calibration" not in evaluation:  # an evaluation of an earlier version
        return []
    parts = ["## Calibration", *calibration_notes(evaluation)]
    parts.append(markdown_table(CALIBRATION_HEADER, calibration_rows(evaluation)))
    if rows := threshold_rows(evaluation):
        parts += ["## Thresholds", threshold_note(evaluation), markdown_table(THRESHOLD_HEADER, rows)]
    if rows := coverage_rows(evaluation):
        parts += ["## Abstaining", coverage_note(evaluation), markdown_table(COVERAGE_HEADER, rows)]
    return parts
