"""A training at full scale is the same training however often it is stopped, and on however many processes."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from face_cases import people, real, sentence
from scale_cases import FACES, SMOOTH, apart, ended, finished, run, start, wait_for, weights, write

from losslab import CirclePair, ElasticFace, KappaFace, MarginLoss, SphereFace2, SubCenterArcFace
from losslab.data.faces.convert import WRITERS
from losslab.scale import checkpoint
from losslab.scale.logs import board, lines
from losslab.scale.processes import Processes, ScaleError
from losslab.scale.training import How, train
from losslab.training import Run, restore

pytestmark = real
STEPS = 320 // SMOOTH.batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("scale")


@pytest.fixture(scope="module")
def recipe(folder):
    return write(SMOOTH, folder / "small.toml")


@pytest.fixture(scope="module")
def whole(folder, recipe):
    """A run of one process that was never stopped."""
    finished(1, recipe, "--out", folder / "whole")
    return folder / "whole"


@pytest.fixture(scope="module")
def pair(folder, recipe):
    """A run of two processes that was never stopped."""
    finished(2, recipe, "--out", folder / "pair")
    return folder / "pair"


def test_it_says_what_it_will_do_before_it_starts(folder, recipe):
    out = finished(1, recipe, "--out", folder / "said", "--set", "batch=160")
    assert "320 images of 32 people" in out and "2 steps of 160 an epoch" in out
    assert "Loss at step 0: about" in out and "Memory of each process" in out and "Images a second" in out
    assert "Warning" not in out


def test_a_run_can_be_watched_and_its_network_taken(whole):
    watched = Run(whole)
    assert watched.status.state == "done" and watched[-1].step == watched.total_steps == STEPS
    assert watched[-1].embedding.shape == (18, 16) and watched[-1].prototypes.shape == (6, 16)
    assert len(watched.probe.names) == 6 and watched.probe.pixels.shape == (18, 1, 32, 32)
    model, head = restore(watched)
    embedding = model(torch.from_numpy(watched.probe.pixels))
    assert torch.allclose(embedding, torch.from_numpy(watched[-1].embedding), atol=1e-5)
    assert head.prototypes.shape == (6, 16)
    assert json.loads((whole / "scale.json").read_text())["batch"] == SMOOTH.batch
    rows = (whole / "metrics.csv").read_text().splitlines()
    assert len(rows) == 1 + STEPS and rows[0].startswith("step,epoch,loss,rate")


@pytest.mark.parametrize("count", [2, 3])
def test_the_number_of_processes_changes_nothing_but_the_order_of_sums(whole, pair, folder, recipe, count):
    if count == 3:
        finished(3, recipe, "--out", folder / "three")
    assert apart(weights(whole), weights(pair if count == 2 else folder / "three")) < 1e-5


def test_stopped_by_a_signal_it_goes_on_as_if_it_had_not(folder, recipe, pair):
    path = folder / "stopped"
    started = start(2, recipe, "--out", path)
    wait_for(path / "metrics.csv", 4, started)
    os.kill(started[1].pid, signal.SIGTERM)  # it is enough that one of them is asked
    codes, _, err = ended(started)
    assert codes == [143, 143] and "is saved" in sentence(err.strip())
    assert Run(path).status.state == "stopped" and len(checkpoint.found(path / "checkpoints")) == 1
    finished(2, "--out", path, "--resume")
    ours, theirs = weights(path), weights(pair)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    finished(2, "--out", path, "--resume")  # which there is nothing left of
    steps = [int(row.split(",")[0]) for row in (path / "metrics.csv").read_text().splitlines()[1:]]
    assert steps == list(range(1, STEPS + 1))
    assert [each.step for each in Run(path)] == [each.step for each in Run(pair)]


@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 2)])
def test_killed_it_goes_on_with_another_number_of_processes(folder, recipe, pair, before, after):
    path = folder / f"killed{before}"
    started = start(before, recipe, "--out", path, "--save-every", "3")
    wait_for(path / "metrics.csv", 6, started)
    for each in started:
        os.kill(each.pid, signal.SIGKILL)
    ended(started)
    saved = checkpoint.said(checkpoint.found(path / "checkpoints")[-1])
    assert saved["processes"] == before and 0 < saved["step"] < STEPS
    finished(after, "--out", path, "--resume", "--save-every", "3")
    assert apart(weights(pair), weights(path)) < 1e-5


def in_this_process(recipe, run, folder=FACES, **more):
    alone = Processes(torch.device("cpu"))
    return train(recipe, run, alone, folder=folder, how=How(workers=0, save_every=6), say=lambda _: None, **more)


def test_begun_anew_where_nothing_was_saved_it_shows_each_step_once(tmp_path, monkeypatch):
    def full(*_):
        raise ScaleError("There is no room.")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", full)
        with pytest.raises(ScaleError, match="no room"):
            in_this_process(SMOOTH, tmp_path / "run")
    assert [each.step for each in Run(tmp_path / "run")] == list(range(7))
    in_this_process(None, tmp_path / "run", resume=True)
    assert [each.step for each in Run(tmp_path / "run")] == list(range(STEPS + 1))


def test_the_other_optimiser_goes_on_exactly_too(tmp_path):
    recipe, path = dataclasses.replace(SMOOTH, optimiser="adamw", rate=1e-3), tmp_path / "run"
    reached = in_this_process(recipe, path).state()
    shutil.rmtree(checkpoint.found(path / "checkpoints")[-1])
    again = in_this_process(None, path, resume=True).state()
    assert reached.keys() == again.keys() and all(torch.equal(reached[name], again[name]) for name in reached)


def test_an_image_that_cannot_be_decoded_is_not_shown(tmp_path):
    WRITERS["folders"](tmp_path / "faces", people([6, 6, 1], 48))
    for broken in sorted((tmp_path / "faces").rglob("*.png"))[1::11]:  # one of the first, the only one of the last
        broken.write_bytes(broken.read_bytes()[:60])
    recipe = dataclasses.replace(SMOOTH, source="faces", batch=6, shown_images=6)
    in_this_process(recipe, tmp_path / "run", tmp_path)
    shown = Run(tmp_path / "run")
    assert dict(zip(shown.probe.names, np.bincount(shown.probe.labels), strict=True)) == {"p0": 5, "p1": 6}
    assert len(shown[-1].prototypes) == len(shown.recipe.classes) == 2
    assert shown[-1].embedding.shape == (11, 16) and restore(shown)
    WRITERS["folders"](tmp_path / "other", people([6, 6, 1], 48))
    shutil.rmtree(tmp_path / "faces")
    (tmp_path / "other").rename(tmp_path / "faces")
    with pytest.raises(ScaleError, match="make the faces what they were") as refused:
        in_this_process(None, tmp_path / "run", tmp_path, resume=True)
    sentence(refused)


def test_tiles_change_nothing_but_the_order_of_sums(folder, recipe, pair):
    assert finished(2, recipe, "--out", folder / "tiles", "--set", "tile=5")
    assert apart(weights(pair), weights(folder / "tiles")) < 1e-5


def test_sampled_classes_and_rounded_products_learn_too(folder, recipe):
    path = folder / "sampled"
    words = ["sample_rate=0.5", "products=bfloat16", "tile=5", "epochs=2"]
    finished(2, recipe, "--out", path, *(part for word in words for part in ("--set", word)))
    losses = [float(row.split(",")[2]) for row in (path / "metrics.csv").read_text().splitlines()[1:]]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("loss", "before", "after"),
    [
        (MarginLoss(variant="hardest"), 2, 3),  # learns a centre for each class
        (KappaFace(), 3, 2),  # keeps sums over an epoch for each class
        (SubCenterArcFace(), 2, 1),  # has several prototypes a class
        (SphereFace2(scale=16), 1, 2),  # learns one number for all
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, int) else None,
)
def test_what_a_head_keeps_is_divided_anew(tmp_path, loss, before, after):
    # Folded, the momentum of the prototypes is the head's.
    recipe = dataclasses.replace(SMOOTH, loss=loss, batch=60, epochs=4, clipped="network", folded=True)
    path = write(recipe, tmp_path / "r.toml")
    one, other = tmp_path / "one", tmp_path / "other"
    finished(before, path, "--out", one, "--save-every", "7", "--keep", "9")
    shutil.copytree(one, other)
    shutil.rmtree(checkpoint.found(other / "checkpoints")[-1])
    assert len(checkpoint.found(other / "checkpoints")) == 2  # after steps 7 and 14 of 20
    finished(after, "--out", other, "--resume")
    assert apart(weights(one), weights(other)) < 1e-4


def test_losses_of_pairs_see_the_samples_of_all_processes(tmp_path):
    recipe = dataclasses.replace(SMOOTH, loss=CirclePair(scale=16), batch=60, grouped=5, epochs=4)
    path, (one, other) = write(recipe, tmp_path / "r.toml"), (tmp_path / "one", tmp_path / "other")
    out = finished(1, path, "--out", one, "--save-every", "7", "--keep", "9")
    assert "5 steps of 60 an epoch" in out and "Loss at step 0" not in out
    losses = [float(row["loss"]) for row in lines(one / "metrics.csv")]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    shutil.copytree(one, other)
    shutil.rmtree(checkpoint.found(other / "checkpoints")[-1])
    finished(3, "--out", other, "--resume")
    assert apart(weights(one), weights(other)) < 1e-4
    model, head = restore(watched := Run(other))
    assert head.loss == recipe.loss and watched[-1].prototypes.shape == (6, 16)


def test_a_process_that_dies_ends_the_others(folder, recipe):
    path = folder / "dead"
    started = start(3, recipe, "--out", path, "--set", "epochs=50", "--save-every", "3")
    wait_for(path / "metrics.csv", 6, started)
    os.kill(started[2].pid, signal.SIGKILL)
    codes, _, err = ended(started)
    assert all(code for code in codes)
    assert "A process of this training ended" in err and "--resume" in err and "Traceback" not in err
    assert checkpoint.found(path / "checkpoints")


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_learns_too_and_goes_on_exactly(folder, recipe, precision):
    one, two = folder / precision, folder / f"{precision}-again"
    words = ["--set", f"precision={precision}", "--save-every", "8", "--keep", "5"]
    finished(1, recipe, "--out", one, *words)
    losses = [float(row.split(",")[2]) for row in (one / "metrics.csv").read_text().splitlines()[1:]]
    assert losses[-1] < losses[0]
    (one / "checkpoints" / f"step-{STEPS:09d}").rename(two)
    finished(1, "--out", one, "--resume")
    reached = weights(one)
    (one / "checkpoints" / f"step-{STEPS:09d}").rename(one / "other")
    two.rename(one / "checkpoints" / f"step-{STEPS:09d}")
    assert all(torch.equal(value, reached[name]) for name, value in weights(one).items())


def test_parts_are_shared_alike_and_random_margins_are_of_the_sample(tmp_path):
    path = write(dataclasses.replace(SMOOTH, loss=ElasticFace(), parts=4), tmp_path / "r.toml")
    finished(1, path, "--out", tmp_path / "four")
    finished(2, path, "--out", tmp_path / "two")
    assert apart(weights(tmp_path / "four"), weights(tmp_path / "two")) < 1e-5


# -- bad input ---------------------------------------------------------------------------------------------------------


def refused(processes, *arguments, code=2):
    codes, _, err = run(processes, *arguments)
    assert codes == [code] * processes, err
    lines = [line for line in err.strip().splitlines() if line]
    assert len(lines) == 1, err
    return sentence(lines[0])


def test_another_recipe_is_refused(whole, recipe, tmp_path):
    said = refused(2, recipe, "--out", whole, "--resume", "--set", "rate=0.3")
    assert "rate was 0.01 and is 0.3" in said
    assert "already is a run" in refused(1, recipe, "--out", whole)
    shutil.copy(whole / "recipe.json", tmp_path)  # and nothing of full scale
    assert "is none of full scale" in refused(1, recipe, "--out", tmp_path, "--resume")


def test_other_faces_are_refused(whole, recipe, folder):
    said = refused(2, recipe, "--out", folder / "fewer", "--set", "classes=20")
    assert "20 classes" in said and "32 people" in said
    said = checkpoint.found(whole / "checkpoints")[-1] / "state.json"
    before = said.read_text()
    said.write_text(before.replace('"classes": 32', '"classes": 31'))
    assert "of 31 classes" in refused(2, "--out", whole, "--resume")
    said.write_text(before)


def test_a_process_without_classes_is_refused(folder, tmp_path):
    WRITERS["folders"](tmp_path / "two", people([6, 6], 32))
    path = write(dataclasses.replace(SMOOTH, source="two", batch=6, shown=2), tmp_path / "r.toml")
    said = refused(3, path, "--out", tmp_path / "run", "--folder", tmp_path)
    assert "2 classes for 3 processes" in said


def test_a_batch_that_cannot_be_shared_is_refused(folder, recipe):
    assert "cannot be shared evenly" in refused(3, recipe, "--out", folder / "odd", "--set", "batch=32")


def test_a_full_disk_leaves_the_last_good_checkpoint(folder, recipe, pair):
    path = folder / "full"
    words = ["--out", path, "--set", "epochs=40", "--save-every", "4", "--keep", "50"]
    started = start(2, recipe, *words)
    wait_for(path / "metrics.csv", 6, started)
    full(started[1])
    codes, _, err = ended(started)
    assert all(codes) and "cannot be written" in sentence(err.strip())
    kept = checkpoint.found(path / "checkpoints")
    assert kept and not list((path / "checkpoints").glob(".*"))
    assert all(checkpoint.names(each) for each in kept)


def full(process):
    """No file of this process may grow beyond a few bytes any more."""
    import resource

    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1000, 1000))


def test_numbers_that_run_away_are_said_with_process_and_class(folder, recipe):
    said = refused(
        2, recipe, "--out", folder / "away", "--set", "rate=1e30", "--set", "clip=0", "--set", "warm_up=0", code=1
    )
    assert "no finite number" in said and "begin another run" in said


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_dies_ends_all_and_is_named(folder, recipe, rank):
    path = folder / f"worker{rank}"
    started = start(2, recipe, "--out", path, "--set", "epochs=50")
    wait_for(path / "metrics.csv", 3, started)
    pid = started[rank].pid
    for worker in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():  # two, where an epoch just begins
        os.kill(int(worker), signal.SIGKILL)
    codes, _, err = ended(started)
    assert codes == [1, 1] and "decodes images was killed" in sentence(err.strip())


def test_a_process_that_no_longer_answers_is_given_up(folder, recipe):
    path = folder / "silent"
    started = start(2, recipe, "--out", path, "--set", "epochs=50", "--timeout", "3")
    wait_for(path / "metrics.csv", 3, started)
    os.kill(started[1].pid, signal.SIGSTOP)
    code, _, err = started[0].end(60)
    os.kill(started[1].pid, signal.SIGKILL)
    started[1].end(60)
    assert code == 1 and "no longer answers" in sentence(err.strip())


def test_what_is_not_there_is_refused_before_anything_is_written(folder, recipe):
    assert "no verification set 'lfw'" in refused(1, recipe, "--out", folder / "none", "--verify", "lfw")
    assert "no recipe 'nothing'" in refused(2, "nothing", "--out", folder / "none")
    assert "There is no run" in refused(2, "--out", folder / "none", "--resume")
    assert not (folder / "none").exists()


def test_it_is_verified_after_each_epoch(folder, recipe):
    path = folder / "verified"
    out = finished(2, recipe, "--out", path, "--set", "epochs=2", "--verify", "casia_format/orl")
    rows = [row.split(",") for row in (path / "verified.csv").read_text().splitlines()]
    assert [int(row[0]) for row in rows[1:] if row[2] == "accuracy"] == [STEPS, 2 * STEPS]
    assert all(0.5 < float(row[3]) <= 1 for row in rows[1:] if row[2] == "accuracy") and "accuracy" in out


def test_tensorboard_shows_what_the_table_says(folder, recipe):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    path = folder / "board"
    finished(1, recipe, "--out", path, "--tensorboard", "--verify", "casia_format/orl")
    shown = EventAccumulator(str(path / "tensorboard")).Reload()
    losses = {int(row["step"]): float(row["loss"]) for row in lines(path / "metrics.csv")}
    assert {each.step: each.value for each in shown.Scalars("loss")} == pytest.approx(losses)
    (right,) = (float(row["value"]) for row in lines(path / "verified.csv") if row["measure"] == "accuracy")
    assert [(each.step, each.value) for each in shown.Scalars("casia_format/orl/accuracy")] == [
        (STEPS, pytest.approx(right))
    ]


def test_without_tensorboard_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(ValueError, match="TensorBoard is not installed: pip install") as refused:
        board()
    sentence(str(refused.value))


def test_torchrun_starts_it(folder, recipe, pair):
    """The command as it is typed; what comes out is what the other tests' processes make."""
    path = folder / "torchrun"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "losslab"]
    command += ["scale", recipe, "--out", path, "--folder", FACES, "--device", "cpu", "--workers", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert f"The run is in {path}" in done.stdout
    ours, theirs = weights(path), weights(pair)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
