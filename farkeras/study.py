"""Studies models and options: `python -m farkeras.study --flagfile=configs/study.flags`.

A plan, a TOML file, lists arms (a model with options), data conditions, stages and questions; the page Study describes
it. The command works through the trials of the plan, the most important ones first, and writes the result of each into
`--results`, as a small JSON file. After an interruption, the same command continues. Several processes or machines may
share the folder of results; a lock file gives each trial to one of them. `--list` shows what is done and what is next,
and `--report` writes the page from the results without running anything.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Column, Table

from farkeras.cli.console import make_console
from farkeras.cli.flags import Flags
from farkeras.cli.run import run_command
from farkeras.cli.signals import stop_on_signals
from farkeras.config import Config
from farkeras.errors import FarkerasError
from farkeras.native_logs import without_native_logs

if TYPE_CHECKING:
    from farkeras.studies.page import Study


def define(flags: Flags) -> None:
    flags.path("plan", "TOML file with the arms, conditions, stages and questions.", required=True)
    flags.path("results", "Folder of the results, one JSON file for each trial. Commit it.", required=True)
    flags.path("workdir", "Folder of the runs. Not needed after a trial has its result.")
    flags.path("page", "Markdown page to write from the results, with its pictures next to it. Empty: none.")
    flags.path("summary", "Markdown page with a part for the first question, such as README.md. Empty: none.")
    flags.path("sizes", "JSON file of benchmarks/paper_sizes.py, for the page. Empty: none.")
    flags.path("published", "JSON file with published results, for the page. Empty: none.")
    flags.texts("only", [], "Patterns of the trials to run, such as 'screen/far_amtn-*'. Empty: all.")
    flags.integer("max_runs", 0, "Number of trials to run in this call. 0: all.", 0)
    flags.boolean("list", False, "List the trials with their states and times, and run nothing.")
    flags.boolean("report", False, "Write the page from the results, and run nothing.")
    flags.boolean("keep_runs", False, "Keep the folders of finished runs, which have the models and checkpoints.")
    flags.number(
        "images_per_second", 0.0, "Training speed to estimate times with, before a trial is measured. 0: unknown.", 0
    )
    flags.integer("training_images", 0, "Number of training images, for the same estimate. 0: unknown.", 0)
    flags.settings()


def main(options: Flags) -> None:
    """Runs, lists or reports."""
    recipe = options.config()
    with without_native_logs():
        from farkeras.studies.page import Study
        from farkeras.studies.plan_file import read_plan
        from farkeras.studies.results import check_results, read_results

    plan = read_plan(options.plan, recipe)
    if not (options.list or options.report):
        _run(options, recipe)
    results = read_results(options.results)
    check_results(plan, recipe, results, options.results)
    study = Study(plan, recipe, results, command_of(options.plan))
    if options.list:
        _list(study, options)
    else:
        _report(study, options)


def command_of(plan: str) -> str:
    """Returns the command that measures a plan, for its page: by the flagfile next to the plan, if there is one."""
    flagfile = Path(plan).with_suffix(".flags")
    return f"python -m farkeras.study {f'--flagfile={flagfile}' if flagfile.exists() else f'--plan={plan}'}"


def _run(options: Flags, recipe: Config) -> None:
    if not options.workdir:
        raise FarkerasError("--workdir is missing. Name the folder of the runs.")
    with without_native_logs():
        from farkeras.cli.training_report import ConsoleReport
        from farkeras.studies.running import run_study
        from farkeras.training.preemption import StopRequest

    with ExitStack() as at_end:

        def listeners(name: str) -> list[ConsoleReport]:
            print(f"\n{name}", flush=True)
            report = ConsoleReport(seconds_between=60)
            at_end.callback(report.stop)
            return [report]

        stop = StopRequest()
        at_end.enter_context(stop_on_signals(stop))
        for result in run_study(
            options.plan, recipe, options.results, options.workdir,
            options.only, options.max_runs, options.keep_runs, listeners, stop,
        ):  # fmt: skip
            print(f"{result.trial.name}: result written to {options.results}, {result.seconds:.0f} s", flush=True)


def _list(study: "Study", options: Flags) -> None:
    from farkeras.studies.queue import DONE, entries, matches

    speed, images = options.images_per_second, options.training_images
    epoch = images / speed if speed else 0.0
    listed = entries(study.plan, study.recipe, study.results, options.results, epoch)
    listed = [entry for entry in listed if matches(entry.trial, options.only)]
    table = Table("trial", "state", Column("minutes", justify="right"), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for entry in listed:
        table.add_row(entry.trial.name, entry.state, "" if entry.seconds is None else f"{entry.seconds / 60:.1f}")
    console = make_console(soft_wrap=False)
    console.print(table)
    left = [entry.seconds for entry in listed if entry.state != DONE]
    text = f"{len(listed) - len(left)} of {len(listed)} trials are done."
    if left and None not in left:
        hours, source = sum(filter(None, left)) / 3600, "measured" if study.results else "given"
        text += f" The others train for about {hours:.1f} hours, at the {source} speed."
    elif left:
        text += (
            " Their time is unknown before a first trial is measured; --images_per_second and --training_images "
            "estimate it."
        )
    console.print(text, soft_wrap=True)


def tables_of(options: Flags) -> list[str]:
    """Returns the paper tables of the page."""
    from farkeras.studies.paper_tables import published_section, sizes_section

    sizes = sizes_section(options.sizes) if options.sizes else []
    return [*sizes, *(published_section(options.published) if options.published else [])]


def _report(study: "Study", options: Flags) -> None:
    from farkeras.studies.report import write_page, write_summary

    if options.page:
        for path in write_page(study, options.page, tables_of(options)):
            print(path)
    if options.summary:
        write_summary(study, options.summary, options.page)
        print(options.summary)


if __name__ == "__main__":
    run_command(define, main)
