"""Measures a trained model: `python -m farkeras.evaluate --workdir=runs/demo`.

Writes `evaluation.json`, `evaluation.md` and the page `report.html` into the workdir.
"""

import json
from pathlib import Path

from absl import flags
from rich.console import Console
from rich.table import Column, Table

from farkeras import main as entry
from farkeras.data.sources import open_source
from farkeras.errors import FarkerasError
from farkeras.files import write_text
from farkeras.metrics.attribute_metrics import evaluate_attributes
from farkeras.metrics.history import read_history
from farkeras.metrics.report import write_report
from farkeras.metrics.summary import COLUMNS, PROCEDURAL, headline, markdown_report, percent, readable
from farkeras.models.model_file import ModelMetadata, load_model
from farkeras.training.inference import predict_examples


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines the flags of this command."""
    own = {"flag_values": flag_values}
    flags.DEFINE_string("workdir", "", "Workdir of a training run.", **own)
    flags.DEFINE_string("model", "", "A .keras file, in place of --workdir.", **own)
    flags.DEFINE_string("source", "", "Kind of data set; by default the one trained on.", **own)
    flags.DEFINE_string("data_dir", "", "Folder of the data set; by default the one trained on.", **own)
    flags.DEFINE_enum("split", "test", ["train", "validation", "test"], "The images to measure on.", **own)
    flags.DEFINE_integer("batch_size", 64, "Images at a time.", lower_bound=1, **own)
    flags.DEFINE_string("output", "", "Folder of the results; by default the model's.", **own)


def evaluate(
    path: str, split: str, batch_size: int, source: str = "", data_dir: str = ""
) -> tuple[dict, ModelMetadata, list[str]]:
    """Measures the model in a workdir or a .keras file on one split.

    Returns:
        The evaluation as `write_report` takes it, the model's metadata, and the undecodable files.

    Raises:
        FarkerasError: No model, no such data, or data that lack an attribute of the model.
    """
    model, metadata = load_model(path)
    source = source or metadata.config.get("source", "celeba")
    data_dir = data_dir or metadata.config.get("data_dir", "")
    data = open_source(source, data_dir)
    if missing := [name for name in metadata.grouping.attributes if name not in data.attributes]:
        raise FarkerasError(f"{data_dir} has no labels for {', '.join(missing)}, which the model predicts.")
    examples = data.split(split).select(metadata.grouping.attributes)
    labels, probabilities, undecodable = predict_examples(model, examples, metadata.preprocessing, batch_size)
    run = {
        "model": path,
        "source": source,
        "data_dir": data_dir,
        "split": split,
        "procedural": (Path(data_dir) / "synthesize.json").is_file(),  # which farkeras.synthesize writes
        "undecodable": len(undecodable),
    }
    return {"run": run, **evaluate_attributes(labels, probabilities, metadata.grouping)}, metadata, undecodable


def main(argv: list[str], flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Evaluates, writes the three files and prints the headline."""
    del argv
    options = flag_values
    if bool(options.workdir) == bool(options.model):
        raise FarkerasError("Give either --workdir=FOLDER of a training run or --model=FILE.keras.")
    path = options.workdir or options.model
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    evaluation, metadata, undecodable = evaluate(
        path, options.split, options.batch_size, options.source, options.data_dir
    )
    output = Path(options.output or folder)
    write_text(output / "evaluation.json", json.dumps(evaluation, indent=1, allow_nan=False) + "\n")
    write_text(output / "evaluation.md", markdown_report(evaluation))
    write_report(evaluation, read_history(folder / "metrics.jsonl"), output / "report.html", metadata.config)

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{path}: {evaluation['num_images']:,} images, split {options.split}. In percent:", markup=False)
    for name, value, remark in headline(evaluation):
        console.print(f"  {name:<20}{value:>7}  [dim]{remark}[/dim]")
    table = Table("Group", *(Column(name, justify="right") for name in COLUMNS.values()))
    for name, values in evaluation["groups"].items():
        table.add_row(readable(name), *(percent(values[column]) for column in COLUMNS))
    console.print(table)
    if evaluation["run"]["procedural"]:
        console.print(f"[bold yellow]{PROCEDURAL}.[/bold yellow]")
    if undecodable:
        console.print(f"{len(undecodable)} undecodable, left out: {', '.join(undecodable[:3])}", markup=False)
    console.print(f"Report: {output / 'report.html'}", markup=False)


if __name__ == "__main__":
    define()
    entry.run(main)
