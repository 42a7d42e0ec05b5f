"""Accuracy of each attribute against its majority baseline, drawn with HTML and CSS."""

import math
from html import escape

from farkeras.report.summary import UNDEFINED, percent, readable


def attribute_bars(evaluation: dict) -> str:
    """A card per group with a row per attribute: from the baseline (tick) to the accuracy (dot).

    All rows share one axis, which starts below the lowest value and ends at 100 %.
    """
    lowest = min(
        (
            min(values["accuracy_ci95"][0], values["majority_accuracy"])
            for values in evaluation["attributes"].values()
            if values["num_known"]
        ),
        default=0.0,
    )
    floor = math.floor(10 * lowest) / 10
    cards = "".join(_card(name, group, evaluation, floor) for name, group in evaluation["groups"].items())
    return f"{_sentence(evaluation)}{_KEY}<div class='columns'>{cards}</div>"


_KEY = (
    "<p class='soft'><span class='key'><span class='track'><i class='tick' style='left:50%'></i></span>"
    "majority baseline</span><span class='key good'><span class='track'><i class='ci' "
    "style='left:15%;width:70%'></i><i class='dot' style='left:50%'></i></span>accuracy above it, "
    "with 95 % interval</span><span class='key bad'><span class='track'><i class='dot' "
    "style='left:50%'></i></span>not above it</span></p>"
)


def _sentence(evaluation: dict) -> str:
    known = [v for v in evaluation["attributes"].values() if v["num_known"]]
    clear = sum(v["accuracy_ci95"][0] > v["majority_accuracy"] for v in known)
    return (
        "<p class='soft'>Always giving an attribute's more frequent answer is right in the share of "
        f"images marked by the tick. {clear} of {len(known)} attributes are clearly better, with "
        "their whole interval above it. The small figure is the difference in points.</p>"
    )


def _card(name: str, group: dict, evaluation: dict, floor: float) -> str:
    rows = "".join(_row(member, evaluation["attributes"][member], floor) for member in group["attributes"])
    return (
        f"<section class='card'><div class='group-head'><h3>{escape(readable(name))}</h3>"
        f"<span class='soft'>{percent(group['accuracy'])} · baseline "
        f"{percent(group['majority_accuracy'])}</span></div>"
        f"<div class='row axis'><span></span><span class='track'><span style='left:0'>{100 * floor:.0f}</span>"
        f"<span style='left:50%'>{50 * (1 + floor):.0f}</span><span style='left:100%'>100</span></span>"
        f"<span></span></div>{rows}</section>"
    )


def _row(name: str, values: dict, floor: float) -> str:
    label = f"<span class='label' title='{escape(name)}'>{escape(readable(name))}</span>"
    if not values["num_known"]:
        return (
            f"<div class='row'>{label}<span class='track'><i class='rail'></i></span>"
            f"<span class='value'>{UNDEFINED}</span></div>"
        )

    def place(fraction: float) -> float:
        return 100 * (fraction - floor) / (1 - floor)

    accuracy, majority = values["accuracy"], values["majority_accuracy"]
    low, high = map(place, values["accuracy_ci95"])
    left, right = sorted((place(accuracy), place(majority)))
    gain = accuracy - majority
    return (
        f"<div class='row'>{label}<span class='track {'good' if gain > 0 else 'bad'}'>"
        f"<i class='rail'></i><i class='span' style='left:{left:.2f}%;width:{right - left:.2f}%'></i>"
        f"<i class='ci' style='left:{low:.2f}%;width:{high - low:.2f}%'></i>"
        f"<i class='tick' style='left:{place(majority):.2f}%'></i>"
        f"<i class='dot' style='left:{place(accuracy):.2f}%'></i></span>"
        f"<span class='value'>{percent(accuracy)} <small>{f'{100 * gain:+.1f}'.replace('-', '−')}</small></span>"
        "</div>"
    )
