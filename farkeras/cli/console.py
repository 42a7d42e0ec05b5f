"""The terminal of every command."""

from rich.console import Console


def make_console(soft_wrap: bool = True, stderr: bool = False) -> Console:
    """A console that shows text as it is: `[lr=3e-4]` in a path is no markup, `:cat:` in a name no picture.

    Args:
        soft_wrap: Whether the terminal breaks long lines, so that a path can be copied whole; else Rich does, at words.
        stderr: Whether it writes to stderr.
    """
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap, stderr=stderr)
