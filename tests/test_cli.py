"""The command line: flags from knobs, one sentence for a mistake, a run for everything that began."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from command_cases import losslab
from PIL import Image

from losslab import ArcFace, CosFace, IntraLoss, Linear, Softmax, cli, losses
from losslab.catalogue import knobs
from losslab.data.faces import FaceSubset
from losslab.flags import knob_text
from losslab.live.frames import encode
from losslab.training import Recipe, Run, RunError, restore

ROOT = Path(__file__).parents[1]
QUICK = ["--model", "mlp", "--per-class", "40", "--epochs", "1", "--probe", "40"]


def runs(folder):
    return [Run(path) for path in sorted(folder.iterdir())]


def test_a_training_leaves_a_run_and_says_where(tmp_path, capsys):
    words = ["--loss", "cosface", "--margin", "0.15", "--classes", "3,1,7", "--dim", "2", "--seed", "4"]
    code, said, _ = losslab("train", *words, *QUICK, "--out", tmp_path, capsys=capsys)
    (run,) = runs(tmp_path)
    assert code == 0 and run.status == ("done", "") and run.weights and len(run) > 1
    assert run.recipe == Recipe(
        loss=CosFace(scale=16, margin=0.15), classes=(3, 1, 7), dim=2, seed=4, model="mlp", per_class=40, epochs=1,
        probe=40,
    )  # fmt: skip
    assert re.fullmatch(r"cosface-2d-[0-9a-f]{8}", run.path.name)
    assert str(run.path) in said and f"?run={run.path.name}" in said and "Test accuracy" in said


def test_without_flags_it_is_the_default_recipe(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setenv("LOSSLAB_RUNS", str(tmp_path))
    monkeypatch.setattr(cli, "follow", lambda recipe, *_: asked.append(recipe) or 0)
    assert cli.main(["train"]) == 0
    assert asked == [Recipe()] and [run.recipe for run in runs(tmp_path)] == [Recipe()]


@pytest.mark.parametrize("kind", losses.catalogue().values(), ids=lambda kind: kind.__name__)
def test_every_loss_starts_as_its_help_says(kind, capsys):
    code, said, _ = losslab("train", "--loss", kind.__name__, "--help", capsys=capsys)
    said = " ".join(said.split())
    assert code == 0
    start = losses.starting(kind)
    for name, knob in losses.knobs(start).items():
        assert f"--{name.replace('_', '-')} " in said and knob.help.split(".")[0] in said
        assert f"(default: {knob_text(losses.settings(start)[name])})" in said
    arguments = vars(cli.parsed(["train", "--loss", kind.__name__]))
    assert losses.settings(start).items() <= arguments.items()


@pytest.mark.parametrize("name", losses.catalogue())
def test_every_loss_learns_the_digits_and_can_be_drawn(name, tmp_path, capsys):
    short = ["--model", "mlp", "--epochs", "4", "--per-class", "40", "--probe", "60", "--batch", "30"]
    code, said, _ = losslab("train", "--loss", name, *short, "--out", tmp_path, capsys=capsys)
    assert code == 0 and "Test accuracy" in said
    (run,) = runs(tmp_path)
    assert run.status.state == "done" and np.isfinite(run.metrics()["loss"]).all()
    assert run.metrics()["test_accuracy"][-1] > 0.2  # of ten classes, after 53 steps; P2SGrad is the lowest
    assert all(encode(run, index) for index in range(len(run)))
    model, head = restore(run)
    assert torch.equal(head.prototypes, torch.from_numpy(run[-1].prototypes))


def test_a_loss_around_another_takes_the_knobs_of_both(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(cli, "follow", lambda recipe, *_: asked.append(recipe.loss) or 0)
    flags = ["--loss", "IntraLoss", "--base", "CosFace", "--weight", "0.3", "--base-margin", "0.15"]
    assert cli.main(["train", *flags, "--out", str(tmp_path)]) == 0
    assert asked == [IntraLoss(base=CosFace(scale=16, margin=0.15), weight=0.3)]


def test_the_knobs_of_the_papers_are_one_flag_away(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(cli, "follow", lambda recipe, *_: asked.append(recipe.loss) or 0)
    flags = ["--loss", "CosFace", "--defaults", "paper", "--margin", "Linear(0, 0.35, 100)"]
    assert cli.main(["train", *flags, "--out", str(tmp_path)]) == 0
    assert asked == [CosFace(scale=64, margin=Linear(0, 0.35, 100))]


def test_later_losses_long_tails_and_noise_are_flags(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(cli, "follow", lambda recipe, *_: asked.append(recipe) or 0)
    later = ["--later", "20 cosface(margin=Linear(0, 0.3, 100))", "--later", " 30  Softmax"]
    assert cli.main(["train", "--imbalance", "20", "--noise", "0.1", *later, "--out", str(tmp_path)]) == 0
    changes = ((20, CosFace(margin=Linear(0, 0.3, 100))), (30, Softmax()))
    assert asked == [Recipe(later=changes, imbalance=20, noise=0.1)] == [run.recipe for run in runs(tmp_path)]


def test_every_knob_of_a_recipe_is_a_flag(capsys):
    _, said, _ = losslab("train", "--help", capsys=capsys)
    assert all(f"--{name.replace('_', '-')} " in said for name in knobs(Recipe))
    assert "knobs of ArcFace" in said and "rad" in said and "(default: 0.3)" in said


def test_faces_are_chosen_by_flags_of_their_own(tmp_path, capsys):
    people = tmp_path / "data" / "people"
    draw = np.random.default_rng(0)
    for person in range(6):
        (people / f"p{person}").mkdir(parents=True)
        for i in range(3):
            Image.fromarray(draw.integers(0, 255, (36, 36, 3), np.uint8)).save(people / f"p{person}" / f"{i}.png")
    words = ["--data", "faces", "--source", "people", "--identities", "4", "--held-out", "2", "--size", "32", "--grey"]
    more = ["--seed", "3", "--epochs", "1", "--batch", "4", "--dim", "8", "--folder", tmp_path / "data"]
    code, said, complaint = losslab("train", *words, *more, "--out", tmp_path / "runs", capsys=capsys)
    (run,) = runs(tmp_path / "runs")
    assert code == 0 and "Test accuracy" in said and run.status.state == "done"
    faces = FaceSubset(source="people", identities=4, held_out=2, size=32, grey=True, seed=3)
    assert run.recipe == Recipe(data="faces", faces=faces, epochs=1, batch=4, dim=8, seed=3)
    code, _, complaint = losslab("train", *words, "--identities", "40", *more, "--out", tmp_path / "no", capsys=capsys)
    assert code == 2 and "ask for fewer people" in complaint and complaint.count("\n") == 1


def test_every_knob_of_faces_is_a_flag(capsys):
    _, said, _ = losslab("train", "--help", capsys=capsys)
    assert all(f"--{name.replace('_', '-')} " in said for name in knobs(FaceSubset))


MISTAKES = [
    (["train", "--loss", "ArcFaze"], "no loss called 'ArcFaze'; there are .*ArcFace"),
    (["train", "--loss", "Softmax", "--margin", "0.3"], "Softmax has no knob called 'margin' .*SphereFace"),
    (["train", "--margin", "9"], "^margin is 9, but it must be from 0 to 1.5 rad."),
    (["train", "--margin", "wide"], "^margin is 'wide', but it must be a number"),
    (["train", "--epochs", "0"], "^epochs is 0, but"),
    (["train", "--epochs"], "--epochs"),
    (["train", "--data", "imagenet"], "data is 'imagenet', but it must be one of"),
    (["train", "--model", "vast"], "model is 'vast', but it must be one of"),
    (["train", "--classes", "0,x"], "classes is '0,x', but"),
    (["train", "--classes", "0,77"], "numbers from 0 to 9"),
    (["train", "--classes", "5"], "at least two classes"),
    (["train", "--noise", "2"], "^noise is 2, but it must be from 0 to 0.8."),
    (["train", "--imbalance", "0"], "^imbalance is 0, but it must be from 1 to 100."),
    (["train", "--rate", "Linear(0.1, 1, 5)"], "^rate is Linear.* only the knobs of a loss"),
    (["train", "--later", "CosFace"], """^later is 'CosFace', but it must be such as "200 CosFace"""),
    (["train", "--later", "200"], "^later is '200', but"),
    (["train", "--later", "99999999999 CosFace"], "^later is '99999999999 CosFace', but"),
    (["train", "--later", "200 CosFaze"], "^There is no loss called 'CosFaze'"),
    (["train", "--later", "200 CosFace(0.3)"], "^'CosFace.0.3.' is no loss"),
    (["train", "--later", "0 CosFace"], r"^The steps of later are \[0\]"),
    (["train", "--later", "9 CosFace", "--later", "8 CosFace"], "that rise"),
    (["train", "--later", "9000 CosFace"], "^A later loss would begin after step 9000, but"),
    (["train", "--marg", "0.3"], "no '--marg' here"),
    (["train", "--held-out", "4"], "^--held-out is about faces: add --data faces, or leave it out."),
    (["train", "--grey"], "^--grey is about faces"),
    (["train", "--data", "faces"], "^--data faces needs --source NAME"),
    (["train", "--data", "faces", "--source", "a", "--size", "7"], "^size is 7, but it must be from 32 to 112 px."),
    (["train", "--data", "faces", "--source", "../a"], "^There are no faces called '../a' in"),
    (["bake"], "'bake'"),
    ([], "required"),
    (["data", "get", "imagenet"], "no data set 'imagenet'"),
    (["data", "get"], "required"),
]


@pytest.mark.parametrize(("words", "sentence"), MISTAKES, ids=lambda value: " ".join(value) or "nothing")
def test_a_mistake_is_one_sentence_and_exit_code_2(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, said, complaint = losslab(*words, capsys=capsys)
    assert code == 2 and said == ""
    assert re.search(sentence, complaint) and complaint.endswith(".\n") and complaint.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    code, _, complaint = losslab("train", *QUICK, "--out", tmp_path / "file", capsys=capsys)
    assert code == 2 and "cannot be written" in complaint and complaint.count("\n") == 1


def test_missing_data_is_a_sentence(tmp_path, capsys):
    words = ["--data", "mnist-full", "--folder", tmp_path / "none", "--out", tmp_path / "runs"]
    code, _, complaint = losslab("train", *QUICK, *words, capsys=capsys)
    assert code == 2 and complaint.count("\n") == 1 and not (tmp_path / "runs").exists()


def test_a_training_that_diverges_keeps_its_run_and_names_it(tmp_path, capsys):
    words = ["--loss", "Softmax", "--rate", "1e30", "--out", tmp_path]
    code, said, complaint = losslab("train", *QUICK, *words, "--epochs", "20", capsys=capsys)
    (run,) = runs(tmp_path)
    assert code == 1 and run.status.state == "failed" and len(run) >= 1
    assert run.status.reason in complaint and "smaller" in complaint and str(run.path) in said


def test_a_disk_that_fills_up_is_said_and_the_run_says_it_too(tmp_path, capsys, monkeypatch):
    written, append = [], cli.RunWriter.append

    def fills_up(self, snapshot):
        if written:
            raise RunError("The disk is full.")
        append(self, snapshot)
        written.append(snapshot)

    monkeypatch.setattr(cli.RunWriter, "append", fills_up)
    code, said, complaint = losslab("train", *QUICK, "--out", tmp_path, capsys=capsys)
    (run,) = runs(tmp_path)
    assert code == 1 and len(run) == 1 and run.status == ("failed", "The disk is full.")
    assert "The disk is full." in complaint and str(run.path) in said


@pytest.mark.skipif(os.name == "nt", reason="pipes break in another way there")
def test_a_reader_that_has_seen_enough_is_no_error_to_read_about():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as nobody:
        program = subprocess.run(
            [sys.executable, "-m", "losslab", "data"], cwd=ROOT, stdout=nobody, stderr=subprocess.PIPE, text=True
        )
    assert program.stderr == ""


def test_the_keyboard_stops_a_training_and_keeps_its_run(tmp_path, capsys, monkeypatch):
    real = cli.train

    def interrupted(recipe, **more):
        training = real(recipe, **more)
        yield next(training)
        yield next(training)
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "train", interrupted)
    code, said, complaint = losslab("train", *QUICK, "--out", tmp_path, capsys=capsys)
    (run,) = runs(tmp_path)
    assert code == 130 and run.status.state == "stopped" and len(run) == 2
    assert "kept" in complaint and str(run.path) in said


@pytest.mark.skipif(os.name == "nt", reason="SIGINT cannot be sent to one process there")
def test_the_program_itself_trains_and_stops_at_control_c(tmp_path):
    words = ["train", *QUICK[:-4], "--epochs", "1000", "--out", str(tmp_path)]
    # The program would ignore it too if it is ignored here, as it is of what was begun in the background.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        program = subprocess.Popen(
            [sys.executable, "-m", "losslab", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        while program.poll() is None and not any(Run(p.parent) for p in tmp_path.glob("*/recipe.json")):
            time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        said, complaint = program.communicate(timeout=60)
    finally:
        program.kill()
        program.wait()
    assert program.returncode == 130, complaint
    (run,) = runs(tmp_path)
    assert run.status.state == "stopped" and len(run) >= 1
    assert "Traceback" not in complaint and run.path.name in said


def test_the_data_sets_are_listed_with_their_licences(tmp_path, capsys):
    code, said, _ = losslab("data", "--folder", tmp_path, capsys=capsys)
    assert code == 0
    assert "mnist  (here)" in said and "mnist-full  (not here yet" in said and "CC BY-SA" in said and "MIT" in said


def test_a_download_says_where_the_data_is(tmp_path, capsys, monkeypatch):
    from losslab.data import Dataset, catalogue

    asked = []

    def download(self, folder=None, progress=None):
        progress(1, 2)
        progress(2, 2)
        asked.append((self.name, folder))
        return "It is there."

    monkeypatch.setattr(type(catalogue()["fashion"]), "download", download)
    code, said, _ = losslab("data", "get", "fashion", "--folder", tmp_path, capsys=capsys)
    assert code == 0 and said == "It is there.\n" and asked == [("fashion", tmp_path)]
    assert issubclass(type(catalogue()["fashion"]), Dataset)


def test_the_default_loss_of_the_help_is_that_of_a_recipe():
    assert type(Recipe().loss) is ArcFace and losses.starting(ArcFace) == Recipe().loss
