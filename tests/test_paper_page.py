"""The page Paper figures without a browser: its gallery, its widgets, its link and its files."""

import dataclasses
import io
import zipfile

import pytest
from figure_cases import TINY, Tiny, known
from page_cases import untrained
from streamlit.testing.v1 import AppTest

from losslab.catalogue import knob
from losslab.figures import Figure, catalogue, trained
from losslab.scene import Plate
from losslab.training import Run
from pages.parts import paper, server

ROOT = server.ROOT
PAGE = str(ROOT / "pages" / "9_paper_figures.py")


@pytest.fixture(autouse=True)
def runs(tmp_path, monkeypatch):
    """A folder of runs and a catalogue of their own."""
    (tmp_path / "runs").mkdir()
    known(monkeypatch, Tiny)
    with untrained(tmp_path / "runs", monkeypatch) as folder:
        yield folder


def opened(**link) -> AppTest:
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.run()
    at.switch_page(PAGE)
    for name, value in link.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def train(folder) -> list[Run]:
    return [trained.made(recipe, folder, lambda *done: None) for recipe in Tiny().recipes()]


def pictures(at: AppTest) -> int:
    return len(at.get("image"))


def test_the_gallery_shows_what_can_be_drawn_and_offers_to_train_the_rest(runs):
    at = opened()
    assert pictures(at) == 1 and at.button(key="paper_train").label == "Train 2 runs"
    train(runs)
    at.run()
    assert pictures(at) == 2 and not [button for button in at.button if button.key == "paper_train"]


def test_a_figure_of_trainings_waits_for_them(runs):
    at = opened(figure="Tiny")
    assert pictures(at) == 0 and "not on this server yet" in at.info[0].value
    train(runs)
    at.run()
    assert pictures(at) == 1 and "cross-entropy" not in at.code[0].value
    assert "It ends at" in at.code[0].value and "3 classes" in at.code[0].value


def test_widgets_change_the_link_and_the_page(runs):
    at = opened(figure="LogitCurves", losses="ArcFace(margin=0.3)")
    before = at.code[0].value
    at.multiselect[0].set_value(["ArcFace(margin=0.3)", "CosFace(margin=0.2)"]).run()
    assert at.query_params["losses"] == ["ArcFace(margin=0.3)", "CosFace(margin=0.2)"]
    assert "CosFace" in at.code[0].value and "CosFace" not in before
    next(box for box in at.selectbox if box.label == "Width").set_value("ieee-1").run()
    assert at.query_params["width"] == "ieee-1" and any("3.50 ×" in each.value for each in at.caption)
    assert not at.exception and not at.warning


def test_a_recipe_is_turned_and_said(runs):
    at = opened(figure="Tiny")
    next(box for box in at.number_input if box.label == "Seed").set_value(4).run()
    assert at.query_params["recipe.seed"] == "4"
    assert at.button(key="paper_train").label == "Train 2 runs"


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"figure": "Nothing"}, "There is no figure called 'Nothing'"),
        ({"figure": "LogitCurves", "losses": "Foo"}, "There is no loss called 'Foo'"),
        ({"figure": "LogitCurves", "width": "a4"}, "width is 'a4', but it must be one of ieee-1"),
        ({"figure": "LogitCurves", "camera": "1,2"}, "it must be nine numbers"),
        ({"figure": "Rivals", "runs": "../../etc"}, "The run of this link is not on this server; open another."),
        ({"figure": "Rivals"}, "This picture is of a training: open a run."),
        ({"figure": "Tiny", "recipe.epochs": "many"}, "epochs"),
    ],
)
def test_what_a_link_says_wrongly_is_one_sentence(link, sentence):
    at = opened(**link)
    assert len(at.warning) == 1 and sentence in at.warning[0].value


class Shy(Figure):
    """A figure that cannot be made of one of its values."""

    card = "Nothing."
    after = "none"
    much: float = knob(1.0, 0, 2, step=1, help="How much.")

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        if self.much > 1:
            raise ValueError("This is too much: choose less.")
        return catalogue()["LogitCurves"]().plate()


def test_what_cannot_be_drawn_is_one_sentence_beside_the_widgets_that_mend_it(monkeypatch):
    known(monkeypatch, Shy)
    at = opened(figure="Shy", much="2")
    assert [each.value for each in at.warning] == ["This is too much: choose less."] and pictures(at) == 0
    (much,) = [each for each in at.slider if "much" in each.key]
    much.set_value(1.0).run()
    assert not at.warning and pictures(at) == 1


def test_what_is_typed_wrongly_is_one_sentence_and_changes_nothing():
    at = opened(figure="LogitCurves")
    at.multiselect[0].set_value(["ArcFase(margin=1)"]).run()
    assert "There is no loss called 'ArcFase'" in at.warning[0].value and "losses" not in at.query_params


def test_a_run_that_somebody_sent_here_is_looked_at(runs):
    at = opened(figure="Rivals", runs="arcface-sphere")
    assert pictures(at) == 1 and "`arcface-sphere`" in "".join(each.value for each in at.caption)


def test_files(runs):
    figure = Tiny(runs=tuple(train(runs)))
    look = paper.Look(width="cvpr-1")
    assert paper.file(figure, look, "svg").startswith(b"<?xml")
    with zipfile.ZipFile(io.BytesIO(paper.everything(figure, look, "tiny", 100))) as zipped:
        assert {"tiny.pdf", "tiny.pgf", "tiny.csv", "tiny.toml", "build.sh", "caption.txt"} <= set(zipped.namelist())
    printed = paper.printed(figure, look)
    assert printed.pdf.startswith(b"%PDF") and printed.preview.startswith(b"\x89PNG")
    assert printed.inches[0] == pytest.approx(3.28125, abs=1e-3)


def test_a_run_that_ended_otherwise_is_not_shown(runs):
    made = train(runs)
    (made[0].path / "status.json").write_text('{"state": "stopped", "reason": ""}')
    assert [recipe.key for recipe in paper.lacking(Tiny())] == [made[0].recipe.key]
    assert not paper.lacking(Tiny(losses=Tiny.losses[1:]))
    assert len(paper.lacking(Tiny(recipe=dataclasses.replace(TINY, seed=9)))) == 2
