"""Maps are drawn by processes of their own: in order, made anew when they die, gone when the server is, and stopped
when nobody looks."""

import io
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from losslab import projections
from losslab.live import projector
from losslab.live.projector import DIED, Map, Maps, Process, lane
from losslab.live.shelf import COLUMNS, THUMB, Shelf, sprite_sheet
from losslab.losses import ArcFace
from losslab.projections import faithful
from losslab.projections.umap import MOST, UmapAligned, fitted_to
from losslab.training import Probe, Recipe, RunWriter, Snapshot

N, C, DIM = 40, 3, 8
WITH_UMAP = pytest.mark.skipif(find_spec("umap") is None, reason="umap-learn is not installed")


def moment(step: int) -> Snapshot:
    """The same samples, a little nearer to their prototypes at every step."""
    random = np.random.default_rng(0)
    prototypes = random.normal(size=(C, DIM)).astype(np.float32)
    noise = random.normal(size=(N, DIM)).astype(np.float32)
    return Snapshot(
        step=step,
        embedding=prototypes[np.arange(N) % C] * (1 + 0.1 * step) + noise,
        prototypes=prototypes,
        loss=np.ones(N, np.float32),
        gap=np.ones(N, np.float32),
        correct=np.ones(N, bool),
        scalars={"loss": 0.5},
        knobs={},
        weights=None,
    )


def write(path: Path, snapshots: int, state: str = "done", side: tuple[int, ...] = (28, 28)) -> Path:
    recipe = Recipe(loss=ArcFace(scale=16, margin=0.2), classes=(0, 1, 2), dim=DIM)
    names = tuple("abc")
    shown = Probe(np.zeros((N, *side), np.uint8), np.arange(N) % C, np.zeros(N, np.uint8), names)
    with RunWriter(path, recipe, shown) as writer:
        for step in range(snapshots):
            writer.append(moment(step))
        writer.state(state)
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nothing is waited for longer than it must be."""
    monkeypatch.setattr(projector, "TOLD", 0.0)
    monkeypatch.setattr(projector, "SOON", 0.0)


@pytest.fixture(autouse=True, scope="module")
def closed():
    """No process is left; until then each serves whoever asks, as in a server."""
    yield
    projector.close()


def until(ready, what: str, seconds: float = 120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


def filled(found: Map, snapshots: int) -> Map:
    def whole() -> bool:
        found.ask(snapshots)
        assert not found.problem, found.problem
        return len(found.placed) == snapshots

    until(whole, f"{snapshots} places")
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_snapshots_are_placed_in_order_as_the_projection_places_them(tmp_path):
    path = write(tmp_path / "run", 6)
    found = filled(Map(path, "SphereMap"), 6)
    projection = projections.read("SphereMap")
    for step, place in enumerate(found.placed):
        snapshot = moment(step)
        placed = projection.place(snapshot.embedding, snapshot.prototypes)
        assert np.array_equal(place.samples, placed.samples) and np.array_equal(place.prototypes, placed.prototypes)
        recall = faithful.faith(projection, snapshot.embedding, placed).recall
        assert place.faithful["map_recall"] == pytest.approx(recall)


def test_a_map_that_comes_later_waits_for_no_more_than_an_errand(tmp_path):
    one, two = (Map(write(tmp_path / name, 30), "SphereMap") for name in "ab")
    one.ask(30)
    filled(two, 1)
    assert len(one.placed) <= projector.AT_ONCE
    filled(one, 30)


def test_what_cannot_be_drawn_is_said_and_tried_again_at_the_next_look(tmp_path):
    path = write(tmp_path / "run", 1)
    found = Map(path, "ThreePrototypes:0,1,7")
    found.ask(1)
    assert "no prototype 7" in until(lambda: found.problem, "the problem")
    found.ask(1)
    assert not found.problem
    until(lambda: found.problem, "the problem once more")


def test_a_killed_process_is_said_and_the_next_look_begins_another(tmp_path, monkeypatch):
    monkeypatch.setattr(projector, "TOLD", 60.0)
    found = Map(write(tmp_path / "run", 12), "SphereMap")
    filled(found, 4)
    first = projector.QUICK.pid
    os.kill(first, signal.SIGSTOP)  # so that it is killed over its errand
    found.ask(12)
    os.kill(first, signal.SIGKILL)
    assert until(lambda: found.problem, "a sentence about the end") == DIED
    found.ask(12)
    assert found.problem == DIED  # for all who look
    monkeypatch.setattr(found, "_rest", 0.0)
    filled(found, 12)
    assert projector.QUICK.pid != first


def test_a_run_that_was_deleted_leaves_no_errand_that_others_would_wait_for(tmp_path):
    process, gone = Process(), tmp_path / "gone"
    with pytest.raises(FileNotFoundError):
        process.send(Map(gone, "SphereMap"), path=str(gone), name="SphereMap", start=0, count=1)
    assert not process._errands


def test_a_process_that_was_closed_is_gone(tmp_path):
    filled(Map(write(tmp_path / "run", 1), "SphereMap"), 1)
    pid = projector.QUICK.pid
    projector.close()
    assert not alive(pid) and projector.QUICK.pid is None


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc")
def test_they_die_with_a_server_that_is_killed(tmp_path):
    """One that has placed something, and one that has hardly begun."""
    write(tmp_path / "run", 1)
    code = (
        "import sys, time; from pathlib import Path; from losslab.live import projector\n"
        "found = projector.Map(Path(sys.argv[1]), 'SphereMap')\n"
        "found.ask(1)\n"
        "while not found.placed: time.sleep(0.01)\n"
        "new = projector.Process(); new.warm()\n"
        "print(projector.QUICK.pid, new.pid, flush=True); time.sleep(600)"
    )
    server = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE)
    try:
        pids = list(map(int, server.stdout.readline().split()))
        assert len(pids) == 2 and all(map(alive, pids))
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    until(lambda: not any(map(alive, pids)), "the processes to end")


def test_a_run_made_anew_has_another_map(tmp_path):
    maps, path = Maps(), write(tmp_path / "run", 1)
    first = maps.get(path, "SphereMap")
    assert maps.get(path, "SphereMap") is first
    os.utime(path / "recipe.json", ns=(1, 1))
    assert maps.get(path, "SphereMap") is not first
    with pytest.raises(OSError):
        maps.get(tmp_path / "none", "SphereMap")


def test_umap_has_processes_of_its_own():
    kinds = "SphereMap", "ThreePrototypes:0,1,2", "UmapPlane", "UmapSphere", "UmapAligned"
    one, same, plane, sphere, aligned = map(lane, kinds)
    assert one is same and plane is sphere and len({id(process) for process in (one, plane, aligned)}) == 3
    assert isinstance(aligned, Process)


def test_pictures_keep_their_size_however_little_they_agree():
    first, second = np.random.default_rng(0).normal(size=(2, N, 2))
    fitted = fitted_to(9 * second, first)
    assert np.linalg.norm(fitted - fitted.mean(0)) == pytest.approx(np.linalg.norm(first - first.mean(0)))


# -- all snapshots together -------------------------------------------------------------------------------


@WITH_UMAP
def test_all_snapshots_are_laid_out_together_and_stopped_when_nobody_looks(tmp_path, monkeypatch):
    found, heard = Map(write(tmp_path / "run", 4), "UmapAligned"), []
    end = time.monotonic() + 240
    monkeypatch.setattr(projector, "UNASKED", 0.0)  # whoever asked is gone at once
    found.ask(4)
    while found._errand is not None and time.monotonic() < end:
        time.sleep(0.02)
    assert not found.placed and not found.problem and not found.doing
    monkeypatch.setattr(projector, "UNASKED", 60.0)
    while len(found.placed) < 4 and time.monotonic() < end:
        found.ask(4)
        heard.append(found.doing)
        time.sleep(0.02)
    assert len(found.placed) == 4 and any(said.startswith("Laying out: ") for said in heard)
    assert all(place.samples.shape == (N, 2) and place.prototypes.shape == (C, 2) for place in found.placed)
    assert all("map_recall" in place.faithful for place in found.placed)


def test_a_run_that_trains_is_laid_out_once_it_has_ended(tmp_path):
    found = Map(write(tmp_path / "run", 2, "running"), "UmapAligned")
    found.ask(2)
    assert "once this run has ended" in until(lambda: found.doing, "what it waits for")
    assert not found.problem and not found.placed


def test_too_many_snapshots_are_not_laid_out_together():
    with pytest.raises(ValueError, match=f"At most {MOST} snapshots .* this run has {MOST + 1}"):
        UmapAligned().place_all([(np.zeros((N, DIM)), np.zeros((C, DIM)))] * (MOST + 1))
    with pytest.raises(ValueError, match="all snapshots"):
        UmapAligned().place(moment(0).embedding, moment(0).prototypes)


# -- faces on a sheet -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "small"), [((112, 112, 3), (64, 64)), ((112, 96), (64, 55)), ((28, 28), (28, 28))])
def test_a_sheet_holds_thumbnails(tmp_path, side, small):
    images = np.zeros((COLUMNS + 2, *side), np.uint8) + np.arange(COLUMNS + 2, dtype=np.uint8).reshape(
        -1, *[1] * len(side)
    )
    sheet = np.asarray(Image.open(io.BytesIO(sprite_sheet(images))))
    height, width = small
    assert max(small) <= THUMB and sheet.shape[:2] == (2 * height, COLUMNS * width)
    assert (sheet[height:, width : 2 * width] == COLUMNS + 1).all()
    write(tmp_path / "runs" / "run", 1, side=side)
    facts = Shelf(tmp_path / "runs", tmp_path).book("run").facts()
    assert facts["sprite"] == {"columns": COLUMNS, "width": width, "height": height}
