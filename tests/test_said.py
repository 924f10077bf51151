"""A figure in plain values: what TOML, JSON, links and flags say of it is the figure again."""

import json
import re

import pytest
from figure_cases import TINY, Tiny, known

from losslab import losses, views
from losslab.data.faces import FaceSubset
from losslab.figures import base, said
from losslab.figures.seen import Seen
from losslab.losses import ArcFace, IntraLoss, KappaFace
from losslab.training import Recipe, Run
from pages.parts.server import RECORDINGS

REAL = base.catalogue()


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    known(monkeypatch, Tiny, *REAL.values())


def find(id: str) -> Run:
    return Run(RECORDINGS / id)


RECIPE = Recipe(dim=3, rate=0.00123456789, classes=(3, 1), model="mlp", noise=0.1)
PEOPLE = Recipe(data="faces", faces=FaceSubset(source="people", identities=5, grey=True), dim=4)
FIGURES = [
    Tiny(),
    Tiny(losses=(ArcFace(margin=0.3), IntraLoss(weight=0.2)), times=2.5, marks=(4, 5, 6)),
    Tiny(recipe=RECIPE),
    Tiny(recipe=PEOPLE, marks=()),
    Seen(view="Curves"),
    Seen(view="Curves", losses=(KappaFace(),), values=(("scaled", True), ("length", 3.5))),
    Seen(view="Boundaries", values=(("prototypes", ((1.0, 0.0, 0.5), (0.0, 1.0, 0.25))), ("sizes", (10.0, 20.5)))),
    Seen(view="Rivals", recipe=base.PLANE),
    Seen(view="Rivals", recipe=RECIPE, losses=(KappaFace(),)),
]


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: type(figure).__name__)
def test_what_is_said_of_a_figure_makes_it_again(figure):
    short, entire = said.plain(figure), said.plain(figure, entire=True)
    for plain in (short, entire):
        for form in (plain, json.loads(json.dumps(plain)), said.unlinked(said.linked(plain))):
            assert said.make(form, find) == figure
    assert set(short) <= set(entire)


def test_only_what_differs_is_said():
    assert said.plain(Tiny()) == {"figure": "Tiny"} and said.plain(Seen(view="Curves")) == {"figure": "Curves"}
    changed = Tiny(recipe=Recipe(**{**vars(TINY), "epochs": 3, "seed": 4}), times=2)
    assert said.plain(changed) == {"figure": "Tiny", "recipe": {"epochs": 3, "seed": 4}, "times": 2.0}
    assert said.linked(said.plain(changed)) == {
        "figure": ["Tiny"],
        "recipe.epochs": ["3"],
        "recipe.seed": ["4"],
        "times": ["2.0"],
    }


@pytest.mark.parametrize("name", [*REAL, *views.catalogue()])
def test_every_figure_and_every_view_is_made_by_its_name(name):
    asked = {"figure": name} | ({"recipe": {}} if name not in REAL and "recipe" in said.shared(said.kind(name)) else {})
    figure = said.make(asked, find)
    assert said.kind(name).card and said.plain(figure) == asked
    assert said.make(said.plain(figure, entire=True), find) == figure
    assert said.make(said.unlinked(said.linked(said.plain(figure, entire=True))), find) == figure


def test_text_and_values_say_the_same():
    typed = {"figure": "Tiny", "recipe": {"classes": [0, 2], "imbalance": 4}, "times": 3, "marks": [7]}
    text = {"figure": "Tiny", "recipe": {"classes": "0,2", "imbalance": "4"}, "times": "3", "marks": "7"}
    made = said.make(typed, find)
    assert made == said.make(text, find)
    assert made.recipe.classes == (0, 2) and made.marks == (7,) and made.times == 3.0 and type(made.marks[0]) is int


def test_runs_that_are_given_are_found_by_their_ids():
    made = said.make({"figure": "Tiny", "runs": ["arcface-sphere"]}, find)
    assert [run.path.name for run in made.runs] == ["arcface-sphere"] and made.recipes() == ()
    assert made.losses == (made.runs[0].recipe.loss,)
    assert said.plain(made) == {"figure": "Tiny", "runs": ["arcface-sphere"]}
    view = said.make({"figure": "Rivals", "runs": ["arcface-sphere"]}, find)
    scene = views.view("Rivals", view.losses, {"run": view.runs[0]}).scene()
    assert view.plate().table().count("\n") == scene.table().count("\n") and view.plate().says == scene.says


def test_a_view_trains_where_a_recipe_is_said():
    assert said.make({"figure": "Field"}, find).recipes() == ()
    (recipe,) = said.make({"figure": "Field", "recipe": {}, "losses": ["CosFace"]}, find).recipes()
    assert recipe == Recipe(**{**vars(base.PLANE), "loss": losses.make("CosFace")})
    (recipe,) = said.make({"figure": "KappaBySize", "recipe": {"epochs": 2}}, find).recipes()
    assert isinstance(recipe.loss, KappaFace) and recipe.epochs == 2


MISTAKES = [
    ({}, "There is no figure called None; there are the figures LogitCurves, Tiny, "),
    ({"figure": "Tini"}, "There is no figure called 'Tini'"),
    ({"figure": ["Tiny"]}, "There is no figure called"),
    ({"figure": "Tiny", "colour": 1}, "Tiny has no 'colour'; it has times, epochs, marks, losses, recipe, runs."),
    ({"figure": "Tiny", "times": 11}, "times is 11, but it must be from 0 to 10."),
    ({"figure": "Tiny", "times": "x"}, "times is 'x', but it must be a number from 0 to 10."),
    ({"figure": "Tiny", "times": [1]}, "times is [1], but it must be a finite number"),
    ({"figure": "Tiny", "marks": 1}, "marks is 1, but it must be a list such as [1, 2]."),
    ({"figure": "Tiny", "marks": ["a"]}, "marks is ['a'], but it must be a list such as [1, 2]."),
    ({"figure": "Tiny", "marks": [0.5]}, "marks is [0.5], but"),
    ({"figure": "Tiny", "marks": "a"}, "marks is 'a', but it must be numbers such as 1,2."),
    ({"figure": "Tiny", "losses": "ArcFace"}, "losses is 'ArcFace', but it must be a list of words"),
    ({"figure": "Tiny", "losses": ["ArcFaze"]}, "There is no loss called 'ArcFaze'"),
    ({"figure": "Tiny", "losses": []}, "A figure shows 1 to 8 losses; this asks for 0."),
    ({"figure": "Tiny", "recipe": 3}, "recipe is 3, but it must be names and values"),
    ({"figure": "Tiny", "recipe": {"epoch": 3}}, "A recipe has no 'epoch'"),
    ({"figure": "Tiny", "recipe": {"epochs": "0"}}, "epochs is 0, but"),
    ({"figure": "Tiny", "recipe": {"classes": "a"}}, "classes is 'a', but it must be numbers such as"),
    ({"figure": "Tiny", "recipe": {"loss": {}}}, "A figure's recipe has no 'loss': name its losses beside it"),
    ({"figure": "Tiny", "recipe": {"data": "faces"}}, "faces are chosen with"),
    ({"figure": "Tiny", "recipe": {"data": "faces", "faces": {"size": "7"}}}, "size is 7, but"),
    ({"figure": "Tiny", "runs": ["nothing"]}, "There is no run in"),
    ({"figure": "Tiny", "runs": ["arcface-sphere"], "losses": ["ArcFace"]}, "leave out losses."),
    ({"figure": "Rivals", "runs": ["arcface-sphere"] * 2}, "Rivals shows one training; this asks for 2."),
    ({"figure": "Rivals", "recipe": {}, "losses": ["ArcFace", "CosFace"]}, "one training; this asks for 2 losses."),
    ({"figure": "Curves", "recipe": {}}, "Curves shows no training of a recipe: leave out recipe."),
    ({"figure": "LogitCurves", "runs": []}, "LogitCurves shows no training of a recipe: leave out runs."),
    ({"figure": "Curves", "length": 0}, "length is 0, but"),
    ({"figure": "KappaBySize", "losses": ["ArcFace"]}, "This picture is of KappaFace; here the loss is ArcFace"),
]


@pytest.mark.parametrize(("plain", "sentence"), MISTAKES, ids=lambda each: str(each)[:60])
def test_a_mistake_is_one_sentence(plain, sentence):
    with pytest.raises((ValueError, OSError), match=re.escape(sentence)) as raised:
        said.make(plain, find)
    assert str(raised.value).endswith(".") and "\n" not in str(raised.value)
