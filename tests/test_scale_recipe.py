"""Recipes at full scale: those that come with losslab, how they are written and changed, and their step sizes."""

import dataclasses
import math
import re

import pytest
from face_cases import sentence
from scale_cases import SMOOTH, write

from losslab import ArcFace, CosFace
from losslab.scale import ScaleRecipe, changed, read, recipes
from losslab.scale.guard import expected
from losslab.scale.rates import rate
from losslab.scale.recipe import STATED, difference

PRIMARY = {
    "arcface", "cosface", "elasticface", "kappaface", "interface", "intraloss", "marginloss", "magface", "adaface",
}  # fmt: skip


def test_every_primary_loss_has_a_recipe_for_casia_with_either_network():
    assert {f"casia-{net}-{loss}" for net in ("r18", "r50") for loss in PRIMARY} <= set(recipes())
    assert {"ms1mv2-r100-arcface", "ms1mv3-r50-arcface", "webface4m-r50-cosface"} <= set(recipes())


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_states_what_stands_behind_it(name):
    recipe = read(name)
    assert {"faces", "augmentation", "schedule", "accuracy", "loss"} <= set(recipe.stated) <= set(STATED)
    assert "RGB" in recipe.stated["augmentation"] and recipe.colour == "rgb"
    assert recipe.source and recipe.classes > 10_000 and recipe.title
    assert type(recipe.loss).__name__.lower() == name.split("-")[-1]
    rebuilt = type(recipe.loss).card.reconstruction
    assert rebuilt == ("reconstruction" in recipe.stated.get("note", "")) == ("reconstruction" in recipe.title)


@pytest.mark.parametrize("name", [name for name in recipes() if "r50" in name])
def test_the_stated_first_loss_is_what_comes_out(name):
    recipe = read(name)
    about = float(re.search(r"About ([\d.]+)", recipe.stated["loss"])[1])
    assert abs(expected(recipe.loss, recipe.dim, recipe.classes)[0] - about) < 1.5


def test_the_first_loss_of_a_margin_softmax_is_what_the_formula_says():
    """ln(1 + (C − 1) exp(...)), nearly s·sin m + ln C + s²/2d for ArcFace and s·m + ln C + s²/2d for CosFace."""
    for loss, margin in ((ArcFace(), math.sin(0.5)), (CosFace(margin=0.35), 0.35)):
        for classes in (10_572, 205_990):  # the latter is worked out from fewer
            about = 64 * margin + math.log(classes) + 64**2 / 1024
            assert abs(expected(loss, 512, classes)[0] - about) < 1


def test_a_recipe_is_written_and_read(tmp_path):
    for recipe in (SMOOTH, read("casia-r50-arcface"), read("casia-r18-intraloss")):
        assert ScaleRecipe.from_dict(recipe.to_dict()) == recipe == read(write(recipe, tmp_path / "r.toml"))
    assert dataclasses.replace(SMOOTH, title="another name") == SMOOTH


def test_values_are_changed_by_name():
    recipe = changed(SMOOTH, ["rate=0.2", "drops=3,5", "loss=CosFace(margin=0.2)", "source=casia"])
    assert (recipe.rate, recipe.drops, recipe.loss, recipe.source) == (0.2, (3, 5), CosFace(margin=0.2), "casia")
    stated = read("casia-r18-arcface")
    assert changed(stated, ["rate=0.2"]).stated == stated.stated
    assert set(stated.stated) - set(changed(stated, ["loss=CosFace()"]).stated) == {"loss"}
    assert difference(SMOOTH, SMOOTH) == "" and difference(SMOOTH, recipe).startswith("loss was ArcFace")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("rate", "sets nothing"),
        ("colour=blue", "one of rgb"),
        ("drops=a", "such as 20,28"),
        ("drops=5,3", "epochs that rise"),
        ("loss=Triplet()", "Triplet compares images with one another, but a step hardly has two of a person"),
        ("loss=Triplet() grouped=24", "all images of a step are of one person"),
        ("loss=Triplet() grouped=12 parts=2", "all images of a part of a step are of one person"),
        ("loss=Triplet() grouped=4 tile=8", "tile is for prototypes that are learned: leave it out"),
        ("grouped=5", "A step has 24 images, which is no whole number of groups of 5"),
        ("grouped=8 parts=2", "A part of a step has 12 images"),
        ("rate=Linear(0.1, 0.2, 10)", "follow a schedule"),
        ("warm_up=2", "only 1"),
        ("parts=5", "share evenly"),
        ("folded=true", "all gradients are clipped: set clip to 0"),
        ("sample_rate=0", "from 0.0001 to 1"),
    ],
)
def test_what_cannot_be_is_refused(words, what):
    with pytest.raises(ValueError, match=what) as refused:
        changed(SMOOTH, re.split(r" (?=\w+=)", words))
    sentence(refused)


def test_a_file_that_is_no_recipe_is_refused(tmp_path):
    (tmp_path / "r.toml").write_text("rate = 0.1\nspeed = 3")
    with pytest.raises(ValueError, match="no 'speed'") as refused:
        read(tmp_path / "r.toml")
    sentence(refused)
    (tmp_path / "r.toml").write_text("rate = ")
    with pytest.raises(ValueError, match="cannot be used"):
        read(tmp_path / "r.toml")
    with pytest.raises(ValueError, match="There is no recipe 'nothing'"):
        read("nothing")


def test_the_step_size_warms_up_and_falls():
    steps = ScaleRecipe(epochs=4, drops=(2, 3), rate=1.0, warm_up=0.5)
    assert [rate(steps, step, 10) for step in (1, 5, 6, 20, 21, 30, 31, 40)] == pytest.approx(
        [0.2, 1, 1, 1, 0.1, 0.1, 0.01, 0.01]
    )
    cosine = dataclasses.replace(steps, schedule="cosine", warm_up=0.0)
    assert [rate(cosine, step, 10) for step in (1, 21)] == pytest.approx([1, 0.5]) and rate(cosine, 40, 10) > 0
    line = dataclasses.replace(steps, schedule="polynomial", warm_up=0.0)
    assert [rate(line, step, 10) for step in (1, 21, 40)] == pytest.approx([1, 0.5, 1 / 40])
    assert rate(dataclasses.replace(line, power=2.0), 21, 10) == pytest.approx(0.25)
