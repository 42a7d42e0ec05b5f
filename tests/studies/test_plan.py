"""The plan of a study: what its trials are set to, and what is refused."""

from pathlib import Path

import pytest

from farkeras.errors import FarkerasError
from farkeras.flagfiles import SHIPPED
from farkeras.studies.plan import Trial
from farkeras.studies.plan_file import find_plan, read_plan
from tests.studies.small_study import PLAN, RECIPE, small_plan


@pytest.fixture
def plan(tmp_path):
    return small_plan(tmp_path)


def test_the_settings_of_a_trial(plan):
    config = plan.config(RECIPE, Trial("screen", "far_dws", "standard", 1, 2e-3))
    assert (config.model, config.weighting) == ("far_amtn", "dws")  # of `far`, then its own
    assert (config.batch_size, config.epochs) == (16, 2.0)  # of the stage: half of the recipe's epochs
    assert (config.learning_rate, config.seed, config.data_dir) == (2e-3, 1, "data/faces")
    assert plan.config(RECIPE, Trial("confirm", "far", "standard", 7, 2e-3)).epochs == 4.0


def test_a_condition_has_the_last_word(plan):
    assert plan.config(RECIPE, Trial("screen", "far", "slow", 0, 2e-3)).learning_rate == 1e-4
    assert plan.searched("far", "standard")
    assert not plan.searched("far", "slow")


def test_the_arms_of_a_question_are_each_named_once_with_the_baselines_first(plan):
    assert plan.questions["models"].arms == ["trunk", "far"]
    assert plan.questions["weights"].arms == ["far", "far_dws"]


def test_data_of_the_test(tmp_path):
    text = PLAN.replace('[conditions.slow]\nlabel = "at a low rate"\ndata = "faces"', "[conditions.slow]\n" + "\n".join(
        ['data = "noisy"', 'test = "faces"', 'fresh = "fresh"']
    )).replace('[stages.confirm]', '[stages.confirm]\nfresh = true')  # fmt: skip
    text += '\n[data.noisy]\n[data.fresh]\nsplit = "train"\n'
    plan = small_plan(tmp_path, text)
    assert plan.test_data(Trial("screen", "far", "slow", 0, None)).name == "faces"
    assert plan.test_data(Trial("confirm", "far", "slow", 7, None)).name == "fresh"
    assert plan.test_data(Trial("confirm", "far", "standard", 7, None)).name == "faces"  # it has no fresh data


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("[search]", "[[search", r"plan\.toml: is not TOML \(.*configs/study\.toml is an example"),
        ("[search]", "[seach]", r"unknown part 'seach'\. Known parts: arms, data, "),
        ("[search]", "search = 1\n[more]", r"unknown part 'more'"),
        ("pairs", "pair", r"\[questions\.models\] has the unknown key 'pair'\. Known keys: title, about, pairs, "),
        ('"far - trunk"', "", r"\[questions\.models\] must have at least one pair and one condition\. Add them\."),
        ('"far - trunk"', '"far-trunk"', r"a pair must be 'one - other'\. Received: 'far-trunk'\."),
        ('"far - trunk"', '"far - tree"', r"names 'tree', which is not among the arms: trunk, far, far_dws"),
        (
            'data = "faces"',
            'data = "faces"\ngains_of = "fast"',
            r"\[conditions\.standard\] names 'fast', which is not among the conditions: standard, slow",
        ),
        ('data = "faces"', 'data = "face"', r"\[conditions\.standard\] names 'face', which is not among the data: "),
        ('like = "far"', 'like = "far_dws"', r"\[arms\.far_dws\]: `like` leads back to 'far_dws'"),
        ("seeds = [0, 1]", "seeds = [0, 0]", r"\[stages\.screen\]: `seeds` must be a list of different numbers"),
        ("seeds = [0, 1]", 'seeds = "0"', r"\[stages\.screen\]: `seeds` must be a list\. Received: '0'"),
        ('reads = "test"', 'reads = "train"', r"`reads` must be validation or test\. Received: 'train'"),
        ('split = "test"', "split = 1.5", r"`split` must be of type str\. Received: 1\.5"),
        ('split = "test"', 'split = "all"', r"`split` must be one of train, validation, test\. "),
        ('split = "test"', "faces = {seed = 1}", r"\[data\.faces\]: `faces` must be arguments of "),
        ('split = "test"', "faces = {num_images = 9}", r"`faces` need a `data_dir`, the folder to "),
        ('"shared_trunk"', '"tree"', r"\[arms\.trunk\]: `model` must be one of .* Received: tree"),
        ("learning_rate = 1e-4", "learning_rat = 1", r"\[conditions\.slow\]: Unknown settings: learning_rat\. Did "),
        ("batch_size = 16", "batch_size = 0", r"\[stages\.screen\]: `batch_size` must be at least 1\. Received: 0"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(old, new, error, tmp_path):
    assert old in PLAN
    with pytest.raises(FarkerasError, match=error):
        small_plan(tmp_path, PLAN.replace(old, new, 1))


def test_a_plan_of_the_package_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_plan("configs/study.toml") == find_plan("study.toml") == SHIPPED / "study.toml"
    assert find_plan("elsewhere/study.toml") == Path("elsewhere/study.toml")


def test_a_missing_file(tmp_path):
    with pytest.raises(FarkerasError, match=r"none\.toml: cannot be read \(No such file or directory\)"):
        read_plan(tmp_path / "none.toml", RECIPE)
