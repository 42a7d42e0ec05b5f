"""The console that all commands print to."""

from rich.console import Console


def make_console(soft_wrap: bool = True, stderr: bool = False) -> Console:
    """Makes a console that prints text literally, without Rich's markup (`[lr=3e-4]`) and emoji (`:cat:`).

    Args:
        soft_wrap: Whether the terminal wraps long lines, so that a path can be copied whole. Otherwise Rich wraps them
            between words.
        stderr: Whether the console writes to stderr instead of stdout.
    """
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap, stderr=stderr)
