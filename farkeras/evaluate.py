"""Evaluates a trained model: `python -m farkeras.evaluate --workdir=runs/demo`.

The command writes `evaluation.json`, `evaluation.md`, `model_card.md` and the page `report.html` to the workdir.
Results on another data set need their own folder: `--workdir=runs/celeba --source=lfwa --data_dir=LFWA
--output=runs/celeba/on_lfwa`.
"""

from pathlib import Path

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from farkeras.cli.console import make_console
from farkeras.cli.flags import CALIBRATE_HELP, Flags
from farkeras.cli.progress import ProgressDisplay
from farkeras.cli.run import run_command
from farkeras.data.keypoints import annotate_command
from farkeras.data.sources.splits import SPLITS
from farkeras.data.sources.table import SETTINGS
from farkeras.data.subgroups import AUTO
from farkeras.decisions import CALIBRATE
from farkeras.errors import FarkerasError
from farkeras.native_logs import without_native_logs
from farkeras.report.consistency import consistency_notes, contradiction_rows
from farkeras.report.decisions import threshold_note, uncalibrated_note
from farkeras.report.subgroups import gap_lines, subgroup_headline
from farkeras.report.summary import COLUMNS, PROCEDURAL, headline, mask_iou_rows, percent, readable

_SETTINGS = (*SETTINGS, "keypoints_dir")  # how to read a table, and the folder of the keypoints
_SHOWN = ("accuracy", "majority_accuracy", "balanced_accuracy", "f1", "roc_auc")  # the metrics that fit into 80 columns


def define(flags: Flags) -> None:
    flags.path("workdir", "Workdir of a run.")
    flags.path("model", "A .keras file, in place of --workdir.")
    flags.text("source", "", "Kind of data set. Empty: the one of the training.")
    flags.path("data_dir", "Folder or table of the data set. Empty: the one of the training.")
    flags.choice("split", "test", SPLITS, "Split to evaluate.")
    flags.integer("batch_size", 64, "Images per batch, over all GPUs.", 1)
    flags.path("gallery", "PNG file to write, with the first 12 faces and their predictions. Empty: none.")
    flags.path("consistency_rules", "TOML file of rules in addition to those that farkeras has. Empty: none.")
    flags.texts(
        "subgroups",
        (AUTO,),
        "Attributes of the data set or columns of a table by which the images are divided into subgroups, such as "
        "Male,Young,skin. auto: Male, Young and the columns of subgroups.csv. none: no subgroups.",
    )
    flags.path(
        "subgroup_table",
        "CSV or Parquet file with a column image and further columns for --subgroups; its column person names the "
        "people. Empty: subgroups.csv in the data set's folder, if there is one.",
    )
    flags.texts(
        "leave_out",
        (),
        "Attributes of the model that the figures leave out; subjective stands for the subjective set. Empty: none.",
    )
    flags.text("data_licence", "", "Licence of your own data in words, for the model card. Empty: not stated.")
    flags.settings(_SETTINGS)  # the defaults are the settings of the training
    flags.choice("calibrate", "auto", CALIBRATE, CALIBRATE_HELP)
    flags.path(
        "output", "Folder of the results. Empty: the folder of the model, only for the data set of the training."
    )


def main(options: Flags) -> None:
    """Evaluates, writes the four files and prints the headline."""
    if bool(options.workdir) == bool(options.model):
        raise FarkerasError("Give either --workdir=FOLDER or --model=FILE.keras.")
    with without_native_logs():  # imports TensorFlow, after the check of the flags
        from farkeras.training.evaluation import REPORT_FILE, evaluate_run, results_folder

    path = options.workdir or options.model
    console = make_console()
    with ProgressDisplay(console, "Unpacking", "files") as unpacking:
        evaluated = evaluate_run(
            path,
            options.split,
            options.batch_size,
            options.source,
            options.data_dir,
            options.output,
            options.gallery,
            unpacking,
            options.given(_SETTINGS),
            options.consistency_rules,
            options.calibrate,
            options.subgroups,
            options.subgroup_table,
            options.leave_out,
            options.data_licence,
        )
    report = results_folder(path, options.output) / REPORT_FILE
    _show(console, evaluated.evaluation, evaluated.undecodable, report)


def _show(console: Console, evaluation: dict, undecodable: list[str], report: Path) -> None:
    run = evaluation["run"]
    console.print(f"{run['model']} on the {run['split']} split, {evaluation['num_images']:,} images, in percent")
    for name, value, remark in headline(evaluation):
        console.print(f"  {name:<18}{value:>7} ", Text(remark, "dim"))
    table = Table(Column("Group", no_wrap=True), *(Column(COLUMNS[name], justify="right") for name in _SHOWN))
    for name, values in evaluation["groups"].items():
        table.add_row(readable(name), *(percent(values[column]) for column in _SHOWN))
    console.print(table)
    if notes := consistency_notes(evaluation):
        most = [f"{name} ({answers})" for name, answers, _ in contradiction_rows(evaluation)[:3]]
        console.print(*notes, *([f"Most frequent in the answers: {', '.join(most)}."] if most else []))
    if note := uncalibrated_note(evaluation):
        console.print(note)
    else:
        names = ("balanced_accuracy", "accuracy", "f1")
        own = evaluation["thresholds"]["at_thresholds"]
        figures = ", ".join(f"{COLUMNS[name].lower()} {percent(own[f'mean_{name}'])}" for name in names)
        console.print(f"At the attributes' own thresholds instead of 50 %: {figures}. {threshold_note(evaluation)}")
    if rows := mask_iou_rows(evaluation):
        console.print("Mask IoU: " + ", ".join(f"{region} {iou}" for region, iou in rows))
    if subgroups := evaluation.get("subgroups"):
        console.print(subgroup_headline(subgroups))
        for line in gap_lines(subgroups):
            console.print(f"  {line}")
    if not run.get("masks_annotated", True):
        remedy = annotate_command(run["data_dir"], run["source"])
        console.print(
            f"Masks are not evaluated, because {run['data_dir']} has no keypoints. For the mask IoU: {remedy}"
        )
    if run["procedural"]:
        console.print(f"{PROCEDURAL}.", style="bold yellow")
    if undecodable:
        more = f" and {len(undecodable) - 10} more, see evaluation.json" if len(undecodable) > 10 else ""
        console.print(f"{len(undecodable)} undecodable images were left out: {', '.join(undecodable[:10])}{more}")
    console.print(f"Report: {report}")


if __name__ == "__main__":
    run_command(define, main)
