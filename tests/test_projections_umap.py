"""UMAP by its real library, where that is installed: seeded, warm, aligned, and stopped when it is told to."""

import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("umap", reason="umap-learn is not installed")

from test_projections import training

from losslab.projections import faithful, umap
from losslab.projections.umap import Cancelled, UmapPlane, UmapSphere

MOMENTS = training(3)


def test_the_plane_is_seeded_warm_and_keeps_neighbours():
    one, two = UmapPlane(seed=1), UmapPlane(seed=1)
    placed = [one.place(*moment) for moment in MOMENTS]
    again = [two.place(*moment) for moment in MOMENTS]
    for a, b in zip(placed, again, strict=True):
        assert a.samples.shape[1] == a.prototypes.shape[1] == 2 and np.isfinite(a.samples).all()
        assert np.array_equal(a.samples, b.samples) and np.array_equal(a.prototypes, b.prototypes)
    assert faithful.neighbour_recall(MOMENTS[-1][0], placed[-1].samples) > 0.4
    still = [one.place(*MOMENTS[-1]) for _ in range(3)]
    assert faithful.jump(still[1].samples, still[2].samples) < 0.2


def test_the_sphere_has_unit_vectors():
    projection = UmapSphere()
    for moment in MOMENTS[:2]:
        placed = projection.place(*moment)
        for rows in (placed.samples, placed.prototypes):
            assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_what_was_compiled_is_kept_for_later_processes():
    UmapPlane().place(*MOMENTS[0])
    compiled = umap.library().umap_.compute_membership_strengths
    assert list(Path(compiled.stats.cache_path).glob(f"*.{compiled.__name__}-*"))


@pytest.mark.parametrize("n", [3, 5, 20])
def test_few_samples_have_places(n):
    rows = np.random.default_rng(0).normal(size=(n, 6))
    assert np.isfinite(UmapPlane().place(rows, rows[:2]).samples).all()


def test_a_finished_run_is_aligned_and_its_progress_told():
    told = []
    placed = umap.aligned(MOMENTS, progress=lambda *said: told.append(said))
    assert len(placed) == 3 and max(np.abs(each.samples).max() for each in placed) == pytest.approx(umap.EXTENT)
    assert told[-1] == (600, 600) and [done for done, _ in told] == sorted(done for done, _ in told)
    jumps = [faithful.jump(a.samples, b.samples) for a, b in zip(placed, placed[1:], strict=False)]
    assert max(jumps) < 0.5


def test_a_cancelled_picture_leaves_what_was_before():
    stop, seen = threading.Event(), []

    def stop_soon(done: int, total: int) -> None:
        seen.append(done)
        if len(seen) > 205:
            stop.set()

    projection = UmapPlane(progress=stop_soon, cancel=stop)
    projection.place(*MOMENTS[0])
    with pytest.raises(Cancelled):
        projection.place(*MOMENTS[1])
    stop.clear()
    projection.progress, other = None, UmapPlane()
    other.place(*MOMENTS[0])
    assert np.array_equal(projection.place(*MOMENTS[1]).samples, other.place(*MOMENTS[1]).samples)
    stop.set()
    with pytest.raises(Cancelled):
        umap.aligned(MOMENTS, cancel=stop)
