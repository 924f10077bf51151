"""Pictures of pushes: what lies on the sphere, what is tangent to it, and that every sentence of the page is true."""

import dataclasses
import math

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from cases import name

from losslab import ArcFace, CenterLoss, CosFace, IntraLoss, MarginLoss, NormFace, Softmax, Triplet, fields
from losslab.geometry import around, circle, lattice, octahedron, tangent, unit
from losslab.losses import PairLoss, catalogue, starting
from losslab.render import ball, flat, screen
from losslab.render.style import DARK, LIGHT
from losslab.scene import CIRCLE, PLANE, SPHERE, Arrows, Path, Points, Scene
from losslab.training import Recipe, Run, RunWriter, probe, train
from losslab.views import view
from losslab.views.field import GRID, Field
from losslab.views.planefield import PlaneField, axes, grid
from losslab.views.profile import Profile
from losslab.views.pushes import BESIDE, SHOWN, STEPS, STRIDE, a, gradient_knob, with_gradient
from pages.parts.fields import PAGE, on_circle
from pages.parts.server import RECORDINGS

DEGREE = math.pi / 180
OFFERED = [starting(kind) for kind in catalogue().values() if not issubclass(kind, PairLoss)]
SPECIFIED = on_circle(0, 40, 180)  # section 1.1 of the specification
PRESETS = {preset.title: preset for preset in PAGE.presets}


def of(title: str, **more) -> Field:
    """The field of a preset, with something else."""
    preset = PRESETS[title]
    known = {each.name for each in dataclasses.fields(Field)}
    values = {key: value for key, value in preset.values.items() if key in known and key != "run"}
    return Field(losses=preset.losses, **values | more)


def angles(direction: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Degrees between directions [n d] and one."""
    along = direction @ other
    return torch.atan2((direction - along[:, None] * other).norm(dim=1), along).rad2deg()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Short trainings, by dimension and loss."""
    folder, found = tmp_path_factory.mktemp("runs"), {}
    for key, recipe in {
        "sphere": Recipe(loss=ArcFace(scale=16, margin=0.3), dim=3, epochs=1, per_class=30),
        "circle": Recipe(loss=ArcFace(scale=16, margin=0.3), dim=2, epochs=1, per_class=30),
        "centre": Recipe(loss=CenterLoss(weight=0.05), dim=2, epochs=1, per_class=30),
    }.items():
        with RunWriter(folder / key, recipe, probe(recipe)) as writer:
            for snapshot in train(recipe):
                writer.append(snapshot)
            writer.state("done")
        found[key] = Run(folder / key)
    return found


# -- every loss, everywhere -------------------------------------------------------------------------------


@pytest.mark.parametrize("surface", ["circle", "sphere", "plane"])
@pytest.mark.parametrize("loss", OFFERED, ids=name)
def test_every_loss_with_prototypes_has_a_field(loss, surface):
    scene = Field(losses=(loss,), surface=surface, zones=True, draw="streamlines").scene()
    assert scene.space == {"circle": CIRCLE, "sphere": SPHERE, "plane": PLANE}[surface]
    assert "If the sample were a 0:" in scene.says
    on_surface = surface != "plane"
    for mark in scene.marks:
        for values in (getattr(mark, "value", None), getattr(mark, "along", None), getattr(mark, "gap", None)):
            assert values is None or np.isfinite(values).all()
        if on_surface and isinstance(mark, Points | Path | Arrows):
            assert np.allclose(np.linalg.norm(mark.at[~np.isnan(mark.at[:, 0])], axis=1), 1, atol=1e-6)
        if on_surface and isinstance(mark, Arrows):
            assert np.abs((mark.at * mark.along).sum(1)).max() < 1e-6 * (1 + np.abs(mark.along).max())


@pytest.mark.parametrize("view", [Field, Profile, PlaneField])
def test_losses_of_pairs_have_none_and_say_so(view):
    with pytest.raises(ValueError, match="choose a loss with prototypes"):
        view(losses=(Triplet(),)).scene()
    assert not PAGE.offered(Triplet) and all(PAGE.offered(type(loss)) for loss in OFFERED)


@pytest.mark.parametrize("theme", [LIGHT, DARK])
@pytest.mark.parametrize("loss", [ArcFace(), CenterLoss(), MarginLoss()], ids=name)
def test_figures_are_plotlys(loss, theme):
    for draw in ("arrows", "streamlines", "samples"):
        go.Figure(screen.figure(PlaneField(losses=(loss,), draw=draw).scene(), theme))
        for surface in ("circle", "sphere"):
            go.Figure(screen.figure(flat.flattened(Field(losses=(loss,), draw=draw, surface=surface).scene()), theme))
    go.Figure(screen.figure(Profile(losses=(loss, NormFace()), both_gradients=True, logarithmic=True).scene(), theme))


def test_the_ground_covers_the_surface():
    (ground,) = Field().scene().of_role("ground")
    assert np.allclose(ground.at, octahedron(GRID), atol=1e-6) and len(ground.at) == (GRID + 1) ** 2 > 19_800
    assert (ground.value >= 0).all() and ground.value.max() > 1
    (ring,) = Field(surface="circle").scene().of_role("ground")
    assert len(ring.at) == 1440 and len(ring.value) == 1440


def test_arrows_and_ground_are_the_push_on_the_unit_sphere():
    """In proportion to 1/length in space, so that on the unit sphere the length does not matter to ArcFace."""
    short, long = (Field(length=length).scene() for length in (0.5, 50))
    assert np.allclose(short.of_role("ground")[0].value, long.of_role("ground")[0].value)
    assert np.allclose(short.of_role("push")[0].along, long.of_role("push")[0].along)
    field = Field(length=3)
    head = field.head(field.losses[0])
    (arrows,) = field.scene().of_role("push")
    place = torch.from_numpy(arrows.at)
    found = fields.push(head, 3 * place, torch.zeros(len(place), dtype=torch.long)).tangent * 3
    assert len(place) == field.density and np.allclose(arrows.along, found)


def test_the_assumed_class_is_named_and_obeyed():
    scenes = [Field(label=k, prototypes=on_circle(0, 90, 200)).scene() for k in range(4)]
    assert "a 2" in scenes[2].title and "If the sample were a 2" in scenes[2].says
    assert scenes[3].says == scenes[2].says  # one beyond the last is the last
    assert not np.allclose(scenes[0].of_role("push")[0].along, scenes[1].of_role("push")[0].along)
    assert [a("3"), a("8"), a("boot")] == ["a 3", "an 8", "of class boot"]


def test_a_packed_ground_is_its_magnitudes_alone():
    said = ball.packed(Field().scene())
    ground = next(mark for mark in said["marks"] if mark["role"] == "ground")
    assert "at" not in ground and len(ground["value"]) < 110_000


# -- where samples go ------------------------------------------------------------------------------------


@pytest.mark.parametrize("surface", ["circle", "sphere"])
def test_dropped_samples_flow_along_the_surface_to_their_prototype(surface):
    field = Field(losses=(NormFace(scale=4),), prototypes=((1, 0, 0), (-1, 0, 0)), surface=surface)
    scene = field.scene()
    (drops,) = scene.of_role("drop")
    lines = [torch.from_numpy(line.at) for line in scene.of_role("flow")]
    assert len(lines) == len(drops.at) == len(field.drops)
    own = torch.zeros(field.dim, dtype=torch.float64)
    own[0] = 1
    for line, drop in zip(lines, drops.at, strict=True):
        assert line.shape == (STEPS + 1, field.dim) and np.allclose(line[0], drop)
        assert np.allclose(line.norm(dim=1), 1)
        turn = angles(line, own)
        assert (turn.diff() < 1e-6).all() and turn[-1] < turn[0]
        step = (line[1:] * line[:-1]).sum(1).clamp(-1, 1).arccos()
        assert step.max() < STRIDE + 1e-6
    assert f"After {STEPS} steps the dropped samples are" in scene.says


def test_no_samples_no_lines():
    scene = Field(drops=()).scene()
    assert not scene.of_role("flow", "drop") and "dropped" not in scene.says
    assert not Field(drops=((0, 0, 1),), surface="circle").scene().of_role("drop")  # has no place on the circle
    with pytest.raises(ValueError, match="finite coordinates"):
        Field(drops=((math.nan, 0, 1),))


def test_streamlines_take_the_place_of_arrows():
    scene = Field(draw="streamlines").scene()
    assert scene.of_role("stream") and not scene.of_role("push")
    (many,) = scene.of_role("stream")
    assert np.isnan(many.at).all(1).sum() == 44


# -- which part of the push ------------------------------------------------------------------------------


def test_what_is_left_out_is_exact_minus_detached():
    field = Field(shown="exact minus detached")
    head = field.head(field.losses[0])
    place = lattice(50).double()
    exact, detached = (
        fields.push(with_gradient(head, word), place, field.labels(place)).push for word in ("exact", "detached")
    )
    assert torch.allclose(field.along(head, place), tangent(exact - detached, place))
    assert not torch.allclose(exact, detached)
    assert head.loss.gradient == "exact"  # the head itself stays as it was
    assert torch.allclose(Field().along(head, place), tangent(exact, place))
    with pytest.raises(ValueError, match="CosFace has one gradient only"):
        Field(losses=(CosFace(),), shown="exact minus detached").scene()


def test_gradients_are_switched_inside_a_term_too():
    assert gradient_knob(IntraLoss()) == "base_gradient" and gradient_knob(CosFace()) is None
    field = Field(losses=(IntraLoss(),))
    assert with_gradient(field.head(IntraLoss()), "detached").loss.base.gradient == "detached"


def test_a_term_alone_needs_a_term():
    with pytest.raises(ValueError, match="not added to another loss"):
        Field(shown="added term").scene()
    field = Field(losses=(IntraLoss(base=NormFace(scale=16), weight=0.5),), shown="added term")
    whole = dataclasses.replace(field, shown="push")
    base = dataclasses.replace(whole, losses=(NormFace(scale=16),))
    place = lattice(50).double()
    found = [each.along(each.head(each.losses[0]), place) for each in (field, whole, base)]
    assert torch.allclose(found[0], found[1] - found[2])


def test_prototypes_are_pushed_by_their_samples():
    field = Field()
    head, cloud = field.head(field.losses[0]), field.cloud()
    expected = fields.prototype_push(head, cloud.embedding, cloud.label).tangent
    found = np.concatenate([mark.along for mark in field.scene().of_role("push_prototype")])
    assert np.allclose(found, expected)
    assert not Field(prototype_pushes=False).scene().of_role("push_prototype")


def test_each_sample_is_pushed_by_its_own_label():
    field = Field(draw="samples")
    head, cloud = field.head(field.losses[0]), field.cloud()
    found = fields.push(head, cloud.embedding, cloud.label).tangent * cloud.embedding.norm(dim=1, keepdim=True)
    marks = field.scene().of_role("own")
    assert [mark.of for mark in marks] == list(range(5))
    for mark in marks:
        assert np.allclose(mark.along, found[cloud.label == mark.of])
    size = found.norm(dim=1).sort(descending=True).values
    few = int(field.scene().says.split("on ")[1].split(" of")[0])
    assert size[:few].sum() >= size.sum() / 2 > size[: few - 1].sum()


# -- the profile -----------------------------------------------------------------------------------------


def test_the_profile_is_that_of_the_fields():
    pair = (IntraLoss(base=ArcFace(scale=64, margin=0.5), weight=1.0), ArcFace(scale=64, margin=0.5))
    scene = Profile(losses=pair, surface="circle", prototypes=SPECIFIED).scene()
    curves = scene.of_role("curve")
    assert [curve.of for curve in curves] == [0, 1]
    (far, facing), (far_alone, facing_alone) = (np.interp([-BESIDE, BESIDE], *curve.at.T) for curve in curves)
    assert far == pytest.approx(11.11, abs=0.01) and facing == pytest.approx(71.71, abs=0.01)
    assert far_alone == pytest.approx(-0.0013, abs=1e-4) and facing_alone == pytest.approx(71.66, abs=0.01)
    assert "ArcFace 0.5: −0.0013" in scene.says
    marked = {mark.words[0]: mark.at[0, 0] for mark in scene.of_role("place")}
    assert marked["own 0"] == pytest.approx(0, abs=1e-3) and marked["1"] == pytest.approx(40, abs=0.01)
    assert abs(marked["2"]) == pytest.approx(180, abs=0.01)


def test_a_profile_goes_where_it_is_told_to():
    asked = [Profile(towards=k, prototypes=on_circle(0, 60, 200)).scene().title for k in ("nearest", "2", "0", "9")]
    assert [title.rsplit(" ", 1)[1] for title in asked] == ["1", "2", "1", "1"]


def test_both_gradients_of_a_loss_side_by_side():
    scene = Profile(losses=(ArcFace(gradient="detached"), CosFace()), both_gradients=True).scene()
    assert [mark.name for mark in scene.of_role("other")] == ["ArcFace 0.5, exact"]
    assert len(scene.of_role("curve")) == 2


def test_a_logarithmic_axis_bends_the_picture_and_not_the_numbers():
    plain, bent = (Profile(logarithmic=each).scene() for each in (False, True))
    assert np.array_equal(plain.of_role("curve")[0].at, bent.of_role("curve")[0].at)
    made = screen.figure(bent)
    curve = next(trace for trace in made["data"] if trace["name"].startswith("ArcFace"))
    true, shown = np.array(curve["customdata"]), np.array(curve["y"])
    assert (np.sign(true) == np.sign(shown)).all() and np.abs(shown).max() < 7
    order = np.argsort(true)
    assert (np.diff(shown[order]) >= 0).all()
    assert screen.decades(0.001, 0.001) == pytest.approx(1) and screen.decades(-0.1, 0.001) == pytest.approx(-3)


# -- the plane -------------------------------------------------------------------------------------------


def test_the_plane_shows_the_raw_push():
    field = PlaneField(losses=(Softmax(),))
    (arrows,) = field.scene().of_role("push")
    head, place = field.head(field.losses[0]), torch.from_numpy(arrows.at)
    assert np.allclose(arrows.along, fields.push(head, place, field.labels(place)).push)
    assert "along the radius" in field.scene().says
    assert "No part of it" in PlaneField(losses=(ArcFace(),)).scene().says  # normalised: around the origin only


def test_borders_in_the_plane_are_where_the_logits_change():
    field = PlaneField(losses=(Softmax(),), prototypes=on_circle(0, 120, 240))
    (border,) = field.scene().of_role("boundary")
    ends = border.at[1::3]
    turn = np.sort(np.rad2deg(np.arctan2(*ends.T[::-1])) % 360)
    assert np.allclose(turn, [60, 180, 300], atol=0.2)


def test_centres_and_radius_stand_where_the_embeddings_are():
    field = PlaneField(losses=(CenterLoss(),), length=7)
    head = field.head(field.losses[0])
    assert torch.allclose(head.memory.centre.double(), 7 * field.directions())
    (cross,) = field.scene().of_role("cross")
    assert np.allclose(cross.at, 7 * field.directions())
    assert not PlaneField(losses=(Softmax(),)).scene().of_role("cross")


def test_the_plane_is_one_of_the_surfaces():
    field, plane = Field(surface="plane", label=2), PlaneField(label=2)
    assert field.scene().says == plane.scene().says
    assert any("the plane shows all of it" in note for note in Field(losses=(Softmax(),)).scene().notes)
    assert not any("the plane" in note for note in Field().scene().notes)


# -- a training ------------------------------------------------------------------------------------------


def test_a_training_has_a_field_around_its_prototypes(runs):
    run = runs["sphere"]
    field = Field(losses=(run.recipe.loss,), run=run)
    scene = field.scene()
    (prototypes,) = scene.of_role("prototype")
    assert np.allclose(prototypes.at, unit(torch.from_numpy(run[-1].prototypes).double())[0], atol=1e-6)
    own = dataclasses.replace(field, draw="samples").scene()
    assert sum(len(mark.at) for mark in own.of_role("own")) <= SHOWN
    assert len(own.of_role("own")) == 10 and f"of the {len(run.probe.labels)} samples" in own.says
    before = dataclasses.replace(field, draw="samples", snapshot=0).scene()
    assert before.says != own.says


def test_a_training_of_two_dimensions_has_a_plane(runs):
    scene = Field(losses=(runs["centre"].recipe.loss,), run=runs["centre"], surface="plane").scene()
    (cross,) = scene.of_role("cross")
    assert np.allclose(cross.at, runs["centre"][-1].memory["centre"], atol=1e-5)
    assert Field(run=runs["circle"], losses=(runs["circle"].recipe.loss,)).scene().space == CIRCLE
    assert Field(run=runs["sphere"], surface="plane").scene().space == SPHERE
    own = PlaneField(losses=(runs["centre"].recipe.loss,), run=runs["centre"], draw="samples").scene()
    assert "Half of all the push" in own.says and len(own.of_role("own")) == 10
    with pytest.raises(ValueError, match="three"):
        PlaneField(run=runs["sphere"])


# -- what the page says ----------------------------------------------------------------------------------


def test_farthest_is_not_hardest():
    field = of("Farthest is not hardest")
    head = field.head(field.losses[0])
    own = field.rows(head)[0]
    place = octahedron(GRID).double()
    size = field.along(head, place).norm(dim=1)
    opposite = field.along(head, -own[None]).norm()
    assert opposite.item() == pytest.approx(6.9, abs=0.05) and size.max().item() == pytest.approx(27.8, abs=0.05)
    assert angles(place[size.argmax()][None], own).item() == pytest.approx(99, abs=0.5)
    assert opposite / size.max() == pytest.approx(0.25, abs=0.005)
    assert len(field.drops) == 3


def test_the_far_side():
    preset = PRESETS["The far side"]
    field = of("The far side")
    whole, alone = (dataclasses.replace(field, losses=(loss,)) for loss in preset.losses)
    turn = torch.tensor([BESIDE, -BESIDE]).double() * DEGREE

    def pull(view: Field) -> list[float]:
        head = view.head(view.losses[0])
        place, outward = view.circle_through(head, turn)
        return (-(view.along(head, place) * outward).sum(1)).tolist()

    facing, far = pull(dataclasses.replace(alone, shown="push"))
    assert facing == pytest.approx(71.66, abs=0.01) and far == pytest.approx(-0.0013, abs=1e-4)
    facing, far = pull(whole)
    assert facing == pytest.approx(0.048, abs=0.005) and far == pytest.approx(11.11, abs=0.01)


def test_what_detached_leaves_out():
    """The own class's part: s(1−p) sin(θ+m) against s(1−p) sin θ."""
    field = of("What detached leaves out")
    head, (loss,) = field.head(field.losses[0]), field.losses
    for deg, ratio in ((10, 3.6), (76, 1.0), (100, 0.79)):
        place, outward = field.circle_through(head, torch.tensor([deg * DEGREE]).double())
        left_out = float(-(field.along(head, place) * outward).sum())
        doubt = 1 - math.exp(-fields.push(head, place, field.labels(place)).loss.item())
        plain = loss.scale * doubt * math.sin(deg * DEGREE)
        assert (left_out + plain) / plain == pytest.approx(ratio, abs=0.05), deg
    assert 90 - loss.margin / DEGREE / 2 == pytest.approx(76, abs=0.5)


def test_a_scale_too_small():
    field = of("A scale too small")
    head = field.head(field.losses[0])
    own, start = field.rows(head)[0], lattice(40).double()
    ends = fields.flow(head, start, field.labels(start), steps=400, length=STRIDE)[-1]
    assert angles(ends, own).round().unique().tolist() == [37]
    sharp = Field(losses=(field.losses[1],))
    place = octahedron(GRID).double()
    size = sharp.along(sharp.head(sharp.losses[0]), place).norm(dim=1)
    assert size[angles(place, own) < 20].max() < 0.02


def test_stuck_on_the_circle():
    field = of("Stuck on the circle")
    head = field.head(field.losses[0])
    ends = angles(field.lines(head, circle(360).double())[-1], field.rows(head)[0])
    stuck = ends > 60
    assert 0.2 < stuck.double().mean() < 0.25 and ends[stuck].round().unique().tolist() == [129]
    sphere = of("Stuck on the circle", surface="sphere")
    head = sphere.head(sphere.losses[0])
    start = lattice(200).double()
    ends = fields.flow(head, start, sphere.labels(start), steps=150, length=STRIDE)[-1]
    assert angles(ends, sphere.rows(head)[0]).max() < 40


def test_softmax_never_rests():
    for label in range(5):
        field = PlaneField(losses=(Softmax(),), **PRESETS["Softmax never rests"].values | {"label": label})
        head, place = field.head(field.losses[0]), grid(*axes(field.reach(), 64))
        assert ((field.sense(head, place, field.labels(place)) @ field.rows(head)[label]) > 0).all()
    out = around(torch.arange(360).double() * DEGREE)
    raw = field.sense(head, 5 * out, field.labels(out))
    assert (raw * out).sum(1).square().sum() / raw.square().sum() == pytest.approx(0.71, abs=0.01)


def test_a_centre_to_rest_at():
    field = of("A centre to rest at")
    head, start = field.head(field.losses[0]), grid(*axes(7.5, 8))
    ends = fields.flow(head, start, field.labels(start), steps=500, length=0.3, normalised=False)[-1]
    assert (ends - ends[0]).norm(dim=1).max() < 1e-2
    assert ends[0].norm().item() == pytest.approx(5.4, abs=0.05)
    assert head.memory.centre[0].norm().item() == pytest.approx(5.0, abs=0.01)


def test_only_those_who_fail():
    field = of("Only those who fail")
    head, place = field.head(field.losses[0]), grid(*axes(7.5, 64))
    size = field.sense(head, place, field.labels(place)).norm(dim=1)
    assert (size == 0).double().mean() > 0.1
    centre = head.memory.centre.detach()
    nearest = (centre[1:] - centre[0]).norm(dim=1).min().item()
    assert size[size > 0].min().item() == pytest.approx(nearest) == pytest.approx(6.1, abs=0.05)
    assert "reconstruction" in PRESETS["Only those who fail"].why and "reconstruction" in PRESETS["The far side"].why


def test_a_trained_run():
    run = Run(RECORDINGS / PRESETS["A trained run"].values["run"])
    field = Field(losses=PRESETS["A trained run"].losses, run=run, draw="samples")
    assert field.head(field.losses[0]) is field.trained_head
    assert "Half of all the push is on 18 of the 600 samples" in field.scene().says
    assert "is on 221 of the 600" in dataclasses.replace(field, snapshot=0).scene().says


@pytest.mark.parametrize("preset", PAGE.presets, ids=lambda preset: preset.title)
def test_presets_make_pictures(preset):
    values = dict(preset.values)
    if "run" in values:
        values["run"] = Run(RECORDINGS / values["run"])
    for panel in PAGE.panels:
        scene = view(panel, preset.losses, values).scene()
        assert isinstance(scene, Scene) and scene.says and scene.title and scene.table().count("\n") > 100
