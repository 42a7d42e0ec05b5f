"""Renders an audit of labels as one HTML page that needs no other file: pictures, labels and rates."""

import base64
from collections.abc import Sequence
from typing import NamedTuple

from farkeras.report.page import render
from farkeras.report.summary import percent


class Suspicion(NamedTuple):
    """A label that is probably wrong.

    Attributes:
        image: Path of the image, relative to the data set's folder.
        split: Its split.
        attribute: The attribute.
        given: The label: whether the attribute is said to be present. The suggested label is the opposite.
        probability: Predicted probability that the attribute is present.
        face: JPEG file of the face as the model sees it; empty for a label that the page does not show.
    """

    image: str
    split: str
    attribute: str
    given: bool
    probability: float
    face: bytes = b""

    @property
    def score(self) -> float:
        """Predicted probability of the given label; the lower, the more suspicious."""
        return self.probability if self.given else 1 - self.probability

    @property
    def picture(self) -> str:
        """The face in base64."""
        return base64.b64encode(self.face).decode()


def label_page(summary: dict, suspicions: Sequence[Suspicion]) -> str:
    """Returns the page of an audit as text.

    Args:
        summary: The content of `label_audit.json`, see `farkeras.training.label_files.write_audit`.
        suspicions: The labels whose faces are shown, the most suspicious first.
    """
    rates = sorted(summary["attributes"].items(), key=lambda item: -(item[1]["error_rate"] or 0))
    columns = "error_rate", "positive_error_rate", "negative_error_rate"
    rows = [
        (name, [f"{rate['known']:,}", f"{rate['suspicious']:,}", *(percent(rate[each], 1) for each in columns)])
        for name, rate in rates
    ]
    data = str(summary["data_dir"]).rstrip("/").split("/")[-1]
    return render("label_audit.html", summary=summary, suspicions=suspicions, rows=rows, data=data)
