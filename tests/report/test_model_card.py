"""The model card: Hugging Face's metadata, no figure that is not measured, and what each data set allows."""

import copy
import re
from dataclasses import replace

import numpy as np
import pytest
import yaml

from farkeras.attributes import SUBJECTIVE_REASONS, Grouping
from farkeras.config import Config
from farkeras.data.preprocessing import Preprocessing
from farkeras.data.subgroups import Subgroups
from farkeras.decisions import Calibration
from farkeras.metrics.attribute_metrics import evaluate_attributes
from farkeras.metrics.decision_metrics import evaluate_decisions
from farkeras.metrics.subgroups import evaluate_subgroups
from farkeras.models.model_file import ModelMetadata
from farkeras.report.card_sections import card_sections
from farkeras.report.model_card import model_card, model_name
from farkeras.report.page import html_report

GROUPING = Grouping({"Hair": ("Bangs", "Bald"), "Nose": ("Big_Nose",), "Object": ("Male", "Young")})


@pytest.fixture(scope="module")
def evaluation() -> dict:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (300, 5)).astype(np.int8)
    probabilities = np.clip(labels * 0.5 + random.random((300, 5)) * 0.6, 0, 1)
    labels[:, 1] = -1  # nothing is known of Bald
    male = Subgroups(("Male", "not Male"), 1 - labels[:, 3].astype(np.int64), "attribute")
    run = {
        "model": "runs/my: <model>",
        "source": "celeba",
        "data_dir": "/data/celeba",
        "split": "test",
        "procedural": False,
        "undecodable": 0,
    }
    subgroups = evaluate_subgroups(labels, probabilities, GROUPING.attributes, {"Male": male})
    return {"run": run, **evaluate_attributes(labels, probabilities, GROUPING), "subgroups": subgroups}


@pytest.fixture(scope="module")
def metadata() -> ModelMetadata:
    config = Config(data_dir="/data/celeba", batch_size=48).to_dict()
    return ModelMetadata(GROUPING, Preprocessing((112, 96)), config, {"step": 1200}, {"keras": "3.15.1"})


def head_of(card: str) -> dict:
    """The metadata of a card, as the Hub reads it."""
    found = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    return yaml.safe_load(found[1])


def on(evaluation, **run):
    changed = copy.deepcopy(evaluation)
    changed["run"] |= run
    return changed


def test_the_head_has_the_form_of_hugging_faces_cards(evaluation, metadata):
    head = head_of(model_card(evaluation, metadata))
    assert head["library_name"] == "keras"
    assert head["pipeline_tag"] == "image-classification"
    assert all(isinstance(tag, str) for tag in head["tags"])
    (model,) = head["model-index"]
    assert model["name"] == "my: <model>"
    (result,) = model["results"]
    assert result["task"] == {"type": "image-classification", "name": "Face attribute recognition"}
    assert result["dataset"] == {"type": "celeba", "name": "CelebA", "split": "test"}
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values == {
        name: pytest.approx(evaluation[f"mean_{name}"], abs=5e-5)
        for name in ("accuracy", "balanced_accuracy", "f1", "roc_auc")
    }
    assert head["metrics"] == list(values)


def floats(tree):
    if isinstance(tree, dict | list):
        for value in tree.values() if isinstance(tree, dict) else tree:
            yield from floats(value)
    elif isinstance(tree, float):
        yield tree


def test_every_figure_is_in_the_evaluation(evaluation, metadata):
    card = model_card(evaluation, metadata)
    body = card[card.index("## Figures") :]
    shown = re.findall(r"(?<![\w.])-?\d+\.\d+(?![\w.])", body)
    assert len(shown) > 60
    known = {f"{100 * value:.{digits}f}" for value in floats(evaluation) for digits in (1, 2)}
    known |= {f"{evaluation['subgroups']['factor']:.2f}", "2210.07356"}
    assert set(shown) <= known


def test_the_card_has_its_sections(evaluation, metadata):
    card = model_card(evaluation, metadata)
    sections = re.findall("^## (.*)$", card, re.MULTILINE)
    assert sections == [
        *("Model", "Intended use", "Out of scope", "Data and licence", "Training", "Figures", "Subgroups", "Limits"),
        *("Subjective attributes", "How to use the model"),
    ]
    assert r"# Model card of my: \<model>" in card
    for text in ("112 x 96", "batch\\_size 48", "step 1,200", "keras 3.15.1", "| Bald | – |"):
        assert text in card
    assert "trained on drawn faces" not in card


@pytest.mark.parametrize("source", ["celeba", "lfwa"])
def test_the_terms_of_celeba_and_lfwa(source, evaluation, metadata):
    of_source = replace(metadata, config={**metadata.config, "source": source})
    card = model_card(on(evaluation, source=source), of_source)
    assert "allows non-commercial research only" in card
    head = head_of(card)
    assert (head["license"], head["license_name"]) == ("other", "celeba-agreement")
    assert head["license_link"].startswith("https://")


def test_the_licence_of_own_data_is_the_users_words_or_not_stated(evaluation, metadata):
    own = replace(metadata, config={**metadata.config, "source": "table", "data_dir": "/data/faces.csv"})
    own_evaluation = on(evaluation, source="table", data_dir="/data/faces.csv")
    card = model_card(own_evaluation, own)
    assert "Training data: faces.csv. The user's own data set. Its licence is not stated." in card
    assert head_of(card)["license"] == "unknown"
    card = model_card(own_evaluation, own, "CC BY 4.0, with consent")
    assert "Licence, as stated by its user: CC BY 4.0, with consent." in card
    assert head_of(card)["license_name"] == "cc-by-4.0-with-consent"


def test_procedural_faces_are_called_that(evaluation, metadata):
    drawn = model_card(on(evaluation, procedural=True), replace(metadata, procedural=True))
    assert "> **Procedural faces: these metrics say nothing about CelebA or LFWA.**" in drawn
    assert "not for photographs of people" in drawn
    assert "non-commercial" not in drawn
    assert head_of(drawn)["model-index"][0]["results"][0]["dataset"]["type"] == "procedural-faces"
    other = model_card(evaluation, replace(metadata, procedural=True))
    assert "Data of the figures below: CelebA." in other
    assert "The model was trained on procedural faces and measured on CelebA." in other


def test_subjective_attributes_are_named_with_their_reasons(evaluation, metadata):
    text = "\n".join(card_sections(evaluation, metadata)[-1].lines)
    assert f"Big Nose: {SUBJECTIVE_REASONS['Big_Nose']}." in text
    assert "--leave_out=subjective" in text
    assert "Attractive" not in text  # the model does not answer it
    kept = {name: values for name, values in evaluation["attributes"].items() if name not in SUBJECTIVE_REASONS}
    left = on(evaluation, left_out=["Big_Nose", "Young"]) | {"attributes": kept}
    text = "\n".join(card_sections(left, metadata)[-1].lines)
    assert text == "The model also answers Big Nose, Young, which the figures leave out."


def test_limits_name_what_was_not_measured(evaluation, metadata):
    without = {name: value for name, value in evaluation.items() if name != "subgroups"}
    assert "Subgroups other than those by Male were not measured." in card_sections(evaluation, metadata)[3].lines
    assert any("No subgroups were measured" in line for line in card_sections(without, metadata)[3].lines)
    assert "## Subgroups" not in model_card(without, metadata)


def test_calibration_and_thresholds_are_in_the_card(evaluation, metadata):
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, (200, 5)).astype(np.int8)
    probabilities = np.clip(labels * 0.4 + random.random((200, 5)) * 0.6, 0.01, 0.99)
    halves, images = (
        dict.fromkeys(GROUPING.attributes, 0.4),
        {"images": 80, "split": "validation", "data_dir": "celeba"},
    )
    ones, zeros = (dict.fromkeys(GROUPING.attributes, value) for value in (2.0, 0.0))
    calibration = Calibration(ones, zeros, halves, scope="attribute", fitted_on=images)
    decided = {
        "run": evaluation["run"],
        **evaluate_attributes(labels, probabilities, GROUPING),
        **evaluate_decisions(labels, probabilities, calibration, GROUPING),
    }
    card = model_card(decided, metadata)
    assert "Each attribute has its own temperature, fitted on 80 images, split validation of celeba." in card
    own = decided["thresholds"]["at_thresholds"]
    assert f"{100 * own['mean_recall']:.2f} |" in card
    without = decided | evaluate_decisions(labels, probabilities, None, GROUPING)
    card = model_card(without, metadata)
    assert "## Calibration" not in card
    assert "The model file has no calibration" in card


def test_contradictions_are_in_the_card(evaluation, metadata):
    consistency = {"contradictions": {"Bald with Bangs": {}}, "images": {"answers": 7, "labels": 2}}
    card = model_card(evaluation | {"consistency": {**consistency, "changed_answers": 0}}, metadata)
    assert "## Consistency\n\nOf 300 images, 7 have answers that contradict each other, and 2 have" in card


def test_a_model_without_settings_and_labels_has_a_card(metadata):
    unknown = evaluate_attributes(np.full((3, 5), -1, np.int8), np.full((3, 5), 0.5), GROUPING)
    run = {"model": "m.keras", "source": "table", "data_dir": "x.csv", "split": "test", "procedural": False}
    card = model_card({"run": run, **unknown}, ModelMetadata(GROUPING, Preprocessing((8, 8))))
    assert "model-index" not in head_of(card)  # its form requires a value
    assert "A model of farkeras. It takes a face of 8 x 8 pixels" in card
    assert "The model file holds no settings of its training." in card
    assert 'farkeras.load("m.keras")' in card


@pytest.mark.parametrize(
    ("path", "name"), [("runs/demo", "demo"), ("runs/demo/model.keras", "demo"), ("bare.keras", "bare")]
)
def test_the_name_is_that_of_the_workdir_or_the_file(path, name):
    assert model_name(path) == name


def test_the_page_shows_the_sections(evaluation, metadata):
    page = html_report(evaluation, [], {}, card=card_sections(evaluation, metadata))
    for text in (
        "<h3>Out of scope</h3>",
        "Read the agreement",
        "<code>farkeras evaluate --leave_out=subjective</code>",
    ):
        assert text in page
    assert "://" not in page
