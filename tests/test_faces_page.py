"""The page of faces without a browser: what it says where there is nothing, too little or something broken."""

import numpy as np
import pytest
from page_cases import untrained
from PIL import Image
from streamlit.testing.v1 import AppTest

from losslab import losses
from losslab.data.faces import FaceSubset
from losslab.data.faces.source import natural
from losslab.training import Recipe, RunWriter, probe, train
from losslab.verification import Scored
from pages.parts import faces, server, verified

PAGE = str(server.ROOT / "pages/7_faces.py")
FEW = {"source": "people", "identities": "3", "held_out": "2", "size": "32", "dim": "16", "epochs": "1"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty data folder."""
    faces.sources.clear()  # which are looked for every so often only
    made = tmp_path / "data"
    made.mkdir()
    monkeypatch.setenv("LOSSLAB_DATA", str(made))
    with untrained(tmp_path / "runs", monkeypatch):
        yield made


@pytest.fixture
def asked(monkeypatch):
    """What the page asks the pool for, instead of training it."""
    found = []
    monkeypatch.setattr(server.pool(), "submit", lambda recipe, visitor: found.append(recipe) or f"run{len(found)}")
    return found


def people(folder, count: int, each: int) -> None:
    """Images of noise, `each` of every one of `count` people."""
    draw = np.random.default_rng(0)
    for person in range(count):
        here = folder / "people" / f"p{person}"
        here.mkdir(parents=True)
        for i in range(each):
            Image.fromarray(draw.integers(0, 255, (40, 36, 3), np.uint8)).save(here / f"{i}.png")


def opened(**link) -> AppTest:
    at = AppTest.from_file(str(server.ROOT / "app.py"), default_timeout=30)
    at.switch_page(PAGE)
    for name, value in link.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def pressed(at: AppTest) -> AppTest:
    at.button(key="train").click().run()
    assert not at.exception
    return at


def one_sentence(at: AppTest) -> str:
    (said,) = at.warning
    assert "\n" not in said.value and said.value.endswith(".")
    return said.value


def test_without_faces_it_says_what_to_do(folder):
    at = opened()
    (said,) = at.info
    assert str(folder) in said.value and "train.rec" in said.value and "data get olivetti" in said.value
    assert at.button(key="train").disabled


def test_the_link_is_a_recipe(folder, asked):
    people(folder, 6, 4)
    at = pressed(opened(**FEW, grey="true", margin="0.2"))
    assert not at.warning
    (recipe,) = asked
    assert recipe.faces == FaceSubset(source="people", identities=3, held_out=2, size=32, grey=True)
    assert recipe.dim == 16 and recipe.epochs == 1 and recipe.loss == losses.make("ArcFace", scale=16.0, margin=0.2)


def test_more_people_than_there_are_is_a_sentence(folder, asked):
    people(folder, 6, 4)
    said = one_sentence(pressed(opened(**FEW | {"identities": "40"})))
    assert "6 people" in said and "ask for fewer people" in said and not asked


def test_people_beyond_number_are_a_sentence(folder, asked):
    people(folder, 6, 4)
    at = opened(**FEW | {"identities": "1000000000"})
    assert "at most 65535 people" in one_sentence(at) and at.button(key="train").disabled


def test_ten_images_in_all_are_enough(folder, asked):
    people(folder, 5, 2)
    at = pressed(opened(**FEW))
    assert not at.warning and len(asked) == 1


def test_a_damaged_record_file_is_a_sentence(folder, asked):
    (folder / "broken").mkdir()
    (folder / "broken" / "train.rec").write_bytes(b"no records here" * 9)
    said = one_sentence(pressed(opened(**FEW | {"source": "broken"})))
    assert "train.rec" in said and not asked


def test_what_cannot_be_decoded_is_counted(folder, tmp_path):
    people(folder, 6, 4)
    for name in ("p0/0.png", "p1/1.png"):
        (folder / "people" / name).write_bytes(b"\x89PNG no image")
    at = pressed(opened(**FEW | {"identities": "4"}))
    assert not at.warning, at.warning[0].value
    assert any("2 images were left out" in each.value for each in at.caption)


@pytest.mark.parametrize(("loss", "own"), [("KappaFace", True), ("ArcFace", False)])
def test_people_are_listed_from_the_hardest_with_margins_of_their_own(folder, tmp_path, loss, own):
    people(folder, 6, 4)
    recipe = Recipe(
        loss=losses.starting(loss),
        data="faces",
        faces=FaceSubset(source="people", identities=4, held_out=2, size=32),
        model="residual",
        dim=16,
        epochs=4,
        batch=8,
    )
    with RunWriter(tmp_path / "runs" / "aa", recipe, probe(recipe)) as writer:
        for snapshot in train(recipe):
            writer.append(snapshot)
        writer.state("done")
    at = opened(run="aa", exact="People")
    table = at.dataframe[0].value
    assert list(table["Beyond the margin (%)"]) == sorted(table["Beyond the margin (%)"])
    assert sorted(table["Person"], key=natural) == sorted(map(str, probe(recipe).names), key=natural)
    assert ("Margin (°)" in table) == own
    if own:
        assert table["Margin (°)"].nunique() > 1 and (table["Margin (°)"] > 0).all()


def test_pairs_of_the_same_two_people_are_shown_twice_at_most():
    label = np.array([0, 0, 0, 1, 1, 1, 2])
    first, second = np.array([0, 4, 2, 1, 0, 5]), np.array([3, 1, 5, 4, 6, 6])
    part = Scored(first, second, np.linspace(0.9, 0.4, 6), np.zeros(6, bool), 21)
    assert verified.varied(part, label) == [0, 1, 4, 5]


def of_people(**more: int) -> Recipe:
    """Three of the people in `folder`, and two held out."""
    three = FaceSubset(source="people", identities=3, held_out=2, size=32)
    return Recipe(data="faces", faces=three, model="residual", **more)


def test_the_playground_hands_a_run_of_faces_over_with_its_recipe(folder, monkeypatch):
    people(folder, 5, 4)
    recipe = of_people(dim=16, epochs=1)
    with RunWriter(server.runs() / "arcface-16d-1", recipe, probe(recipe)) as writer:
        writer.append(next(train(recipe)))
        writer.state("stopped")
    at = AppTest.from_file(str(server.ROOT / "app.py"), default_timeout=30)
    at.query_params["run"] = "arcface-16d-1"
    at.run()
    assert not at.exception
    assert at.subheader[0].value.startswith("Can a network") and at.query_params["run"] == "arcface-16d-1"
    assert not at.button(key="train").disabled
    asked = []
    monkeypatch.setattr(server.pool(), "submit", lambda recipe, visitor: asked.append(recipe) or "arcface-16d-1")
    pressed(at)
    assert asked == [recipe], "its recipe is in the sidebar"


def test_a_run_of_faces_is_branched_like_any_other(folder, asked):
    people(folder, 5, 4)
    recipe = of_people(epochs=3, batch=4)
    with RunWriter(server.runs() / "arcface-3d-1", recipe, probe(recipe)) as writer:
        for snapshot in train(recipe):
            writer.append(snapshot)
        writer.state("done")
    at = AppTest.from_file(str(server.ROOT / "app.py"), default_timeout=30)
    at.switch_page(str(server.ROOT / "pages/6_compare.py"))
    at.query_params.update({"mode": "Branch", "parent": "arcface-3d-1", "future": "NormFace(scale=16)"})
    at.run()
    assert not at.exception
    at.button(key="compare_train").click().run()
    assert not at.exception and [each.faces for each in asked] == [recipe.faces]
