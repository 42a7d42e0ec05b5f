"""The page needs no other file, shows what was measured, and allows for gaps in the figures and in the record."""

import base64
import copy
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest

from farkeras.attributes import REGIONS, Grouping
from farkeras.metrics.attribute_metrics import evaluate_attributes
from farkeras.report.overlay import overlay_strip
from farkeras.report.page import html_report, write_report
from farkeras.report.plots import Line, dot_chart, line_chart
from farkeras.report.summary import PROCEDURAL, headline, interval, markdown_report, markdown_table, percent
from farkeras.report.training_charts import training_charts

GROUPING = Grouping({"Upper_Face": ("Bangs", "Eyeglasses"), "Mouth": ("Smiling", "Big_Lips")})
SETTINGS = {"backbone": "MobileNetV2", "image_size": [96, 96], "note": "<script>alert(1)</script>"}


@pytest.fixture(scope="module")
def evaluation() -> dict:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (50, 4)).astype(np.int8)
    probabilities = np.clip(labels * 0.6 + random.random((50, 4)) * 0.4, 0, 1)
    labels[:, 3] = -1  # nothing known of Big_Lips
    run = {
        "model": "runs/<demo>",
        "source": "celeba",
        "data_dir": "data/faces",
        "split": "test",
        "procedural": True,
        "undecodable": 3,
    }
    return {"run": run, **evaluate_attributes(labels, probabilities, GROUPING)}


def make_history(groups=("Upper_Face", "Mouth"), weights=(1.5, 0.5)) -> list[dict]:
    history = []
    for step in range(1, 31):
        losses = {group: 1 / (step + number) for number, group in enumerate(groups)}
        history.append(
            {
                "step": step,
                "loss": sum(losses.values()),
                "group_loss": losses,
                "group_weight": dict(zip(groups, weights, strict=True)),
            }
        )
        if step % 10 == 0:
            figures = {"mean_accuracy": 0.9, "mean_balanced_accuracy": 0.8, "loss": 0.5}
            figures["group_balanced_accuracy"] = dict.fromkeys(groups, 0.8)
            history.append({"step": step, "validation": figures})
    return history


class Tags(HTMLParser):
    """Checks that every tag is closed in order, and collects ids and references."""

    VOID = ("meta", "br", "link", "img")

    def __init__(self, page: str):
        super().__init__()
        self.open, self.ids, self.references = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            self.references += re.findall(r"url\(#(.*?)\)", value or "")
            if name == "href":
                self.references.append(value.removeprefix("#"))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(evaluation):
    page = html_report(evaluation, make_history(), SETTINGS)
    assert "://" not in page
    assert "@import" not in page
    assert "<script" not in page  # the setting's is escaped
    tags = Tags(page)
    assert len(set(tags.ids)) == len(tags.ids)
    assert set(tags.references) <= set(tags.ids)


def test_the_page_says_what_was_measured(evaluation):
    page = html_report(evaluation, make_history(), SETTINGS)
    expected = [
        percent(evaluation["mean_accuracy"]),
        percent(evaluation["majority_accuracy"]),
        percent(evaluation["mean_balanced_accuracy"]),
        "50 images, 3 undecodable images left out",
        "of faces (",
        "runs/&lt;demo&gt;",
        "Upper Face",
        "Eyeglasses",
        "MobileNetV2",
        "[96, 96]",
    ]
    for text in expected:
        assert text in page
    assert page.count("<svg") == 6


def test_the_banner_is_for_procedural_faces_only(evaluation):
    photographs = copy.deepcopy(evaluation)
    photographs["run"]["procedural"] = False
    for render in (markdown_report, lambda e: html_report(e, [], {})):
        assert PROCEDURAL in render(evaluation)
        assert PROCEDURAL not in render(photographs)


def test_undefined_values_are_dashes(evaluation):
    assert (percent(None), interval(None)) == ("–", "–")
    page, text = html_report(evaluation, [], {}), markdown_report(evaluation)
    assert "| Big_Lips | – | – |" in text
    for shown in (page, text):
        assert "None" not in shown
        assert "nan" not in shown.lower()


def test_a_bare_model_file_has_no_curves_and_no_settings(evaluation):
    page = html_report(evaluation, [], {})
    assert "<svg" not in page
    assert "<h2>Training" not in page
    assert "<h2>Settings" not in page


def test_a_history_of_one_line_and_one_without_validation():
    assert len(training_charts(make_history()[:1])) == 3  # no convergence, no validation
    assert len(training_charts([{"step": 1, "loss": 1.0}])) == 1
    assert training_charts([{"step": 1, "validation": {}}]) == []


def test_uniform_weights_are_not_drawn():
    without = training_charts(make_history(weights=(1, 1)))
    added = [chart for chart in training_charts(make_history()) if chart not in without]
    assert [chart.title for chart in added] == ["Weight of each group in the loss"]


def test_more_groups_than_colours_are_told_apart_by_dashes(evaluation):
    groups = tuple(f"group{number}" for number in range(9))
    page = html_report(evaluation, make_history(groups, (1,) * 8 + (2,)), {})
    assert 'class="dashed"' in page
    assert "stroke-dasharray" in page


def test_markdown_tables_are_rectangular(evaluation):
    for shown, count in ((evaluation, 3), (with_masks(evaluation), 4)):
        tables = [part for part in markdown_report(shown).split("\n\n") if part.startswith("|")]
        assert len(tables) == count
        for table in tables:
            assert len({line.count("|") for line in table.strip().split("\n")}) == 1


def with_masks(evaluation):
    iou = {region: 0.7 + number / 100 for number, region in enumerate(REGIONS)} | {"Ear": None}
    return {**evaluation, "mask_iou": iou, "mean_mask_iou": 0.8125, "mask_images": 49}


def test_masks_have_a_table_and_a_headline(evaluation):
    masked = with_masks(evaluation)
    assert headline(masked)[:-1] == headline(evaluation)
    assert headline(masked)[-1][:2] == ("Mean mask IoU", "81.25")
    text, page = markdown_report(masked), html_report(masked, [], {})
    for row in ("| Region | IoU |", "| Hair | 70.00 |", "| Ear | – |", "| Lower Face | 76.00 |", "| Mean | 81.25 |"):
        assert row in text
    assert "<h2>Mask IoU</h2>" in page
    assert '<th scope="col">Lower Face</th>' in page
    assert "<td>70.00</td>" in page
    for shown in (text, page):
        assert "over all pixels of the 49 images with keypoints" in shown
        assert "None" not in shown


def test_an_evaluation_without_masks_does_not_mention_them(evaluation):
    for shown in (markdown_report(evaluation), html_report(evaluation, make_history(), SETTINGS)):
        assert "mask" not in shown.lower()
        assert "<img" not in shown


def test_overlays_are_inside_the_page(evaluation, tmp_path):
    png = overlay_strip(np.full((2, 24, 20, 3), 128), np.ones((2, 12, 10, len(REGIONS))))
    write_report(with_masks(evaluation), [], tmp_path / "report.html", overlays=png)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    Tags(page)
    assert "://" not in page
    (embedded,) = re.findall(r'<img alt="Faces with the outlines of Hair.*?" src="data:image/png;base64,(.*?)">', page)
    assert base64.b64decode(embedded) == png
    assert "<figcaption>The outlines show where the model sees the regions" in page


def test_charts_are_well_formed_and_the_same_each_time():
    lines = [Line([1, 2, 3], [0.5, float("nan"), 0.7], raw=[0.4, 0.5, 0.8])]
    for draw in (lambda: line_chart(lines, "a"), lambda: dot_chart({"x": 3, "y": None}, "b")):
        ElementTree.fromstring(draw())
        assert draw() == draw()


def test_names_are_shown_as_they_are():
    table = markdown_table(("Group", "Attributes"), [("a|b *c* <d> [e]", "1"), ("5_o_Clock", "2")]).splitlines()
    assert table[2:] == [r"| a\|b \*c\* \<d> \[e] | 1 |", "| 5_o_Clock | 2 |"]
    svg = dot_chart({"$x^2$ & <b>": 3, "a_b": 4, "a b": 5}, "steps")
    labels = [text.text for text in ElementTree.fromstring(svg).iter("text") if not text.text.isdecimal()]
    assert labels == ["training step", "$x^2$ & <b>", "a b", "a b"]


def test_the_report_replaces_the_file(evaluation, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(evaluation, make_history(), path, SETTINGS)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_long_record_is_thinned_and_keeps_its_ends():
    line = Line(range(10_000), range(10_000), raw=range(10_000))
    assert len(line.steps) == len(line.values) == len(line.raw) == 300
    assert (line.steps[0], line.values[-1]) == (0, 9999)
