"""Runs in worker processes: queue, sharing, who may say what, and that nothing outlives its server."""

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from losslab.data import DataError
from losslab.live import worker
from losslab.live.pool import Pool
from losslab.losses import ArcFace, CosFace, Softmax
from losslab.training import Diverged, Recipe, Run, RunError, RunWriter, in_force, probe, restore

ROOT = Path(__file__).parents[1]
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def short(seed: int, **more) -> Recipe:
    """A recipe of a second or less."""
    few = dict(loss=ArcFace(scale=16, margin=0.2), classes=(0, 1, 2), per_class=40, batch=20, epochs=2, probe=60)
    return Recipe(**few | {"seed": seed} | more)


def long(seed: int, **more) -> Recipe:
    """A recipe that lasts longer than any test looks at it."""
    return short(seed, **{"epochs": 1000} | more)


def wait_for(what, seconds: float = 30):
    """The first true value of `what()`."""
    until = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)
    return value


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(") ", 1)[1][0] != "Z"


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    with Pool(tmp_path_factory.mktemp("runs"), slots=[""], grace=30) as pool:
        yield pool


@pytest.fixture
def running(pool):
    """Start a long run for "ann"; stop it after the test."""
    ids = []

    def start(seed, visitor="ann"):
        id = pool.submit(long(seed), visitor)
        ids.append((id, visitor))
        wait_for(lambda: len(Run(pool.path(id))) >= 2)
        return id

    yield start
    for id, visitor in ids:
        if pool.status(id).state in ("queued", "running", "paused"):
            pool.stop(id, visitor)
            wait_for(lambda id=id: state(pool, id) not in ("queued", "running", "paused"))


def state(pool: Pool, id: str) -> str:
    return pool.status(id).state


def test_a_run_is_trained_to_its_end_and_its_snapshots_are_on_disk(pool):
    id = pool.submit(short(1), "ann")
    assert state(pool, id) in ("queued", "running")
    wait_for(lambda: state(pool, id) == "done")
    run = Run(pool.path(id))
    assert run.status[0] == "done"
    assert [snapshot.step for snapshot in run][0] == 0 and len(run) >= 2
    assert run[-1].weights is None or run.recipe == short(1)


def test_equal_recipes_are_one_run_also_after_it_is_done_and_in_the_next_server(pool, running):
    id = running(2)
    assert pool.submit(long(2), "bob") == id and pool.status(id).holders == 2
    assert pool.submit(long(3), "bob") != id
    pool.stop(pool.submit(long(3), "bob"), "bob")
    done = pool.submit(short(4), "ann")
    pool.stop(id, "ann"), pool.stop(id, "bob")
    wait_for(lambda: state(pool, done) == "done")
    assert pool.submit(short(4), "bob") == done
    with Pool(pool.folder, slots=[]) as second:
        assert second.submit(short(4), "cat") == done
        assert state(second, done) == "done"


@pytest.mark.parametrize("damaged", ["snapshots.bin", "probe.npz"])
def test_a_done_run_that_was_damaged_is_no_answer_to_a_new_wish(pool, damaged):
    recipe = short(35)
    done = pool.submit(recipe, "ann")
    wait_for(lambda: state(pool, done) == "done")
    assert pool.submit(recipe, "ann") == done
    (pool.path(done) / damaged).write_bytes(b"damage")
    again = pool.submit(recipe, "ann")
    assert again != done
    wait_for(lambda: state(pool, again) == "done")


def test_the_last_holder_stops_a_run_at_once(pool, running):
    id = running(5)
    pool.submit(long(5), "bob")
    pool.stop(id, "ann")
    time.sleep(0.3)
    assert state(pool, id) == "running"
    pool.stop(id, "bob")
    wait_for(lambda: state(pool, id) == "stopped", 3)
    assert Run(pool.path(id)).status[0] == "stopped" and len(Run(pool.path(id))) >= 2
    assert pool.submit(long(5), "ann") != id, "a stopped run is nobody's answer to a new wish"
    pool.stop(pool.submit(long(5), "ann"), "ann")


def test_who_starts_another_run_lets_go_of_all_earlier_ones_that_nobody_else_holds(pool, running):
    shared = running(31)
    pool.submit(long(31), "bob")
    waiting = pool.submit(long(32), "ann")
    other = pool.submit(long(33), "bob")
    last = pool.submit(long(34), "ann")
    pool.keep([last], "ann")
    assert state(pool, waiting) == "stopped" and "another run" in pool.status(waiting).reason
    assert state(pool, shared) == "running" and not pool.holds(shared, "ann")
    assert state(pool, other) == state(pool, last) == "queued"
    pool.keep([other], "bob")
    wait_for(lambda: state(pool, shared) == "stopped")
    pool.stop(other, "bob"), pool.stop(last, "ann")


def test_several_runs_of_one_visitor_are_kept_and_trained_in_the_order_they_were_asked_for(pool, running):
    running(41, "bob")
    left = pool.submit(long(42), "ann")
    pair = [pool.submit(long(43), "ann"), pool.submit(long(44), "ann")]
    pool.keep(pair, "ann")
    assert state(pool, left) == "stopped"
    assert [pool.status(id).queue for id in pair] == [1, 2]
    pool.keep([], "ann")
    assert [state(pool, id) for id in pair] == ["stopped", "stopped"]


def test_a_later_loss_takes_its_own_knobs_and_those_of_the_loss_before_turn_nothing(pool):
    late = CosFace(scale=16, margin=0.2)
    id = pool.submit(long(45, later=((2, Softmax()), (40, late))), "ann")
    assert pool.loss(id) == long(45).loss and pool.loss("nothing") is None
    wait_for(lambda: pool.loss(id) == late)
    pool.change(id, {"margin": 0.4}, "ann")
    wait_for(lambda: Run(pool.path(id))[-1].knobs.get("margin") == 0.4)
    assert pool.loss(id) == CosFace(scale=16, margin=0.4) == in_force(Run(pool.path(id)).recipe, Run(pool.path(id))[-1])
    job = pool._jobs[id]
    pool_worker = next(worker for worker in pool._workers if worker.job is job)
    pool_worker.tell("change", knobs={"knee": 0.5})  # what was on its way when the loss changed
    seen = len(Run(pool.path(id)))
    wait_for(lambda: len(Run(pool.path(id))) > seen + 2)
    assert state(pool, id) == "running"
    pool.stop(id, "ann")
    wait_for(lambda: state(pool, id) == "stopped")
    with pytest.raises(ValueError, match="has only 12 steps"):
        pool.submit(short(46, later=((50, late),)), "ann")


def test_a_run_that_goes_on_has_its_newest_weights(pool, running):
    id = running(47)
    pool.pause(id, "ann")
    wait_for(lambda: state(pool, id) == "paused")
    run = Run(pool.path(id))
    assert restore(run, newest=True)[2] == run[-1].step


def test_a_paused_run_stands_still_and_goes_on_where_it_was(pool, running):
    id = running(6)
    pool.pause(id, "ann")
    wait_for(lambda: state(pool, id) == "paused")
    before = len(Run(pool.path(id)))
    time.sleep(0.3)
    assert len(Run(pool.path(id))) == before and Run(pool.path(id)).status[0] == "paused"
    pool.resume(id, "ann")
    wait_for(lambda: len(Run(pool.path(id))) > before)
    assert state(pool, id) == "running"
    pool.pause(id, "ann")
    wait_for(lambda: state(pool, id) == "paused")
    pool.stop(id, "ann")
    wait_for(lambda: state(pool, id) == "stopped", 3)


def test_a_changed_knob_shows_in_later_snapshots_and_ends_the_sharing(pool, running):
    id = running(7)
    assert Run(pool.path(id))[0].knobs["margin"] == 0.2
    with pytest.raises(ValueError, match="margin is 9"):
        pool.change(id, {"margin": 9}, "ann")
    with pytest.raises(ValueError, match="no knob called 'colour'"):
        pool.change(id, {"colour": 1}, "ann")
    pool.change(id, {"margin": 0.4}, "ann")
    wait_for(lambda: Run(pool.path(id))[-1].knobs["margin"] == 0.4)
    other = pool.submit(long(7), "bob")
    assert other != id
    pool.change(other, {"margin": 0.3}, "bob")  # it still waits: the change waits with it
    pool.stop(id, "ann")
    wait_for(lambda: len(Run(pool.path(other))) >= 2)
    assert Run(pool.path(other))[-1].knobs["margin"] == 0.3
    pool.stop(other, "bob")


def test_a_run_answers_only_to_those_who_hold_it(pool, running):
    id = running(8)
    for forbidden in (
        lambda: pool.stop(id, "bob"),
        lambda: pool.pause(id, "bob"),
        lambda: pool.resume(id, "bob"),
        lambda: pool.change(id, {"margin": 0.1}, "bob"),
    ):
        with pytest.raises(PermissionError, match="Somebody else started this run"):
            forbidden()
    pool.submit(long(8), "bob")
    with pytest.raises(PermissionError, match="2 people share this run"):
        pool.pause(id, "ann")
    pool.stop(id, "bob")
    pool.pause(id, "ann")


def test_who_has_gone_without_a_word_keeps_nobody_from_a_run(pool, running):
    id = running(31)
    pool.submit(long(31), "bob")
    pool.stop(id, "ann")
    assert state(pool, id) == "running", "bob was here a moment ago"
    pool.submit(long(31), "ann")
    pool._jobs[id].watched["bob"] -= pool.grace
    pool.seen(id, "bob")  # and is here again
    with pytest.raises(PermissionError, match="2 people share this run"):
        pool.pause(id, "ann")
    pool._jobs[id].watched["bob"] -= pool.grace
    pool.pause(id, "ann")
    assert not pool.holds(id, "bob")


def test_the_last_holder_who_is_here_stops_a_run(pool, running):
    id = running(32)
    pool.submit(long(32), "bob")
    pool._jobs[id].watched["bob"] -= pool.grace
    pool.stop(id, "ann")
    wait_for(lambda: state(pool, id) == "stopped")


def test_runs_wait_in_line_and_can_be_called_off_there(pool, running):
    running(9)
    second, third = pool.submit(long(10), "bob"), pool.submit(long(11), "bob")
    assert (pool.status(second).queue, pool.status(third).queue) == (1, 2)
    assert Run(pool.path(third)).status[0] == "queued" and len(Run(pool.path(third)).probe.labels) == 60
    pool.stop(second, "bob")
    assert state(pool, second) == "stopped" and pool.status(third).queue == 1
    pool.stop(third, "bob")


def test_only_so_many_runs_may_wait(pool, running, monkeypatch):
    monkeypatch.setattr("losslab.live.pool.WAITING", 1)
    running(12)
    waiting = pool.submit(long(13), "bob")
    with pytest.raises(RuntimeError, match="already wait"):
        pool.submit(long(14), "bob")
    pool.stop(waiting, "bob")


def test_a_run_that_nobody_watches_stops(pool, running, monkeypatch):
    id = running(15)
    waiting = pool.submit(long(16), "bob")
    monkeypatch.setattr(pool, "grace", 0.5)
    with pool._lock:
        pool._news.notify_all()
    for _ in range(10):
        pool.seen(id)
        time.sleep(0.1)
    assert state(pool, id) == "running", "somebody watched"
    wait_for(lambda: state(pool, id) == "stopped", 5)
    assert pool.status(id).reason == Run(pool.path(id)).status[1] == "Nobody was watching."
    assert state(pool, waiting) == "stopped"


def test_a_run_that_diverges_says_so_and_keeps_its_snapshots(pool):
    id = pool.submit(long(17, rate=1e6), "ann")
    wait_for(lambda: state(pool, id) not in ("queued", "running"))
    assert state(pool, id) == "failed" and pool.status(id).reason
    assert len(Run(pool.path(id))) >= 1


@posix
def test_a_killed_worker_fails_its_run_alone_and_the_next_run_gets_a_new_one(pool, running):
    id = running(18)
    pid = pool._workers[0].process.pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: state(pool, id) == "failed")
    kept = len(Run(pool.path(id)))
    assert pool.status(id).reason == (
        f"The training process was killed (signal 9, often out of memory). "
        f"The {kept} snapshots so far are kept; press Train to start again."
    )
    assert Run(pool.path(id)).status[0] == "failed"
    assert (pool.path(id) / "worker.log").exists()
    after = pool.submit(short(19), "ann")
    wait_for(lambda: state(pool, after) == "done")
    assert pool._workers[0].process.pid != pid


@posix
def test_a_worker_that_dies_while_idle_costs_no_run(pool):
    wait_for(lambda: pool._workers and pool._workers[0].ready)
    os.kill(pool._workers[0].process.pid, signal.SIGKILL)
    id = pool.submit(short(20), "ann")
    wait_for(lambda: state(pool, id) == "done")


@posix
def test_a_worker_killed_while_it_starts_costs_no_waiting_run(tmp_path):
    with Pool(tmp_path, slots=[""]) as pool:
        id = pool.submit(short(30), "ann")
        first = pool._workers[0].process
        first.kill()
        wait_for(lambda: pool._workers and pool._workers[0].process is not first)
        pool._workers[0].process.kill()
        wait_for(lambda: state(pool, id) == "done")


def test_a_runs_folder_that_cannot_be_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "runs"):
        with pytest.raises(RunError, match=r"^Runs cannot be kept in .*: set LOSSLAB_RUNS to a folder"):
            Pool(folder, slots=[]).start()


@posix
def test_a_worker_that_does_not_stop_is_killed(pool, running, monkeypatch):
    monkeypatch.setattr("losslab.live.pool.PATIENCE", 0.2)
    id = running(21)
    os.kill(pool._workers[0].process.pid, signal.SIGSTOP)
    pool.stop(id, "ann")
    wait_for(lambda: state(pool, id) == "stopped")


@posix
def test_a_worker_that_cannot_start_is_said_and_not_tried_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Pool(tmp_path, slots=[""]) as pool:
        id = pool.submit(short(1), "ann")
        wait_for(lambda: state(pool, id) == "failed")
        assert "could not start" in pool.status(id).reason
        assert pool._workers == []


def test_a_machine_without_room_for_a_worker_fails_the_run_and_the_next_one_may_work(tmp_path, monkeypatch):
    with Pool(tmp_path, slots=[""]) as pool:
        wait_for(lambda: pool._workers and pool._workers[0].ready)
        monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
        pool._workers[0].process.kill()
        wait_for(lambda: not pool._workers)
        id = pool.submit(short(1), "ann")
        assert pool.status(id) == ("failed", "The training process could not start: No such file or directory", 0, 1)
        monkeypatch.undo()
        again = pool.submit(short(1), "ann")
        wait_for(lambda: state(pool, again) == "done")


@pytest.mark.parametrize(
    "error, reason",
    [
        (Diverged("The loss is no number."), "The loss is no number."),
        (DataError("There is no data."), "There is no data."),
        (OSError(28, "No space left on device"), "No space left on device"),
        (RunError(28, "The disk is full."), "The disk is full."),
        (MemoryError(), "There was not enough memory for this run; make its batch or its probe smaller."),
        (KeyError("x"), "The training code failed: KeyError: 'x'"),
    ],
)
def test_what_ends_a_training_becomes_its_reason(tmp_path, monkeypatch, error, reason):
    def train(recipe):
        yield next(real_train(recipe))
        raise error

    real_train = worker.train
    monkeypatch.setattr(worker, "train", train)
    RunWriter(tmp_path / "run", short(1), probe(short(1))).close()
    assert worker.Worker(io.StringIO())._follow(tmp_path / "run") == ("failed", reason)
    assert Run(tmp_path / "run").status == ("failed", reason)
    assert len(Run(tmp_path / "run")) == 1


@pytest.mark.parametrize(("error", "works_on"), [(Diverged("No number."), True), (RuntimeError("CUDA error"), False)])
def test_a_process_whose_training_code_failed_takes_no_other_run(tmp_path, monkeypatch, error, works_on):
    """What an error in its code leaves of a GPU fails every later run of the process."""
    taken = []

    def follow(recipe):
        taken.append(recipe)
        if len(taken) == 2:
            raise SystemExit
        raise error
        yield

    def commands():
        command = json.dumps({"do": "train", "path": str(tmp_path / "run")})
        yield command
        wait_for(lambda: "finished" in answers.getvalue())
        yield command
        threading.Event().wait()

    monkeypatch.setattr(worker, "train", follow)
    monkeypatch.setattr(worker, "warm_up", lambda: None)
    RunWriter(tmp_path / "run", short(1), probe(short(1))).close()
    answers = io.StringIO()
    with pytest.raises(SystemExit) if works_on else nullcontext():
        worker.Worker(answers).work(commands())
    assert len(taken) == (2 if works_on else 1)
    assert json.loads(answers.getvalue().splitlines()[2])["state"] == "failed"


def test_status_of_a_run_that_does_not_exist_is_a_sentence(pool):
    for id in ("nothing", "..", "../runs", "/etc", "", "a" * 65, "a b"):
        with pytest.raises(KeyError, match="There is no run called"):
            pool.status(id)


SERVER = """
    import sys, time
    from losslab.live.pool import Pool
    from losslab.losses import ArcFace
    from losslab.training import Recipe

    if __name__ == "__main__":
        pool = Pool(sys.argv[1], slots=[""]).start()
        few = dict(classes=(0, 1, 2), per_class=40, batch=20, epochs=1000, probe=60)
        ids = [pool.submit(Recipe(loss=ArcFace(), seed=seed, **few), "ann") for seed in range(2)]
        print(*ids, pool._workers[0].process.pid, flush=True)
        time.sleep(600)
"""


@posix
def test_a_killed_server_takes_its_worker_along_and_the_next_one_marks_its_runs(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(textwrap.dedent(SERVER))
    runs = tmp_path / "runs"
    server = subprocess.Popen(
        [sys.executable, script, runs],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        first, second, worker = server.stdout.readline().split()
        wait_for(lambda: len(Run(runs / first)) >= 2)
        with Pool(runs, slots=[]) as beside:  # a second server on the same folder, while the first one lives
            assert (state(beside, first), state(beside, second)) == ("running", "queued")
        server.kill()
        server.wait()
        wait_for(lambda: not alive(int(worker)), 2)
    finally:
        server.kill()
    kept = len(Run(runs / first))
    assert kept >= 2 and Run(runs / first).status[0] == "running"
    with Pool(runs, slots=[]) as after:
        for id in (first, second):
            assert state(after, id) == "interrupted"
        assert len(Run(runs / first)) == kept
        assert not list(runs.glob(".pool-*"))[1:], "only its own claim is left"


def test_a_run_of_the_command_line_is_left_alone(tmp_path):
    RunWriter(tmp_path / "mine", long(1), probe(long(1))).state("running")
    with Pool(tmp_path, slots=[]) as pool:
        assert state(pool, "mine") == "running"


def test_closing_leaves_no_process_and_marks_what_went_on(tmp_path):
    pool = Pool(tmp_path, slots=[""]).start()
    going, waiting = pool.submit(long(1), "ann"), pool.submit(long(2), "ann")
    wait_for(lambda: len(Run(pool.path(going))) >= 1)
    pid = pool._workers[0].process.pid
    pool.close()
    pool.close()
    assert not alive(pid) if sys.platform != "win32" else pool._workers[0].process.poll() is not None
    for id in (going, waiting):
        assert Run(pool.path(id)).status[0] == state(pool, id) == "interrupted"
    with pytest.raises(RuntimeError, match="stopping"):
        pool.submit(long(3), "ann")
