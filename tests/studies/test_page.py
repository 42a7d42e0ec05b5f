"""The page: every number comes from results, and a stage that chooses shows no test metric."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import farkeras
from farkeras.errors import FarkerasError
from farkeras.studies import paper_tables
from farkeras.studies.page import Study, generated, page_with, points, section, shown
from farkeras.studies.pictures import digest, picture
from farkeras.studies.plan import Trial
from farkeras.studies.report import SUMMARY_BEGIN, SUMMARY_END, summary, write_page, write_summary
from farkeras.studies.results import write_result
from tests.studies.small_study import PLAN, RECIPE, made_up, small_plan

ROOT = Path(farkeras.__file__).parents[1]


@pytest.fixture
def plan(tmp_path):
    return small_plan(tmp_path)


@pytest.fixture
def study(plan):
    """FAR is measured with two seeds and the trunk with two, at the rates that the search has chosen; DWS with one."""
    values = {
        ("trunk", 0, 1e-3): 0.80, ("trunk", 0, 2e-3): 0.70, ("trunk", 1, 1e-3): 0.82,
        ("far", 0, 1e-3): 0.75, ("far", 0, 2e-3): 0.81, ("far", 1, 2e-3): 0.84,
    }  # fmt: skip
    trials = {Trial("screen", arm, "standard", seed, rate): value for (arm, seed, rate), value in values.items()}
    results = [made_up(plan, trial, value, test=0.123456) for trial, value in trials.items()]
    dws = Trial("screen", "far_dws", "standard", 0, 2e-3)
    results.append(made_up(plan, dws, 0.83, test=0.123456, losses=(1.0, 0.2, 0.1, 0.1)))
    return Study(plan, RECIPE, {result.trial.name: result for result in results}, "farkeras study")


def test_the_tables_by_hand(study):
    text = "\n".join(section(study, study.plan.questions["models"], study.plan.stages["screen"]))
    assert "**Screen** on the validation split: seeds 0, 1; 2 epochs; `batch_size=16`." in text
    assert "| the trunk; standard | 81.00 ± 1.41 | 81.00 ± 1.41 | not measured | 2,000 | 1.25 | 2 |" in text
    assert "| FAR; standard | 82.50 ± 2.12 | 82.50 ± 2.12 | not measured | 2,000 | 1.25 | 2 |" in text
    # Differences 1 and 2 points; the half width is 12.706 * 0.5.
    assert "| FAR − the trunk; standard | +1.50 | -4.85 to +7.85 | +1.50 | -4.85 to +7.85 | 2 |" in text
    assert (
        "| FAR; at a low rate | not measured | not measured | not measured | not measured | not measured | 0 |" in text
    )
    assert "| FAR − the trunk; at a low rate | not measured | not measured | not measured | not measured | 0 |" in text


def test_steps_to_90_percent(study):
    text = "\n".join(section(study, study.plan.questions["weights"], study.plan.stages["screen"]))
    assert "| far_dws − FAR | +2.00 | needs two seeds | +2.00 | needs two seeds | 1 |" in text
    assert "| FAR | 60 | 0 | 60 | 60 |" in text
    assert "| far_dws | 40 | 0 | 40 | 40 |" in text
    assert "the mean final gain of FAR, mean over the seeds" in text


def test_the_gains_of_another_condition(study, tmp_path):
    """In the slow condition a loss has a factor of 10; a loss falls by the same share with any factor."""
    slow = 'data = "faces"\nsettings = { learning_rate = 1e-4 }'
    text = PLAN.replace(slow, f'gains_of = "standard"\n{slow}').replace('["standard"]', '["standard", "slow"]')
    plan = small_plan(tmp_path, text)
    trial = Trial("screen", "far_dws", "slow", 0, 1e-4)
    results = {**study.results, trial.name: made_up(plan, trial, 0.8, losses=(10.0, 9.0, 2.0, 1.0))}
    found = Study(plan, RECIPE, results).convergence(plan.stages["screen"], plan.questions["weights"], "slow")
    assert found == {"far_dws": {"Hair": 60, "Eyes": 60}}  # far's loss falls by four fifths; 90 % of it are 0.72


def test_a_stage_that_chooses_shows_no_test_metric_and_one_that_confirms_shows_no_other(study, plan):
    assert "12.35" not in generated(study, {})
    trial = Trial("confirm", "far", "standard", 7, 2e-3)
    results = {**study.results, trial.name: made_up(plan, trial, 0.99, test=0.8765)}
    text = "\n".join(section(Study(plan, RECIPE, results), plan.questions["models"], plan.stages["confirm"]))
    assert "| FAR; standard | 87.65 | 87.65 |" in text
    assert "99.00" not in text


def test_linked_attributes_and_groups(plan, study, tmp_path):
    text = PLAN.replace('reference = "far"', 'attributes = ["Bald", "Bangs"]\nlinks = ["Hair - Eyes"]')
    linked = small_plan(tmp_path, text)
    found = "\n".join(
        section(Study(linked, RECIPE, study.results), linked.questions["weights"], linked.stages["screen"])
    )
    # Balanced accuracies of FAR are 81 and 84; those of Bald and Bangs are 10 and 20 points lower.
    assert "| FAR | 82.50 ± 2.12 | 82.50 ± 2.12 | not measured | 67.50 ± 2.12 | 2,000 |" in found
    assert (
        "| far_dws − FAR | +2.00 | needs two seeds | +2.00 | needs two seeds | +2.00 | needs two seeds | 1 |" in found
    )
    assert "| FAR | 0.2500 | -0.1250 |" in found
    assert "Linked are Hair with Eyes." in found


def test_the_learning_rates(study):
    text = generated(study, {})
    assert "| Arm | 0.001 | 0.002 |" in text
    assert "| the trunk | 80.00 ← | 70.00 |" in text
    assert "| FAR | 75.00 | 81.00 ← |" in text


def test_the_runs(study):
    text = generated(study, {})
    assert text.startswith("7 of 16 runs are measured.")
    assert "by `farkeras study` on 2 CPU cores, Linux x86_64, at the commits abc, with keras 3.15.1." in text
    assert "The load average of the machine was 2.5 to 2.5" in text
    assert "| Screen | 7 | 1.0 | 0.12 |" in text
    assert "| confirm | 0 | not measured | not measured |" in text


def test_before_the_first_result(plan):
    text = generated(Study(plan, RECIPE, {}, "farkeras study"), {})
    assert text.startswith("0 of 16 runs are measured.")
    assert "seeds 0, 1; 2 epochs; `batch_size=16`. This is not measured yet." in text
    assert "No run has been measured. Command: `farkeras study`." in text


def test_formats():
    assert (shown(None), points(None)) == ("not measured", ("not measured", "not measured"))


def test_a_picture_shows_each_difference_with_its_interval(study):
    question = study.plan.questions["models"]
    drawn = picture(study, question)
    assert "FAR − the trunk" in drawn
    assert "with 95 % intervals, which are cut off at 6 points" in drawn  # -4.85 to +7.85
    assert digest(study, question) in drawn
    fewer = {name: result for name, result in study.results.items() if "far-standard-lr0.002-seed1" not in name}
    assert digest(Study(study.plan, RECIPE, fewer), question) not in drawn
    assert picture(Study(study.plan, RECIPE, {}), question) is None
    weights = study.plan.questions["weights"]
    assert "far_dws" in picture(study, weights)
    drawn = picture(study, replace(weights, conditions=("standard", "slow")))
    assert drawn.count(">standard<") == 2  # beside the difference, and above the steps
    assert drawn.count(">at a low rate<") == 1


def test_the_files(study, tmp_path):
    page = tmp_path / "docs" / "own.md"
    files = write_page(study, page)
    assert [path.relative_to(page.parent).as_posix() for path in files] == [
        "own.md",
        "pictures/study_models.svg",
        "pictures/study_weights.svg",
    ]
    text = page.read_text()
    assert text.startswith("# Study\n\n<!-- made by farkeras study: begin -->\n\n7 of 16 runs are measured.")
    assert "(pictures/study_models.svg)\n\n**Screen**" in text
    page.write_text(text.replace("# Study", "# My study").replace("7 of 16", "old"))
    write_page(study, page)
    assert page.read_text() == text.replace("# Study", "# My study")
    page.write_text("# Study\n")
    with pytest.raises(
        FarkerasError, match=r"own\.md must have the lines '<!-- made by farkeras study: begin -->' and"
    ):
        write_page(study, page)


def test_the_summary(study, tmp_path):
    text = summary(study, "docs/own.md")
    assert text.startswith("Which model? **Screen** on the validation split:")  # the last stage with results
    assert "| the trunk | 81.00 ± 1.41 | – | 81.00 ± 1.41 | 2,000 |" in text
    assert "| FAR | 82.50 ± 2.12 | +1.50 (-4.85 to +7.85) | 82.50 ± 2.12 | 2,000 |" in text
    assert "`farkeras study` measures them. 7 of 16 runs are measured. The page [Study](docs/own.md) has" in text
    readme = tmp_path / "README.md"
    readme.write_text(f"# Mine\n{SUMMARY_BEGIN}\nold\n{SUMMARY_END}\nThe end.\n")
    write_summary(study, readme, tmp_path / "docs" / "own.md")
    assert readme.read_text() == f"# Mine\n{SUMMARY_BEGIN}\n\n{text}\n\n{SUMMARY_END}\nThe end.\n"


def test_a_page_without_marks():
    with pytest.raises(FarkerasError, match=r"^The page must have the lines"):
        page_with("", "text")


def test_the_table_of_published_results(plan, tmp_path):
    path = tmp_path / "published.json"
    method = {"method": "MCNN-AUX", "celeba": 91.29, "lfwa": None, "source": "AAAI 2017"}
    path.write_text(json.dumps({"measured": {"celeba": "ours", "lfwa": "none"}, "methods": [method]}))
    text = "\n".join(paper_tables.published_section(path))
    assert "| MCNN-AUX | 91.29 | – | AAAI 2017 |" in text
    assert "| farkeras | **not measured** | **not measured** |" in text
    for seed, value in enumerate((0.91, 0.92)):
        trial = Trial("confirm", "far", "standard", seed, 1e-3)
        write_result(made_up(plan, trial, 0.9, test=value), tmp_path / "ours")
    text = "\n".join(paper_tables.published_section(path))
    assert "| farkeras, far | 91.50 ± 0.71 | not measured | this repository |" in text


def test_the_table_of_sizes(tmp_path):
    path = tmp_path / "sizes.json"
    models = {
        "shared trunk": {"4": 24_000_000, "8": 24_000_000},
        "FAR-AMTN": {"4": 26_000_000, "8": 28_352_553},
        "private blocks": {"4": 34_000_000, "8": 54_000_000},
    }
    counts = {"backbone": 23_534_592, "models": models}
    path.write_text(json.dumps({"ResNet50": counts}))
    text = "\n".join(paper_tables.sizes_section(path))
    assert "| ResNet50 (23.53) | K = 4 | K = 8 |" in text
    assert "| FAR-AMTN | 26.00 | 28.35 |" in text
    counts["forward_times"] = {"shared trunk": 1.0, "FAR-AMTN": 1.016, "private blocks": 1.5}
    path.write_text(json.dumps({"ResNet50": counts}))
    assert "| FAR-AMTN | 26.00 | 28.35 | 1.02 |" in "\n".join(paper_tables.sizes_section(path))
    assert "as a share of what private blocks add: 20% for K = 4, 15% for K = 8." in text
    with pytest.raises(FarkerasError, match=r"sizes\.json must have the key 'methods'"):
        paper_tables.published_section(path)
    with pytest.raises(FarkerasError, match=r"none\.json cannot be read"):
        paper_tables.sizes_section(tmp_path / "none.json")
