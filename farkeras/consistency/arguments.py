"""The arguments with which the clients' commands answer without contradictions."""

import argparse
from collections.abc import Sequence

from farkeras.consistency.answers import Consistency


def add_consistency(parser: argparse.ArgumentParser) -> None:
    """Adds `--consistent` and `--consistency_rules`."""
    parser.add_argument(
        "--consistent",
        action="store_true",
        help="Answer with the most probable combination that no consistency rule forbids.",
    )
    parser.add_argument(
        "--consistency_rules",
        default="",
        help="TOML file of rules in addition to those that farkeras has; implies --consistent.",
    )


def consistency_of(given: argparse.Namespace, attributes: Sequence[str]) -> Consistency | None:
    """Returns what the arguments ask for; None to decide each attribute alone.

    Raises:
        FarkerasError: The file of rules is invalid.
    """
    rules = given.consistency_rules
    return Consistency(attributes, rules) if given.consistent or rules else None
