"""Figures of how trainings go and of what comes out: each number drawn is that of the run, worked out anew."""

import dataclasses
import math
import re

import numpy as np
import pytest
import torch

from losslab import losses
from losslab.figures import catalogue
from losslab.figures.angle_history import AngleHistory, apart
from losslab.figures.label_noise import LabelNoise
from losslab.figures.learning_curves import LearningCurves
from losslab.figures.pair_angles import PairAngles
from losslab.figures.sweep import Sweep
from losslab.figures.tangent_ellipses import TangentEllipses, flattened
from losslab.figures.verification_curves import VerificationCurves
from losslab.geometry import exp_map
from losslab.head import PrototypeHead
from losslab.metrics import NoStrangers, strangers, unseen_eer
from losslab.scene import CHART, Plate
from losslab.training import Recipe, Run, RunError, RunWriter, head_at, probe, restore, thin, train
from losslab.verification import cmc

TINY = Recipe(model="mlp", dim=3, classes=(0, 1, 4, 7), per_class=30, epochs=2, batch=32, probe=60, seed=2, noise=0.3)
KINDS = ("Softmax", "SphereFace", "MagFace", "CenterLoss", "Triplet", "SubCenterArcFace", "IntraLoss")
OF_RUNS = (AngleHistory, PairAngles, VerificationCurves, LearningCurves, TangentEllipses, LabelNoise)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The run of a recipe, trained when it is first wanted."""
    found = {}

    def of(recipe: Recipe) -> Run:
        if recipe.key not in found:
            found[recipe.key] = trained(recipe, tmp_path_factory.mktemp("runs") / "run")
        return found[recipe.key]

    return of


def trained(recipe, path, most=None):
    with RunWriter(path, recipe, probe(recipe)) as writer:
        for count, snapshot in enumerate(train(recipe, device="cpu")):
            if count == most:
                return Run(path)
            writer.append(snapshot)
        writer.state("done")
    return Run(path)


def two(made, *names, **changes):
    recipe = dataclasses.replace(TINY, **changes)
    return tuple(made(dataclasses.replace(recipe, loss=losses.starting(name))) for name in names)


def plate(kind, runs, **knobs) -> Plate:
    return kind(runs=runs, **knobs).plate(runs)


def own_deg(run, index, mine):
    """Degrees from these samples to the nearest prototype of the class that they are told, one by one."""
    moment = run[index]
    rows = moment.prototypes.astype(float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    each = len(rows) // len(run.recipe.classes)
    found = []
    for sample, label in zip(moment.embedding[mine].astype(float), run.probe.labels[mine], strict=True):
        cosines = rows[label * each : (label + 1) * each] @ sample / np.linalg.norm(sample)
        found.append(math.degrees(math.acos(np.clip(cosines.max(), -1, 1))))
    return np.array(found)


def counted(mark, deg):
    """Is the outline that of these angles' histogram, in per cent of them?"""
    left, right, height = mark.at[1:-1:2, 0], mark.at[2::2, 0], mark.at[1:-1:2, 1]
    whole = np.array([(deg >= low).sum() - (deg >= high).sum() for low, high in zip(left, right, strict=True)])
    # A sample on an edge may fall to either side.
    assert np.abs(height - 100 * whole / len(deg)).sum() <= 2 * 100 / len(deg) + 1e-6
    assert height.sum() == pytest.approx(100)


def figures_in(says):
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", says)]


# -- all of them ---------------------------------------------------------------------------------------------


def test_they_are_in_the_catalogue():
    assert {kind.__name__ for kind in (*OF_RUNS, Sweep)} <= set(catalogue())


@pytest.mark.parametrize("kind", OF_RUNS)
def test_every_kind_of_loss_has_its_panel(made, kind):
    runs = two(made, *KINDS)
    found = plate(kind, runs)
    names = kind(runs=runs).names
    assert found.says.endswith(".") and all(name in found.says for name in names)
    assert not re.search(r"\bnan\b|\binf\b", found.says + found.table())
    assert len(found.heads) == len(found.panels) and 1 <= found.columns <= 4
    if kind in (VerificationCurves, LearningCurves):
        assert all(scene.names == names for scene in found.panels)
    else:
        assert len(found.panels) == len(KINDS) + (kind is LabelNoise)  # which shows sub-centres twice
    for scene in found.panels:
        assert scene.says or kind is LearningCurves
        if scene.space == CHART:
            assert scene.x.title and scene.y.unit == "%" or scene.y.unit == "°"
    told = [head for head in found.heads if "IntraLoss" in head]
    assert all("reconstruction" in head for head in told) and "IntraLoss (reconstruction)" in found.says


@pytest.mark.parametrize("kind", OF_RUNS)
def test_they_ask_for_a_run_of_each_loss(kind):
    figure = kind(losses=(losses.starting("CosFace"), losses.starting("Triplet")), recipe=TINY)
    assert [recipe.loss for recipe in figure.recipes()] == list(figure.losses)
    assert {dataclasses.replace(recipe, loss=TINY.loss) for recipe in figure.recipes()} == {TINY}
    assert kind(losses=figure.losses).recipes() != ()


@pytest.mark.parametrize("kind", OF_RUNS)
def test_panels_can_be_compared(made, kind):
    scenes = plate(kind, two(made, "Softmax", "Triplet", "SubCenterArcFace")).panels
    if kind in (VerificationCurves, LearningCurves):
        return  # whose panels show different things
    assert len({(scene.x.low, scene.x.high, scene.y.low, scene.y.high) for scene in scenes}) == 1
    for scene in scenes:
        for mark in scene.of_role("bars"):
            assert mark.at[:, 1].max() <= scene.y.high


def test_the_same_runs_make_the_same_figure(made):
    runs = two(made, "Softmax", "SubCenterArcFace")
    for kind in OF_RUNS:
        assert plate(kind, runs).table() == plate(kind, runs).table()


def test_one_loss_in_two_runs_is_two_curves(made):
    runs = (*two(made, "Softmax"), *two(made, "Softmax", seed=3))
    for kind in (LearningCurves, VerificationCurves):
        scene = plate(kind, runs).panels[0]
        names = [mark.name for mark in scene.of_role("curve")]
        assert names == ["Softmax", "Softmax (2)"]
    assert apart(("a", "b", "a", "a")) == ["a", "b", "a (2)", "a (3)"]


@pytest.mark.parametrize("kind", [AngleHistory, LearningCurves, TangentEllipses, LabelNoise])
def test_a_run_that_has_not_begun(tmp_path, kind):
    run = trained(TINY, tmp_path / "run", most=0)
    with pytest.raises(ValueError, match="shown nothing yet"):
        plate(kind, (run,))


@pytest.mark.parametrize("kind", [PairAngles, VerificationCurves])
def test_strangers_take_a_trained_network_and_classes_left_out(made, tmp_path, kind):
    (run,) = two(made, "Softmax")
    thin(run, tmp_path / "thin")
    with pytest.raises(RunError, match="train it again"):
        plate(kind, (Run(tmp_path / "thin"),))
    with pytest.raises(NoStrangers, match="leave out two or more"):
        plate(kind, two(made, "Softmax", classes=tuple(range(10)), epochs=1))


# -- the angles over the training ----------------------------------------------------------------------------


def test_angles_are_those_of_the_first_the_middle_and_the_last_snapshot(made):
    runs = two(made, "Softmax", "Triplet", "SubCenterArcFace")
    found = plate(AngleHistory, runs)
    said = iter(re.findall(r"([\d.]+)°", found.says))
    for run, scene in zip(runs, found.panels, strict=True):
        step = run.metrics()["step"]
        middle = min(range(len(step)), key=lambda i: abs(step[i] - run.total_steps / 2))
        assert step[-1] == run.total_steps and 0 < middle < len(step) - 1
        for mark, index in zip(scene.of_role("bars"), (0, middle, -1), strict=True):
            deg = own_deg(run, index, run.probe.split == 0)
            counted(mark, deg)
            assert float(next(said)) == pytest.approx(np.median(deg), abs=0.06)
        assert [mark.name for mark in scene.of_role("bars")] == ["start", "middle", "end"]


def test_a_run_that_goes_on_says_where_it_stands(tmp_path):
    run = trained(TINY, tmp_path / "run", most=3)
    (note,) = [note for note in plate(AngleHistory, (run,)).notes if "stands" in note]
    assert f"at step {run[-1].step} of {run.total_steps}." in note
    assert plate(LearningCurves, (run,)).notes[-1] == note


# -- strangers -----------------------------------------------------------------------------------------------


def stranger_cosines(run):
    """Labels [n] and cosines [n n] of the strangers, through the restored network."""
    found = strangers(run.recipe)
    model, _ = restore(run)
    with torch.no_grad():
        embedding = torch.nn.functional.normalize(model(found.images).double())
    return found.labels.numpy(), (embedding @ embedding.T).clamp(-1, 1).numpy()


def test_pairs_are_those_of_strangers(made):
    runs = two(made, "Softmax", "Triplet")
    found = plate(PairAngles, runs)
    for run, scene, head in zip(runs, found.panels, found.heads, strict=True):
        label, cosine = stranger_cosines(run)
        one, other = np.triu_indices(len(label), 1)
        deg, same = np.degrees(np.arccos(cosine[one, other])), label[one] == label[other]
        for mark, mine in zip(scene.of_role("bars"), (same, ~same), strict=True):
            counts = np.histogram(deg[mine], mark.at[1::2, 0])[0]
            assert mark.at[1:-1:2, 1] == pytest.approx(100 * counts / mine.sum(), abs=0.02)
        rate = 100 * unseen_eer(run)[0]
        assert f"{rate:.1f} %" in head and f"{rate:.1f} %" in found.says
        (line,) = scene.of_role("boundary")
        refused, accepted = (deg[same] > line.at[0, 0] + 1e-4).mean(), (deg[~same] <= line.at[0, 0] + 1e-4).mean()
        assert refused == pytest.approx(accepted, abs=0.005) and 100 * refused == pytest.approx(rate, abs=0.3)
        assert scene.x.high >= max(120, deg.max())


def test_both_curves_of_strangers(made):
    runs = two(made, "Softmax", "SphereFace")
    found = plate(VerificationCurves, runs)
    verified, identified = found.panels
    assert identified.x.words == ("1", "2", "3", "4", "5")
    for i, run in enumerate(runs):
        label, cosine = stranger_cosines(run)
        one, other = np.triu_indices(len(label), 1)
        same = label[one] == label[other]
        genuine, impostor = cosine[one, other][same], np.sort(cosine[one, other][~same])
        at = impostor[-int(0.01 * len(impostor)) - 1]
        assert f"{100 * (genuine > at).mean():.1f} % with {found.panels[0].names[i]}" in found.says
        rates = identified.of_role("curve")[i].at
        assert 10 ** rates[:, 0] == pytest.approx(np.arange(1, 7))  # six digits are strangers
        assert rates[-1, 1] == pytest.approx(100) and (np.diff(rates[:, 1]) >= 0).all()
        assert rates[:, 1] == pytest.approx(100 * slow_cmc(cosine, label, 400), abs=2)
        assert f"{rates[0, 1]:.1f} % ± " in found.says
    (chance,) = identified.of_role("guide")
    assert chance.at[:, 1] == pytest.approx(100 * np.arange(1, 7) / 6)
    assert len(verified.of_role("curve")) == 2


def slow_cmc(cosine, label, draws):
    """One probe after another, galleries drawn otherwise than the library does."""
    draw, people = np.random.default_rng(99), np.unique(label)
    hits, probes = np.zeros(len(people)), 0
    for _ in range(draws):
        gallery = [draw.choice(np.flatnonzero(label == person)) for person in people]
        for probe_at in draw.choice(np.setdiff1d(np.arange(len(label)), gallery), 20):
            order = sorted(gallery, key=lambda at: -cosine[probe_at, at])
            hits[[label[at] for at in order].index(label[probe_at]) :] += 1
            probes += 1
    return hits / probes


# -- cumulative match ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_with_two_samples_of_each_every_gallery_can_be_counted(seed):
    """Two samples of one identity, and one of each other: the gallery is known but for one choice of two."""
    draw = np.random.default_rng(seed)
    embedding, label = draw.normal(size=(6, 3)), np.array([7, 3, 7, 9, 12, 40])
    direction = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    rates = cmc(embedding, label, draws=12, seed=seed)
    assert rates.shape == (12, 5)
    possible = []
    for inside, looks in ((0, 2), (2, 0)):
        own = direction[looks] @ direction[inside]
        before = sum(direction[looks] @ direction[at] >= own for at in (1, 3, 4, 5))
        possible.append(tuple(float(before < k) for k in range(1, 6)))
    assert {tuple(row) for row in rates} == set(possible)


def test_ranks_by_brute_force():
    """Of many identities, each draw's gallery found out from which samples are no probes."""
    draw = np.random.default_rng(5)
    embedding, label = draw.normal(size=(60, 4)), np.repeat(np.arange(12), 5)
    embedding += 0.8 * draw.normal(size=(12, 4))[label]
    direction = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    rates = cmc(embedding, label, draws=1500)
    assert rates.mean(0) == pytest.approx(slow_cmc(direction @ direction.T, label, 1500), abs=0.02)
    assert (np.diff(rates, axis=1) >= 0).all() and (rates[:, -1] == 1).all()
    assert rates * 48 == pytest.approx((rates * 48).round())  # 48 of 60 look for theirs
    assert (cmc(embedding, label, seed=4) == cmc(embedding, label, seed=4)).all()
    assert (cmc(embedding, label, seed=4) != cmc(embedding, label, seed=5)).any()


def test_classes_told_apart_are_found_at_once_and_alike_ones_last():
    apart_, label = np.eye(3)[[0, 0, 1, 1, 2, 2]], np.array([0, 0, 1, 1, 2, 2])
    assert (cmc(apart_, label) == 1).all()
    assert (cmc(np.ones((6, 2)), label) == [0, 0, 1]).all()  # of equal ones the own is the last
    assert (cmc(100 * apart_, label) == 1).all()  # lengths do not count


@pytest.mark.parametrize(
    ("label", "said"), [([0, 0, 0], "at least two"), ([0, 1, 2], "of some identity"), ([0, 1], "one for each")]
)
def test_a_gallery_takes_two_classes_and_a_probe(label, said):
    with pytest.raises(ValueError, match=said):
        cmc(np.eye(3), np.array(label))


# -- learning curves -----------------------------------------------------------------------------------------


def test_learning_curves_are_the_snapshots(made):
    runs = two(made, "Softmax", "MagFace", "Triplet")
    found = plate(LearningCurves, runs)
    said = iter(figures_in(re.sub(r"Softmax|MagFace|Triplet loss", "", found.says)))
    for i, run in enumerate(runs):
        held = run.probe.split == 1
        right, deg, clear = (scene.of_role("curve")[i].at for scene in found.panels)
        assert (right[:, 0] == run.metrics()["step"]).all()
        assert right[:, 1] == pytest.approx(100 * run.metrics()["probe_accuracy"])
        assert deg[:, 1] == pytest.approx([own_deg(run, k, held).mean() for k in range(len(run))], abs=1e-3)
        mine = [100 * (run[k].correct & (run[k].gap > 0))[held].mean() for k in range(len(run))]
        assert clear[:, 1] == pytest.approx(mine)
        for curve in (right, deg, clear):
            assert next(said) == pytest.approx(curve[-1, 1], abs=0.051)
    assert found.notes == ("Of the 30 held-out samples that every snapshot shows.",)


# -- a sweep -------------------------------------------------------------------------------------------------


def swept(made, **values):
    small = dataclasses.replace(TINY, epochs=1, noise=0.0)
    figure = Sweep(**({"recipe": small, "values": (0.0, 0.2), "seeds": 2} | values))
    runs = tuple(map(made, figure.recipes()))
    return figure, runs, figure.plate(runs).panels[0]


def test_a_sweep_trains_each_loss_at_each_value_from_each_seed():
    figure = Sweep(losses=(losses.starting("NormFace"), losses.starting("CosFace")), values=(0.4, 0, 0.2), seeds=3)
    recipes = figure.recipes()
    assert len(recipes) == 3 + 9 and len({recipe.key for recipe in recipes}) == 12
    assert [recipe.loss.margin for recipe in recipes[3:]] == [0.0] * 3 + [0.2] * 3 + [0.4] * 3
    assert [recipe.seed for recipe in recipes] == [0, 1, 2] * 4
    assert len(Sweep().recipes()) == 2 + 2 * 6 * 2


def test_a_sweep_draws_the_mean_and_the_range(made):
    cosface = losses.starting("CosFace")
    figure, runs, scene = swept(made, losses=(cosface, losses.starting("NormFace")))
    accuracy = np.array([100 * run.metrics()["test_accuracy"][-1] for run in runs]).reshape(3, 2)
    (curve,), (level,) = scene.of_role("curve"), scene.of_role("other")
    assert curve.at[:, 0].tolist() == [0.0, 0.2] and curve.at[:, 1] == pytest.approx(accuracy[:2].mean(1))
    assert level.at[:, 1] == pytest.approx([accuracy[2].mean()] * 2) and level.at[:, 0].tolist() == [0.0, 0.2]
    ends = {mark.at[0, 0]: mark.at[:, 1] for mark in scene.of_role("spoke")}
    for value, each in zip((0.0, 0.2), accuracy, strict=False):
        if each[0] != each[1]:
            assert ends[value] == pytest.approx(np.sort(each))
    best = int(accuracy[:2].mean(1).argmax())
    assert f"{accuracy[:2].mean(1)[best]:.1f} % with CosFace at {(0, 0.2)[best]:g}" in scene.says
    assert f"{accuracy[2].mean():.1f} % with NormFace as it is" in scene.says
    assert scene.names == ("CosFace", "NormFace") and any("NormFace has no margin" in note for note in scene.notes)
    assert scene.x.label == "Margin m" and scene.y.label == "Held-out accuracy (%)"


def test_a_sweep_of_angles_and_of_strangers(made):
    only = {"losses": (losses.starting("CosFace"),), "values": (0.2,), "seeds": 1}
    _, (run,), scene = swept(made, measure="angle", **only)
    mean = own_deg(run, -1, run.probe.split == 1).mean()
    assert scene.of_role("curve")[0].at[0, 1] == pytest.approx(mean, abs=1e-3) and f"{mean:.1f}°" in scene.says
    _, (run,), scene = swept(made, measure="EER of strangers", **only)
    assert scene.of_role("curve")[0].at[0, 1] == pytest.approx(100 * unseen_eer(run)[0])
    assert not scene.of_role("spoke") and not any("seeds" in note for note in scene.notes)
    everybody = dataclasses.replace(TINY, classes=tuple(range(10)), epochs=1)
    with pytest.raises(ValueError, match="leave out two or more"):
        swept(made, measure="EER of strangers", recipe=everybody, **only)


def test_a_knob_of_what_a_term_is_added_to_and_values_out_of_range(made):
    intra, sphere = losses.starting("IntraLoss"), losses.starting("SphereFace")
    figure = Sweep(losses=(intra, sphere), values=(0.2, 1.0, 2.0), seeds=1)
    assert [each.loss.base.margin for each in figure.recipes()[:2]] == [0.2, 1.0]
    assert [each.loss.margin for each in figure.recipes()[2:]] == [1.0, 2.0]
    _, _, scene = swept(made, losses=(intra, sphere), values=(0.2, 1.0, 2.0), seeds=1)
    assert any("SphereFace takes no margin of 0.2" in note for note in scene.notes)
    assert "IntraLoss (reconstruction)" in scene.says
    weights = Sweep(losses=(losses.starting("CenterLoss"),), knob="weight", values=(0, 0.001, 0.1, 1))
    assert {each.loss.weight for each in weights.recipes()} == {0, 0.001, 0.1, 1}
    assert weights.axis().knee == 0.001 and weights.axis().words == ("0", "0.001", "0.1", "1")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"knob": "nonsense"}, "has a knob called 'nonsense'"),
        ({"values": (7.0,)}, "that takes 7"),
        ({"values": ()}, "1 to 64 values"),
        ({"measure": "beauty"}, "must be one of accuracy"),
        ({"seeds": 6}, "from 1 to 5"),
    ],
)
def test_a_sweep_of_nothing(values, said):
    with pytest.raises(ValueError, match=said) as error:
        Sweep(**values)
    assert str(error.value).endswith(".")


def test_a_sweep_makes_its_own_runs(made):
    with pytest.raises(ValueError, match="give it losses in place of runs"):
        Sweep(runs=two(made, "Softmax"))


# -- the shape of classes ------------------------------------------------------------------------------------


def test_ellipses_are_those_of_the_covariance(made):
    (run,) = two(made, "Softmax", epochs=6, per_class=60, noise=0.0)
    found = plate(TangentEllipses, (run,))
    (scene,) = found.panels
    moment, ratios = run[-1], []
    head = head_at(run.recipe, moment)
    for k in range(4):
        mine = (run.probe.split == 1) & moment.correct & (run.probe.labels == k)
        u = moment.embedding[mine].astype(float)
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        mean = u.mean(0) / np.linalg.norm(u.mean(0))
        # Any basis of the tangent plane will do: the ratio of the axes does not depend on it.
        basis = np.linalg.svd(mean[None])[2][1:]
        deg = np.degrees(np.arccos(np.clip(u @ mean, -1, 1)))
        flat = u @ basis.T
        flat *= (deg / np.maximum(np.linalg.norm(flat, axis=1), 1e-12))[:, None]
        ratios.append(math.sqrt(np.divide(*np.linalg.eigvalsh(np.cov(flat.T))[::-1])))
        prototype = torch.nn.functional.normalize(head.prototypes.detach().double()).numpy()
        nearest = max((each for each in range(4) if each != k), key=lambda each: prototype[each] @ mean)
        words = [mark.words for mark in scene.of_role("remark") if len(mark.words) == 2][k]
        assert words == (f"{run.probe.names[k]}: {ratios[-1]:.1f}", f"→ {run.probe.names[nearest]}")
    assert f"{np.mean(ratios):.2f} with Softmax" in found.says
    assert f"{np.mean(ratios):.2f} : 1" in found.heads[0]
    lines = scene.of_role("rule")
    for one, double in zip(lines[:8:2], lines[1:8:2], strict=True):
        span = [np.ptp(mark.at, axis=0) for mark in (one, double)]
        assert span[1] == pytest.approx(2 * span[0])


def test_a_class_of_known_width_has_that_ellipse():
    """Samples 0.2 and 0.1 rad around one place, the other class to one side."""
    head = PrototypeHead(losses.starting("Softmax"), 3, 2, seed=0).double().requires_grad_(False)
    head.prototypes.copy_(torch.tensor([[0.0, 0, 1], [1, 0, 0]]))
    step = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)).double() * torch.tensor([0.2, 0.1, 0])
    step = torch.cat([step, -step])
    at = torch.tensor([0.0, 0, 1]).double().expand_as(step)
    seen = head.angles(exp_map(step, at), torch.zeros(len(step), dtype=torch.long))
    found = flattened(seen, 0, seen.direction)
    assert found.neighbour == 1 and found.ratio == pytest.approx(2, abs=0.05)
    long, wide = found.axes
    assert abs(long[0]) == pytest.approx(math.degrees(0.2), rel=0.03) and abs(long[1]) < 0.5  # towards the other class
    assert np.linalg.norm(wide) == pytest.approx(math.degrees(0.1), rel=0.03)
    assert flattened(seen, 0, seen.direction[:1].expand(5, 3)) is None


def test_in_more_dimensions_too_but_not_on_a_circle(made):
    assert plate(TangentEllipses, two(made, "Softmax", dim=6)).says
    with pytest.raises(ValueError, match="train in 3 dimensions"):
        plate(TangentEllipses, two(made, "Softmax", dim=2))


# -- wrong labels --------------------------------------------------------------------------------------------


def test_right_and_wrong_labels_are_told_apart(made):
    runs = two(made, "Softmax", "SubCenterArcFace")
    found = plate(LabelNoise, runs)
    several = runs[1]
    for run, scene in zip((*runs, several), found.panels, strict=True):
        wrong = run.probe.labels != run.probe.truth
        assert wrong[run.probe.split == 0].any() and not wrong[run.probe.split == 1].any()
        for mark, mine in zip(scene.of_role("bars"), (~wrong, wrong), strict=True):
            if scene is found.panels[2]:
                continue
            deg = own_deg(run, -1, mine & (run.probe.split == 0))
            counted(mark, deg)
            assert f"{np.median(deg):.1f}°" in found.says
    label, wrong, u = (each[several.probe.split == 0] for each in (
        several.probe.labels, several.probe.labels != several.probe.truth, several[-1].embedding.astype(float),
    ))  # fmt: skip
    rows = several[-1].prototypes / np.linalg.norm(several[-1].prototypes, axis=1, keepdims=True)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    which = np.array([(rows[2 * k : 2 * k + 2] @ x).argmax() for k, x in zip(label, u, strict=True)])
    dominant = np.array([np.bincount(which[label == k], minlength=2).argmax() for k in range(4)])
    aside = which != dominant[label]
    assert f"there {100 * aside[wrong].mean():.0f} % of the wrong labels and" in found.says
    assert f"and {100 * aside[~wrong].mean():.0f} % of the right ones" in found.says
    deg = np.degrees(np.arccos(np.clip((rows[2 * label + dominant[label]] * u).sum(1), -1, 1)))
    for mark, mine in zip(found.panels[2].of_role("bars"), (~wrong, wrong), strict=True):
        counted(mark, deg[mine])


def test_without_wrong_labels_there_is_nothing_to_compare(made):
    with pytest.raises(ValueError, match="train with noise"):
        plate(LabelNoise, two(made, "Softmax", noise=0.0))


def test_it_begins_with_two_losses_that_differ_in_their_sub_centres_only():
    one, several = LabelNoise().losses
    assert (one.scale, one.margin) == (several.scale, several.margin) and several.subcentres > 1
    assert LabelNoise().recipe.noise > 0
