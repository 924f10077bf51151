"""What a comparison says of runs, and that its presets keep their word."""

import dataclasses
from functools import cache

import pytest

from losslab import ArcFace, NormFace, Softmax, losses
from losslab.metrics import Numbers, numbers
from losslab.training import Recipe, Run, RunWriter, probe, train
from pages.parts import compare, findings, server

ARC, NORM = ArcFace(scale=16, margin=0.3), NormFace(scale=16)
SHORT = {"classes": (0, 1, 2, 3), "per_class": 40, "epochs": 1, "batch": 16, "probe": 40, "model": "mlp"}


def made(**changes) -> Numbers:
    return Numbers(
        **(
            {"test_accuracy": 0.98, "intra_deg": 12, "inter_deg": 70, "nearest_deg": (), "clear": 0.9}
            | {"anisotropy": 1.4, "eer": 0.3}
            | changes
        )
    )


# -- what runs are called, and where they part -----------------------------------------------------------


def test_runs_are_called_by_what_tells_them_apart():
    recipes = [Recipe(loss=loss) for loss in (Softmax(), NORM, ArcFace(scale=16, margin=0.5))]
    assert findings.titles(recipes) == ["Softmax()", "NormFace(scale=16)", "ArcFace(scale=16, margin=0.5)"]
    sweep = [Recipe(loss=ArcFace(scale=16, margin=margin)) for margin in (0, 0.1, 0.2)]
    assert findings.titles(sweep) == ["margin 0", "margin 0.1", "margin 0.2"] and findings.swept(sweep) == "margin"
    rebuilt = Recipe(loss=losses.make("IntraLoss", base="ArcFace"))
    assert findings.titles([rebuilt, Recipe(loss=ARC)])[0].endswith("a reconstruction")
    seeds = [Recipe(loss=ARC, seed=seed) for seed in (0, 1)]
    assert findings.titles(seeds) == ["ArcFace(scale=16, margin=0.3), seed 0", "ArcFace(scale=16, margin=0.3), seed 1"]
    assert findings.unlike(seeds) == ["seed"] and not findings.unlike(sweep)


def test_a_branch_is_called_by_where_it_goes_and_parts_there():
    past = Recipe(loss=NORM)
    branch = dataclasses.replace(past, later=((200, ARC),))
    again = dataclasses.replace(past, later=((200, ARC), (300, NORM)))
    whole = Recipe(loss=ARC)
    assert findings.titles([past, branch, whole])[1:] == [
        "ArcFace(scale=16, margin=0.3) from step 200",
        "ArcFace(scale=16, margin=0.3)",
    ]
    assert findings.parted([past, branch, whole]) == 200 and findings.parted([branch, again]) == 300
    assert findings.parted([past, whole]) is None


# -- what numbers say ------------------------------------------------------------------------------------


def test_the_sentences_name_the_tightest_and_do_not_make_much_of_little():
    said = findings.said(["A", "B"], [made(intra_deg=9, eer=0.31), made(intra_deg=14, test_accuracy=0.985)])
    assert said[0] == (
        "**A** has the tightest classes: half of the samples are within 9.0° of their prototype, against 14.0° with B."
    )
    assert "equally far apart" in said[1] and "hardly tells them apart: 98.0 to 98.5 %" in said[2]
    assert "about equally well" in said[3]
    said = findings.said(["A", "B"], [made(test_accuracy=0.9, inter_deg=50, eer=0.2), made()])
    assert "equally tight" in said[0] and "furthest apart with B" in said[1]
    assert "B is right most often (98.0%), A least often (90.0%)." in said and "best with A" in said[3]


def test_a_sweep_is_told_as_a_course():
    names = ["margin 0.1", "margin 0.3", "margin 0.5"]
    down = findings.said(names, [made(intra_deg=angle) for angle in (9, 6, 3)], "margin")
    assert down[0] == "Within classes: as margin goes from 0.1 to 0.5, the angle falls all the way, 9.0° to 3.0°."
    turning = findings.said(names, [made(intra_deg=angle) for angle in (9, 3, 6)], "margin")
    assert "between 3.0° and 9.0°" in turning[0]


def test_what_cannot_be_known_is_said_and_left_empty():
    found = [made(eer=None, eer_reason="The run was trained on all classes."), None]
    table = findings.table(["A", "B"], found)
    assert table.isna().sum(axis=1).tolist() == [1, len(table.columns)] and table.loc["A"].iloc[0] == 98
    assert "leave two classes or more out" in findings.said(["A", "B"], [found[0], made()])[-1]


@pytest.mark.parametrize("name", losses.catalogue())
def test_every_knob_that_is_offered_has_values_to_begin_with(name):
    loss = losses.starting(name)
    for knob in compare.sweepable(loss).values():
        values = [knob.parse(text) for text in compare.usual(loss, knob)]
        assert len(set(values)) == len(values) and 3 <= len(values) <= 6
        recipes = [Recipe(loss=losses.turned(loss, {knob.name: value})) for value in values]
        assert len(set(findings.titles(recipes))) == len(values)
    assert losses.read(findings.called(loss)) == loss


# -- runs ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trains each recipe once; gives the run."""
    folder = tmp_path_factory.mktemp("runs")

    @cache
    def run(recipe: Recipe) -> Run:
        path = folder / recipe.key[:16]
        with RunWriter(path, recipe, probe(recipe)) as writer:
            for snapshot in train(recipe):
                writer.append(snapshot)
            writer.state("done")
        return Run(path)

    return run


def test_curves_go_on_where_they_stopped(trained):
    run = trained(Recipe(loss=ARC, **SHORT))
    whole = findings.curves(run)
    part = findings.curves(run, whole.iloc[:3])
    assert whole["step"].tolist() == run.metrics()["step"].tolist() and part.equals(whole)
    held_out = run.probe.split == 1
    angles = whole["angle"]
    assert angles.between(0, 180).all() and held_out.any()
    assert angles.iloc[-1] == pytest.approx(numbers(run).intra_deg, abs=0.1)


def test_the_recordings_it_opens_with_are_one_recipe_with_two_losses():
    runs = [Run(server.RECORDINGS / name) for name in compare.OPENING]
    assert not findings.unlike([run.recipe for run in runs]) and len({run.recipe.loss for run in runs}) == 2
    assert all(numbers(run).eer is not None for run in runs)  # their weights are there


@pytest.fixture(scope="module")
def preset(trained):
    """The numbers of a preset's runs; those of the two recordings need no training."""
    recorded = {run.recipe: run for run in (Run(server.RECORDINGS / name) for name in compare.OPENING)}

    def measured(title: str, which=slice(None)) -> list[Numbers]:
        chosen = next(each for each in compare.PRESETS if each.title == title)
        return [numbers(recorded.get(each) or trained(each)) for each in compare.preset_recipes(chosen)[which]]

    return measured


def test_without_a_margin_samples_may_stay_far_from_home_and_softmax_does_not(preset):
    softmax, norm, arc = preset("No margin, yet tight")
    assert min(softmax.test_accuracy, norm.test_accuracy, arc.test_accuracy) > 0.96
    assert norm.intra_deg > 30 > 2 * arc.intra_deg and softmax.intra_deg < arc.intra_deg


def test_a_large_margin_shrinks_classes_and_unseen_ones_gain_nothing(preset):
    low, high = preset("Tighter is not better", slice(1, None, 2))
    assert high.intra_deg < low.intra_deg / 8 and abs(high.test_accuracy - low.test_accuracy) < 0.01
    assert abs(high.eer - low.eer) < 0.04 and min(high.eer, low.eer) > 0.28


def test_a_late_margin_catches_up(preset):
    past, branch, whole = preset("A margin can come late")
    assert past.intra_deg > 30 and abs(branch.intra_deg - whole.intra_deg) < 1.5
