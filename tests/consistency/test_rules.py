"""The forms of a rule, the file of the package with that of a user, and the message of every wrong line."""

import pytest

from farkeras.attributes import CELEBA_ATTRIBUTES
from farkeras.consistency.rules import SHIPPED, Contradiction, read_rules
from farkeras.errors import FarkerasError


@pytest.fixture
def file(tmp_path):
    return tmp_path / "rules.toml"


def test_the_rules_of_the_package():
    rules = read_rules()
    assert {name for rule in rules for name in rule.attributes} <= set(CELEBA_ATTRIBUTES)
    assert len(rules) == len(set(rules)) == 4 + 7 + 6 + 1
    assert Contradiction(("No_Beard", "Goatee")) in rules


def test_each_form_of_a_rule(file):
    file.write_text(
        """
        shipped = false
        [[rule]]
        at_most_one = ["Red", "Green", "Blue"]
        [[rule]]
        at_least_one = ["Long", "Short"]
        [[rule]]
        if = "Child"
        never = ["Beard", "Grey"]
        [[rule]]
        if = "Beard"
        always = ["Adult"]
        """
    )
    assert list(map(str, read_rules(file))) == [
        "Red with Green",
        "Red with Blue",
        "Green with Blue",
        "none of Long, Short",
        "Child with Beard",
        "Child with Grey",
        "Beard without Adult",
    ]


def test_a_users_rules_come_after_those_of_the_package_and_each_counts_once(file):
    file.write_text('[[rule]]\nif = "Goatee"\nnever = ["No_Beard", "Bangs"]\n')  # the first is in the package
    assert read_rules(file) == (*read_rules(), Contradiction(("Goatee", "Bangs")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[rule]", "is not TOML (Expected ']]' at the end of an array declaration (at line 1, column 7)); expected"),
        ("rules = 1", "expected [[rule]] tables and `shipped = false` at the top level. Received: rules."),
        ("shipped = 1", "`shipped` must be true or false. Received: 1."),
        ("[rule]\nif = 'A'", "`rule` must be written as [[rule]], in double brackets."),
        (
            "[[rule]]\nif = 'A'",
            "rule 1 must have one of the forms at_most_one, at_least_one, if with never, or if with",
        ),
        (
            "[[rule]]\n",
            "rule 1 must have one of the forms at_most_one, at_least_one, if with never, or if with always. R",
        ),
        (
            "[[rule]]\nat_most_one = 'A, B'",
            "rule 1: `at_most_one` must be a list of attributes' names. Received: 'A, B'.",
        ),
        ("[[rule]]\nif = ['A']\nnever = ['B']", "rule 1: `if` must be the name of an attribute. Received: ['A']."),
        (
            "[[rule]]\nif = 'A'\nnever = ['A']",
            "rule 1 needs at least two different attributes, each once. Received: A, A.",
        ),
        ("[[rule]]\nat_most_one = ['A']", "rule 1 needs at least two different attributes, each once. Received: A."),
    ],
)
def test_a_wrong_file_is_named_with_its_rule(file, text, message):
    file.write_text(text)
    with pytest.raises(FarkerasError) as raised:
        read_rules(file)
    assert str(raised.value).startswith(str(file))
    assert message in str(raised.value)


def test_a_file_that_is_not_there(file):
    with pytest.raises(FarkerasError, match=r"Cannot read the consistency rules .*rules.toml \(No such file"):
        read_rules(file)
    assert SHIPPED.is_file()
