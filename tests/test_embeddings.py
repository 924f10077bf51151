"""The view of a run as the stage shows it, and several of them beside one another."""

import numpy as np
import pytest

from losslab.figures import catalogue
from losslab.scene import CIRCLE, PLANE, SPHERE, Zones
from losslab.training import Run
from losslab.views import view
from pages.parts.server import RECORDINGS

CIRCLE_RUN, SPHERE_RUN = (Run(RECORDINGS / name) for name in ("arcface-circle", "arcface-sphere"))


def seen(run=SPHERE_RUN, **values):
    return view("Embeddings", (run.recipe.loss,), {"run": run, **values}).scene()


def samples(scene):
    (mark,) = scene.of_role("sample")
    return mark


@pytest.mark.parametrize(("split", "marks"), [("all", (0, 1)), ("train", (0,)), ("test", (1,))])
def test_only_the_samples_that_are_chosen_are_there(split, marks):
    probe = SPHERE_RUN.probe
    mine = np.isin(probe.split, marks) & ~np.isin(probe.labels, (1, 4))
    found = samples(seen(split=split, hidden=(1, 4)))
    assert np.array_equal(found.each, probe.labels[mine])
    way = SPHERE_RUN[-1].embedding[mine]
    assert np.allclose(found.at, way / np.linalg.norm(way, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("colour", ["gap", "loss"])
def test_ink_may_say_a_number_of_each_sample(colour):
    found = samples(seen(colour=colour, snapshot=7))
    assert found.each is None and np.allclose(found.value, getattr(SPHERE_RUN[7], colour))


def test_without_zones_the_sentence_counts_what_is_shown():
    scene = seen(zones=False, split="test")
    held = SPHERE_RUN.probe.split == 1
    right, clear = SPHERE_RUN[-1].correct[held].mean(), (SPHERE_RUN[-1].gap[held] > 0).mean()
    assert not [mark for mark in scene.marks if isinstance(mark, Zones)]
    assert scene.says == (
        f"Of {held.sum()} samples {100 * right:.1f} % are right and {100 * clear:.1f} % clear their margin."
    )


def test_in_two_dimensions_there_is_a_plane_too():
    assert seen(CIRCLE_RUN).space == CIRCLE and seen(CIRCLE_RUN, plane=True).space == PLANE
    assert np.allclose(samples(seen(CIRCLE_RUN, plane=True)).at, CIRCLE_RUN[-1].embedding)
    with pytest.raises(ValueError, match="Only embeddings of two dimensions have a plane"):
        seen(plane=True)


def test_hiding_every_class_leaves_an_empty_sphere():
    scene = seen(zones=False, hidden=tuple(range(10)))
    assert len(samples(scene).at) == 0 and scene.says == "No sample is shown."


def test_without_a_run_there_is_nothing_to_show():
    with pytest.raises(ValueError, match="open a run"):
        view("Embeddings", (SPHERE_RUN.recipe.loss,), {})


def test_side_by_side_at_one_step():
    runs = tuple(Run(RECORDINGS / name) for name in ("compare-normface", "compare-arcface"))
    plate = catalogue()["SideBySide"](runs=runs, step=30, colour="gap").plate()
    steps = [int(run.metrics()["step"][np.abs(run.metrics()["step"] - 30).argmin()]) for run in runs]
    assert [scene.space for scene in plate.panels] == [SPHERE, SPHERE] and plate.heads == ("NormFace", "ArcFace 0.3")
    assert all(f"at step {step}" in scene.title for step, scene in zip(steps, plate.panels, strict=True))
    assert "ArcFace 0.3: of 420 samples" in plate.says
