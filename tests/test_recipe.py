"""A recipe is one value: written, read, compared and refused as a whole."""

import dataclasses
import json

import pytest

from losslab import ArcFace, CosFace, ElasticFace, Softmax, losses
from losslab.catalogue import knobs
from losslab.schedules import Cosine, Linear
from losslab.training import Recipe

RECIPES = [
    Recipe(),
    Recipe(loss=Softmax(), dim=2, classes=(7, 0, 3), per_class=50),
    Recipe(loss=ElasticFace(sorted=True, variant="cos"), precision="bfloat16", seed=3, rate=0.1 + 0.2),
    Recipe(later=((1, CosFace()), (200, losses.make("IntraLoss", weight=Linear(0, 0.5, steps=100), base="CosFace")))),
    Recipe(imbalance=20, noise=0.1),
]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_survives_json(recipe):
    again = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict(), allow_nan=False)))
    assert again == recipe and again.key == recipe.key and hash(again) == hash(recipe)


def test_equal_recipes_have_one_key_and_others_another():
    assert Recipe(loss=ArcFace(scale=16, margin=0.3)).key == Recipe(loss=ArcFace(margin=0.3, scale=16.0)).key
    assert Recipe(classes=[0, 1]) == Recipe(classes=(0, 1))
    changed = [
        Recipe(loss=CosFace(scale=16, margin=0.3)), Recipe(loss=ArcFace(scale=16, margin=0.31)), Recipe(seed=1),
        Recipe(classes=(1, 0)), Recipe(classes=(0, 1)), Recipe(dim=2), Recipe(epochs=1), Recipe(shift=0),
        Recipe(imbalance=2), Recipe(noise=0.1), Recipe(later=((5, CosFace()),)), Recipe(later=((6, CosFace()),)),
        Recipe(later=((5, ArcFace()),)),
    ]  # fmt: skip
    assert len({recipe.key for recipe in [Recipe(), *changed]}) == len(changed) + 1


def test_every_field_of_a_recipe_is_written():
    full = Recipe(later=((5, CosFace()),), imbalance=2, noise=0.1)
    assert set(full.to_dict()) == {field.name for field in dataclasses.fields(Recipe)} - {"faces"}


def test_recipes_of_before_keep_their_keys():
    """Runs are found again by them: what was added since is not written where it does nothing."""
    assert Recipe().key == "d64f01805f42831395150b6d9b785dc4237459da1994072c5532a72d9da95b0b"
    assert not {"later", "imbalance", "noise"} & set(Recipe(later=(), imbalance=1, noise=0).to_dict())


def test_each_step_has_its_loss():
    recipe = Recipe(loss=Softmax(), later=((10, ArcFace()), (12, CosFace())))
    made = [type(recipe.loss_at(step)) for step in (0, 1, 10, 11, 12, 13, 999)]
    assert made == [Softmax, Softmax, Softmax, ArcFace, ArcFace, CosFace, CosFace]
    assert Recipe(later=[[10, CosFace()]]) == Recipe(later=((10, CosFace()),))


def test_what_is_left_out_takes_its_default():
    assert Recipe.from_dict({}) == Recipe()
    assert Recipe.from_dict({"loss": {"name": "CosFace"}}).loss == CosFace()


@pytest.mark.parametrize(
    ("plain", "sentence"),
    [
        ({"colour": 1}, "A recipe has no 'colour'"),
        ([1], "A recipe is a set of names and values"),
        ({"loss": "ArcFace"}, "The loss of a recipe is a set"),
        ({"loss": {"name": "ArcFace", "margin": 1}}, "The loss of a recipe has no 'margin'"),
        ({"loss": {"name": "Arcfaze"}}, "no loss called 'Arcfaze'"),
        ({"loss": {"name": "Softmax", "knobs": {"margin": 0.3}}}, "Softmax has no knob called 'margin'"),
        ({"loss": {"name": "ArcFace", "knobs": {"margin": "wide"}}}, "margin is 'wide'"),
        ({"data": "imagenet"}, "data is 'imagenet'"),
        ({"model": 3}, "model is 3"),
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": 1.5}, "whole number"),
        ({"rate": float("nan")}, "finite"),
        ({"batch": True}, "batch is True"),
        ({"dim": 1}, "dim is 1"),
        ({"classes": []}, "at least two"),
        ({"classes": [4]}, "at least two"),
        ({"classes": [1, 2, 1]}, "each once"),
        ({"classes": [0, 10]}, "from 0 to 9"),
        ({"classes": [0, True]}, "must list class numbers"),
        ({"classes": "0,1"}, "must list class numbers"),
        ({"classes": None}, "must list class numbers"),
        (
            {"data": "faces", "faces": {"source": "casia", "identities": 10**9}},
            "identities is 1000000000, but a recipe trains on at most 65535 people",
        ),
        ({"imbalance": 0.5}, "imbalance is 0.5, but it must be from 1 to 100"),
        ({"noise": 0.9}, "noise is 0.9, but it must be from 0 to 0.8"),
        ({"rate": "Linear(0.1, 0.2, 5)"}, "only the knobs of a loss can follow a schedule"),
        ({"later": 5}, "later is 5, but it must list steps and losses"),
        ({"later": [5]}, "The loss of a recipe is a set"),
        ({"later": [[5, {"name": "CosFace"}, 1]]}, "The loss of a recipe is a set"),
        ({"later": [[5, "CosFace"]]}, "The loss of a recipe is a set"),
        ({"later": [[5, {"name": "CosFaze"}]]}, "no loss called 'CosFaze'"),
        ({"later": [[0, {"name": "CosFace"}]]}, r"The steps of later are \[0\], but"),
        ({"later": [["5", {"name": "CosFace"}]]}, "but they must be whole numbers from 1 on that rise"),
        ({"later": [[True, {"name": "CosFace"}]]}, "whole numbers"),
        ({"later": [[None, {"name": "CosFace"}], [2, {"name": "CosFace"}]]}, "whole numbers"),
        ({"later": [[6, {"name": "CosFace"}], [5, {"name": "CosFace"}]]}, "that rise"),
        ({"later": [[5, {"name": "CosFace"}], [5, {"name": "CosFace"}]]}, "that rise"),
        ({"later": [[i, {"name": "CosFace"}] for i in range(1, 34)]}, "at most 32 changes .* would have 33"),
    ],
)
def test_what_makes_no_recipe_is_refused_with_a_sentence(plain, sentence):
    with pytest.raises(ValueError, match=sentence) as refused:
        Recipe.from_dict(plain)
    assert str(refused.value).endswith(".") and "\n" not in str(refused.value)


def test_a_recipe_needs_a_loss_and_not_its_name():
    with pytest.raises(ValueError, match="must be a loss such as"):
        Recipe(loss="ArcFace")
    for later in (((5, "ArcFace"),), (5, ArcFace()), ((ArcFace(), 5),), "ArcFace", (None,)):
        with pytest.raises(ValueError, match="it must list steps and losses, such as"):
            Recipe(later=later)


@pytest.mark.parametrize("name", losses.catalogue())
def test_every_loss_around_every_base_comes_back_from_a_recipe_on_disk(name):
    loss = losses.starting(name)
    wrapped = [losses.starting(name, base) for base in losses.bases()] if losses.wraps(loss) else []
    for each in [loss, losses.starting(name, small=False), *wrapped]:
        recipe = Recipe(loss=each)
        assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_schedule_comes_back_from_a_recipe_on_disk():
    recipe = Recipe(loss=losses.make("IntraLoss", weight=Linear(0, 0.5, steps=1000), base_margin=Cosine(0, 0.3, 200)))
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("name", losses.catalogue())
def test_no_knob_of_a_loss_is_called_like_one_of_a_recipe(name):
    """They share one list of flags, and one link."""
    taken = {*knobs(Recipe), "loss", "later", "defaults", "schedules", "out", "folder", "run"}
    assert not taken & set(losses.knobs(losses.starting(name)))
