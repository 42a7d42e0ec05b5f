"""The rows of the table of goals, and what is found for each."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace

from farkeras.errors import FarkerasError
from speed.ratios import AT_LEAST, AT_MOST, NOT_MEASURED, Ratio, verdict

TIMES, SPEEDS, SECONDS, MEMORY = "ratio of times", "ratio of speeds", "seconds", "ratio of peak memory"
KINDS = {
    SPEEDS: "more is better",
    TIMES: "less is better",
    MEMORY: "less is better",
    SECONDS: "less is better",
}


@dataclass(frozen=True)
class Row:
    """A goal.

    Attributes:
        key: Name of the row.
        what: What is measured.
        against: What it is compared with; "" for a value that is no ratio.
        goal: The goal.
        direction: `AT_MOST` or `AT_LEAST`.
        unit: Unit of value and goal, a key of `KINDS`.
        floor: What no change of the code can go below, or above.
    """

    key: str
    what: str
    against: str
    goal: float
    direction: str
    unit: str
    floor: str


@dataclass(frozen=True)
class Beside:
    """A figure that is stated beside a row.

    Attributes:
        name: What it is.
        value: The figure.
        unit: Its unit.
        interval: Its 95 % interval, or None.
    """

    name: str
    value: float
    unit: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Found:
    """What was measured for a row.

    Attributes:
        row: The row.
        ratio: The value with its interval; None if the row was not measured.
        beside: Figures beside it.
        note: A sentence about this measurement, such as why there is none; may be empty.
        when: When it was measured, if not together with the other rows.
    """

    row: Row
    ratio: Ratio | None = None
    beside: tuple[Beside, ...] = field(default_factory=tuple)
    note: str = ""
    when: str = ""

    @property
    def verdict(self) -> str:
        """`MET`, `NOT_MET`, `UNDECIDED` or `NOT_MEASURED`."""
        return verdict(self.ratio, self.row.goal, self.row.direction) if self.ratio else NOT_MEASURED

    def to_dict(self) -> dict:
        """Returns the row of `results.json`."""
        return {
            **asdict(self.row),
            "value": self.ratio.value if self.ratio else None,
            "interval": [self.ratio.low, self.ratio.high] if self.ratio else None,
            "verdict": self.verdict,
            "beside": [asdict(figure) for figure in self.beside],
            "note": self.note,
            "when": self.when,
        }

    @classmethod
    def from_dict(cls, values: dict) -> "Found":
        """Reads a row of `results.json`; the verdict is computed anew."""
        row = Row(**{name: values[name] for name in Row.__dataclass_fields__})
        ratio = None if values["value"] is None else Ratio(values["value"], *values["interval"])
        beside = tuple(Beside(**{**figure, "interval": _pair(figure["interval"])}) for figure in values["beside"])
        return cls(row, ratio, beside, values["note"], values.get("when", ""))

    def noted(self, note: str) -> "Found":
        """Returns the same with another note."""
        return replace(self, note=note)


def _pair(interval: list[float] | None) -> tuple[float, float] | None:
    return (interval[0], interval[1]) if interval else None


_BARE = "the backbone with one Dense(40)"
_STEP = "the compiled step of ResNet-50 in PyTorch"
_MASKS = "1.12 in multiply-adds: 6,746 million in place of the backbone's 6,002, mostly for the mask network."
_PEAK = "The processor's peak rate of float32 products bounds both sides."
ROWS = (
    Row("far_amtn_forward", "FAR-AMTN with ResNet50 and 8 groups, forward pass", _BARE, 1.03, AT_MOST, TIMES,
        "1.00: both need the same backbone, and FAR-AMTN 0.8 % more multiply-adds."),
    Row("far_amtn_train", "FAR-AMTN with ResNet50 and 8 groups, training step", _BARE, 1.05, AT_MOST, TIMES,
        "1.00: both need the same backbone, and FAR-AMTN 0.8 % more multiply-adds."),
    Row("far_amtn_memory", "FAR-AMTN with ResNet50 and 8 groups, peak memory of training", _BARE, 1.05, AT_MOST, MEMORY,
        "1.035: FAR-AMTN has 4.8 million weights more, with gradient and two moments: 72 MiB; feature maps are equal."),
    Row("groups_forward", "FAR-AMTN with 40 groups, forward pass", "FAR-AMTN with one group", 1.03, AT_MOST, TIMES,
        "1.00 in products, because the last block runs once for any number of groups; but each call reads the gates' "
        "weights: 84 MB for 40 groups, 2 MB for one."),
    Row("mgmtn_forward", "MGMTN as configs/celeba_mgmtn.flags has it, forward pass", "ResNeSt50 with one Dense(40)",
        1.2, AT_MOST, TIMES, _MASKS),
    Row("mgmtn_train", "MGMTN as configs/celeba_mgmtn.flags has it, training step", "ResNeSt50 with one Dense(40)",
        1.15, AT_MOST, TIMES, _MASKS),
    Row("infer_float32_b1", "the best runtime that farkeras exports for, float32, one image in a call",
        "ResNet-50 in PyTorch, float32", 1.05, AT_LEAST, SPEEDS, _PEAK),
    Row("infer_float32_b32", "the best runtime that farkeras exports for, float32, 32 images in a call",
        "ResNet-50 in PyTorch, float32", 1.2, AT_LEAST, SPEEDS, _PEAK),
    Row("infer_best_b1", "the best precision that loses at most 0.3 points of accuracy, one image in a call",
        "ResNet-50 in PyTorch, the faster of float32 and bfloat16", 1.8, AT_LEAST, SPEEDS,
        "2.0 where the processor makes twice as many int8 as bfloat16 products, as with AMX."),
    Row("infer_best_b32", "the best precision that loses at most 0.3 points of accuracy, 32 images in a call",
        "ResNet-50 in PyTorch, the faster of float32 and bfloat16", 1.8, AT_LEAST, SPEEDS,
        "2.0 where the processor makes twice as many int8 as bfloat16 products, as with AMX."),
    Row("train_float32", "FAR-AMTN's training step, 16 images, float32", _STEP, 1.0, AT_LEAST, SPEEDS,
        "About 1.0: both call oneDNN's convolutions."),
    Row("train_bfloat16", "FAR-AMTN's training step, 16 images, bfloat16", _STEP, 0.8, AT_LEAST, SPEEDS,
        "About 1.0: both call oneDNN's convolutions."),
    Row("gpu_train", "the step that `fit` compiles with Keras on JAX, bfloat16, 256 images, on a GPU",
        _STEP, 1.0, AT_LEAST, SPEEDS,
        "About 1.0: both call the GPU's tensor cores through cuDNN."),
    Row("train_loop", "`train` as users run it, configs/demo.flags", "its step on one batch in memory", 0.95, AT_LEAST,
        SPEEDS, "1.0 less the share of the processor that decoding the images takes."),
    Row("pipeline_demo", "the input pipeline of configs/demo.flags", "reading and decoding alone", 0.85, AT_LEAST,
        SPEEDS, "1.0: an image must be read and decoded."),
    Row("pipeline_celeba", "the input pipeline of configs/celeba.flags", "reading and decoding alone", 0.5, AT_LEAST,
        SPEEDS, "1.0: an image must be read and decoded."),
    Row("mobile_int8", "FAR-AMTN as configs/celeba_mobile.flags has it, LiteRT int8, one thread",
        "its backbone with one Dense(40), LiteRT float32", 0.7, AT_MOST, TIMES,
        "0.25 in products alone; the ends of the network and its early feature maps stay in float."),
    Row("import_seconds", "`import farkeras`", "", 0.1, AT_MOST, SECONDS, "0: the start of Python is not counted."),
)  # fmt: skip
"""All rows, in the order of the table."""


def find_rows(keys: Iterable[str]) -> tuple[Row, ...]:
    """Returns the rows with these keys, in the order of `ROWS`.

    Raises:
        FarkerasError: A key is unknown.
    """
    known, wanted = {row.key for row in ROWS}, list(keys)
    if unknown := [key for key in wanted if key not in known]:
        raise FarkerasError(f"Unknown row '{unknown[0]}'. Known: {', '.join(row.key for row in ROWS)}.")
    return tuple(row for row in ROWS if row.key in wanted)
