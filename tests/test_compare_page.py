"""The page Compare without a browser: it opens, says what is wrong with a link, and turns choices into recipes."""

import dataclasses

import pytest
from page_cases import untrained
from streamlit.testing.v1 import AppTest

from losslab import ArcFace, CosFace, NormFace, Softmax
from losslab.training import Recipe, Run, RunWriter, probe, train
from pages.parts import compare, server

ARC, NORM = ArcFace(scale=16, margin=0.3), NormFace(scale=16)
SHORT = {"classes": (0, 1, 2, 3), "per_class": 40, "epochs": 1, "batch": 16, "probe": 40, "model": "mlp"}
PAGE = str(server.ROOT / "pages/6_compare.py")


@pytest.fixture(autouse=True)
def pool(tmp_path, monkeypatch):
    with untrained(tmp_path / "runs", monkeypatch):
        yield


@pytest.fixture
def asked(monkeypatch):
    """What the page asks the pool for, instead of training it."""
    found = []
    monkeypatch.setattr(server.pool(), "submit", lambda recipe, visitor: found.append(recipe) or f"run{len(found)}")
    return found


def opened(**link) -> AppTest:
    at = AppTest.from_file(str(server.ROOT / "app.py"), default_timeout=30)
    at.switch_page(PAGE)
    for name, value in link.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def test_it_opens_with_a_filled_table_and_what_it_says():
    at = opened()
    assert not at.warning and not at.dataframe[0].value.isna().any().any()
    assert any("has the tightest classes" in each.value for each in at.markdown)
    assert at.multiselect(key="classes").value == list(compare.CLASSES)


def test_from_another_page_it_begins_with_its_own_classes():
    at = AppTest.from_file(str(server.ROOT / "app.py"), default_timeout=30).run()
    assert len(at.multiselect(key="classes").value) == 10
    at.switch_page(PAGE).run()
    assert at.multiselect(key="classes").value == list(compare.CLASSES)


def test_the_losses_of_the_link_are_trained(asked):
    at = opened(losses=["CosFace(scale=16, margin=0.2)", "Softmax"], seed="3")
    at.button(key="compare_train").click().run()
    assert not at.exception
    assert [recipe.loss for recipe in asked] == [CosFace(scale=16, margin=0.2), Softmax()]
    assert {(recipe.seed, recipe.classes) for recipe in asked} == {(3, compare.CLASSES)}


def test_losses_are_added_turned_and_taken_away(asked):
    at = opened(losses=["ArcFace(scale=16, margin=0.3)", "NormFace(scale=16)"])
    at.button(key="add").click().run()
    at.slider(key="losses0_ArcFace_margin").set_value(0.5).run()
    at.button(key="losses1_remove").click().run()
    at.text_input(key="losses1_text").set_value("CosFace(margin=0.2)").run()
    assert not at.warning
    at.button(key="compare_train").click().run()
    assert [recipe.loss for recipe in asked] == [ArcFace(scale=16, margin=0.5), CosFace(margin=0.2)]


def test_a_sweep_takes_its_values_in_order(asked):
    at = opened(mode="Sweep", sweep="ArcFace(scale=16)", knob="margin", values=["0.4", "0.1", "0.25"])
    at.button(key="compare_train").click().run()
    assert [recipe.loss for recipe in asked] == [ArcFace(scale=16, margin=margin) for margin in (0.1, 0.25, 0.4)]


def test_a_loss_without_a_knob_is_not_swept():
    at = opened(mode="Sweep", sweep="Softmax")
    assert "has no knob to sweep" in at.warning[0].value and at.button(key="compare_train").disabled


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"losses": ["ArcFase()"]}, "In the link, There is no loss called 'ArcFase'"),
        ({"runs": "../../etc,nothing"}, "Not all runs of this link are on this server"),
        ({"mode": "Sweep", "values": ["0.1", "9", "0.2"]}, "margin is 9, but it must be from 0 to 1.5 rad."),
        ({"mode": "Sweep", "values": ["0.1", "0.2"]}, "Choose 3 to 6 different values of margin; there are 2."),
        (
            {"mode": "Sweep", "values": [f"0.{i}" for i in range(9)]},
            "The link asks for 9 values; a sweep takes the first 6.",
        ),
    ],
)
def test_a_bad_link_gets_one_sentence_and_the_page_goes_on(link, sentence):
    at = opened(**link)
    assert len(at.warning) == 1 and at.warning[0].value.startswith(sentence)


def test_a_step_beyond_all_numbers_is_the_last_one():
    at = opened(mode="Branch", parent="compare-normface", step="9" * 5000)
    run = Run(server.RECORDINGS / "compare-normface")
    assert not at.warning and at.select_slider(key="branch_step").value == run[len(run) - 2].step


def test_a_recording_is_branched_by_training_its_recipe_again(asked):
    at = opened(mode="Branch", parent="compare-normface", step="200", future="ArcFace(scale=16, margin=0.3)", whole="1")
    step = at.select_slider(key="branch_step").value
    assert abs(step - 200) < 10
    at.button(key="compare_train").click().run()
    past, branch, whole = asked
    assert past == Run(server.RECORDINGS / "compare-normface").recipe
    assert branch == dataclasses.replace(past, later=((step, ARC),)) and whole == dataclasses.replace(past, loss=ARC)


def test_a_run_of_this_server_is_its_own_past(asked):
    recipe = Recipe(loss=NORM, **SHORT)
    with RunWriter(server.runs() / "mine", recipe, probe(recipe)) as writer:
        for snapshot in train(recipe):
            writer.append(snapshot)
        writer.state("done")
    at = opened(mode="Branch", parent="mine", future="ArcFace(scale=16, margin=0.3)")
    at.button(key="compare_train").click().run()
    assert [each.loss for each in asked] == [NORM] and asked[0].later
    assert at.query_params["runs"] == "mine,run1"


def test_a_branch_that_goes_on_as_before_is_none():
    at = opened(mode="Branch", parent="compare-arcface", future="ArcFace(scale=16, margin=0.3)")
    assert "goes on with just this loss anyway" in at.warning[0].value and at.button(key="compare_train").disabled


@pytest.mark.parametrize("preset", compare.PRESETS, ids=lambda p: p.title)
def test_a_preset_is_what_train_then_asks_for(preset, asked):
    at = opened()
    at.button_group(key="compare_preset").set_value(preset.title).run()
    assert not at.exception and asked == compare.preset_recipes(preset)
    assert at.button_group(key="mode").value == preset.link["mode"]
