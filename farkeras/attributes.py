"""The 40 CelebA attributes, the groupings `mgmtn8` and `mcnn9`, and the subjective attributes; without TensorFlow.

A grouping assigns each attribute to a group. In `mgmtn8`, the names of the groups are published (MGMTN, arXiv
2601.01408) and their members are our formulation, because the paper's table was not available to us. `mcnn9` is
published in full (Hand and Chellappa, AAAI 2017). Users write their own grouping as a JSON file,
`{"Eyes": ["Eyeglasses", ...], ...}`.
"""

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farkeras.errors import FarkerasError
from farkeras.files import as_path

CELEBA_PERCENT_POSITIVE: dict[str, float] = {
    "5_o_Clock_Shadow": 11.1,
    "Arched_Eyebrows": 26.7,
    "Attractive": 51.3,
    "Bags_Under_Eyes": 20.5,
    "Bald": 2.2,
    "Bangs": 15.2,
    "Big_Lips": 24.1,
    "Big_Nose": 23.5,
    "Black_Hair": 23.9,
    "Blond_Hair": 14.8,
    "Blurry": 5.1,
    "Brown_Hair": 20.5,
    "Bushy_Eyebrows": 14.2,
    "Chubby": 5.8,
    "Double_Chin": 4.7,
    "Eyeglasses": 6.5,
    "Goatee": 6.3,
    "Gray_Hair": 4.2,
    "Heavy_Makeup": 38.7,
    "High_Cheekbones": 45.5,
    "Male": 41.7,
    "Mouth_Slightly_Open": 48.3,
    "Mustache": 4.2,
    "Narrow_Eyes": 11.5,
    "No_Beard": 83.5,
    "Oval_Face": 28.4,
    "Pale_Skin": 4.3,
    "Pointy_Nose": 27.7,
    "Receding_Hairline": 8.0,
    "Rosy_Cheeks": 6.6,
    "Sideburns": 5.7,
    "Smiling": 48.2,
    "Straight_Hair": 20.8,
    "Wavy_Hair": 32.0,
    "Wearing_Earrings": 18.9,
    "Wearing_Hat": 4.9,
    "Wearing_Lipstick": 47.2,
    "Wearing_Necklace": 12.3,
    "Wearing_Necktie": 7.3,
    "Young": 77.4,
}
"""Percentage of positive labels of each attribute in CelebA, as widely reported."""

CELEBA_ATTRIBUTES: tuple[str, ...] = tuple(CELEBA_PERCENT_POSITIVE)
"""The 40 attribute names in CelebA's official order. Models of these attributes have their outputs in this order."""

SUBJECTIVE_REASONS: dict[str, str] = {
    "Attractive": "taste decides, not the face",
    "Big_Lips": "nobody says from which size on lips are big",
    "Big_Nose": "nobody says from which size on a nose is big",
    "Chubby": "nobody says from which weight on a face is chubby",
    "High_Cheekbones": "smiling and light change it",
    "Narrow_Eyes": "expression changes it, and ancestry is easily mistaken for it",
    "Oval_Face": "nobody says from which shape on a face is oval",
    "Pointy_Nose": "nobody says from which shape on a nose is pointy, and the view changes it",
    "Young": "it is a guess of the age from the looks",
}
"""Attributes that depend on judgement more than on observation, with a reason (our selection; see arXiv 2210.07356)."""

SUBJECTIVE_ATTRIBUTES: tuple[str, ...] = tuple(SUBJECTIVE_REASONS)

GROUPINGS: dict[str, dict[str, tuple[str, ...]]] = {
    name: {group: tuple(members.split()) for group, members in groups.items()}
    for name, groups in {
        "mgmtn8": {
            "Hair": "Bald Bangs Black_Hair Blond_Hair Brown_Hair Gray_Hair Receding_Hairline Straight_Hair Wavy_Hair "
            "Wearing_Hat",
            "Eyes": "Arched_Eyebrows Bags_Under_Eyes Bushy_Eyebrows Eyeglasses Narrow_Eyes",
            "Nose": "Big_Nose Pointy_Nose",
            "Cheeks": "High_Cheekbones Rosy_Cheeks",
            "Mouth": "Big_Lips Mouth_Slightly_Open Smiling Wearing_Lipstick",
            "Ear": "Sideburns Wearing_Earrings",
            "Lower_Face": "5_o_Clock_Shadow Double_Chin Goatee Mustache No_Beard",
            "Object": "Attractive Blurry Chubby Heavy_Makeup Male Oval_Face Pale_Skin Wearing_Necklace "
            "Wearing_Necktie Young",
        },
        "mcnn9": {
            "Gender": "Male",
            "Nose": "Big_Nose Pointy_Nose",
            "Mouth": "Big_Lips Smiling Wearing_Lipstick Mouth_Slightly_Open",
            "Eyes": "Arched_Eyebrows Bags_Under_Eyes Bushy_Eyebrows Narrow_Eyes Eyeglasses",
            "Face": "Attractive Blurry Oval_Face Pale_Skin Young Heavy_Makeup",
            "AroundHead": "Black_Hair Blond_Hair Brown_Hair Gray_Hair Bald Receding_Hairline Bangs Straight_Hair "
            "Wavy_Hair Wearing_Hat Wearing_Earrings Wearing_Necklace Wearing_Necktie",
            "FacialHair": "5_o_Clock_Shadow Mustache No_Beard Sideburns Goatee",
            "Cheeks": "High_Cheekbones Rosy_Cheeks",
            "Fat": "Chubby Double_Chin",
        },
    }.items()
}
"""Name of a grouping -> its groups (name -> members). The module's docstring says what is published."""

REGIONS: tuple[str, ...] = tuple(GROUPINGS["mgmtn8"])
"""The facial regions for which MGMTN learns masks. Their names are published. Object is the face, hair and ears."""


def check_name(what: str, name: str) -> None:
    """Checks that a name fits on one line of a list, a table or a terminal.

    Args:
        what: The kind of thing that has the name, at the start of the error message.
        name: The name.

    Raises:
        FarkerasError: The name has a control character, such as a tab, or a line separator.
    """
    if wrong := [c for c in name if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]:
        raise FarkerasError(
            f"{what} {name!r} has the control character {wrong[0]!r}; expected a name without control characters. "
            "Rename it."
        )


def with_subjective(names: Iterable[str]) -> tuple[str, ...]:
    """Returns distinct names of attributes, with the names of the subjective set in place of `subjective`."""
    listed = [(SUBJECTIVE_ATTRIBUTES if name == "subjective" else (name,)) for name in names]
    return tuple(dict.fromkeys(name for part in listed for name in part))


def region_of(group: str) -> str:
    """Returns the region whose mask an attribute group reads.

    It is the region with the group's name, or Object if there is none. Upper and lower case, underscores and spaces
    make no difference.
    """

    def plain(name: str) -> str:
        return name.lower().replace("_", "").replace(" ", "")

    return next((region for region in REGIONS if plain(region) == plain(group)), "Object")


@dataclass(frozen=True)
class Grouping:
    """A partition of the attributes into named groups.

    Args:
        groups: Group name -> its attributes. Groups are numbered in this order.
        attributes: All attributes in the order of the model's outputs; by default the members of the first group, then
            those of the second, and so on.

    Raises:
        FarkerasError: A member is not in `attributes`, an attribute is in no group or in two, a group is empty, or a
            name has a control character.
    """

    groups: Mapping[str, tuple[str, ...]]
    attributes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        groups = {str(name): tuple(members) for name, members in self.groups.items()}
        listed = [attribute for members in groups.values() for attribute in members]
        attributes = tuple(self.attributes) or tuple(dict.fromkeys(listed))
        object.__setattr__(self, "groups", groups)
        object.__setattr__(self, "attributes", attributes)
        if not listed:
            raise FarkerasError("The grouping has no attributes; expected at least one group with one attribute.")
        for name, members in groups.items():
            check_name("Group", name)
            if not members:
                raise FarkerasError(f"Group '{name}' is empty. Add an attribute or remove the group.")
            for attribute in members:
                if attribute not in attributes:
                    raise FarkerasError(
                        f"Group '{name}' lists '{attribute}', which is not an attribute of the data. "
                        f"Known: {', '.join(attributes)}."
                    )
        for attribute in attributes:
            check_name("Attribute", attribute)
            homes = [name for name, members in groups.items() for member in members if member == attribute]
            if len(homes) > 1:
                raise FarkerasError(f"Attribute '{attribute}' is in two groups: {' and '.join(homes)}. Keep one.")
            if not homes:
                raise FarkerasError(f"Attribute '{attribute}' is in no group. Add it to a group.")

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the groups, in order."""
        return tuple(self.groups)

    @property
    def group_of(self) -> tuple[int, ...]:
        """The number of each attribute's group, from 0, in the order of `attributes`."""
        number = {member: g for g, members in enumerate(self.groups.values()) for member in members}
        return tuple(number[attribute] for attribute in self.attributes)

    def get_config(self) -> dict[str, Any]:
        """Returns the grouping as JSON data for a Keras config. Groups are pairs, so that their order is kept."""
        groups = [[name, list(members)] for name, members in self.groups.items()]
        return {"groups": groups, "attributes": list(self.attributes)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Grouping":
        """Creates a grouping from the result of `get_config`."""
        return cls(dict(config["groups"]), tuple(config["attributes"]))

    def without(self, excluded: Iterable[str]) -> "Grouping":
        """Returns the grouping without some attributes, and without the groups that become empty.

        Args:
            excluded: The attributes to leave out.

        Raises:
            FarkerasError: `excluded` names something else than attributes of the grouping, or all of them.
        """
        excluded = set(excluded)
        unknown = sorted(excluded - set(self.attributes))
        if unknown:
            raise FarkerasError(
                f"Cannot exclude unknown attributes: {', '.join(unknown)}. Known: {', '.join(self.attributes)}."
            )
        groups = {
            name: kept
            for name, members in self.groups.items()
            if (kept := tuple(member for member in members if member not in excluded))
        }
        return Grouping(groups, tuple(name for name in self.attributes if name not in excluded))


Attributes = Grouping | str | Sequence[str]
"""A `Grouping`, the name or JSON file of one over the 40 CelebA attributes, or a list of attributes (one group)."""


def as_grouping(attributes: Attributes) -> Grouping:
    """Converts an argument `attributes` (see `Attributes`) to a `Grouping`."""
    if isinstance(attributes, Grouping):
        return attributes
    if isinstance(attributes, str):
        return load_grouping(attributes, CELEBA_ATTRIBUTES)
    return Grouping({"all": tuple(attributes)}, tuple(attributes))


def load_grouping(
    name_or_path: str | Path, attributes: Sequence[str] = CELEBA_ATTRIBUTES, excluded: Iterable[str] = ()
) -> Grouping:
    """Loads a grouping by name, or from a JSON file `{"group": ["attribute", ...], ...}`.

    Args:
        name_or_path: `mgmtn8`, `mcnn9`, `one` (all attributes in one group), or the path of a JSON file.
        attributes: The attributes of the data, in the order of the outputs. Attributes in no group are left out.
        excluded: Further attributes of the data to leave out, with the groups that become empty.

    Raises:
        FarkerasError: The grouping is unknown, the file cannot be read or has other content, or the grouping or
            `excluded` names an attribute that the data does not have.
    """
    name, excluded = str(name_or_path), tuple(excluded)
    if name in GROUPINGS and not set(attributes) >= set(CELEBA_ATTRIBUTES):
        start = ", ".join(json.dumps(attribute, ensure_ascii=False) for attribute in attributes[:2])
        raise FarkerasError(
            f"The grouping '{name}' needs CelebA's 40 attributes, but the data has {len(attributes)}: "
            f"{', '.join(attributes)}. Write a JSON file with the attributes to train, "
            f'{{"group": [{start}, ...], ...}}, and set `grouping=FILE`; or set `grouping=one` for a single group.'
        )
    groups = {"All": tuple(attributes)} if name == "one" else GROUPINGS.get(name) or _read_groups(name_or_path)
    grouped = {member for members in groups.values() for member in members}
    known = set(attributes)
    try:
        # If the data lacks a member, Grouping raises an error that lists all attributes of the data.
        kept = tuple(a for a in attributes if a in grouped) if grouped <= known else tuple(attributes)
        grouping = Grouping(groups, kept)
    except FarkerasError as error:
        raise FarkerasError(f"{name}: {error}") from None
    return grouping.without(a for a in excluded if a in grouped or a not in known)


def _read_groups(name_or_path: str | Path) -> dict[str, tuple[str, ...]]:
    path, expected = as_path(name_or_path), f"expected {', '.join(GROUPINGS)}, one, or the path of a JSON file"

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise FarkerasError(f"{path}: group '{name}' appears twice; merge its members into one list.")
        return dict(pairs)

    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows write a byte order mark
        groups = json.loads(text, object_pairs_hook=unique)
    except FileNotFoundError:
        raise FarkerasError(f"Unknown grouping '{name_or_path}'; {expected}.") from None
    except OSError as error:
        raise FarkerasError(f"Cannot read the grouping '{name_or_path}' ({error.strerror}); {expected}.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FarkerasError(f'{path} is not JSON ({error}); expected {{"group": ["attribute", ...]}}.') from None
    well_formed = isinstance(groups, dict) and all(
        isinstance(members, list) and all(isinstance(member, str) for member in members) for members in groups.values()
    )
    if not well_formed:
        raise FarkerasError(f'{path} is not a grouping; expected {{"group": ["attribute", ...], ...}}.')
    return {name: tuple(members) for name, members in groups.items()}
