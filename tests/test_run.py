"""Runs on disk: followed while written, read after a kill at any byte, never lost to a full disk."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from losslab import ArcFace
from losslab.training import Probe, Recipe, Run, RunError, RunWriter, Snapshot, thin
from losslab.training.run import spread

ROOT = Path(__file__).parents[1]
RECIPE = Recipe(loss=ArcFace(scale=16, margin=0.25), classes=(3, 1), dim=2)


def a_probe(n=8):
    return Probe(
        images=np.arange(n * 4, dtype=np.uint8).reshape(n, 2, 2),
        labels=np.arange(n) % 2,
        split=(np.arange(n) >= n // 2).astype(np.uint8),
        names=("three", "eins"),
        total_steps=40,
    )


def a_snapshot(step, n=8, weights=None):
    draw = np.random.default_rng(step)
    return Snapshot(
        step=step,
        embedding=draw.normal(size=(n, 2)).astype(np.float32),
        prototypes=draw.normal(size=(2, 2)).astype(np.float32),
        loss=draw.uniform(0, 9, n).astype(np.float32),
        gap=draw.normal(size=n).astype(np.float32),
        correct=draw.uniform(size=n) > 0.5,
        scalars={"loss": 1 / (step + 1)} | ({"test_accuracy": 0.5} if step % 2 else {}),
        knobs={"scale": 16.0, "margin": 0.25, "beyond": "raw"},
        planned={"margin": "Linear(0.25, 0.5, 10)"},
        weights=weights,
    )


def a_run(path, snapshots=3):
    with RunWriter(path, RECIPE, a_probe()) as writer:
        for step in range(snapshots):
            writer.append(a_snapshot(step))
    return Run(path)


def assert_same(a, b, tolerance=0.0):
    assert (a.step, a.scalars, a.knobs, a.planned) == (b.step, b.scalars, b.knobs, b.planned)
    for name in ("embedding", "prototypes", "loss", "gap", "correct"):
        left, right = getattr(a, name), getattr(b, name)
        assert left.dtype == right.dtype and left.shape == right.shape
        np.testing.assert_allclose(left.astype(float), right.astype(float), atol=tolerance, rtol=tolerance)


def test_what_was_written_is_read(tmp_path):
    with RunWriter(tmp_path / "deep" / "run", RECIPE, a_probe(), owner="somebody") as writer:
        run = Run(tmp_path / "deep" / "run")
        assert run.status == ("queued", "") and len(run) == 0 and run.weights is None
        writer.append(a_snapshot(0))
        writer.state("running")
        writer.append(a_snapshot(7, weights={"model.a": np.arange(3.0), "head.prototypes": np.eye(2)}))
        writer.state("failed", "It was too hot.")
    assert run.refresh() == 2 == len(list(run))
    assert (run.recipe, run.owner, run.total_steps) == (RECIPE, "somebody", 40)
    assert run.status == ("failed", "It was too hot.")
    assert_same(run[0], a_snapshot(0))
    assert_same(run[-1], a_snapshot(7))
    assert run.weights.keys() == {"model.a", "head.prototypes"}
    np.testing.assert_array_equal(run.weights["head.prototypes"], np.eye(2))
    for name in ("images", "labels", "split"):
        np.testing.assert_array_equal(getattr(run.probe, name), getattr(a_probe(), name))
    assert run.probe.names == ("three", "eins")
    with pytest.raises(IndexError):
        run[2]


def kept_step(path):
    return int(Run(path).weights["step"])


def with_weights(step):
    return a_snapshot(step, weights={"step": np.array(step), "model.a": np.full(3, step)})


def test_weights_are_written_now_and_then_at_rest_and_at_the_end(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("losslab.training.run.time", SimpleNamespace(monotonic=lambda: clock[0]))
    path = tmp_path / "run"
    with RunWriter(path, RECIPE, a_probe()) as writer:
        writer.append(with_weights(0))
        assert kept_step(path) == 0
        writer.append(with_weights(1))
        clock[0] += 0.2
        writer.append(with_weights(2))
        assert kept_step(path) == 0, "these were written just before"
        clock[0] += 0.2
        writer.append(with_weights(3))
        assert kept_step(path) == 3
        writer.append(with_weights(4))
        writer.state("paused")
        assert kept_step(path) == 4
        writer.append(with_weights(5))
    assert kept_step(path) == 5 and Run(path).weights["model.a"].tolist() == [5] * 3
    with RunWriter.resume(path) as writer:
        writer.append(with_weights(38))
        writer.append(with_weights(39))
        assert kept_step(path) == 38
        writer.append(with_weights(40))
        assert kept_step(path) == 40, "the run has no more than 40 steps"
    assert not [file for file in path.iterdir() if file.name.startswith(".")]


def test_weights_that_hold_a_pickle_are_not_loaded(tmp_path):
    run = a_run(tmp_path / "run")
    np.savez(tmp_path / "run" / "weights.npz", step=np.array({"a": 1}, dtype=object))
    with pytest.raises(RunError, match="missing or damaged"):
        run.weights  # noqa: B018


def test_weights_that_find_no_room_at_rest_do_not_keep_the_state_from_being_known(tmp_path, monkeypatch):
    writer = RunWriter(tmp_path / "run", RECIPE, a_probe())
    writer.append(with_weights(0)), writer.append(with_weights(1))

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    writer.state("stopped")
    assert Run(tmp_path / "run").status.state == "stopped" and kept_step(tmp_path / "run") == 0
    with pytest.raises(RunError, match="is full; the run so far is kept"):
        writer.append(with_weights(40))
    writer.close()


def test_metrics_are_columns_and_nan_where_nothing_was_measured(tmp_path):
    metrics = a_run(tmp_path / "run").metrics()
    assert metrics["step"].tolist() == [0, 1, 2]
    np.testing.assert_allclose(metrics["loss"], [1, 1 / 2, 1 / 3])
    assert np.isnan(metrics["test_accuracy"]).tolist() == [True, False, True]


def test_a_last_record_cut_at_any_byte_is_not_there_and_the_others_are(tmp_path):
    a_run(tmp_path / "run")
    file = tmp_path / "run" / "snapshots.bin"
    whole = file.read_bytes()
    second = len(whole) // 3 * 2
    for size in range(second, len(whole)):
        file.write_bytes(whole[:size])
        run = Run(tmp_path / "run")
        assert len(run) == 2, size
    assert_same(run[1], a_snapshot(1))


def test_a_damaged_record_ends_the_run_before_it(tmp_path):
    a_run(tmp_path / "run", snapshots=6)
    file = tmp_path / "run" / "snapshots.bin"
    whole = file.read_bytes()
    starts = [i for i in range(len(whole)) if whole.startswith(b"LLS1", i)]
    draw = random.Random(0)
    for _ in range(300):
        at, flip = draw.randrange(len(whole)), draw.randrange(1, 256)
        file.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
        run = Run(tmp_path / "run")
        before = sum(start <= at for start in starts) - 1
        assert len(run) == before == len(list(run)), at


def test_a_writer_goes_on_after_the_last_whole_record(tmp_path):
    a_run(tmp_path / "run")
    file = tmp_path / "run" / "snapshots.bin"
    file.write_bytes(file.read_bytes()[:-5])
    with RunWriter.resume(tmp_path / "run") as writer:
        writer.append(a_snapshot(9))
    assert [snapshot.step for snapshot in Run(tmp_path / "run")] == [0, 1, 9]


WRITE_FOREVER = """
    import sys
    sys.path[:0] = [{tests!r}, {root!r}]
    from test_run import RECIPE, RunWriter, a_probe, a_snapshot
    path = sys.argv[1]
    with RunWriter(path, RECIPE, a_probe(500)) as writer:
        print("begun", flush=True)
        for step in range(10**6):
            writer.append(a_snapshot(step, 500))
"""


def test_a_run_is_followed_while_written_and_survives_the_kill_of_its_writer(tmp_path):
    code = textwrap.dedent(WRITE_FOREVER.format(tests=str(ROOT / "tests"), root=str(ROOT)))
    path = tmp_path / "run"
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout.readline() == "begun\n"
        run, seen = Run(path), 0
        limit = time.monotonic() + 60
        while seen < 60 and time.monotonic() < limit:
            assert run.refresh() >= seen
            for index in range(seen, len(run)):
                assert_same(run[index], a_snapshot(index, 500))
            seen = len(run)
        os.kill(writer.pid, signal.SIGKILL)
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    kept = Run(path)
    assert len(kept) >= seen >= 60
    assert_same(kept[-1], a_snapshot(len(kept) - 1, 500))
    with RunWriter.resume(path) as again:
        again.append(a_snapshot(0, 500))
    assert Run(path).end == (path / "snapshots.bin").stat().st_size


def test_a_full_disk_is_a_sentence_and_the_run_so_far_is_kept(tmp_path):
    class Full:
        """A file that takes ten bytes more."""

        def __init__(self, file):
            self.file, self.room = file, 10

        def write(self, data):
            if not self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            taken, self.room = self.file.write(data[: self.room]), 0
            return taken

        def __getattr__(self, name):
            return getattr(self.file, name)

    with RunWriter(tmp_path / "run", RECIPE, a_probe()) as writer:
        writer.append(a_snapshot(0))
        disk, writer._file = writer._file, Full(writer._file)
        with pytest.raises(RunError, match=r"^The disk that holds .* is full; the run so far is kept\."):
            writer.append(a_snapshot(1))
        assert len(Run(tmp_path / "run")) == 1
        writer._file = disk  # Somebody made room.
        writer.append(a_snapshot(2))
    assert [snapshot.step for snapshot in Run(tmp_path / "run")] == [0, 2]


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be deleted there")
def test_a_run_that_is_deleted_while_it_is_written_is_a_sentence(tmp_path):
    with RunWriter(tmp_path / "run", RECIPE, a_probe()) as writer:
        writer.append(a_snapshot(0))
        shutil.rmtree(tmp_path / "run")
        with pytest.raises(RunError, match="was deleted while it was being trained"):
            writer.append(a_snapshot(1))


def test_a_status_that_finds_no_room_leaves_the_old_one(tmp_path, monkeypatch):
    with RunWriter(tmp_path / "run", RECIPE, a_probe()) as writer:
        writer.state("running")

        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(RunError, match="full"):
            writer.state("done")
    assert Run(tmp_path / "run").status.state == "running"
    assert not [file for file in (tmp_path / "run").iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize("text", ["[1]", "{}", "no json", '{"recipe": {"loss": {"name": "Arc", "knobs": {}}}}'])
def test_a_recipe_that_cannot_be_read_is_a_sentence_with_a_remedy(tmp_path, text):
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(RunError, match=r"has a recipe that cannot be read: .*[^.]\.? Train it again with this losslab"):
        Run(tmp_path)


def test_a_run_that_finds_no_room_to_begin_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(RunError, match=r"is full; the run could not begin\. Make room"):
        RunWriter(tmp_path / "run", RECIPE, a_probe())
    assert not list(tmp_path.iterdir())


def test_where_no_run_can_be_there_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        RunWriter(tmp_path / "file" / "run", RECIPE, a_probe())
    with pytest.raises(RunError, match="There is no run in"):
        Run(tmp_path / "nothing")
    with pytest.raises(RunError, match="There is no run in"):
        RunWriter.resume(tmp_path / "nothing")
    a_run(tmp_path / "run")
    with pytest.raises(RunError, match="There already is a run in"):
        RunWriter(tmp_path / "run", RECIPE, a_probe())
    with pytest.raises(ValueError, match="cannot be 'asleep'"):
        RunWriter.resume(tmp_path / "run").state("asleep")


@pytest.mark.parametrize("name", ["recipe.json", "probe.npz", "weights.npz", "status.json"])
@pytest.mark.parametrize("damage", [b"", b"\x00\xff", b"{}", b"[1", b"PK\x03\x04"])
def test_a_damaged_file_is_a_sentence_or_a_state(tmp_path, name, damage):
    a_run(tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(damage)
    if name == "status.json":
        assert Run(tmp_path / "run").status.state == "interrupted"
    else:
        with pytest.raises(RunError, match="cannot be read|missing or damaged"):
            run = Run(tmp_path / "run")
            assert run.probe is not None
            assert run.weights is not None


def test_a_run_without_its_snapshots_yet_is_empty(tmp_path):
    run = a_run(tmp_path / "run", snapshots=0)
    assert len(run) == 0 and list(run) == [] and run.metrics() == {}


def test_thin_keeps_the_ends_of_a_run_and_an_even_share_of_its_samples(tmp_path):
    run = a_run(tmp_path / "run", snapshots=8)
    thin(run, tmp_path / "thin", samples=4, every=3)
    small = Run(tmp_path / "thin")
    assert [snapshot.step for snapshot in small] == [0, 3, 6, 7]
    assert small.recipe == run.recipe and small.total_steps == run.total_steps and small.status == run.status
    keep = spread(run.probe, 4)
    kinds = list(zip(small.probe.split, small.probe.labels, strict=True))
    assert sorted(kinds) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    np.testing.assert_allclose(small[3].embedding, run[7].embedding[keep], atol=2e-3)
    np.testing.assert_array_equal(small[3].correct, run[7].correct[keep])
    assert small[3].embedding.dtype == np.float32
