"""Lists the labels that are probably wrong: `python -m farkeras.audit_labels --flagfile=F --workdir=DIR`.

The command trains the recipe of the flags several times, each time without one fold of the images, and predicts the
fold: confident learning (Northcutt, Jiang and Chuang, JAIR 2021). All images of a person are in the same fold, where
the data set names people. After an interruption, the same command continues, and finished folds are kept. With
`--run=WORKDIR`, it trains nothing and takes the predictions of a run that has not seen the labels, such as those of the
test split.

It writes `label_audit.csv` (all suspicious labels, the most suspicious first), `label_audit.html` (pictures of the
first ones) and `label_audit.json` (estimated shares of wrong labels) to the workdir. No label is changed.
"""

from contextlib import ExitStack

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.progress import ProgressDisplay
from farkeras.cli.run import run_command
from farkeras.cli.signals import stop_on_signals
from farkeras.data.sources.splits import SPLITS
from farkeras.data.sources.table import SETTINGS
from farkeras.native_logs import without_native_logs
from farkeras.report.summary import PROCEDURAL, percent

_SHOWN = 5  # attributes that are printed


def define(flags: Flags) -> None:
    flags.path("workdir", "Folder of the results and of the runs of the folds.", required=True)
    flags.choice("split", "train", (*SPLITS, "all"), "Split whose labels are audited.")
    flags.integer("folds", 5, "Number of folds; the more, the longer it takes and the more images train a model.", 2)
    flags.path(
        "run",
        "Workdir or .keras file of a run that has not seen the labels; nothing is trained. Empty: train the folds.",
    )
    flags.integer("shown", 100, "Largest number of labels whose pictures the page shows.", 0, 2000)
    flags.settings()


def main(options: Flags) -> None:
    """Audits, writes the three files and prints the highest rates."""
    config = options.config()
    with without_native_logs():
        from farkeras.cli.training_report import ConsoleReport
        from farkeras.training.label_audit import audit_with_folds, audit_with_run
        from farkeras.training.label_files import PAGE_FILE, write_audit
        from farkeras.training.preemption import StopRequest

    console, stop = make_console(), StopRequest()
    with ExitStack() as at_end:
        unpacking = at_end.enter_context(ProgressDisplay(console, "Unpacking", "files"))
        if options.run:
            given = options.given(("source", "data_dir", "batch_size", *SETTINGS))
            read = {name: given[name] for name in SETTINGS if name in given}
            audit = audit_with_run(
                options.run,
                options.split,
                given.get("source", ""),
                given.get("data_dir", ""),
                given.get("batch_size", 64),
                unpacking,
                read,
            )
        else:

            def listeners(name: str) -> list[ConsoleReport]:
                console.print(f"\n{name.replace('_', ' ')} of {options.folds}")
                report = ConsoleReport(seconds_between=60)
                at_end.callback(report.stop)
                return [report]

            at_end.enter_context(stop_on_signals(stop))
            audit = audit_with_folds(config, options.workdir, options.split, options.folds, listeners, unpacking, stop)
    summary = write_audit(audit, options.workdir, options.shown)
    console.print(
        f"{summary['num_images']:,} images, split {options.split}. Suspicious labels: {summary['suspicious']:,}."
    )
    rates = [(rate["error_rate"], name) for name, rate in summary["attributes"].items() if rate["error_rate"]]
    for rate, name in sorted(rates, reverse=True)[:_SHOWN]:
        console.print(f"  {name}: an estimated {percent(rate, 1)} % of the labels are wrong")
    if summary["procedural"]:
        console.print(f"{PROCEDURAL}.", style="bold yellow")
    console.print(f"Pictures: {options.workdir}/{PAGE_FILE}")


if __name__ == "__main__":
    run_command(define, main)
