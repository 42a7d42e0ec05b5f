"""The linked world: an attribute that half of the faces hide can be told from another region of the face."""

import json

import numpy as np
import pytest

from farkeras.attributes import CELEBA_ATTRIBUTES, CELEBA_PERCENT_POSITIVE, GROUPINGS
from farkeras.data.sources.celeba import CelebA
from farkeras.errors import FarkerasError
from farkeras.synthetic import sample_attributes
from farkeras.synthetic.frequencies import LINKS, shown
from farkeras.synthetic.generate import LAYOUTS, FaceSettings, draw_faces

COUNT = 3000


@pytest.fixture(scope="module")
def faces():
    """3000 faces of the linked world: labels, and what is drawn, each name -> bool `[3000]`."""
    labels = [sample_attributes(np.random.default_rng([11, i]), world="linked") for i in range(COUNT)]
    drawn = [shown(face, np.random.default_rng([12, i]), "linked") for i, face in enumerate(labels)]
    return [{name: np.array([face[name] for face in part]) for name in CELEBA_ATTRIBUTES} for part in (labels, drawn)]


def test_a_link_joins_two_groups():
    group_of = {member: group for group, members in GROUPINGS["mgmtn8"].items() for member in members}
    assert all(group_of[hidden] != group_of[seen] for hidden, seen in LINKS.items())
    assert not set(LINKS) & set(LINKS.values())


def test_the_frequencies_stay_the_published_ones(faces):
    share = np.array([faces[0][name].mean() for name in CELEBA_ATTRIBUTES])
    expected = np.array([CELEBA_PERCENT_POSITIVE[name] for name in CELEBA_ATTRIBUTES]) / 100
    np.testing.assert_array_less(abs(share - expected), 4 * np.sqrt(expected * (1 - expected) / COUNT) + 0.002)


@pytest.mark.parametrize("name", LINKS)
def test_half_of_the_faces_hide_it_and_the_other_attribute_tells(faces, name):
    label, drawn, source = faces[0][name], faces[1][name], faces[0][LINKS[name]]
    assert not (drawn & ~label).any()  # what is not there is never drawn
    assert 0.44 < drawn[label].mean() < 0.56
    assert label[source].mean() > 0.75
    assert label[~source].mean() < 0.05
    # Where it is not seen: guessing from the other attribute is far better than guessing always "no".
    unseen = ~drawn
    assert (label == source)[unseen].mean() > (~label)[unseen].mean() + 0.03
    balanced = (source[unseen & label].mean() + (~source)[unseen & ~label].mean()) / 2
    assert balanced > 0.85  # 0.5 without the other attribute


def test_all_other_attributes_are_drawn_as_they_are_labelled(faces):
    labels, drawn = faces
    for name in set(CELEBA_ATTRIBUTES) - set(LINKS):
        np.testing.assert_array_equal(labels[name], drawn[name])


def test_the_standard_world_hides_nothing():
    face = sample_attributes(np.random.default_rng(3))
    rng = np.random.default_rng(0)
    assert shown(face, rng) == face
    assert rng.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_linked_set_says_so(layout, tmp_path):
    draw_faces(FaceSettings(6, seed=2, layout=layout, world="linked"), tmp_path / "linked")
    assert json.loads((tmp_path / "linked/synthesize.json").read_text())["world"] == "linked"
    with pytest.raises(FarkerasError, match=r"holds faces made with .*'world': 'linked'.*, not with"):
        draw_faces(FaceSettings(6, seed=2, layout=layout), tmp_path / "linked")


def test_the_labels_in_the_file_are_the_true_ones(tmp_path):
    draw_faces(FaceSettings(5, seed=2, world="linked"), tmp_path / "linked")
    labels = CelebA(tmp_path / "linked").split("train").labels
    expected = [list(sample_attributes(np.random.default_rng([2, i]), world="linked").values()) for i in range(3)]
    np.testing.assert_array_equal(labels, np.array(expected).astype(int))


def test_an_unknown_world_is_named():
    with pytest.raises(FarkerasError, match=r"`world` must be one of standard, linked\. Received: 'other'\."):
        FaceSettings(3, world="other")
