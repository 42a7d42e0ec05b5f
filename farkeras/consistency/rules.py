"""The rules of attributes that contradict each other, from the file `rules.toml` and from a file of the user."""

import itertools
import os
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from farkeras.errors import FarkerasError
from farkeras.files import as_path

SHIPPED = Path(__file__).with_name("rules.toml")
"""The file of the rules that are part of the package."""

_FORMS = "at_most_one, at_least_one, if with never, or if with always"


class Contradiction(NamedTuple):
    """A combination of answers that cannot all be true of a face. Each rule stands for one or several of them.

    Attributes:
        present: The attributes that are present in the combination.
        absent: The attributes that are absent in it.
    """

    present: tuple[str, ...]
    absent: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Returns the combination in words: "No_Beard with Goatee", "Goatee without Adult" or "none of A, B"."""
        if not self.present:
            return f"none of {', '.join(self.absent)}"
        return " with ".join(self.present) + "".join(f" without {name}" for name in self.absent)

    @property
    def attributes(self) -> tuple[str, ...]:
        """All attributes of the combination."""
        return self.present + self.absent


def read_rules(path: str | os.PathLike = "") -> tuple[Contradiction, ...]:
    """Reads the rules of the package and those of a user's file, which has the same format.

    The file is TOML. Each `[[rule]]` has one of these forms, in which names are attributes:

    - `at_most_one = [names]`: no two of them are present together.
    - `at_least_one = [names]`: they are not all absent.
    - `if = name` and `never = [names]`: none of the names is present together with the first.
    - `if = name` and `always = [names]`: all of the names are present whenever the first is.

    The line `shipped = false` at the top of the user's file leaves out the rules of the package.

    Args:
        path: The user's file; "" for the rules of the package alone.

    Returns:
        The contradictions, those of the package first, each once.

    Raises:
        FarkerasError: The file cannot be read, or a rule has none of the forms.
    """
    _, shipped = _read(SHIPPED)
    if not path:
        return shipped
    with_shipped, own = _read(as_path(path))
    # Two combinations of the same attributes in another order are the same.
    unique: dict[tuple[frozenset[str], ...], Contradiction] = {}
    for one in [*(shipped if with_shipped else ()), *own]:
        unique.setdefault((frozenset(one.present), frozenset(one.absent)), one)
    return tuple(unique.values())


def _read(path: Path) -> tuple[bool, tuple[Contradiction, ...]]:
    """Reads one file: whether the rules of the package also hold, and the contradictions."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FarkerasError(
            f"Cannot read the consistency rules {path} ({error.strerror}); expected a TOML file with [[rule]] tables."
        ) from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise FarkerasError(f"{path} is not TOML ({error}); expected [[rule]] tables. Correct the file.") from None
    if unknown := sorted(content.keys() - {"rule", "shipped"}):
        raise FarkerasError(
            f"{path}: expected [[rule]] tables and `shipped = false` at the top level. Received: {unknown[0]}."
        )
    shipped, rules = content.get("shipped", True), content.get("rule", [])
    if not isinstance(shipped, bool):
        raise FarkerasError(f"{path}: `shipped` must be true or false. Received: {shipped!r}.")
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise FarkerasError(f"{path}: `rule` must be written as [[rule]], in double brackets. Correct the file.")
    found = [c for number, rule in enumerate(rules, 1) for c in _contradictions(f"{path}, rule {number}", rule)]
    return shipped, tuple(dict.fromkeys(found))


def _contradictions(place: str, rule: dict[str, Any]) -> Iterator[Contradiction]:
    form = _RULES.get(tuple(sorted(rule)))
    if form is None:
        raise FarkerasError(f"{place} must have one of the forms {_FORMS}. Received: {', '.join(rule) or 'nothing'}.")
    names: list[str] = []
    for key, value in sorted(rule.items(), key=lambda item: item[0] != "if"):
        listed = [value] if key == "if" else value
        if not isinstance(listed, list) or not all(isinstance(name, str) and name for name in listed):
            what = "the name of an attribute" if key == "if" else "a list of attributes' names"
            raise FarkerasError(f"{place}: `{key}` must be {what}. Received: {value!r}.")
        names += listed
    if len(names) < 2 or len(set(names)) < len(names):
        raise FarkerasError(
            f"{place} needs at least two different attributes, each once. Received: {', '.join(names)}."
        )
    return form(names)


def _never(names: Sequence[str]) -> Iterator[Contradiction]:
    return (Contradiction((names[0], other)) for other in names[1:])


def _always(names: Sequence[str]) -> Iterator[Contradiction]:
    return (Contradiction((names[0],), (other,)) for other in names[1:])


def _at_most_one(names: Sequence[str]) -> Iterator[Contradiction]:
    return map(Contradiction, itertools.combinations(names, 2))


def _at_least_one(names: Sequence[str]) -> Iterator[Contradiction]:
    return iter([Contradiction((), tuple(names))])


_RULES: dict[tuple[str, ...], Callable[[Sequence[str]], Iterator[Contradiction]]] = {
    ("at_most_one",): _at_most_one,
    ("at_least_one",): _at_least_one,
    ("if", "never"): _never,
    ("always", "if"): _always,
}
"""The keys of a rule, in alphabetical order -> function from its attributes, that of `if` first."""
