"""Contradictions in the page, in Markdown and in sentences."""

import numpy as np
import pytest

from farkeras.attributes import Grouping
from farkeras.consistency.answers import Consistency
from farkeras.metrics.attribute_metrics import evaluate_attributes
from farkeras.metrics.consistency_metrics import evaluate_consistency
from farkeras.report.consistency import consistency_notes, contradiction_rows
from farkeras.report.page import html_report
from farkeras.report.summary import markdown_report

NAMES = ("No_Beard", "Goatee", "Bald", "Bangs")
RUN = {"model": "m", "source": "celeba", "data_dir": "d", "split": "test", "procedural": False, "undecodable": 0}


def evaluate(probabilities, labels=((1, 0, 0, 0), (0, 1, 0, 1))):
    labels, probabilities = np.array(labels, np.int8), np.array(probabilities)
    consistency = evaluate_consistency(labels, probabilities, Consistency(NAMES))
    metrics = evaluate_attributes(labels, probabilities, Grouping({"all": NAMES}))
    return {"run": RUN, **metrics, "consistency": consistency}


@pytest.fixture(scope="module")
def evaluation():
    return evaluate([[0.9, 0.6, 0.7, 0.8], [0.8, 0.9, 0.1, 0.7]])


def test_what_was_found_and_what_consistent_answers_change(evaluation):
    """Of 8 answers, 4 are right. The changes put 3 right; Bangs of the first image stays wrong."""
    assert consistency_notes(evaluation) == [
        "Of 2 images, 2 have answers that contradict each other, and 0 have such labels.",
        "The most probable answers without a contradiction differ in 3 answers, which takes the mean accuracy from "
        "50.00 to 87.50 % and the balanced accuracy from 50.00 to 83.33 %.",
    ]
    assert contradiction_rows(evaluation) == [("No_Beard with Goatee", "2", "0"), ("Bald with Bangs", "1", "0")]


def test_the_pages_show_it(evaluation):
    page, text = html_report(evaluation, [], {}), markdown_report(evaluation)
    for shown in (page, text):
        assert "Contradictions" in shown
        assert consistency_notes(evaluation)[1] in shown
    assert '<th scope="row">No Beard with Goatee</th><td>2</td><td>0</td>' in page
    assert "| No_Beard with Goatee | 2 | 0 |" in text


def test_without_contradictions_there_is_one_sentence_and_no_table():
    evaluation = evaluate([[0.9, 0.1, 0.1, 0.1], [0.1, 0.9, 0.1, 0.9]])
    assert consistency_notes(evaluation) == [
        "Of 2 images, 0 have answers that contradict each other, and 0 have such labels."
    ]
    assert "Images, answers" not in html_report(evaluation, [], {}) + markdown_report(evaluation)


def test_other_attributes_and_evaluations_of_before_have_no_section(evaluation):
    other = evaluation | {"consistency": evaluate_consistency(np.zeros((1, 1)), np.zeros((1, 1)), Consistency(("A",)))}
    old = {key: value for key, value in evaluation.items() if key != "consistency"}
    for shown in (other, old):
        assert "Contradiction" not in html_report(shown, [], {}) + markdown_report(shown)
