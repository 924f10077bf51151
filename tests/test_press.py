"""A figure as files: what they say of themselves, the sheet that makes them again, the zip, and the caption."""

import dataclasses
import io
import json
import re
import tomllib
import zipfile

import pytest
from figure_cases import TINY, Tiny, known, runs_for
from pypdf import PdfReader

from losslab import __version__, losses
from losslab.caption import caption, worded
from losslab.cli import main
from losslab.figures import said, trained
from losslab.figures.seen import Seen
from losslab.losses import ArcFace, CenterLoss, CosFace, IntraLoss, Softmax
from losslab.press import Look, Print, bundle, latex, metadata, numbers, pressed, recipe_text, written
from losslab.render import paper
from losslab.training import Run
from losslab.views.curves import Curves
from pages.parts.server import RECORDINGS


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    known(monkeypatch, Tiny)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def runs(folder):
    return runs_for(Tiny(), folder)


@pytest.fixture
def plate(runs):
    return Tiny().plate(runs)


def test_a_file_says_what_it_was_made_of(runs, plate):
    drawn = pressed(Tiny(times=2), plate, runs, "pdf", Look(width="cvpr-1"))
    info = PdfReader(io.BytesIO(drawn)).metadata
    assert info.title == plate.title and plate.says in info.subject
    said_of = dict(each.split(": ", 1) for each in info["/Keywords"].split("; "))
    assert json.loads(said_of["figure"]) == {"figure": "Tiny", "times": 2.0}
    assert said_of["losses"] == "Softmax(), CosFace(scale=16, margin=0.2)"
    assert json.loads(said_of["recipes"]) == [json.loads(json.dumps(run.recipe.to_dict())) for run in runs]
    assert said_of["seeds"] == "0" and said_of["version"] == f"losslab {__version__}"


def test_what_trains_nothing_says_nothing_of_recipes():
    assert set(metadata(Seen(view="Curves"), ())) == {"figure", "losses", "version"}


@pytest.mark.parametrize("kind", paper.KINDS)
def test_the_same_figure_has_the_same_bytes(runs, plate, kind):
    look = Look(width=90, dpi=60)
    assert pressed(Tiny(), plate, runs, kind, look) == pressed(Tiny(), Tiny().plate(runs), runs, kind, look)


def test_numbers_are_those_of_the_plate():
    figure = Seen(view="Curves")
    rows = numbers(figure.plate()).splitlines()
    assert len(rows) == 1 + sum(len(mark.at) for mark in Curves().scene().marks)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"width": "a4"}, "width is 'a4', but it must be one of ieee-1"),
        ({"style": "pink"}, "style is 'pink', but it must be one of colour, grey."),
        ({"dpi": 0}, "dpi is 0, but it must be from 30 to 1200."),
        ({"camera": (1.0, 0.0)}, "camera is (1.0, 0.0), but it must be nine numbers"),
        ({"camera": (1.0,) * 9}, "camera is no rotation: its three rows must be of length 1 and at right angles."),
        ({"camera": 3}, "camera is 3, but it must be nine numbers"),
    ],
)
def test_a_look_that_cannot_be(asked, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Look(**asked)


def test_files_lie_beside_each_other(tmp_path, runs, plate):
    wanted = Print(name="fig", figure=Tiny(), kinds=("svg", "pgf"), folder=tmp_path / "new")
    assert written(wanted, plate, runs) == wanted.files
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["fig.csv", "fig.pgf", "fig.svg", "fig.toml"]
    assert wanted.file("csv").read_text("utf-8") == plate.table()


def test_a_folder_that_is_none_is_a_sentence(tmp_path, runs, plate):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file cannot be written: .*\.$"):
        written(Print(name="fig", figure=Tiny(), folder=tmp_path / "file"), plate, runs)


def test_the_sheet_says_everything_that_the_figure_is():
    figure = Tiny(recipe=dataclasses.replace(TINY, seed=7), marks=(5,))
    camera = (1, 0, 0, 0, 1, 0, 0, 0, 1)
    wanted = Print(name="fig", figure=figure, look=Look(width=90, style="grey", camera=camera), kinds=("pdf", "png"))
    sheet = tomllib.loads(recipe_text(wanted))
    (table,) = sheet["figure"]
    assert table["width"] == 90 and table["style"] == "grey" and table["camera"] == [*map(float, camera)]
    assert table["name"] == "fig" and table["kinds"] == ["pdf", "png"] and table["recipe"]["seed"] == 7
    assert table["losses"] == ["Softmax()", "CosFace(scale=16, margin=0.2)"]
    look = ("name", "kinds", "width", "style", "dpi", "raster", "camera")
    own = {name: value for name, value in table.items() if name not in look}
    assert said.make(own, None) == figure
    assert sheet["made"] == {"version": __version__, "digest": wanted.digest}


CHANGES = {
    "a knob": {"figure": Tiny(times=2)},
    "a loss": {"figure": Tiny(losses=(ArcFace(),))},
    "the recipe": {"figure": Tiny(recipe=dataclasses.replace(TINY, epochs=2))},
    "the width": {"look": Look(width="ieee-2")},
    "the style": {"look": Look(style="grey")},
    "the camera": {"look": Look(camera=(1, 0, 0, 0, 1, 0, 0, 0, 1))},
    "the kinds": {"kinds": ("pdf", "svg")},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_made_otherwise_has_another_digest(change):
    wanted = Print(name="fig", figure=Tiny())
    assert wanted.digest == Print(name="fig", figure=Tiny()).digest
    assert dataclasses.replace(wanted, **change).digest != wanted.digest


def test_a_run_that_goes_on_has_another_digest(tmp_path):
    for part in (RECORDINGS / "arcface-sphere").iterdir():
        (tmp_path / part.name).write_bytes(part.read_bytes())
    wanted = Print(name="fig", figure=Seen(view="Rivals", runs=(Run(tmp_path),)))
    before = wanted.digest
    with (tmp_path / "snapshots.bin").open("ab") as file:
        file.write(b"more")
    assert wanted.digest != before


def test_other_code_has_another_digest(monkeypatch):
    wanted = Print(name="fig", figure=Tiny())
    before = wanted.digest
    with monkeypatch.context() as changed:
        changed.setattr("losslab.press.own_source", lambda: "other")
        assert wanted.digest != before
    with monkeypatch.context() as changed:
        changed.setattr(losses, "code", lambda *_: "other")
        assert wanted.digest != before


def test_a_zip_of_everything(runs, plate):
    wanted = Print(name="fig", figure=Tiny(), look=Look(dpi=60))
    packed = bundle(wanted, plate, runs)
    assert packed == bundle(wanted, plate, runs)
    with zipfile.ZipFile(io.BytesIO(packed)) as zipped:
        names = zipped.namelist()
        assert names == sorted(names) and set(names) == {
            "build.sh", "caption.tex", "caption.txt", "fig.csv", "fig.pdf", "fig.pgf", "fig.png", "fig.svg", "fig.toml",
        }  # fmt: skip
        assert {entry.date_time for entry in zipped.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert zipped.getinfo("build.sh").external_attr >> 16 == 0o755
        assert "python -m losslab figure --sheet fig.toml" in zipped.read("build.sh").decode()
        assert tomllib.loads(zipped.read("fig.toml").decode())["figure"][0]["kinds"] == [*paper.KINDS]
        assert zipped.read("fig.csv").decode() == plate.table()
        assert zipped.read("caption.txt").decode() == caption(Tiny(), plate, runs) + "\n"
        assert zipped.read("fig.pdf") == pressed(Tiny(), plate, runs, "pdf", wanted.look)


def test_the_zip_builds_itself_again(runs, plate, folder, tmp_path):
    packed = bundle(Print(name="fig", figure=Tiny(times=2), look=Look(dpi=60)), Tiny(times=2).plate(runs), runs)
    with zipfile.ZipFile(io.BytesIO(packed)) as zipped:
        zipped.extractall(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for ending in (*paper.KINDS, "csv"):
        (tmp_path / f"fig.{ending}").unlink()
    assert not main(["figure", "--sheet", str(tmp_path / "fig.toml"), "--runs", str(folder)])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# -- captions ----------------------------------------------------------------------------------------------


def test_a_caption_says_what_made_the_figure(runs, plate):
    assert caption(Tiny(), plate, runs) == (
        f"The loss over the steps. {plate.says} A note. "
        "Losses: Softmax; CosFace (s = 16, m = 0.2). "
        "Trained on 3 classes (0, 1, 2) of MNIST 10k, up to 30 images of each, network mlp, 2 dimensions, "
        "1 epoch in batches of 16, largest rate 0.01, seed 0. "
        f"Made with losslab {__version__}."
    )


def test_runs_that_were_trained_in_several_ways_are_told_apart(runs, folder):
    other = dataclasses.replace(TINY, loss=ArcFace(), epochs=2, seed=3, noise=0.1)
    ran = trained.made(other, folder, lambda *_: None)
    given = Tiny(runs=(*runs, ran))
    text = caption(given, given.plate(), given.runs)
    assert "Softmax and CosFace: trained on 3 classes" in text
    assert re.search(r"ArcFace: trained on .* 10% of the labels wrong, .* 2 epochs .* seed 3\.", text)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (Softmax(), "Softmax"),
        (ArcFace(), "ArcFace (s = 64, m = 0.5)"),
        (ArcFace(scale=16, gradient="detached"), "ArcFace (s = 16, m = 0.5, gradient detached)"),
        (losses.read("CosFace(margin=Linear(0, 0.3, 100))"), "CosFace (s = 64, m = Linear(0, 0.3, 100))"),
        (CenterLoss(base=CosFace()), "Center loss around CosFace"),
        (IntraLoss(), "(reconstruction, "),
        (CenterLoss(base=ArcFace()), "m = 0.5"),
    ],
)
def test_a_loss_in_words(loss, words):
    assert words in worded(loss)


@pytest.mark.parametrize("name", losses.catalogue())
def test_every_loss_has_words_for_all_its_numbers(name):
    loss = losses.starting(name)
    numbers = [v for v in losses.settings(loss).values() if isinstance(v, float | int) and not isinstance(v, bool)]
    assert worded(loss).count(" = ") == len(numbers) and ("reconstruction" in worded(loss)) == loss.card.reconstruction


def test_a_caption_is_ready_for_latex():
    assert latex("50% of a_b & {c} #1 ~ $ ^") == (r"50\% of a\_b \& \{c\} \#1 \textasciitilde{} \$ \textasciicircum{}")
