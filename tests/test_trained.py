"""Runs for figures: what is found, what is trained, and what is not taken for the same."""

import dataclasses
import json

import pytest
import torch
from figure_cases import TINY, TWO, Tiny

from losslab import losses
from losslab.building import Work
from losslab.figures import trained
from losslab.losses import ArcFace, CenterLoss, CosFace, Softmax, Triplet
from losslab.losses import code as code_of_losses
from losslab.training import Diverged, Run, RunWriter, probe, record, thin, train
from losslab.training.threads import threads

COSFACE = dataclasses.replace(TINY, loss=CosFace(scale=16, margin=0.2))


def silent(*_) -> None:
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("runs")
    trained.made(COSFACE, made, silent)
    return made


def test_a_run_is_made_and_found_again(folder):
    run = trained.find(COSFACE, [folder / "none", folder])
    assert run.status.state == "done" and run.recipe == COSFACE and run.owner == "command line" and run.weights
    assert run.path.name.startswith(f"cosface-2d-{COSFACE.key[:8]}-") and len(list(folder.iterdir())) == 1
    assert run.code == losses.code(COSFACE.loss)
    assert trained.find(dataclasses.replace(COSFACE, seed=1), [folder]) is None


def test_progress_goes_from_the_first_step_to_the_last(tmp_path):
    told = []
    trained.made(COSFACE, tmp_path, lambda *each: told.append(each))
    steps = [step for _, step, _ in told]
    assert steps == sorted(steps) and steps[0] == 0 and steps[-1] == told[0][2] == probe(COSFACE).total_steps
    assert {loss for loss, _, _ in told} == {COSFACE.loss}


def copied(folder, tmp_path, **changes):
    """The folder of a copy of the run, with other words in its recipe.json."""
    (path,) = folder.iterdir()
    copy = tmp_path / "copy"
    copy.mkdir()
    for part in path.iterdir():
        (copy / part.name).write_bytes(part.read_bytes())
    about = json.loads((path / "recipe.json").read_text()) | changes
    about = {name: value for name, value in about.items() if value is not None}
    (copy / "recipe.json").write_text(json.dumps(about))
    return tmp_path


def test_a_copy_is_as_good(folder, tmp_path):
    assert trained.find(COSFACE, [copied(folder, tmp_path)])


@pytest.mark.parametrize("changes", [{"version": "0.0.9"}, {"code": "000000000000"}, {"code": None}, {"recipe": 3}])
def test_other_code_is_another_run(folder, tmp_path, changes):
    assert trained.find(COSFACE, [copied(folder, tmp_path, **changes)]) is None


@pytest.mark.parametrize("missing", ["weights.npz", "snapshots.bin", "status.json"])
def test_what_is_not_whole_is_not_taken(folder, tmp_path, missing):
    (copied(folder, tmp_path) / "copy" / missing).unlink()
    assert trained.find(COSFACE, [tmp_path]) is None


def test_a_thinned_copy_is_not_taken(folder, tmp_path):
    (path,) = folder.iterdir()
    thin(Run(path), tmp_path / "thin", samples=10)
    assert Run(tmp_path / "thin").status.state == "done" and trained.find(COSFACE, [tmp_path]) is None


def test_a_run_that_was_steered_is_not_taken(tmp_path):
    with RunWriter(tmp_path / "steered", COSFACE, probe(COSFACE)) as writer:
        training = train(COSFACE)
        writer.append(next(training))
        writer.append(training.send({"margin": 0.1}))
        for snapshot in training:
            writer.append(snapshot)
        writer.state("done")
    run = Run(tmp_path / "steered")
    assert trained.steered(run) and len(run) > 2 and trained.find(COSFACE, [tmp_path]) is None


def test_a_schedule_is_no_steering(tmp_path):
    recipe = dataclasses.replace(TINY, loss=losses.read("CosFace(margin=Linear(0, 0.2, 4), scale=16)"))
    trained.made(recipe, tmp_path, silent)
    assert trained.find(recipe, [tmp_path])


def test_figures_share_their_runs(tmp_path):
    figure, again = Tiny(), Tiny(times=2)
    work, told = Work([figure, again], tmp_path), []
    runs = work.of(figure, lambda *each: told.append(each))
    assert [run.recipe.loss for run in runs] == list(TWO) and {loss for loss, _, _ in told} == set(TWO)
    told.clear()
    assert work.of(again, lambda *each: told.append(each)) == runs and not told
    later = Work([again], tmp_path)
    assert not later.missing and [run.path for run in later.of(again, silent)] == [run.path for run in runs]
    given = Tiny(runs=runs[:1])
    assert Work([given], tmp_path / "none").of(given, silent) == runs[:1] == trained.runs_of(given, {})


def test_what_diverges_is_said_with_its_loss(tmp_path):
    recipe = dataclasses.replace(TINY, loss=Softmax(), rate=1e30, epochs=20)
    with pytest.raises(Diverged, match=r"^Softmax\(\) could not be trained: The loss stopped being a finite number"):
        trained.made(recipe, tmp_path, silent)
    (path,) = tmp_path.iterdir()
    assert Run(path).status.state == "failed" and trained.find(recipe, [tmp_path]) is None


def test_the_keyboard_stops_a_training_and_its_run_says_so(tmp_path):
    def stop(loss, step, total):
        if step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained.made(COSFACE, tmp_path, stop)
    (path,) = tmp_path.iterdir()
    assert Run(path).status == ("stopped", "Stopped at the keyboard.")


def test_a_training_is_recorded_to_its_end(tmp_path):
    shown, seen = probe(COSFACE), []
    with RunWriter(tmp_path / "run", COSFACE, shown) as writer:
        record(train(COSFACE), writer, seen.append)
    run = Run(tmp_path / "run")
    assert run.status == ("done", "") and [each.step for each in run] == [each.step for each in seen]


def test_whoever_trains_takes_the_same_number_of_threads(tmp_path, monkeypatch):
    """Another number rounds otherwise. What torch was told before comes back."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    seen, before = set(), torch.get_num_threads()
    torch.set_num_threads(5)
    try:
        trained.made(COSFACE, tmp_path, lambda *_: seen.add(torch.get_num_threads()))
        assert seen == {2} and torch.get_num_threads() == 5
        torch.set_num_threads(1)
        assert threads() == 1
    finally:
        torch.set_num_threads(before)


# -- the code of a loss ------------------------------------------------------------------------------------


@pytest.fixture
def changed(monkeypatch):
    """Have the text of one module of losses read otherwise."""
    import sys

    module = sys.modules["losslab.losses.code"]
    real = module.source

    def change(name: str) -> None:
        def source(asked: str):
            text, imports = real(asked)
            return (text + "# otherwise", imports) if asked == f"losslab.losses.{name}" else (text, imports)

        monkeypatch.setattr(module, "source", source)

    return change


def test_the_code_is_of_the_class_and_not_of_its_knobs():
    assert code_of_losses(ArcFace()) == code_of_losses(ArcFace(margin=0.1)) != code_of_losses(CosFace())
    assert code_of_losses(ArcFace(), CosFace()) == code_of_losses(CosFace(), ArcFace())
    assert len({code_of_losses(losses.make(name)) for name in losses.catalogue()}) > 30


@pytest.mark.parametrize(
    ("module", "loss", "other"),
    [
        ("arcface", ArcFace(), CosFace()),
        ("margins", ArcFace(), Softmax()),  # which ArcFace imports
        ("base", Softmax(), None),
        ("terms", CenterLoss(), Softmax()),
        ("arcface", CenterLoss(base=ArcFace()), CenterLoss(base=Softmax())),
        ("pairs", Triplet(), None),
    ],
)
def test_the_code_is_that_of_every_part(module, loss, other, changed):
    before, others = code_of_losses(loss), other and code_of_losses(other)
    changed(module)
    assert code_of_losses(loss) != before
    assert other is None or code_of_losses(other) == others


def test_runs_of_before_say_nothing_of_their_code(folder, tmp_path):
    assert Run(copied(folder, tmp_path, code=None) / "copy").code == ""
