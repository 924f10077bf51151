"""The margins that adaptive losses gave: what is drawn is what the real loss says of a real training."""

import math

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from streamlit.testing.v1 import AppTest

from losslab import losses
from losslab.geometry import angle
from losslab.losses import (
    AdaFace,
    ArcFace,
    DynArcFace,
    ElasticFace,
    InterFace,
    IntraLoss,
    KappaFace,
    MagFace,
    draws,
)
from losslab.losses.margins import add_angle
from losslab.render import screen
from losslab.scene import Arrows, Path, Points
from losslab.training import Recipe, Run, RunWriter, head_at, probe, train
from losslab.training.images import load
from losslab.views import catalogue
from losslab.views.elastic import ElasticDraws, ElasticSamples, rank_correlation
from losslab.views.given import Given
from losslab.views.history import GroupsOverTime, MarginsOverTime, history
from losslab.views.interface_margins import InterFaceCurves, InterFaceMargins
from losslab.views.kappa import KappaByConcentration, KappaBySize
from losslab.views.length import MarginsByLength
from pages.parts import margins, server

KAPPA = KappaFace(scale=16, margin=0.5)
LOSSES = {
    "ElasticFace": ElasticFace(scale=16, margin=0.3, spread=0.08, sorted=True),
    "ElasticFace, cos": ElasticFace(scale=16, margin=0.2, variant="cos", pairing="as_released"),
    "KappaFace": KAPPA,
    "IntraLoss": IntraLoss(base=KAPPA),
    "InterFace": losses.starting(InterFace),
    "MagFace": losses.starting(MagFace),
    "AdaFace": losses.starting(AdaFace),
    "DynArcFace": losses.starting(DynArcFace),
    "ArcFace": ArcFace(scale=16, margin=0.3),
}
BATCH, SEED = 32, 3


def trained(path, loss) -> Run:
    """Four classes, the last of them four times smaller than the first, in 8 dimensions where only that is new."""
    recipe = Recipe(
        loss=loss, model="mlp", classes=(1, 4, 7, 9), per_class=60, imbalance=4, epochs=2, batch=BATCH, probe=120,
        seed=SEED, dim=8 if isinstance(loss, IntraLoss) else 3,
    )  # fmt: skip
    with RunWriter(path, recipe, probe(recipe)) as writer:
        for snapshot in train(recipe):
            writer.append(snapshot)
        writer.state("done")
    return Run(path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs by the name of their loss, each trained when it is first wanted."""
    made = {}

    def of(name: str) -> Run:
        if name not in made:
            made[name] = trained(tmp_path_factory.mktemp("runs") / "run", LOSSES[name])
        return made[name]

    return of


def fitting(loss):
    core = loss.base if isinstance(loss, IntraLoss) else loss
    kinds = [kind for kind in catalogue().values() if issubclass(kind, Given)]
    return [kind for kind in kinds if not kind.about or isinstance(core, kind.about)]


def named(scene, name):
    (mark,) = [mark for mark in scene.marks if mark.name == name]
    return mark


def seen(run, index=-1, split=0):
    """The head at a snapshot and what it sees of the samples that were trained on."""
    moment, chosen = run[index], run.probe.split == split
    head = head_at(run.recipe, moment).double().requires_grad_(False)
    label = torch.from_numpy(run.probe.labels[chosen])
    return head, head.angles(torch.from_numpy(moment.embedding[chosen]).double(), label)


# -- all of them ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_every_picture_of_a_run_is_finite_and_is_one_for_plotly(runs, name):
    run = runs(name)
    assert fitting(run.recipe.loss)
    for kind in fitting(run.recipe.loss):
        for snapshot in (0, len(run) // 2, -1):
            scene = kind(run=run, snapshot=snapshot).scene()
            go.Figure(screen.figure(scene))
            assert scene.says and "nan" not in scene.says and scene.table()
            for mark in scene.marks:
                assert isinstance(mark, Path | Points | Arrows)
                rows = mark.at if not isinstance(mark, Path) else mark.at[~np.isnan(mark.at).all(1)]
                assert np.isfinite(rows).all()


@pytest.mark.parametrize("kind", [kind for kind in fitting(KAPPA) + [ElasticDraws, ElasticSamples, InterFaceMargins,
                                  InterFaceCurves, MarginsByLength] if kind.__name__[-8:] != "OverTime"])  # fmt: skip
def test_by_hand_a_picture_begins_with_the_first_loss_it_is_about(kind):
    view = kind()
    assert isinstance(view.losses[0], kind.about[0])
    go.Figure(screen.figure(view.scene()))


def test_a_picture_of_another_loss_is_refused(runs, tmp_path):
    with pytest.raises(ValueError, match="This picture is of ElasticFace; here the loss is ArcFace."):
        ElasticDraws(run=runs("ArcFace"))
    with pytest.raises(ValueError, match="This picture is of MagFace or AdaFace; here the loss is KappaFace."):
        MarginsByLength(losses=(KAPPA,))
    with pytest.raises(ValueError, match="follows a training: open a run"):
        GroupsOverTime().scene()
    recipe = runs("ArcFace").recipe
    with RunWriter(tmp_path / "new", recipe, probe(recipe)), pytest.raises(ValueError, match="has shown nothing yet"):
        GroupsOverTime(run=Run(tmp_path / "new"))


# -- ElasticFace ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ElasticFace", "ElasticFace, cos"])
def test_draws_are_those_of_the_next_steps_of_the_run(runs, name):
    run = runs(name)
    loss, step = run.recipe.loss, run[-1].step
    drawn = ElasticDraws(run=run).drawn()
    for k in range(int(drawn.batch.max()) + 1):
        mine = drawn.batch == k
        assert k == int(drawn.batch.max()) or mine.sum() == BATCH
        fresh = draws.normal(torch.tensor(SEED), torch.tensor(step + k), int(mine.sum()), torch.float64)
        torch.testing.assert_close(drawn.plain[mine], loss.margin + loss.spread * fresh)


@pytest.mark.parametrize("name", ["ElasticFace", "ElasticFace, cos"])
def test_handed_out_margins_are_the_drawn_ones_within_each_batch(runs, name):
    drawn = ElasticDraws(run=runs(name)).drawn()
    for k in drawn.batch.unique():
        mine = drawn.batch == k
        assert torch.equal(drawn.plain[mine].sort().values, drawn.sorted[mine].sort().values)


def test_handed_out_by_angle_the_farthest_gets_the_largest(runs):
    drawn = ElasticDraws(run=runs("ElasticFace")).drawn()
    assert drawn.correlation(drawn.sorted) == pytest.approx(-1)
    assert abs(drawn.correlation(drawn.plain)) < 0.6
    released = ElasticDraws(run=runs("ElasticFace, cos")).drawn()
    assert abs(released.correlation(released.sorted)) < 0.6
    scene = ElasticSamples(run=runs("ElasticFace")).scene()
    plain, handed = scene.of_role("sample")
    assert sorted(plain.at[:, 1]) == sorted(handed.at[:, 1]) and np.array_equal(plain.at[:, 0], handed.at[:, 0])
    assert "handed out by angle, -1.00" in scene.says and "handed them out so" in scene.says


def test_a_histogram_holds_every_draw(runs):
    scene = ElasticDraws(run=runs("ElasticFace")).scene()
    bars = scene.of_role("bars")[0].at
    assert bars[1:-1:2, 1].sum() == pytest.approx(100) and bars[0, 1] == bars[-1, 1] == 0
    bell = scene.of_role("curve")[0].at
    assert bell[bell[:, 1].argmax(), 0] == pytest.approx(0.3, abs=0.005)


def test_without_spread_all_margins_are_the_same():
    still = ElasticFace(scale=16, margin=0.3, spread=0.0)
    assert "the same, 0.30 rad (17.2°) ± 0.000 for every sample" in ElasticSamples(losses=(still,)).scene().says
    assert not ElasticDraws(losses=(still,)).scene().of_role("curve")


def test_rank_correlation():
    x = torch.tensor([0.1, 0.9, 0.5, 0.7])
    assert rank_correlation(x, x**3) == pytest.approx(1) and rank_correlation(x, -x) == pytest.approx(-1)
    assert math.isnan(rank_correlation(x, torch.ones(4))) and math.isnan(rank_correlation(x[:1], x[:1]))


# -- KappaFace --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kept"), [("KappaFace", "psi"), ("IntraLoss", "base.psi")])
def test_psi_is_that_of_the_training_and_sizes_are_those_of_its_images(runs, name, kept):
    run = runs(name)
    points = KappaBySize(run=run).scene().of_role("class")[0]
    np.testing.assert_allclose(points.at[:, 1], run[-1].memory[kept])
    np.testing.assert_array_equal(points.at[:, 0], torch.bincount(load(run.recipe)[0].labels).numpy())
    assert points.words == ("1", "4", "7", "9") and (np.diff(points.at[:, 0]) < 0).all()


def test_concentration_is_that_of_the_samples_shown(runs):
    run = runs("KappaFace")
    _, a = seen(run)
    expected = []
    for k in range(4):
        r = a.direction[a.label == k].mean(0).norm()
        expected.append(float(r * (3 - r**2) / (1 - r**2)))
    points = KappaByConcentration(run=run).scene().of_role("class")[0]
    np.testing.assert_allclose(points.at[:, 0], expected)
    np.testing.assert_allclose(points.at[:, 1], run[-1].memory["psi"])


@pytest.mark.parametrize("mix", ["code", "paper"])
def test_psi_falls_with_the_size_of_a_class_all_else_equal(runs, mix):
    level = KappaFace(margin=0.5, temperature=0.0, mix=mix)  # concentrations tell nothing apart
    points = KappaBySize(losses=(level,), sizes=(10, 40, 80, 150, 200)).scene().of_role("class")[0]
    assert points.at[:, 0].tolist() == [10, 40, 80, 150, 200]
    assert (np.diff(points.at[:, 1]) < 0).all()
    guide = KappaBySize(run=runs("KappaFace")).scene().of_role("guide")[0]
    assert (np.diff(guide.at[:, 1]) <= 0).all()


def test_psi_falls_with_the_concentration_of_a_class_all_else_equal():
    scene = KappaByConcentration(losses=(KAPPA,), concentrations=(5, 10, 20, 40, 80)).scene()
    points = scene.of_role("class")[0]
    assert (np.diff(points.at[:, 0]) > 0).all() and (np.diff(points.at[:, 1]) < 0).all()
    assert "rank correlation of κ and ψ -1.00" in scene.says


def test_before_the_first_epoch_ends_all_classes_have_the_whole_margin(runs):
    assert (
        "every class has the margin m, 0.50 rad (28.6°)" in KappaBySize(run=runs("KappaFace"), snapshot=0).scene().says
    )


@pytest.mark.parametrize("name", ["KappaFace", "MagFace", "DynArcFace"])
def test_what_is_shown_is_what_the_curve_adds(runs, name):
    _, a = seen(runs(name))
    loss = runs(name).recipe.loss
    assert torch.equal(loss.positive(a), add_angle(a.target, loss.margins(a), loss.beyond))


# -- InterFace --------------------------------------------------------------------------------------------


def test_the_margins_of_one_sample_follow_the_formula(runs):
    run = runs("InterFace")
    _, a = seen(run)
    loss = run.recipe.loss
    number = np.flatnonzero(run.probe.split == 0)
    worst = int(np.argmin(run[-1].gap[number]))
    own = int(a.label[worst])
    prototype = a.prototype
    others = [k for k in range(4) if k != own]
    phi = [math.acos(float(prototype[own] @ prototype[k])) for k in others]
    theta = float(angle(a.target)[worst])
    expected = [loss.reach * (math.exp(-loss.middle / p) - math.exp(-theta / p)) for p in phi]
    scene = InterFaceMargins(run=run).scene()
    points = scene.of_role("class")[0]
    np.testing.assert_allclose(points.at[:, 1], expected, atol=1e-9)
    np.testing.assert_allclose(points.at[:, 0], angle(a.cosine)[worst, others].rad2deg().numpy())
    assert points.each.tolist() == others
    assert scene.says.startswith(
        f"Image {number[worst]}, of class {run.probe.names[own]}, is {math.degrees(theta):.1f}°"
    )
    assert f"Image {number[1]}," in InterFaceMargins(run=run, sample=int(number[1])).scene().says


@pytest.mark.parametrize("mode", ["cc", "dc", "dd"])
def test_the_margins_to_other_classes_stay_within_their_bounds(mode):
    loss = InterFace(mode=mode, reach=0.1, middle=0.2)
    curves = InterFaceCurves(losses=(loss,)).scene().of_role("curve")
    assert len(curves) == 4
    for curve in curves:
        margin = curve.at[:, 1]
        assert (np.diff(margin) > 0).all()  # the farther from the own prototype, the nearer the others
        assert margin.min() >= 0.1 * (math.exp(-0.2 / 0.01) - 1) and margin.max() < 0.1
        if mode == "cc":
            assert margin[0] == pytest.approx(-0.018127, abs=1e-6) and margin[-1] == pytest.approx(0.068340, abs=1e-6)
            assert margin[60] == pytest.approx(0.010220, abs=1e-6)  # at 30 degrees


def test_a_sample_stands_on_its_curves(runs):
    scene = InterFaceCurves(run=runs("InterFace")).scene()
    here = scene.of_role("class")[0]
    for k, (theta, margin) in zip(here.each, here.at, strict=True):
        (curve,) = [mark for mark in scene.of_role("curve") if mark.of == k]
        assert np.interp(theta, *curve.at.T) == pytest.approx(margin, abs=1e-5)


# -- MagFace and AdaFace ----------------------------------------------------------------------------------


def test_magface_rises_on_a_straight_line_between_its_limits(runs):
    run = runs("MagFace")
    loss = run.recipe.loss
    curve = MarginsByLength(run=run).scene().of_role("curve")[0].at
    share = np.clip((curve[:, 0] - loss.shortest) / (loss.longest - loss.shortest), 0, 1)
    np.testing.assert_allclose(curve[:, 1], loss.low + (loss.high - loss.low) * share)


def test_samples_stand_on_the_curve_of_their_length(runs):
    for name in ("MagFace", "AdaFace"):
        scene = MarginsByLength(run=runs(name)).scene()
        for curve, points in zip(scene.of_role("curve"), scene.of_role("sample"), strict=True):
            assert np.interp(points.at[:, 0], *curve.at.T) == pytest.approx(points.at[:, 1], abs=2e-3)


def test_adaface_splits_its_margin_as_the_formula_says(runs):
    run = runs("AdaFace")
    loss, kept = run.recipe.loss, run[-1].memory
    length = np.linalg.norm(run[-1].embedding[run.probe.split == 0].astype(float), axis=1)
    z = np.clip(loss.spread * (length - kept["mean"]) / (kept["deviation"] + 1e-3), -1, 1)
    to_angle, from_cosine = MarginsByLength(run=run).scene().of_role("sample")
    np.testing.assert_allclose(to_angle.at[:, 1], -loss.margin * z, atol=1e-6)
    np.testing.assert_allclose(from_cosine.at[:, 1], loss.margin + loss.margin * z, atol=1e-6)


@pytest.mark.parametrize(
    ("shortest", "longest", "words"),
    [(0.1, 400.0, "All images are between"), (190.0, 400.0, "100% of the images are shorter than l = 190 and 0%")],
)
def test_it_says_who_is_outside_of_the_limits(shortest, longest, words):
    loss = MagFace(shortest=shortest, longest=longest)
    assert MarginsByLength(losses=(loss,)).scene().says.startswith(words)


# -- over time --------------------------------------------------------------------------------------------


def test_kappaface_over_time_is_psi_times_the_margin(runs):
    for name, kept in (("KappaFace", "psi"), ("IntraLoss", "base.psi")):
        run = runs(name)
        scene = MarginsOverTime(run=run).scene()
        psi = np.array([snapshot.memory[kept] for snapshot in run])
        for k, title in enumerate(run.probe.names):
            at = named(scene, title).at
            np.testing.assert_array_equal(at[:, 0], run.metrics()["step"])
            np.testing.assert_allclose(at[:, 1], 0.5 * psi[:, k], rtol=1e-6)


@pytest.mark.parametrize("name", ["MagFace", "AdaFace", "InterFace"])
def test_margins_over_time_are_those_of_every_snapshot(runs, name):
    run = runs(name)
    scene = MarginsOverTime(run=run).scene()
    for index in (0, len(run) // 2, len(run) - 1):
        head, a = seen(run, index)
        given = head.loss.margins(a)
        if name == "AdaFace":
            given = {"to the angle, ": given[0], "from the cosine, ": given[1]}
        else:
            given = {"": given[~a.own] if name == "InterFace" else given}
        for before, values in given.items():
            for word, value in zip(("smallest", "median", "largest"), np.quantile(values, (0, 0.5, 1)), strict=True):
                assert named(scene, before + word).at[index, 1] == pytest.approx(value, abs=1e-6)


def test_elasticface_over_time_keeps_to_its_spread(runs):
    scene = MarginsOverTime(run=runs("ElasticFace")).scene()
    low, middle, high = (named(scene, name).at[:, 1] for name in ("5 % are below", "median", "5 % are above"))
    assert (low < middle).all() and (middle < high).all() and abs(middle.mean() - 0.3) < 0.02
    assert (high - low).mean() == pytest.approx(2 * 1.645 * 0.08, rel=0.15)
    assert len(set(middle)) > 1  # drawn anew at every step


def test_shares_are_those_of_gap_and_prediction_for_every_loss(runs):
    run = runs("ArcFace")
    scene = GroupsOverTime(run=run).scene()
    for split, more in ((0, ""), (1, ", held out")):
        marks = [named(scene, f"{name}{more}").at for name in ("beyond the margin", "inside it", "wrong")]
        np.testing.assert_allclose(sum(at[:, 1] for at in marks), 100)
        for index, snapshot in enumerate(run):
            mine = run.probe.split == split
            wrong = ~snapshot.correct[mine]
            assert marks[2][index, 1] == pytest.approx(100 * wrong.mean())
            assert marks[0][index, 1] == pytest.approx(100 * ((snapshot.gap[mine] > 0) & ~wrong).mean())


def test_a_history_is_worked_out_once_for_each_length_of_a_run(runs):
    run = runs("MagFace")
    key = (run.path, run.recipe.key)
    assert history(*key, len(run)) is history(*key, len(run))
    shorter = history(*key, 5)
    assert len(shorter.step) == 5
    np.testing.assert_array_equal(shorter.share, history(*key, len(run)).share[:5])


def test_the_step_that_is_shown_is_marked(runs):
    run = runs("ArcFace")
    for index in (0, 4):
        (rule,) = GroupsOverTime(run=run, snapshot=index).scene().of_role("guide")
        assert (rule.at[:, 0] == run[index].step).all()


# -- on the page ------------------------------------------------------------------------------------------


def test_the_pictures_that_fit_a_run_are_chosen_by_its_loss(runs):
    over_time = ["MarginsOverTime", "GroupsOverTime"]
    expected = {
        "ElasticFace": ["ElasticDraws", "ElasticSamples", *over_time],
        "KappaFace": ["KappaBySize", "KappaByConcentration", *over_time],
        "InterFace": ["InterFaceMargins", "InterFaceCurves", *over_time],
        "MagFace": ["MarginsByLength", *over_time],
        "ArcFace": ["GroupsOverTime"],
    }
    for name, views in expected.items():
        assert margins.fitting(runs(name), LOSSES[name]) == views


def test_the_images_of_a_class_come_with_the_smallest_gap_first(runs):
    run, moment = runs("KappaFace"), runs("KappaFace")[-1]
    images = margins.nearest_first(run, moment, 2)
    mine = [i for i in range(len(moment.gap)) if run.probe.labels[i] == 2 and run.probe.split[i] == 0]
    mine.sort(key=lambda i: moment.gap[i])
    np.testing.assert_array_equal(images, run.probe.images[mine[: margins.IMAGES]])
    drawn = margins.sheet(images)
    assert drawn.shape == (2 * 28, 2 * (29 * len(images) - 1)) and drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn[::2, : 2 * 28 : 2], images[0])


def shown(id: str) -> AppTest:
    at = AppTest.from_string(f"from pages.parts import margins\nmargins.margins_of_run({id!r})", default_timeout=30)
    return at.run()


@pytest.fixture(scope="module")
def on_server(runs, tmp_path_factory):
    """A server that has some of the runs: their ids there, by name."""
    folder, ids = tmp_path_factory.mktemp("server"), {"KappaFace": "run-1", "ArcFace": "run-2"}
    for name, id in ids.items():
        (folder / id).symlink_to(runs(name).path)
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("LOSSLAB_RUNS", str(folder))
        server.pool.cache_clear()
        yield ids
        server.pool().close()
        server.pool.cache_clear()


def test_a_kappaface_run_shows_its_hardest_and_easiest_class(runs, on_server):
    run = runs("KappaFace")
    at = shown(on_server["KappaFace"])
    assert not at.exception and at.subheader[0].value == "The margins that the loss gave"
    captions = [each.captions[0] for each in at.get("image")]
    psi = run[-1].memory["psi"]
    for words, k in zip(captions, (psi.argmax(), psi.argmin()), strict=True):
        assert f"class for KappaFace, {run.probe.names[k]}: ψ = {psi[k]:.2f}" in words


def test_a_run_of_one_margin_says_which_losses_have_many(on_server):
    at = shown(on_server["ArcFace"])
    assert not at.exception and "ArcFace has one rule for all samples. Train KappaFace" in at.caption[0].value


def test_a_run_that_is_not_here_shows_nothing(on_server):
    at = shown("nowhere")
    assert not at.exception and not at.subheader
