"""The pages without a browser: they open, say what is wrong with a link, and turn widgets into a recipe."""

import pytest
from page_cases import untrained
from streamlit.testing.v1 import AppTest

from losslab import losses
from losslab.training import Recipe
from pages.parts import presets, server, settings

ROOT = server.ROOT


@pytest.fixture(autouse=True)
def pool(tmp_path, monkeypatch):
    """A pool of its own for every test."""
    with untrained(tmp_path / "runs", monkeypatch):
        yield


def opened(**link) -> AppTest:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
    for name, value in link.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def test_every_page_opens():
    at = opened()
    for path in sorted((ROOT / "pages").glob("[0-9]*.py")):
        at.switch_page(str(path)).run()
        assert not at.exception


def test_the_first_page_is_the_recipe_of_its_recording():
    at = opened()
    assert at.selectbox(key="loss").value == type(Recipe().loss).__name__
    assert at.slider(key="margin").value == Recipe().loss.margin
    assert not at.button(key="train").disabled and at.button(key="stop").disabled


def test_a_link_carries_the_state():
    at = opened(loss="CosFace", margin="0.41", dim="2", seed="7")
    assert at.selectbox(key="loss").value == "CosFace" and at.slider(key="margin").value == 0.41
    assert at.number_input(key="seed").value == 7
    assert not at.warning


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"loss": "ArcFase"}, "The link asks for loss ArcFase; there are Softmax, Contrastive"),
        ({"data": "imagenet"}, "The link asks for data imagenet; there are"),
        ({"classes": "77"}, "The link asks for classes 77; there are 0, 1"),
        ({"dim": "7"}, "The link asks for dim 7; there are 2, 3."),
        ({"model": "**x**[y](http://z)"}, "The link asks for model \\*\\*x\\*\\*\\[y\\](http\\://z); there are"),
        ({"seed": "x" * 5000}, "In the link, seed is 'xxx"),
        ({"margin": "9"}, "In the link, margin is 9, but it must be from 0 to 1.5 rad."),
        ({"epochs": "many"}, "In the link, epochs is 'many', but it must be a number"),
        ({"run": "../../etc"}, "The run of this link is not on this server"),
    ],
)
def test_a_bad_link_gets_one_sentence_and_the_page_goes_on(link, sentence):
    at = opened(**link)
    said = [box.value for box in [*at.warning, *at.info]]
    assert len(said) == 1 and said[0].startswith(sentence)
    assert not at.button(key="train").disabled


def test_a_page_that_does_not_train_does_not_say_to_press_train():
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
    at.query_params["run"] = "gone"
    at.switch_page(str(ROOT / "pages/5_margin_samples.py")).run()
    (said,) = at.info
    assert said.value.startswith("The run of this link is not on this server") and "Press **Train**" not in said.value


def test_a_run_of_somebody_else_can_be_joined_and_left_and_joined_again(monkeypatch):
    monkeypatch.setattr(server, "visitor", lambda: "ann")
    first = opened(seed="77")
    first.button(key="train").click().run()
    (run,) = server.pool()._jobs
    assert first.button(key="train").disabled, "it is theirs already"
    monkeypatch.setattr(server, "visitor", lambda: "bob")
    second = opened(seed="77", run=run)
    for _ in range(2):
        assert not second.exception and second.button(key="stop").disabled
        second.button(key="train").click().run()
        assert list(server.pool()._jobs) == [run] and server.pool().status(run).holders == 2
        assert second.button(key="train").disabled and "replay" not in second.session_state
        second.button(key="stop").click().run()
        assert server.pool().status(run) == ("queued", "", 1, 1)


def test_another_loss_starts_with_its_own_knobs():
    at = opened()
    at.selectbox(key="loss").select("SphereFace").run()
    assert not at.exception
    assert at.slider(key="margin").value == settings.losses.starting("SphereFace").margin
    at.selectbox(key="loss").select("Softmax").run()
    assert not at.exception and not at.warning


@pytest.mark.parametrize("name", losses.catalogue())
def test_every_loss_is_offered_and_describes_itself(name):
    at = opened(loss=name)
    assert not at.exception and not at.warning and not at.button(key="train").disabled
    assert at.selectbox(key="loss").value == name
    assert any(losses.kind(name).card.geometry in caption.value for caption in at.caption)


def test_a_term_is_added_to_a_base_that_brings_its_own_knobs():
    at = opened(loss="IntraLoss", base="CosFace", base_margin="0.1")
    assert not at.exception and not at.warning
    assert at.selectbox(key="base").value == "CosFace" and at.slider(key="base_margin").value == 0.1
    at.selectbox(key="base").select("KappaFace").run()
    assert not at.exception and at.slider(key="base_margin").value == losses.starting("KappaFace").margin


def test_the_papers_knobs_are_one_press_away():
    at = opened()
    at.button_group(key="defaults").set_value("paper").run()
    assert not at.exception and at.slider(key="scale").value == 64


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("margin = Linear(0, 9, 100)", "margin is 9, but it must be from 0 to 1.5 rad."),
        ("margin = 0.3", "Schedules are written like: "),
        ("nothing = Linear(0, 1, 100)", "ArcFace has no knob called 'nothing'"),
        ("margin = Sudden(0, 1)", "'Sudden(0, 1)' is no schedule"),
    ],
)
def test_a_bad_schedule_gets_one_sentence_and_train_waits(text, sentence):
    at = opened(schedules=text)
    assert not at.exception and at.warning[0].value.startswith(sentence)
    assert at.button(key="train").disabled
    at.text_input(key="schedules").set_value("margin = Linear(0, 0.3, 100)").run()
    assert not at.warning and not at.button(key="train").disabled


def test_too_few_classes_is_a_sentence_and_train_waits():
    at = opened()
    at.multiselect(key="classes").set_value([3]).run()
    assert "at least two classes" in at.warning[0].value
    assert at.button(key="train").disabled


def test_a_data_set_that_is_not_here_offers_its_download(monkeypatch, tmp_path):
    monkeypatch.setenv("LOSSLAB_DATA", str(tmp_path / "nothing"))
    at = opened(data="mnist-full")
    at.selectbox(key="data").select("mnist-full").run()
    assert at.button(key="train").disabled and at.button(key="download")


@pytest.mark.parametrize("preset", presets.PRESETS, ids=lambda p: p.title)
def test_a_preset_is_a_recipe_and_the_sidebar_shows_it(preset, monkeypatch):
    asked = []
    monkeypatch.setattr(server.pool(), "submit", lambda recipe, visitor: asked.append(recipe) or "none")
    at = opened()
    at.button_group(key="preset").set_value(preset.title).run()
    assert not at.exception
    assert asked == [Recipe(**preset.values)]
    assert at.selectbox(key="loss").value == type(asked[0].loss).__name__
    at.button(key="train").click().run()
    assert asked[1] == asked[0]
