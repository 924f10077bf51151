"""The page Full scale without a browser: what it shows of a training that the command line left."""

import json

import pytest
from figure_cases import TINY
from page_cases import untrained
from streamlit.testing.v1 import AppTest

from losslab.scale import ScaleRecipe
from losslab.training import RunWriter, probe, train
from pages.parts import full_scale, server

ROOT = server.ROOT
LINES = "step,epoch,loss,rate,images_a_second,gradient,loss_scale,left_out\n"


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    with untrained(tmp_path / "runs", monkeypatch) as folder:
        yield folder


def left(folder, name="casia", state="running", rows=3):
    """What a training leaves: a run of what is shown, its recipe, and what was measured so far."""
    shown = probe(TINY)
    with RunWriter(folder / name, TINY, shown, owner="command line") as writer:
        for snapshot in train(TINY):
            writer.append(snapshot)
        writer.state(state)
    recipe = ScaleRecipe(title="A training", source="casia", epochs=4, batch=100, stated={"faces": "Of nobody."})
    (folder / name / "scale.json").write_text(json.dumps(recipe.to_dict()))
    measured = [f"{step},{step / 10},{9 - step},0.1,50,1,1,0\n" for step in range(1, rows + 1)]
    (folder / name / "metrics.csv").write_text(LINES + "".join(measured))


def opened(**link) -> AppTest:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.run()
    at.switch_page(str(ROOT / "pages" / "10_full_scale.py"))
    for name, value in link.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def test_without_a_training_it_says_how_to_start_one():
    at = opened()
    assert "torchrun" in at.code[0].value and "casia-r50-arcface" in at.caption[0].value


def test_a_training_that_goes_on_is_measured(runs):
    left(runs)
    at = opened()
    found = {metric.label: metric.value for metric in at.metric}
    assert found["Step"].startswith("3 of ") and found["Loss"] == "6.000" and found["Images a second"] == "50"
    assert "Left" in found and "Of nobody." in "".join(each.value for each in at.markdown)


def test_images_that_are_left_out_are_counted_once(runs):
    left(runs, rows=2)
    with (runs / "casia" / "metrics.csv").open("a") as file:
        file.writelines(f"{step},0.4,5,0.1,50,1,1,{step - 2}\n" for step in (3, 4, 5))  # the number so far
    assert any("could not be decoded was left out 3 times" in each.value for each in opened().caption)


def test_half_a_line_is_passed_over(runs):
    left(runs)
    with (runs / "casia" / "metrics.csv").open("a") as file:
        file.write("4,0.4,5")
    assert {metric.label: metric.value for metric in opened().metric}["Loss"] == "6.000"


def test_a_link_names_the_training(runs):
    left(runs, "one", state="done")
    left(runs, "two", state="done")
    assert opened(run="one").selectbox[0].value == "one"
    assert opened(run="../one").selectbox[0].value in ("one", "two")


def test_what_is_no_training_is_passed_over(runs):
    left(runs, state="done")
    (runs / "other").mkdir()
    (runs / "other" / "scale.json").write_text("{")
    assert list(full_scale.trainings()) == ["casia"]


@pytest.mark.parametrize(("seconds", "said"), [(20, "under a minute"), (600, "10 min"), (7260, "2 h 1 min")])
def test_what_is_left(seconds, said):
    assert full_scale.duration(seconds) == said
