"""A sheet builds a paper's figures, and again only those that changed."""

import os
import re
import shutil
import tomllib
from pathlib import Path

import pytest
import tomli_w
from figure_cases import TINY, TWO, Tiny, known
from pypdf import PdfReader

from losslab import cli, losses
from losslab.building import Work, build, fresh
from losslab.figures import trained
from losslab.losses import CosFace, Softmax
from losslab.press import Look
from losslab.sheet import found_in, read
from losslab.training import Recipe, Run
from pages.parts.server import RECORDINGS

ROOT = Path(__file__).parents[1]
SMALL = {"classes": [0, 1, 2], "per_class": 30, "epochs": 1, "batch": 16, "probe": 30, "model": "mlp"}
SHEET = """
style = "grey"
kinds = ["pdf", "svg"]
out = "figures"
losses = ["Softmax", "CosFace(scale=16, margin=0.2)"]

[recipe]
seed = 1

[[figure]]
name = "loss"
figure = "Tiny"

[[figure]]
name = "curves"
figure = "LogitCurves"
width = "ieee-1"
kinds = ["pdf"]
losses = ["CosFace"]

[[figure]]
name = "angles"
figure = "AngleHistograms"
losses = ["Softmax"]
recipe = {classes = [0, 1, 2], per_class = 30, epochs = 1, batch = 16, probe = 30, model = "mlp"}
"""


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    known(monkeypatch, Tiny)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def paper(folder: Path, text: str = SHEET) -> Path:
    path = folder / "paper.toml"
    path.write_text(text, encoding="utf-8")
    return path


def built(path: Path, kept: Path, capsys) -> dict[str, str]:
    """What became of each figure, by name."""
    code = cli.main(["figure", "--sheet", str(path), "--runs", str(kept)])
    said = capsys.readouterr()
    assert code == 0, said.err
    return dict(line.split(": ") for line in said.out.splitlines())


@pytest.fixture(scope="module")
def whole(tmp_path_factory, kept):
    """A folder with the sheet and all that it builds."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patched:
        known(patched, Tiny)
        assert not cli.main(["figure", "--sheet", str(paper(folder)), "--runs", str(kept)])
    return folder


@pytest.fixture
def once(whole, tmp_path):
    """The sheet, built already, in a folder of one's own."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    return tmp_path / "paper.toml"


def test_what_a_sheet_says_for_all_and_for_one(tmp_path):
    loss, curves, angles = read(paper(tmp_path), found_in(tmp_path))
    assert loss.figure == Tiny(losses=TWO, recipe=Recipe(**{**vars(TINY), "seed": 1}))
    assert loss.look == Look(width="cvpr-1", style="grey") and loss.kinds == ("pdf", "svg")
    assert curves.look == Look(width="ieee-1", style="grey") and curves.kinds == ("pdf",)
    assert curves.figure.losses == (CosFace(),)
    (recipe,) = angles.figure.recipes()
    assert recipe == Recipe(**{**vars(TINY), "seed": 1, "loss": Softmax()})
    assert {each.folder for each in (loss, curves, angles)} == {tmp_path / "figures"}


def test_a_sheet_is_built_once(tmp_path, kept, capsys):
    path = paper(tmp_path)
    assert set(built(path, kept, capsys).values()) == {"built"}
    out = tmp_path / "figures"
    made = {each: (each.read_bytes(), each.stat().st_mtime_ns) for each in out.iterdir()}
    assert {each.name for each in made} == {
        "loss.pdf", "loss.svg", "loss.csv", "loss.toml", "curves.pdf", "curves.csv", "curves.toml",
        "angles.pdf", "angles.svg", "angles.csv", "angles.toml",
    }  # fmt: skip
    assert set(built(path, kept, capsys).values()) == {"up to date"}
    assert {each: (each.read_bytes(), each.stat().st_mtime_ns) for each in out.iterdir()} == made


def test_what_was_deleted_is_built_again(once, kept, capsys):
    wrong = []
    for ending in ("pdf", "svg", "csv", "toml"):
        gone = once.parent / "figures" / f"loss.{ending}"
        before = gone.read_bytes()
        gone.unlink()
        states = built(once, kept, capsys)
        if states != {"loss": "built", "curves": "up to date", "angles": "up to date"} or gone.read_bytes() != before:
            wrong.append((ending, states))
    assert not wrong


CHANGES = {
    "a knob": ('figure = "Tiny"', 'figure = "Tiny"\ntimes = 2', {"loss"}),
    "the recipe of all": ("seed = 1", "seed = 2", {"loss", "angles"}),
    "the recipe of one": ('model = "mlp"}', 'model = "mlp", dim = 3}', {"angles"}),
    "the losses of one": ('losses = ["CosFace"]', 'losses = ["ArcFace"]', {"curves"}),
    "the width of one": ('width = "ieee-1"', 'width = "ieee-2"', {"curves"}),
    "the style": ('"grey"', '"colour"', {"loss", "curves", "angles"}),
}


@pytest.mark.parametrize(("before", "after", "changed"), CHANGES.values(), ids=CHANGES)
def test_what_changed_is_built_again(before, after, changed, once, kept, capsys):
    states = built(paper(once.parent, SHEET.replace(before, after)), kept, capsys)
    assert {name for name, state in states.items() if state == "built"} == changed


def test_other_code_of_losslab_builds_all_again(once, kept, capsys, monkeypatch):
    monkeypatch.setattr("losslab.press.own_source", lambda: "other")
    assert set(built(once, kept, capsys).values()) == {"built"}


def test_a_run_that_changed_is_drawn_again(tmp_path, capsys):
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    for part in (RECORDINGS / "arcface-sphere").iterdir():
        (run / part.name).write_bytes(part.read_bytes())
    path = paper(tmp_path, '[[figure]]\nname = "a"\nfigure = "Rivals"\nruns = ["mine"]\n')
    assert built(path, run.parent, capsys) == {"a": "built"}
    assert built(path, run.parent, capsys) == {"a": "up to date"}
    with (run / "snapshots.bin").open("r+b") as file:
        file.truncate(os.fstat(file.fileno()).st_size - 1)  # its last snapshot is not there any more
    assert built(path, run.parent, capsys) == {"a": "built"}


def test_one_that_fails_does_not_stop_the_rest(tmp_path, kept, capsys):
    text = SHEET.replace("[recipe]\nseed = 1", "[recipe]\nseed = 1\nrate = 1e30\nepochs = 20")
    assert cli.main(["figure", "--sheet", str(paper(tmp_path, text)), "--runs", str(tmp_path / "runs")]) == 1
    said = capsys.readouterr()
    assert "curves: built" in said.out and "loss: Softmax() could not be trained" in said.err
    assert not (tmp_path / "figures" / "loss.pdf").exists()


def test_a_training_that_failed_is_not_tried_twice(tmp_path):
    figures = [Tiny(losses=(Softmax(),), recipe=Recipe(**{**vars(TINY), "rate": 1e30, "epochs": 20})) for _ in "ab"]
    work, runs = Work(figures, tmp_path), []
    for figure in figures:
        with pytest.raises(RuntimeError, match="could not be trained"):
            work.of(figure, lambda *_: None)
        runs.append(len(list(tmp_path.iterdir())))
    assert runs == [1, 1]


def test_who_builds_is_told_of_each(tmp_path, kept):
    prints, told = read(paper(tmp_path), found_in(kept)), []
    work = Work([each.figure for each in prints], kept)
    outcomes = build(prints, work, lambda *_: None, told.append)
    assert told == outcomes and [each.name for each in told] == ["loss", "curves", "angles"]
    assert all(map(fresh, prints)) and "It ends at" in outcomes[0].reason


MISTAKES = [
    ('[[figure]\nname = "a"', r"The sheet .*paper\.toml is no TOML: .*line 1"),
    ("", r"The sheet .*paper\.toml has no figures: write a table \[\[figure\]\] for each\."),
    ("figure = 3", "has no figures"),
    ('colour = "red"\n' + SHEET, r"has 'colour', which it does not know; it knows width, style, "),
    (SHEET.replace('name = "loss"', ""), "Figure 1 of the sheet has no name"),
    (SHEET.replace('"loss"', '"a/b"'), "The name of figure 1 is 'a/b', but it must be of letters, digits, - and _."),
    (SHEET.replace('"curves"', '"LOSS"'), "LOSS: two figures have this name"),
    (SHEET.replace('"Tiny"', '"Tini"'), "loss: There is no figure called 'Tini'"),
    (SHEET.replace('figure = "Tiny"', ""), "loss: There is no figure called None"),
    (SHEET.replace('figure = "Tiny"', 'figure = "Tiny"\nsize = 3'), "loss: Tiny has no 'size'"),
    (
        SHEET.replace('figure = "Tiny"', 'figure = "Tiny"\ntimes = 30'),
        "loss: times is 30, but it must be from 0 to 10.",
    ),
    (SHEET.replace('"ieee-1"', '"a4"'), "curves: width is 'a4', but"),
    (SHEET.replace('"grey"', '"pink"'), "loss: style is 'pink', but"),
    (
        SHEET.replace('["pdf", "svg"]', '["exe"]'),
        r"loss: kinds is \['exe'\], but it must list some of pdf, svg, pgf, png.",
    ),
    (SHEET.replace('["pdf", "svg"]', '"pdf"'), "loss: kinds is 'pdf', but"),
    (SHEET.replace('["pdf", "svg"]', '[["pdf"]]'), r"loss: kinds is \[\['pdf'\]\], but"),
    (SHEET.replace('"ieee-1"', "[1]"), r"curves: width is '\[1\]', but"),
    (SHEET.replace("seed = 1", "seeds = 1"), "loss: A recipe has no 'seeds'"),
    (SHEET.replace("[recipe]\nseed = 1", "recipe = 4"), "loss: recipe is 4, but"),
    (SHEET.replace('["CosFace"]', '["CosFaze"]'), "curves: There is no loss called 'CosFaze'"),
    (
        SHEET.replace('figure = "LogitCurves"', 'figure = "LogitCurves"\nrecipe = {}'),
        "curves: LogitCurves shows no training",
    ),
    (SHEET.replace('figure = "Tiny"', 'figure = "Tiny"\nruns = ["none"]'), "loss: There is no run in"),
    (SHEET.replace('out = "figures"', "out = 3"), "out is 3, but it must be a folder"),
    (
        SHEET.replace('"loss"', '"paper"').replace('out = "figures"', ""),
        "paper: its TOML would take the place of the sheet",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), MISTAKES, ids=[sentence[:40] for _, sentence in MISTAKES])
def test_a_mistake_is_one_sentence(text, sentence, tmp_path, capsys):
    code = cli.main(["figure", "--sheet", str(paper(tmp_path, text)), "--runs", str(tmp_path)])
    said = capsys.readouterr().err
    assert code == 2 and re.search(sentence, said) and said.count("\n") == 1 and said.endswith(".\n")
    assert not (tmp_path / "figures").exists()


def test_the_example_builds(tmp_path, capsys, monkeypatch):
    """With almost nothing to train on."""
    monkeypatch.undo()
    sheet = tomllib.loads((ROOT / "examples" / "paper.toml").read_text("utf-8"))
    sheet["recipe"] |= SMALL
    path = paper(tmp_path, tomli_w.dumps(sheet))
    assert set(built(path, tmp_path / "runs", capsys).values()) == {"built"}
    for table in sheet["figure"]:
        out = tmp_path / "figures" / f"{table['name']}.pdf"
        assert len(PdfReader(out).pages) == 1 and out.with_suffix(".csv").read_text("utf-8").count("\n") > 1
    runs = [Run(each).recipe for each in (tmp_path / "runs").iterdir()]
    assert len(runs) == len(set(runs)) == 6  # three losses on the circle, which most figures share, and on the sphere
    assert {losses.title(each.loss) for each in runs} == {"Softmax", "CosFace", "ArcFace"}
    assert trained.found(runs, [tmp_path / "runs"]).keys() == {each.key for each in runs}
    assert set(built(path, tmp_path / "runs", capsys).values()) == {"up to date"}
