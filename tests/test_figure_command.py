"""`python -m losslab figure`: figures and views as files, with flags from their fields, runs reused or trained."""

import argparse
import re
import tomllib

import pytest
from figure_cases import FLAGS, TINY, TWO, Broken, Tiny, known, runs_for
from pypdf import PdfReader

from losslab import ArcFace, cli, figure_command, losses, views
from losslab.figure_command import add_figure, flag
from losslab.figures import base, said, trained
from losslab.render import paper
from losslab.training import Recipe, Run
from losslab.views.curves import Curves
from pages.parts.server import RECORDINGS


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    known(monkeypatch, Tiny)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with the runs that Tiny needs."""
    folder = tmp_path_factory.mktemp("runs")
    runs_for(Tiny(), folder)
    return folder


def figure(*argv) -> int:
    return cli.main(["figure", *map(str, argv)])


def test_a_figure_of_nothing_trained(tmp_path, capsys):
    out = tmp_path / "new" / "fig.pdf"
    assert not figure("Curves", "--loss", "ArcFace(margin=0.3)", "--loss", "CosFace", "--scaled", "--out", out)
    scene = Curves(losses=(ArcFace(margin=0.3), losses.make("CosFace")), scaled=True).scene()
    made = {path.name for path in out.parent.iterdir()}
    assert made == {"fig.pdf", "fig.csv", "fig.toml"} and scene.says in capsys.readouterr().out
    keywords = PdfReader(out).metadata["/Keywords"]
    assert "margin=0.3" in keywords and '"figure":"Curves"' in keywords and '"scaled":true' in keywords
    assert out.with_suffix(".csv").read_text("utf-8").count("\n") == scene.table().count("\n")


def test_an_ending_in_capitals_is_said_as_it_is_written(tmp_path, capsys):
    assert not figure("Curves", "--out", tmp_path / "fig.PDF")
    assert (tmp_path / "fig.pdf").exists() and f"The figure is {tmp_path / 'fig.pdf'}," in capsys.readouterr().out


def test_runs_are_trained_once_and_reused(tmp_path, capsys):
    asked = ["Tiny", "--runs", tmp_path / "runs", "--seed", 3, "--out", tmp_path / "fig.pdf"]
    assert not figure(*asked)
    assert "Runs: 0 reused, 2 to train." in capsys.readouterr().err
    first = (tmp_path / "fig.pdf").read_bytes()
    recipes = {run.recipe for run in map(Run, (tmp_path / "runs").iterdir())}
    assert recipes == {Recipe(**{**vars(TINY), "loss": loss, "seed": 3}) for loss in TWO}
    assert not figure(*asked)
    assert "Runs: 2 reused, 0 to train." in capsys.readouterr().err
    assert (tmp_path / "fig.pdf").read_bytes() == first and len(list((tmp_path / "runs").iterdir())) == 2


def test_the_same_figure_trained_elsewhere_has_the_same_bytes(tmp_path, kept):
    assert not figure("Tiny", "--runs", kept, "--out", tmp_path / "a" / "fig.svg")
    assert not figure("Tiny", "--runs", tmp_path / "runs", "--out", tmp_path / "b" / "fig.svg")
    for name in ("fig.svg", "fig.csv", "fig.toml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_its_sheet_makes_it_again(tmp_path, kept, capsys):
    out = tmp_path / "fig.pdf"
    assert not figure("Tiny", "--times", 3, "--marks", "4,5", "--width", 90, "--runs", kept, "--out", out)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert not figure("--sheet", out.with_suffix(".toml"), "--runs", kept)
    assert "fig: up to date" in capsys.readouterr().out
    out.unlink()
    out.with_suffix(".csv").unlink()
    assert not figure("--sheet", out.with_suffix(".toml"), "--runs", kept)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_every_figure_has_its_own_width(tmp_path, kept):
    for more, points in (((), 236.25), (("--width", "ieee-2"), 515.52)):
        assert not figure("Tiny", "--runs", kept, "--out", tmp_path / "fig.pdf", *more)
        assert float(PdfReader(tmp_path / "fig.pdf").pages[0].mediabox.width) == pytest.approx(points, abs=0.05)


def test_flags_of_a_recipe_and_of_the_figure_with_one_name(tmp_path, kept):
    assert flag("epochs", Tiny) == "--figure-epochs" and flag("times", Tiny) == "--times"
    assert flag("loss", views.catalogue()["Probability"]) == "--view-loss"
    assert not figure("Tiny", "--figure-epochs", 2, "--epochs", 1, "--runs", kept, "--out", tmp_path / "fig.pdf")
    (table,) = tomllib.loads((tmp_path / "fig.toml").read_text("utf-8"))["figure"]
    assert table["epochs"] == 2 and table["recipe"]["epochs"] == 1


def test_a_figure_of_given_runs(tmp_path, kept, capsys):
    first, second = sorted(kept.iterdir())
    assert not figure("Tiny", "--run", first, "--run", second.name, "--runs", kept, "--out", tmp_path / "fig.pdf")
    assert "Runs" not in capsys.readouterr().err
    (table,) = tomllib.loads((tmp_path / "fig.toml").read_text("utf-8"))["figure"]
    assert table["runs"] == [first.name, second.name] and "losses" not in table


def test_a_view_of_a_run_and_one_that_trains(tmp_path):
    assert not figure("Rivals", "--run", RECORDINGS / "arcface-sphere", "--out", tmp_path / "a.svg", "--width", 90)
    assert (tmp_path / "a.svg").read_text("utf-8").startswith("<?xml")
    runs = tmp_path / "runs"
    assert not figure("AngleHistograms", *FLAGS, "--loss", "CosFace", "--runs", runs, "--out", tmp_path / "b.pdf")
    (run,) = map(Run, runs.iterdir())
    assert run.recipe == Recipe(**{**vars(TINY), "loss": losses.make("CosFace")})


def test_lists_of_numbers_and_a_camera_are_flags_too(tmp_path):
    wanted = "1,0,0 0,1,0 0,0,1"
    camera = "1,0,0,0,1,0,0,0,1"
    assert not figure("Boundaries", "--prototypes", wanted, "--camera", camera, "--out", tmp_path / "a.pdf")
    assert "17.2°" in PdfReader(tmp_path / "a.pdf").pages[0].extract_text()
    (table,) = tomllib.loads((tmp_path / "a.toml").read_text("utf-8"))["figure"]
    assert table["prototypes"] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]] and table["camera"] == [1, 0, 0, 0, 1, 0, 0, 0, 1]


def test_all_figures_and_one_that_fails(tmp_path, kept, monkeypatch, capsys):
    known(monkeypatch, Broken, Tiny)
    assert figure("--all", "--runs", kept, "--out", tmp_path) == 1
    said = capsys.readouterr()
    assert "Tiny: built" in said.out and "LogitCurves: built" in said.out
    assert "Broken: Its code failed: IndexError: list index out of range" in said.err
    assert said.err.endswith("1 of 3 could not be made.\n")
    for name in ("Tiny", "LogitCurves"):
        width = paper.WIDTHS[base.catalogue()[name].width] * 72
        page = PdfReader(tmp_path / f"{name}.pdf").pages[0]
        assert float(page.mediabox.width) == pytest.approx(width, abs=0.05)


def test_all_figures_with_flags_of_the_recipe(tmp_path, capsys):
    runs = tmp_path / "runs"
    assert not figure("--all", *FLAGS, "--seed", 5, "--loss", "CosFace", "--runs", runs, "--out", tmp_path)
    (run,) = map(Run, runs.iterdir())
    assert run.recipe.seed == 5 and run.recipe.loss == losses.make("CosFace")
    (table,) = tomllib.loads((tmp_path / "LogitCurves.toml").read_text("utf-8"))["figure"]
    assert table["losses"] == ["CosFace()"] and "recipe" not in table


def test_a_training_that_diverges_is_a_sentence(tmp_path, capsys):
    more = ["--rate", "1e30", "--epochs", 20, "--runs", tmp_path / "runs", "--out", tmp_path / "fig.pdf"]
    assert figure("Tiny", "--loss", "Softmax", *more) == 1
    assert re.search(r"Softmax\(\) could not be trained: The loss stopped .*\.\n", capsys.readouterr().err)
    assert not (tmp_path / "fig.pdf").exists()


def test_the_keyboard_leaves_what_was_finished(tmp_path, monkeypatch, capsys):
    real, begun = trained.record, []

    def interrupted(training, writer, tell):
        begun.append(writer)
        if len(begun) > 1:
            raise KeyboardInterrupt
        real(training, writer, tell)

    asked = ["Tiny", "--runs", tmp_path / "runs", "--out", tmp_path / "fig.pdf"]
    with monkeypatch.context() as patched:
        patched.setattr(trained, "record", interrupted)
        assert figure(*asked) == 130
    assert "Stopped; runs that were finished are reused the next time." in capsys.readouterr().err
    assert not figure(*asked)
    assert "Runs: 1 reused, 1 to train." in capsys.readouterr().err


MISTAKES = [
    (["Curve"], "There is no figure called 'Curve'; there are the figures LogitCurves, Tiny, and the views "),
    (["Curves", "--out", "a.exe"], "out is 'a.exe', but it must end in one of .pdf, .svg, .pgf, .png."),
    (["Curves", "--out", "a b.pdf"], "out is 'a b.pdf', but the name of a figure is of letters, digits, - and _."),
    (["Curves", "--length", "x"], "length is 'x', but it must be a number"),
    (["Curves", "--loss", "Arc"], "There is no loss called 'Arc'"),
    (["Curves", "--width", "a4"], "width is 'a4', but it must be one of ieee-1"),
    (["Curves", "--style", "pink"], "style is 'pink', but it must be one of colour, grey."),
    (["Curves", "--camera", "1,2"], "camera is (1.0, 2.0), but it must be nine numbers"),
    (["Curves", "--epochs", "3"], "There is no '--epochs' here"),
    (["Tiny", "--epochs", "0"], "epochs is 0, but it must be from 1 to 1000."),
    (["Tiny", "--times", "11"], "times is 11, but it must be from 0 to 10."),
    (["Tiny", "--run", "nothing"], "There is no run in"),
    (["Tiny", "--data", "faces"], "faces are chosen with"),
    (["Tiny", "--data", "mnist-full", "--folder", "none"], "MNIST was not found under"),
    (["Rivals"], "This picture is of a training: open a run."),
    (["Tiny", "--all"], "Name one figure, or give --all, or --sheet FILE: one of them at a time."),
    (["--sheet", "none.toml"], "The sheet none.toml cannot be read: No such file or directory."),
    (["--sheet", "none.toml", "--width", "90"], "A sheet says this itself: leave out --width."),
]


@pytest.mark.parametrize(("argv", "sentence"), MISTAKES, ids=lambda value: " ".join(value)[:40])
def test_asked_for_wrongly(argv, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert figure(*argv) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert sentence in last and last.endswith(".") and not list(tmp_path.glob("*.*"))


def test_without_matplotlib_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "losslab.press", None)
    assert figure("Curves") == 2
    assert 'pip install "losslab[paper]"' in capsys.readouterr().err


def test_figures_are_listed_before_views(capsys):
    assert not figure("--list")
    listed = capsys.readouterr().out
    for kind in base.catalogue().values():
        assert f"{kind.__name__}\n    {kind.card}\n    After: {kind.after}" in listed
    for name, kind in views.catalogue().items():
        assert f"\n{name}\n    {kind.card}" in listed and listed.index("\nTiny\n") < listed.index(f"\n{name}\n")


@pytest.mark.parametrize("name", [*base.catalogue(), *views.catalogue()])
def test_every_field_has_a_flag(name, monkeypatch):
    monkeypatch.undo()
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    add_figure(commands, ["figure", name])
    flags = commands.choices["figure"].format_help()
    kind = said.kind(name)
    assert all(f"{flag(field, kind)} " in flags for field in said.own(kind))
    assert ("recipe" in said.shared(kind)) == ("--per-class " in flags)
    assert ("runs" in said.shared(kind)) == ("--run " in flags)


def test_the_command_knows_what_the_renderer_knows():
    """It says so before there is Matplotlib."""
    assert figure_command.KINDS == tuple(paper.KINDS) and figure_command.STYLES == paper.STYLES
