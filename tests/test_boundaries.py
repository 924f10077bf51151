"""Decision boundaries: zones are where the real loss says, and what the page claims is so."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from page_cases import untrained
from streamlit.testing.v1 import AppTest

from losslab import losses
from losslab.geometry import circle, great_circle, lattice, octahedron
from losslab.losses import ArcFace, CosFace, ElasticFace, InterFace, KappaFace, MagFace, PairLoss
from losslab.render.contours import arcs, contours
from losslab.scene import CIRCLE, SPHERE, Scene, Zones
from losslab.training import Run, head_at
from losslab.views.ball import FIVE, RING, SIDE, Judge, class_directions
from losslab.views.boundaries import Boundaries, looks_at
from losslab.views.crossing import Crossing
from losslab.views.strips import Strip, between, strips
from pages.parts import places, server

PAGE = str(server.ROOT / "pages/3_decision_boundaries.py")
EVERY = pytest.mark.parametrize("name", losses.catalogue())


def presets():
    """The page's own, out of its file."""
    scope = {"__name__": "page"}
    source = (server.ROOT / PAGE).read_text(encoding="utf-8").split("\nst.subheader(")[0]
    exec(compile(source, PAGE, "exec"), scope)
    return {each.title: each for each in scope["PAGE"].presets}


PRESETS = presets()


def view(title: str) -> Boundaries:
    """What a preset opens with."""
    chosen = PRESETS[title]
    values = dict(chosen.values)
    if "run" in values:
        values["run"] = Run(server.RECORDINGS / values["run"])
    known = {field.name for field in dataclasses.fields(Boundaries)}
    return Boundaries(losses=chosen.losses, **{name: value for name, value in values.items() if name in known})


def judge(view: Boundaries, which: int = 0) -> Judge:
    return view.judged()[0][which]


def widths(view: Boundaries, which: int = 0) -> dict[tuple[int, int], float]:
    return {(strip.a, strip.b): strip.deg for strip in strips(judge(view, which))}


def zones(scene: Scene) -> list[Zones]:
    return [mark for mark in scene.of_role("zone") if isinstance(mark, Zones)]


def angles(places: np.ndarray, view: Boundaries) -> np.ndarray:
    """Degrees [n C] from directions to the prototypes."""
    return np.degrees(np.arccos(np.clip(places @ view.directions().numpy().T, -1, 1)))


# -- every loss ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("surface", ["circle", "sphere"])
@EVERY
def test_every_loss_makes_a_scene(name, surface):
    scene = Boundaries(losses=(losses.starting(name),), surface=surface, samples=True).scene()
    assert scene.space == {"circle": CIRCLE, "sphere": SPHERE}[surface] and scene.says.endswith((".", ""))
    for mark in scene.marks:
        if isinstance(mark, Zones):
            assert mark.gap.shape == (5, len(mark.at)) and np.isfinite(mark.gap).all()
        np.testing.assert_allclose(np.linalg.norm(mark.at, axis=1), 1, atol=1e-6)
    assert zones(scene)[0].gap.shape[1] == (RING if surface == "circle" else (SIDE + 1) ** 2)


@EVERY
def test_zones_are_the_gap_of_the_head_itself(name):
    """Pointwise, for samples of the length that is looked at, with no picture in between."""
    view = Boundaries(losses=(losses.starting(name),), length=7.0)
    head, mark = view.head(view.losses[0]), zones(view.scene())[0]
    pick = torch.arange(0, (SIDE + 1) ** 2, 397)
    place = octahedron(SIDE).double()[pick]
    for k in range(5):
        expected = head.gap(7.0 * place, torch.full((len(pick),), k))
        np.testing.assert_allclose(mark.gap[k][pick], expected, atol=1e-12)


@EVERY
def test_the_gap_is_zero_on_the_contour_of_a_zone(name):
    view = Boundaries(losses=(losses.starting(name),))
    first, mark = judge(view), zones(view.scene())[0]
    for k, gap in enumerate(mark.gap):
        lines = [line for line in contours(gap, mark.at) if len(line) > 4]
        if lines:
            place = torch.from_numpy(np.concatenate(lines))
            off = first.gap(place, torch.full((len(place),), k)).abs()
            assert off.median() < 2e-3 * gap.std() or name in ("CurricularFace", "MVSoftmax"), k  # which jump there


@EVERY
def test_a_boundary_without_margin_is_as_far_from_both(name):
    """Plain boundaries are the cosine's, for every loss: what a classifier decides is not moved by a margin."""
    view = Boundaries(losses=(losses.starting(name),))
    head = view.head(view.losses[0])
    if losses.starting(name).subcentres > 1:
        return
    place = lattice(400).double()
    label = head.logits(5.0 * place).argmax(1)
    assert torch.equal(label, torch.from_numpy(angles(place.numpy(), view)).argmin(1))


@pytest.mark.parametrize("name", [n for n, kind in losses.catalogue().items() if kind.pointwise is True])
def test_the_edge_of_a_zone_is_where_the_two_curves_meet(name):
    """For a loss of one angle: positive(θ_a) is the largest negative(θ_b) there, by the loss's own curves."""
    loss = losses.starting(name)
    view = Boundaries(losses=(loss,), surface="circle", prototypes=((1, 0), (-0.2, 1), (-0.5, -1)))
    first = judge(view)
    if not loss.pointwise or issubclass(type(loss), PairLoss) or loss.subcentres > 1:
        return
    for strip in strips(first):
        rows = view.directions()
        edge = great_circle(rows[strip.a], rows[strip.b], torch.tensor([strip.leave]).double()).numpy()
        angle = torch.from_numpy(angles(edge, view)[0]).deg2rad()
        positive, negative = first.head.curves(angle, first.length)
        others = negative[torch.arange(3) != strip.a].max()
        assert float(positive[strip.a, strip.a]) == pytest.approx(float(others), abs=2e-3 * max(1, abs(float(others))))


# -- strips --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("surface", ["circle", "sphere"])
@pytest.mark.parametrize("margin", [0.1, 0.3, 0.5])
def test_arcface_leaves_its_margin_between_all_neighbours(surface, margin):
    view = Boundaries(losses=(ArcFace(margin=margin),), surface=surface)
    found = [strip for strip in strips(judge(view)) if alone(view, strip)]
    assert found
    for strip in found:
        assert strip.deg == pytest.approx(math.degrees(margin), abs=5e-3)
        assert strip.leave == pytest.approx((strip.between - margin) / 2, abs=1e-4)


def alone(view: Boundaries, strip: Strip) -> bool:
    """Whether at both ends of the strip its two classes are the nearest two: no third has a say in it."""
    rows = view.directions()
    ends = great_circle(rows[strip.a], rows[strip.b], torch.tensor([strip.leave, strip.arrive]).double())
    return all(set(near) == {strip.a, strip.b} for near in angles(ends.numpy(), view).argsort(1)[:, :2].tolist())


def test_cosface_leaves_twice_the_arcsine():
    """2 asin(m / (2 sin(D/2))) between prototypes D apart: more, the nearer they are."""
    view = Boundaries(losses=(CosFace(margin=0.2),), surface="circle", prototypes=((1, 0), (0.7, 0.7), (-1, -0.3)))
    for strip in strips(judge(view)):
        expected = 2 * math.degrees(math.asin(0.2 / (2 * math.sin(strip.between / 2))))
        assert strip.deg == pytest.approx(expected, abs=1e-3)


def test_a_class_behind_another_has_no_strip_with_it():
    view = Boundaries(surface="circle", prototypes=((1, 0), (0, 1), (-1, 0.2)))
    assert set(widths(view)) == {(0, 1), (1, 2)}
    assert between(judge(view), 0, 1).deg > 0


def test_where_nobody_has_a_zone_there_is_no_strip():
    view = Boundaries(losses=(CosFace(margin=1.0),), prototypes=((1, 0, 0), (0.8, 0.6, 0), (0.8, 0, 0.6)))
    scene = view.scene()
    assert not strips(judge(view)) and scene.says == "No direction clears the margin of any class."
    assert not scene.of_role("narrowest")


def test_the_narrowest_strip_is_drawn_from_one_zone_to_the_other():
    view = Boundaries(losses=(CosFace(margin=0.2),))
    scene, first = view.scene(), judge(view)
    line, word = scene.of_role("narrowest")
    least = min(strips(first), key=lambda strip: strip.deg)
    ends = torch.from_numpy(line.at[[0, -1]])
    assert abs(float(first.gap(ends[:1], torch.tensor([least.a])))) < 1e-3
    assert abs(float(first.gap(ends[1:], torch.tensor([least.b])))) < 1e-3
    assert word.words == (f"{least.deg:.1f}°",) and word.words[0] in scene.says


# -- margins that differ, draws, lengths ---------------------------------------------------------------------


def test_a_held_draw_is_the_margin_that_training_draws():
    """The n-th draw of the picture is the n-th that the head draws in its first step, and none is the mean."""
    loss = ElasticFace(margin=0.3, spread=0.05)
    view = Boundaries(losses=(loss,), draw=3)
    head = view.head(loss).train()
    seen = head.angles(view.directions()[:1].expand(3, -1), torch.zeros(3, dtype=torch.long))
    drawn = loss.margins(seen)[2]
    head.eval()
    assert judge(view).draw != 0 and float(drawn) != pytest.approx(0.3, abs=1e-3)
    place, label = lattice(50).double(), torch.arange(50) % 5
    fixed = Judge(view.head(ArcFace(margin=float(drawn))))
    torch.testing.assert_close(judge(view).gap(place, label), fixed.gap(place, label))
    mean = Boundaries(losses=(loss,))
    torch.testing.assert_close(judge(mean).gap(place, label), Judge(view.head(ArcFace(margin=0.3))).gap(place, label))


def test_a_length_moves_the_zones_of_those_who_look_at_it_only():
    def area(loss, length):
        return float((judge(Boundaries(losses=(loss,), length=length)).gaps(lattice(500).double()) > 0).double().mean())

    assert area(losses.starting(MagFace), 2.0) > area(losses.starting(MagFace), 19.0)
    assert area(losses.starting("AdaFace"), 1.0) > area(losses.starting("AdaFace"), 9.0)
    assert area(ArcFace(), 2.0) == area(ArcFace(), 19.0)


def test_what_a_picture_by_hand_depends_on():
    assert looks_at(ArcFace()) == set()
    assert looks_at(ElasticFace()) == {"draw"}
    assert looks_at(losses.starting("MagFace")) == {"length"} == looks_at(losses.starting("AdaFace"))
    assert looks_at(KappaFace()) == {"sizes", "concentrations"}
    assert looks_at(losses.starting("IntraLoss", "KappaFace")) == {"sizes", "concentrations"}


def test_faint_outlines_are_draws_or_lengths():
    roles = {
        name: [
            mark.role for mark in Boundaries(losses=(losses.starting(name),)).scene().marks if isinstance(mark, Zones)
        ]
        for name in ("ArcFace", "ElasticFace", "MagFace")
    }
    assert roles == {
        "ArcFace": ["zone"],
        "ElasticFace": ["zone"] + ["breath"] * 6,
        "MagFace": ["zone"] + ["length"] * 3,
    }


def test_kappaface_writes_each_margin_at_its_class():
    view = Boundaries(losses=(KappaFace(margin=0.5, scale=16),), sizes=(150, 10), concentrations=(80, 8))
    head = view.head(view.losses[0])
    (badges,) = view.scene().of_role("prototype")
    expected = [f"{k} · {math.degrees(0.5 * float(psi)):.0f}°" for k, psi in enumerate(head.memory.psi)]
    assert list(badges.words) == expected


# -- the way between two -------------------------------------------------------------------------------------


@EVERY
def test_every_loss_has_a_way_between_two(name):
    for chosen in (-1, 3, 99):
        scene = Crossing(losses=(losses.starting(name),), chosen=chosen).scene()
        assert len(scene.of_role("gap")) == 2 and scene.says.endswith(".")


def test_the_way_starts_at_the_chosen_class():
    assert Crossing(chosen=4).scene().title.startswith("From 4 to")
    view = Crossing(losses=(ArcFace(margin=0.3),), chosen=1, prototypes=((1, 0, 0), (0, 1, 0)))
    assert view.scene().title == "From 1 to 0"
    one, other = view.scene().of_role("gap")
    np.testing.assert_allclose(one.at[:, 1], other.at[::-1, 1], atol=1e-9)  # ArcFace treats both alike


# -- over a training -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["arcface-circle", "arcface-sphere"])
def test_over_a_training_zones_are_those_of_its_own_head(name):
    run = Run(server.RECORDINGS / name)
    view = Boundaries(losses=(run.recipe.loss,), run=run, snapshot=10)
    scene, head = view.scene(), head_at(run.recipe, run[10])
    (mark,) = zones(scene)
    pick = slice(0, None, 331)
    embedding = torch.from_numpy(mark.at[pick]) * view.at_length
    for k in range(head.classes):
        gap = head.gap(embedding, torch.full((len(embedding),), k))
        np.testing.assert_allclose(mark.gap[k][pick], gap, atol=1e-6)
    assert f"{(run[10].gap > 0).sum()} of {len(run[10].gap)} samples clear their margin." in scene.says
    (samples,) = scene.of_role("sample")
    assert len(samples.at) == len(run[10].gap) and scene.names == run.probe.names


def test_another_loss_over_a_training_leaves_its_zones_as_they_are():
    run = Run(server.RECORDINGS / "arcface-sphere")
    own = zones(Boundaries(losses=(run.recipe.loss,), run=run).scene())[0]
    other = Boundaries(losses=(CosFace(margin=0.35),), run=run).scene()
    kept, added = zones(other)
    np.testing.assert_array_equal(kept.gap, own.gap)
    assert added.name == "CosFace 0.35" and "would clear that of CosFace 0.35." in other.says
    own_angle = angles_to(class_directions(Boundaries(run=run).trained_head).numpy(), added.at)
    best_other = np.stack([np.delete(np.cos(own_angle), k, 1).max(1) for k in range(own_angle.shape[1])])
    np.testing.assert_allclose(added.gap, np.cos(own_angle).T - 0.35 - best_other, atol=1e-5)


def angles_to(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    return np.arccos(np.clip(places @ rows.T, -1, 1))


def test_a_run_of_other_dimensions_is_refused():
    run = Run(server.RECORDINGS / "arcface-sphere")
    run.recipe = dataclasses.replace(run.recipe, dim=8)
    with pytest.raises(ValueError, match="this run has 8"):
        Boundaries(run=run)


# -- what the page claims ------------------------------------------------------------------------------------


def test_cosface_leaves_most_between_the_nearest():
    shown = view("CosFace, near and far")
    near, far = (between(judge(shown), 1, other) for other in (3, 4))
    assert (round(near.deg), round(far.deg)) == (27, 15) and far.between == pytest.approx(2 * near.between, rel=0.03)
    assert near.between == min(strip.between for strip in strips(judge(shown)))
    assert [round(between(judge(shown, 1), 1, other).deg) for other in (3, 4)] == [17, 19]


def test_sphereface_leaves_least_between_the_nearest():
    shown = view("SphereFace: the reverse")
    found = {round(math.degrees(strip.between)): round(strip.deg) for strip in strips(judge(shown))}
    assert found[40] == 4 and found[110] == 10
    other = {round(math.degrees(strip.between)): round(strip.deg) for strip in strips(judge(shown, 1))}
    assert other[40] == 34 and other[110] == 14


def test_ten_classes_have_no_room_on_a_circle():
    shown = view("Ten classes, no room")
    assert (judge(shown).gaps(circle(3600).double()) <= 0).all()
    assert 1 - math.cos(math.radians(36)) == pytest.approx(0.19, abs=0.002)
    less = dataclasses.replace(shown, losses=(CosFace(margin=0.19),))
    assert (judge(less).gaps(circle(3600).double()) > 0).any(1).all()
    wide = [math.degrees(to - start) for gap in zones(shown.scene())[1].gap for start, to in arcs(gap)]
    assert len(wide) == 10 and all(round(deg) == 19 for deg in wide)


def test_kappaface_takes_most_from_the_small_class():
    shown = view("KappaFace")
    head = judge(shown).head
    margin = [math.degrees(0.5 * float(psi)) for psi in head.memory.psi]
    assert round(margin[1]) == 21 == round(max(margin)) and round(margin[0]) == 7 == round(min(margin))
    place = lattice(8000).double()
    kept = (judge(shown).gaps(place) > 0).sum(1)
    region = torch.from_numpy(angles(place.numpy(), shown)).argmin(1).bincount()
    assert kept[1] / region[1] < 0.5 and kept[0] / region[0] == pytest.approx(0.8, abs=0.04)


def test_elasticface_breathes_from_11_to_19_degrees():
    shown = view("ElasticFace breathes")
    deg = [between(each, 1, 3).deg for each in shown.band(judge(shown)).values()]
    assert (round(min(deg)), round(max(deg)), round(between(judge(shown), 1, 3).deg)) == (11, 19, 17)
    assert len(deg) == 6 == len(set(deg))


def test_interface_asks_more_of_samples_far_out():
    shown = view("InterFace bends")
    assert isinstance(shown.losses[0], InterFace)

    def lead(which: int) -> np.ndarray:
        """By how many degrees samples on the edge of class 0 are nearer to it than to the next, the near ones first."""
        line = np.concatenate(contours(zones(shown.scene())[which].gap[0], octahedron(SIDE).double().numpy()))
        away = angles(line, shown)
        return (np.delete(away, 0, 1).min(1) - away[:, 0])[away[:, 0].argsort()]

    assert round(lead(0)[:5].mean()) == 19 and round(lead(0)[-5:].mean()) == 27
    assert (round(lead(1)[:5].mean()), round(lead(1)[-5:].mean())) == (17, 17)


def test_a_training_without_a_margin_does_not_clear_one():
    shown = view("After a training")
    own, other = judge(shown), judge(shown, 1)
    cloud = shown.cloud()
    right, clear = ((each.head.gap(cloud.embedding, cloud.label) > 0).double().mean() for each in (own, other))
    assert right > 0.97 and clear < 0.5
    with_margin = Boundaries(losses=shown.losses, run=Run(server.RECORDINGS / "compare-arcface"))
    cloud = with_margin.cloud()
    assert (judge(with_margin, 1).head.gap(cloud.embedding, cloud.label) > 0).double().mean() > 0.9


# -- the page ------------------------------------------------------------------------------------------------


@pytest.fixture
def pool(tmp_path, monkeypatch):
    with untrained(tmp_path / "runs", monkeypatch):
        yield


def opened(**link) -> AppTest:
    at = AppTest.from_file(PAGE, default_timeout=30)
    for name, value in link.items():
        at.query_params[name] = value
    at.run()
    assert not at.exception
    return at


def shown(at: AppTest) -> dict:
    return at.session_state["boundaries_state"]


def test_the_page_opens_by_hand_and_takes_a_link(pool):
    assert shown(opened())["losses"] == list(PRESETS["CosFace, near and far"].losses)
    at = opened(losses="KappaFace(margin=0.5, scale=16)", sizes="100,9", prototypes="1,0,0 0,1,0 0,0,1")
    assert shown(at)["values"]["sizes"] == (100, 9) and len(shown(at)["values"]["prototypes"]) == 3
    assert not at.warning


def test_a_training_is_chosen_looked_at_and_left(pool):
    at = opened()
    row = at.selectbox[0]
    assert {"ArcFace on the sphere, ten digits"} <= set(row.options)
    row.set_value("arcface-circle").run()
    last = len(Run(server.RECORDINGS / "arcface-circle")) - 1
    assert shown(at)["values"]["run"] == "arcface-circle" and shown(at)["values"]["snapshot"] == last
    assert isinstance(shown(at)["losses"][0], ArcFace) and len(shown(at)["losses"]) == 1
    at.button[0].click().run()  # take its prototypes
    values = shown(at)["values"]
    assert "run" not in values and values["surface"] == "circle" and len(values["prototypes"]) == 5
    trained = class_directions(Boundaries(run=Run(server.RECORDINGS / "arcface-circle")).trained_head)
    np.testing.assert_allclose(np.array(values["prototypes"])[:, :2], trained, atol=1e-3)
    at.selectbox[0].set_value("arcface-sphere").run()
    at.selectbox[0].set_value("").run()
    assert "run" not in shown(at)["values"]


def test_a_link_to_a_run_that_is_gone_opens_by_hand(pool):
    at = opened(run="../../etc")
    assert not at.exception and at.selectbox[0].value == ""


def test_only_knobs_that_matter_are_shown():
    scope = {"__name__": "page"}
    exec(compile(open(PAGE, encoding="utf-8").read().split("\nst.subheader(")[0], PAGE, "exec"), scope)
    page = scope["PAGE"]
    controls = [{"name": name} for name in page.controls]

    def names(*chosen, **values) -> set[str]:
        return {each["name"] for each in places.fitted(page, {"losses": chosen, "values": values}, controls)}

    assert names(ArcFace()) == {"surface", "samples"}
    assert names(ArcFace(), ElasticFace()) == {"surface", "samples", "draw"}
    assert names(losses.starting("MagFace")) == {"surface", "samples", "length"}
    assert names(ArcFace(), samples=True) == {"surface", "samples", "sizes", "concentrations"}
    assert names(KappaFace()) == {"surface", "samples", "sizes", "concentrations"}
    assert names(ArcFace(), run="arcface-sphere") == {"snapshot"}


def test_by_hand_a_picture_refuses_what_makes_none():
    for bad in [((1, 0, 0),), ((1, 0),) * 11, ((math.nan, 0, 0), (0, 1, 0)), ((1,), (2,))]:
        with pytest.raises(ValueError):
            Boundaries(prototypes=bad)
    assert len(FIVE) == 5
