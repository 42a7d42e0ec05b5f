"""The output of a training run in a terminal: parameter table, progress and validations."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from farkeras.cli.console import make_console
from farkeras.cli.progress import Bar
from farkeras.data.learnable import advice_on_blanks, one_class
from farkeras.models.base import shown_name
from farkeras.models.mask_weights import FEW_IMAGES, shipped_settings
from farkeras.report.summary import percent
from farkeras.training.reporting import Listener
from farkeras.training.validation import blind_loss

if TYPE_CHECKING:
    from farkeras.training.building import Run


_NAMED = 5  # attributes that a line names
_NEAR_CHANCE = 0.55  # balanced accuracy
_MASK_STARTS = {"none": "random weights", "shipped": "the weights that farkeras ships (--mask_weights=none: random)"}
_LEARNED = 0.7  # training loss, as a share of `blind_loss`


class ConsoleReport(Listener):
    """Prints the progress of a run: a bar on a terminal, or a line every `seconds_between` seconds elsewhere.

    The line shows steps/s, images/s, the remaining time, and the share of time spent waiting for data. The rates leave
    out the first call of the compiled loop, which includes the compilation.

    Args:
        console: Rich's console; by default stdout.
        seconds_between: Seconds between lines without a terminal.
    """

    def __init__(self, console: Console | None = None, seconds_between: float = 10.0):
        self.console = console or make_console(soft_wrap=False)
        self.seconds_between = seconds_between
        self.bar: Bar | None = None
        self.loss: float | None = None  # the last training loss of the attributes
        self.warned = False

    def on_start(self, run: "Run", step: int) -> None:
        data = run.data
        self.console.print(parameter_table(run.model))
        self._say(
            f"{len(data.train):,} training and {len(data.validation):,} validation images, "
            f"{len(data.grouping.attributes)} attributes in {len(data.grouping)} groups, "
            f"{run.strategy.num_replicas_in_sync} replica(s), {run.total_steps:,} steps of {run.config.batch_size}."
        )
        if kept := sum(split.decoded.pixels.nbytes for split in (data.train, data.validation) if split.decoded):
            self._say(f"Their decoded images take {kept / 1e9:,.2f} GB of memory.")
        if data.left_out:
            self._say(f"Attributes that are not trained (excluded or in no group): {some(data.left_out)}.")
        if alike := [f"{attribute} ({labels})" for attribute, labels in one_class(data.train).items()]:
            line = f"Warning: a model cannot learn attributes with training labels of one class: {some(alike)}."
            self._say(line + advice_on_blanks(data.train))
        if len(run.phases) > 1:
            self._say("Phases: " + ", then ".join(f"{phase.name} to step {phase.end:,}" for phase in run.phases) + ".")
        if step:
            self._say(run.ended_early or f"The run continues at step {step:,}.")
        elif run.config.init_from:
            anew = ", ".join(sorted({shown_name(path.split("/")[0]) for path in run.started_anew})) or "nothing"
            self._say(f"Initial weights from {run.config.init_from}; new: {anew}.")
        if run.mask_weights and not step:
            start = _MASK_STARTS.get(run.mask_weights, run.mask_weights)
            few = run.mask_weights == "none" and run.config.mask_weights == "auto" and len(data.train) < FEW_IMAGES
            flags = shipped_settings().replace("`mask", "--mask").replace("`", "")
            advice = f" For few images, farkeras ships weights for {flags}." if few else ""
            self._say(f"Mask network: starts from {start}.{advice}")
        self.trips = self.steps = 0
        self.seconds = self.waited = 0.0
        self.last_line = time.monotonic()
        if self.console.is_terminal and not run.finished:
            self.bar = Bar(self.console, run.total_steps, step, "compiling")

    def on_train(self, run: "Run", record: dict) -> None:
        self.trips, self.loss = self.trips + 1, record.get("loss")
        if self.trips == 1:
            return
        seconds = record["steps"] / record["steps_per_second"]
        self.steps, self.seconds = self.steps + record["steps"], self.seconds + seconds
        self.waited += record["data_wait"] * seconds
        line = self.line(run, record)
        if self.bar:
            self.bar.update(record["step"], line)
        elif time.monotonic() - self.last_line >= self.seconds_between:
            self.last_line = time.monotonic()
            self._say(f"{record['step'] / run.total_steps:4.0%} {line}")

    def line(self, run: "Run", record: dict) -> str:
        rate = self.steps / self.seconds
        to_go = (run.total_steps - record["step"]) / rate
        known = {"loss": record.get("loss"), "masks": record.get("mask_loss")}
        losses = "  ".join(f"{name} {value:.4f}" for name, value in known.items() if value is not None)
        phase = f"{record['phase']}  " if "phase" in record else ""
        return (
            f"step {record['step']:,}/{run.total_steps:,}  epoch {record['epoch']:.1f}  {phase}{losses}  "
            f"{rate:.1f} steps/s  {rate * run.config.batch_size:,.0f} images/s  "
            f"ETA {duration(to_go)}  data wait {self.waited / self.seconds:.0%}"
        )

    def on_validation(self, run: "Run", record: dict) -> None:
        metrics = record["validation"]
        self._say(
            f"Validation at step {record['step']:,}: accuracy {percent(metrics['mean_accuracy'])} % "
            f"(majority class {percent(metrics['majority_accuracy'])} %), "
            f"balanced {percent(metrics['mean_balanced_accuracy'])} %, loss {metrics['loss']:.4f}"
            + (f", mask IoU {percent(metrics['mean_mask_iou'])} %" if "mean_mask_iou" in metrics else "")
            + (", best so far" if record["best"] else ""),
        )
        if "ended_early" in record:
            self._say(record["ended_early"])
        if not self.warned and (warning := self.stagnation(run, metrics["mean_balanced_accuracy"])):
            self.warned = True
            self._say(warning)

    def stagnation(self, run: "Run", balanced: float | None) -> str:
        """Returns a warning if the training loss is low but the validation is at chance; otherwise ""."""
        if self.loss is None or balanced is None or balanced > _NEAR_CHANCE:
            return ""
        blind = blind_loss(run.data.train.labels, run.config)
        if self.loss > _LEARNED * blind:
            return ""
        return (
            f"Warning: training improves (loss {self.loss:.2f}; a model that ignores the image reaches {blind:.2f}), "
            f"but validation does not (balanced accuracy {percent(balanced)} %, chance is 50 %). Try more images, "
            "--init_from or --backbone_weights, more augmentation, or a lower --batch_norm_momentum."
        )

    def on_end(self, run: "Run") -> None:
        self.stop()
        for split, paths in (("training", run.undecodable), ("validation", run.undecodable_validation)):
            if paths:
                self._say(f"{len(paths)} undecodable {split} images were left out:")
            for path in sorted(paths)[:10]:
                self._say(f"  {path}")
            if len(paths) > 10:
                self._say(f"  ... and {len(paths) - 10} more, see metrics.jsonl")

    def _say(self, line: str) -> None:
        """Prints a line literally, also on a console of the caller that interprets markup."""
        self.console.print(line, markup=False, emoji=False, soft_wrap=True)

    def stop(self) -> None:
        """Ends the progress bar and restores the terminal."""
        if self.bar:
            self.bar.stop()
            self.bar = None


def some(names: Sequence[str]) -> str:
    """Returns the first five names, and the number of further names."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def parameter_table(model: keras.Model) -> Table:
    """Returns a table with the parameters of each top-level layer that has parameters."""
    numbers = (Column(name, justify="right") for name in ("trainable", "other"))
    table = Table("layer", "output", *numbers, title=Text(f"{model.name}: parameters"))
    total = trainable_total = 0
    for layer in model.layers:
        if count := layer.count_params():
            trainable = sum(w.value.shape.num_elements() for w in layer.trainable_weights)
            total, trainable_total = total + count, trainable_total + trainable
            outputs = layer.output if isinstance(layer.output, list) else [layer.output]
            shape = ", ".join(" x ".join(map(str, output.shape[1:])) for output in outputs)
            table.add_row(Text(shown_name(layer.name)), shape, f"{trainable:,}", f"{count - trainable:,}")
    table.add_section()
    table.add_row("total", "", f"{trainable_total:,}", f"{total - trainable_total:,}")
    return table


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
