"""Runs that visitors ask for: a queue, one worker process a device, and who may say what to whom.

A `Pool` lives in the server. Its workers live beside it, so that neither a crash nor a lack of memory
reaches the server; they die with it, because their standard input ends. Only run directories outlive both.
"""

import atexit
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch

import losslab
from losslab import losses
from losslab.losses import Loss
from losslab.training import Recipe, Run, RunError, RunWriter, probe

RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
LIVE = ("queued", "running", "paused")
WAITING = 64  # runs that may wait for a worker
STARTS = 3  # workers in a row that may end before they are ready
PATIENCE = 10  # seconds a worker may take to stop before it is killed
ERRORS = 16_384  # bytes kept of what a worker wrote to standard error


class Status(NamedTuple):
    """Where a run stands: `queue` is its place in the queue (1 is next), 0 when it does not wait."""

    state: str
    reason: str = ""
    queue: int = 0
    holders: int = 0


@dataclass
class Job:
    """A run of this server's life."""

    id: str
    path: Path
    recipe: Recipe
    loss: Loss  # with the knobs in force
    holders: set[str]
    seen: float = field(default_factory=time.monotonic)  # when somebody last watched
    watched: dict[str, float] = field(default_factory=dict)  # when each of the holders last did
    state: str = "queued"
    reason: str = ""
    knobs: dict[str, Any] = field(default_factory=dict)  # changed since it was asked for
    started: bool = False  # the worker has taken it up
    retried: bool = False  # a worker died before taking it up
    deadline: float | None = None  # asked to stop: killed after this


class Worker:
    """A training process as the server sees it; a thread of its own tells `heard` each answer, and `died` the end."""

    def __init__(
        self,
        slot: int,
        device: str,
        heard: Callable[["Worker", dict[str, Any]], None],
        died: Callable[["Worker"], None],
    ) -> None:
        self.slot, self._heard, self._died = slot, heard, died
        self.ready = False
        self.job: Job | None = None
        self._errors = bytearray()
        root = str(Path(losslab.__file__).parents[1])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "losslab.live.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "CUDA_VISIBLE_DEVICES": device},
            # Windows has a flag for what os.nice does elsewhere, and opens a console unless told not to.
            creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
            | getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._drain = threading.Thread(target=self._keep_errors, args=(self.process.stderr,), daemon=True)
        self._drain.start()
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, do: str, **more: Any) -> None:
        """Send a command; a dead worker misses it (its end is noticed by the thread that listens)."""
        with suppress(OSError, ValueError):
            self.process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
            self.process.stdin.flush()

    def dismiss(self) -> None:
        """End its input, and so the process."""
        with suppress(OSError):
            self.process.stdin.close()

    def errors(self) -> str:
        """The tail of what it wrote to standard error."""
        return self._errors.decode(errors="replace").strip()

    def _listen(self) -> None:
        for line in self.process.stdout:
            self._heard(self, json.loads(line))
        self.process.wait()
        self._drain.join(1)
        self._died(self)

    def _keep_errors(self, stream: BinaryIO) -> None:
        while chunk := stream.read1(4096):
            self._errors += chunk
            del self._errors[:-ERRORS]


class Pool:
    """Trains what visitors ask for, one run at a time on each device.

    A *visitor* is any name for one person's session. Who asks for a run holds it; equal recipes are one run
    with several holders. Only a holder may speak to a run, and only the last one stops it. Watchers call `seen`;
    a run that nobody has watched for `grace` seconds stops, and a holder who has not watched it for so long keeps
    no other from steering or stopping it.

    Every method may be called from any thread. Errors are one sentence for the visitor: ValueError (a wrong
    knob, missing data, a run that is over), PermissionError (the run is not theirs alone), RuntimeError (too
    many runs wait), OSError (the disk).
    """

    def __init__(self, runs_folder: str | Path, slots: list[str] | None = None, grace: float = 60) -> None:
        """
        Args:
            runs_folder: where the run directories go; created if it is missing.
            slots: one value of CUDA_VISIBLE_DEVICES a worker ("" for a CPU); found out if not given.
            grace: seconds that a run goes on with nobody watching.
        """
        self.folder = Path(runs_folder)
        self.grace = grace
        self._slots = devices() if slots is None else slots
        self._owner = f"pool-{secrets.token_hex(8)}"
        self._lock = threading.RLock()
        self._news = threading.Condition(self._lock)
        self._open = False
        self._jobs: dict[str, Job] = {}
        self._index: dict[str, str] = {}  # recipe key -> id of the run that equal recipes share
        self._waiting: deque[Job] = deque()
        self._workers: list[Worker] = []
        self._false_starts = 0  # workers in a row that ended before they were ready

    # -- its life ------------------------------------------------------------------------------------------

    def start(self) -> "Pool":
        """Take over the runs folder and warm the workers up (without waiting for them)."""
        with self._lock:
            if self._open:
                return self
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._claim = (self.folder / f".{self._owner}").open("w")
            except OSError as error:
                raise RunError(
                    f"Runs cannot be kept in {self.folder} ({error.strerror or error}): "
                    "set LOSSLAB_RUNS to a folder that you may write to."
                ) from error
            lock(self._claim)
            self._adopt()
            self._open = True
            self._hire()
            threading.Thread(target=self._reap, daemon=True).start()
        atexit.register(self.close)
        return self

    def close(self) -> None:
        """Stop everything and leave no process behind; runs that were going on end as "interrupted"."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            workers = list(self._workers)
            for job in self._waiting:
                self._end(job, "interrupted", "The server was stopped before this run began.")
            self._waiting.clear()
            for worker in workers:
                worker.dismiss()
            self._news.notify_all()
        for worker in workers:
            if not worker.ready:  # Still loading, it would not notice for seconds, and it has no run to lose.
                worker.process.kill()
            try:
                worker.process.wait(2)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
        with self._lock:
            for worker in workers:
                if worker.job:
                    self._end(worker.job, "interrupted", "The server was stopped; the snapshots so far are kept.")
                    worker.job = None
            self._claim.close()
            Path(self._claim.name).unlink(missing_ok=True)
        atexit.unregister(self.close)

    def __enter__(self) -> "Pool":
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- what visitors say ---------------------------------------------------------------------------------

    def submit(self, recipe: Recipe, visitor: str) -> str:
        """The id of a run of `recipe`, now held by `visitor`: a new one at the end of the queue, or the
        unchanged run of an equal recipe that waits, runs or is done."""
        with self._lock:
            if (shared := self._share(recipe, visitor)) is not None:
                return shared
            self._room()
        pictures = probe(recipe)  # Reads data: not under the lock.
        with self._lock:
            if (shared := self._share(recipe, visitor)) is not None:
                return shared
            self._room()
            id = secrets.token_hex(8)
            job = Job(id, self.folder / id, recipe, recipe.loss, {visitor})
            job.watched[visitor] = job.seen
            RunWriter(job.path, recipe, pictures, owner=self._owner).close()
            self._jobs[id] = job
            self._index[recipe.key] = id
            self._waiting.append(job)
            self._hire()
            self._dispatch()
            self._news.notify_all()
            return id

    def stop(self, id: str, visitor: str) -> None:
        """Let go of a run; it stops when nobody else holds it."""
        with self._lock:
            job = self._held(id, visitor)
            self._let_go(job, visitor, "")

    def keep(self, ids: Collection[str], visitor: str) -> None:
        """Let go of every other run of this visitor: nobody waits behind what they no longer look at."""
        with self._lock:
            for job in list(self._jobs.values()):
                if job.id not in ids and visitor in job.holders and job.state in LIVE and job.deadline is None:
                    self._let_go(job, visitor, "Stopped, because you started another run.")

    def pause(self, id: str, visitor: str) -> None:
        """Hold a run still after its next snapshot; it keeps its worker."""
        with self._lock:
            job = self._own(id, visitor, "pause")
            if job in self._waiting:
                raise ValueError("This run still waits for its turn; it can be paused once it runs.")
            self._unshare(job)
            job_worker(self._workers, job).tell("pause")

    def resume(self, id: str, visitor: str) -> None:
        """Let a paused run go on."""
        with self._lock:
            job = self._held(id, visitor)
            if job not in self._waiting:
                job_worker(self._workers, job).tell("resume")

    def change(self, id: str, knobs: dict[str, Any], visitor: str) -> None:
        """Turn knobs of a run's loss: they count from its next step on, and the run is its holder's alone."""
        with self._lock:
            job = self._own(id, visitor, "change")
            loss = losses.steered(job.loss, knobs)
            if loss == job.loss:
                return
            self._unshare(job)
            (job.path / "changed").touch()  # The recipe no longer tells the whole run, whoever reads it later.
            job.loss = loss
            job.knobs |= losses.plain(knobs)
            if job not in self._waiting:
                job_worker(self._workers, job).tell("change", knobs=losses.plain(knobs))

    # -- what watchers ask ---------------------------------------------------------------------------------

    def seen(self, id: str, visitor: str = "") -> None:
        """Somebody, perhaps this visitor, watches this run at this moment. Waits for nothing."""
        job = self._jobs.get(id)
        if job:
            job.seen = time.monotonic()
            if visitor in job.holders:
                job.watched[visitor] = job.seen

    def status(self, id: str) -> Status:
        """Where a run stands; of a run of another life or another program, what its directory says.

        Raises KeyError with a sentence when there is no such run.
        """
        if known := self.known(id):
            return known
        path = self.path(id)
        if path is None:
            raise KeyError(f"There is no run called {id!r}.")
        return read_status(path)

    def known(self, id: str) -> Status | None:
        """Where a run of this server's life stands, without a look at the disk; None for any other."""
        with self._lock:
            if (job := self._jobs.get(id)) is None:
                return None
            place = self._waiting.index(job) + 1 if job in self._waiting else 0
            return Status(job.state, job.reason, place, len(job.holders))

    def loss(self, id: str) -> Loss | None:
        """The loss that a run of this server's life trains with now, knobs as they were turned; None for any other."""
        with self._lock:
            job = self._jobs.get(id)
            return job and job.loss

    def holds(self, id: str, visitor: str) -> bool:
        """May this visitor speak to this run?"""
        with self._lock:
            job = self._jobs.get(id)
            return job is not None and visitor in job.holders

    def path(self, id: str) -> Path | None:
        """The directory of a run, or None when there is no such run."""
        return find(self.folder, id)

    # -- rules ---------------------------------------------------------------------------------------------

    def _share(self, recipe: Recipe, visitor: str) -> str | None:
        """The run that an equal recipe shares, now held by `visitor` too."""
        if not self._open:
            raise RuntimeError("The server is stopping; no new run can begin.")
        id = self._index.get(recipe.key)
        if id is None or self.path(id) is None:  # never asked for, or deleted since
            return None
        if self.status(id).state == "done" and not is_whole(self.path(id)):
            return None  # Damaged since: nobody would ever get another were it shared.
        if job := self._jobs.get(id):
            job.holders.add(visitor)
            job.seen = job.watched[visitor] = time.monotonic()
        return id

    def _room(self) -> None:
        if len(self._waiting) >= WAITING:
            raise RuntimeError(f"{WAITING} runs already wait for their turn; please try again in a while.")

    def _held(self, id: str, visitor: str) -> Job:
        job = self._jobs.get(id)
        if job is None or job.state not in LIVE or job.deadline is not None:
            raise ValueError("This run is over; press Train to start a new one.")
        if visitor not in job.holders:
            raise PermissionError("Somebody else started this run; press Train to join it or start your own.")
        return job

    def _own(self, id: str, visitor: str, verb: str) -> Job:
        job = self._held(id, visitor)
        self._forget_gone(job, visitor)
        if len(job.holders) > 1:
            raise PermissionError(
                f"{len(job.holders)} people share this run, so nobody can {verb} it. "
                "Train with another seed to get a run of your own."
            )
        return job

    def _let_go(self, job: Job, visitor: str, reason: str) -> None:
        self._forget_gone(job, visitor)
        job.holders.discard(visitor)
        if not job.holders:
            self._stop(job, reason)

    def _forget_gone(self, job: Job, visitor: str) -> None:
        """Whoever else holds the run but has not watched it for the grace has gone."""
        since = time.monotonic() - self.grace
        job.holders = {each for each in job.holders if each == visitor or job.watched[each] >= since}

    def _unshare(self, job: Job) -> None:
        if self._index.get(job.recipe.key) == job.id:
            del self._index[job.recipe.key]

    # -- workers -------------------------------------------------------------------------------------------

    def _hire(self) -> None:
        """See that every device has a worker."""
        for slot, device in enumerate(self._slots):
            if not any(worker.slot == slot for worker in self._workers):
                try:
                    self._workers.append(Worker(slot, device, self._heard, self._died))
                except OSError as error:  # no memory for it, or too many processes
                    self._give_up(error.strerror or str(error))

    def _give_up(self, why: str, worker: Worker | None = None) -> None:
        """Where there is no worker and none can even start (`worker` is the last that tried), say so to all who wait
        rather than try for ever."""
        while self._waiting and not self._workers:
            job = self._waiting.popleft()
            if worker:
                self._log(job, worker)
            self._end(job, "failed", f"The training process could not start: {why}")

    def _dispatch(self) -> None:
        """Give waiting runs to idle workers."""
        for worker in self._workers:
            if worker.ready and worker.job is None and self._waiting:
                job = worker.job = self._waiting.popleft()
                worker.tell("train", path=str(job.path.absolute()))
                if job.knobs:
                    worker.tell("change", knobs=job.knobs)

    def _heard(self, worker: Worker, answer: dict[str, Any]) -> None:
        with self._lock:
            if not self._open:
                return  # close() speaks the last word of every run.
            job = worker.job
            match answer["say"]:
                case "ready":
                    worker.ready, self._false_starts = True, 0
                case "started":
                    job.started, job.state = True, "running"
                case "state":
                    job.state = answer["state"]
                case "later":
                    job.loss, job.knobs = job.recipe.loss_at(answer["step"] + 1), {}
                case "finished":
                    worker.job = None
                    if answer["state"] == "failed":
                        self._log(job, worker)
                    self._over(job, answer["state"], answer["reason"])
            self._dispatch()

    def _died(self, worker: Worker) -> None:
        with self._lock:
            if not self._open:
                return  # close() knows.
            self._workers.remove(worker)
            job, worker.job = worker.job, None
            if job and not job.started and not job.retried and job.deadline is None:
                job.retried = True
                self._waiting.appendleft(job)
            elif job:
                if job.deadline is not None:
                    self._end(job, "stopped", job.reason)
                else:
                    self._log(job, worker)
                    self._end(job, "failed", last_words(worker.process.returncode, job.path))
            self._false_starts += not worker.ready
            if self._false_starts < STARTS:  # One that was killed while it started is no reason to give up.
                self._hire()
                self._dispatch()
            else:
                said = worker.errors().splitlines() or ["it said nothing."]
                self._give_up(said[-1], worker)

    def _stop(self, job: Job, reason: str) -> None:
        self._unshare(job)
        job.reason = reason
        if job in self._waiting:
            self._waiting.remove(job)
            self._end(job, "stopped", reason)
        else:
            job.deadline = time.monotonic() + PATIENCE
            job_worker(self._workers, job).tell("stop", reason=reason)
            self._news.notify_all()

    def _end(self, job: Job, state: str, reason: str) -> None:
        """The end of a run whose worker can no longer write it down."""
        with suppress(OSError):  # A full disk or a deleted run: who asks this server hears of it all the same.
            RunWriter.resume(job.path).state(state, reason)
        self._over(job, state, reason)

    def _over(self, job: Job, state: str, reason: str) -> None:
        job.state, job.reason, job.deadline = state, reason, None
        if state != "done":
            self._unshare(job)

    def _log(self, job: Job, worker: Worker) -> None:
        """Keep what the worker wrote to standard error beside the run."""
        with suppress(OSError):
            (job.path / "worker.log").write_text(worker.errors() + "\n", encoding="utf-8")

    # -- the rest ------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Stop runs that nobody watches and kill workers that do not stop; asleep while there are neither."""
        with self._lock:
            while self._open:
                now, wake = time.monotonic(), []
                for job in [job for job in self._jobs.values() if job.state in LIVE]:
                    if job.deadline is None and now >= job.seen + self.grace:
                        self._stop(job, "Nobody was watching.")
                    if job.deadline is not None and now >= job.deadline:
                        job_worker(self._workers, job).process.kill()
                    elif job.state in LIVE:
                        wake.append(job.deadline or job.seen + self.grace)
                self._news.wait(max(0.05, min(wake) - now) if wake else None)

    def _adopt(self) -> None:
        """Learn what is on disk: done runs can be shared, and runs of a dead server will not go on."""
        dead = set()
        for path in self.folder.iterdir():
            if find(self.folder, path.name) is None:
                continue
            try:
                about = json.loads((path / "recipe.json").read_text(encoding="utf-8"))
                state, owner = read_status(path).state, str(about["owner"])
                if state in LIVE and is_dead(self.folder, owner):
                    dead.add(owner)
                    RunWriter.resume(path).state(
                        "interrupted", "The server stopped during this run. The snapshots so far are kept."
                    )
                same_code = about["version"] == losslab.__version__
                if state == "done" and same_code and not (path / "changed").exists():
                    self._index[Recipe.from_dict(about["recipe"]).key] = path.name
            except (OSError, ValueError, KeyError, TypeError):
                continue  # Not a run, or one that this version cannot read: it stays as it is.
        for owner in dead:
            (self.folder / f".{owner}").unlink(missing_ok=True)


def devices() -> list[str]:
    """One value of CUDA_VISIBLE_DEVICES for each worker this machine can feed: its GPUs, or the CPU once."""
    count = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (visible.split(",")[:count] if visible else [str(i) for i in range(count)]) or [""]


def find(folder: Path, id: str) -> Path | None:
    """The run directory called `id` directly inside `folder`; None for whatever else the id tries to be."""
    if not RUN_ID.fullmatch(id) or not (folder / id / "recipe.json").is_file():
        return None
    return folder / id


def read_status(path: Path) -> Status:
    """What a run directory says of itself, without reading the run."""
    try:
        said = json.loads((path / "status.json").read_text(encoding="utf-8"))
        return Status(str(said["state"]), str(said["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Status("interrupted", "Its status cannot be read; the snapshots so far are kept.")


def is_whole(path: Path) -> bool:
    """Can all of a run that is done still be shown: its pictures, and its snapshots to the last step?"""
    try:
        run = Run(path)
        return bool(run.probe.names) and len(run) > 0 and run[-1].step == run.total_steps
    except OSError:
        return False


def job_worker(workers: list[Worker], job: Job) -> Worker:
    return next(worker for worker in workers if worker.job is job)


def last_words(code: int, path: Path) -> str:
    """What is to be said of a training process that ended without a word, and of its run at `path`."""
    if code == -signal.SIGTERM:
        how = "was ended from outside (signal 15)"
    elif code == -9:
        how = "was killed (signal 9, often out of memory)"
    elif code < 0:
        how = f"crashed (signal {-code})"
    else:
        how = f"ended with exit code {code}"
    snapshots = 0
    with suppress(OSError):
        snapshots = len(Run(path))
    kept = "The snapshot so far is" if snapshots == 1 else f"The {snapshots} snapshots so far are"
    return f"The training process {how}. {kept} kept; press Train to start again."


# A server holds a lock on a file of its own for as long as it lives; the system lets go of it however the server
# ends. So a run left "running" by an owner whose lock is free was left behind; if it is held, it is being trained.


def lock(file: Any) -> bool:
    """Try to lock an open file; False when another process (or another pool of this one) holds it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_dead(folder: Path, owner: str) -> bool:
    """Was this owner a pool that no longer lives? (Runs of the command line have other owners.)"""
    if not re.fullmatch(r"pool-[0-9a-f]{16}", owner):
        return False
    try:
        with (folder / f".{owner}").open("r+") as claim:
            return lock(claim)
    except FileNotFoundError:
        return True
