"""Angles and margins without a browser: links, presets, what they claim, and the losses of the board."""

import math

import numpy as np
import pytest
import torch
from page_cases import untrained
from streamlit.testing.v1 import AppTest

from losslab import ArcFace, CosFace, losses
from losslab.views.curves import curves
from losslab.views.probability import values
from losslab.views.regions import Regions, strip
from losslab.views.slopes import pulls
from pages.parts import board, server

PAGE = str(server.ROOT / "pages/2_angles_and_margins.py")


@pytest.fixture(autouse=True)
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
    return at.session_state["angles_state"]


def link_of(at: AppTest) -> dict[str, list[str]]:
    return {name: values if isinstance(values, list) else [values] for name, values in at.query_params.items()}


def presets() -> tuple[board.Preset, ...]:
    """The page's own, out of its file."""
    scope = {"__name__": "page"}
    source = (server.ROOT / "pages/2_angles_and_margins.py").read_text(encoding="utf-8").split("\nst.subheader(")[0]
    exec(compile(source, PAGE, "exec"), scope)
    return scope["PAGE"].presets


PRESETS = {each.title: each for each in presets()}


def test_the_page_opens_with_four_losses():
    at = opened()
    assert [type(loss).__name__ for loss in shown(at)["losses"]] == ["CosFace", "ArcFace", "SphereFace", "Softmax"]
    assert len(at.latex) == 4 and any(r"\cos(\theta_y+{0.5})" in formula.value for formula in at.latex)
    assert any("s = 16, m = 0.5 rad" in caption.value for caption in at.caption)


def test_a_link_carries_the_whole_state():
    first = opened(losses=["ArcFace(margin=0.3, gradient='detached')", "IntraLoss(base='CosFace')"], show="regions",
                   between="45", possible="true", classes="1000", which="2")  # fmt: skip
    state = shown(first)
    assert not first.warning
    assert state["losses"] == [
        ArcFace(margin=0.3, gradient="detached"),
        losses.make("IntraLoss", base="CosFace"),
    ]
    asked = {"show": "regions", "between": 45.0, "possible": True, "classes": 1000, "which": 2}
    assert state["values"] == asked
    again = opened(**link_of(first))
    assert shown(again) == state and link_of(again) == link_of(first)


@pytest.mark.parametrize("title", PRESETS)
def test_a_preset_sets_everything_and_its_link_brings_it_back(title):
    at = opened(losses="Softmax", length="3")
    at.button_group(key="angles_preset").set_value(title).run()
    assert not at.exception and not at.warning
    chosen = PRESETS[title]
    assert shown(at) == {"losses": list(chosen.losses), "values": chosen.values}
    assert any(chosen.why == caption.value for caption in at.caption)
    again = opened(**link_of(at))
    assert shown(again) == shown(at)


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"losses": "ArcFase"}, "In the link, There is no loss called 'ArcFase'"),
        ({"losses": "__import__('os')"}, "In the link, "),
        ({"losses": "ArcFace(margin=9)"}, "In the link, margin is 9, but it must be from 0 to 1.5 rad."),
        ({"between": "many"}, "In the link, between is 'many', but it must be a number from 1 to 180 °."),
        ({"show": "everything"}, "In the link, show is 'everything', but it must be one of curves, regions"),
        ({"classes": "11"}, "In the link, classes is 11.0, but it must be one of 2, 10"),
        ({"possible": "perhaps"}, "In the link, possible is 'perhaps', but it must be true or false."),
        ({"rung": "9"}, "In the link, rung is 9, but it must be from 0 to 6."),
    ],
)
def test_a_bad_link_gets_one_sentence_and_the_page_goes_on(link, sentence):
    at = opened(**link)
    (said,) = [box.value for box in at.warning]
    assert said.replace("\\", "").startswith(sentence)
    assert shown(at)["losses"] and list(at.get("button_group"))


def test_the_code_is_shown_when_it_is_asked_for():
    at = opened(losses="IntraLoss(base='CosFace')")
    assert not at.code
    assert len(at.latex) == 2  # the term's and the base's


# -- what presets claim, on the numbers behind the picture ------------------------------------------------


def test_which_margin_is_larger():
    cos, arc = PRESETS["Which margin is larger?"].losses[:2]
    deg = torch.linspace(0, 150, 1501, dtype=torch.float64)
    lower = deg[curves(arc, deg.deg2rad())[0] < curves(cos, deg.deg2rad())[0]]
    assert lower.min() == pytest.approx(31, abs=0.5) and lower.max() == pytest.approx(121, abs=0.5)
    at_0 = [float(curves(loss, torch.zeros(1, dtype=torch.float64))[0]) for loss in (cos, arc)]
    assert at_0 == pytest.approx([0.65, 0.88], abs=0.005)


def test_the_strip_of_cosface_is_narrowest_near_90_degrees():
    cos, arc = PRESETS["The same margin, not the same width"].losses
    theta, width = strip(Regions(losses=(cos,)).duel())
    thin = width.argmin()
    assert width[thin] == pytest.approx(20.2, abs=0.05) and width[0] == pytest.approx(49.5, abs=0.05)
    assert theta[thin] + width[thin] / 2 == pytest.approx(90, abs=0.6)
    _, even = strip(Regions(losses=(arc,)).duel())
    assert np.allclose(even, 28.6, atol=0.06)


def test_the_detached_slope_fades_on_arrival_and_is_stronger_far_away():
    exact, detached = PRESETS["The slope that most code takes"].losses
    deg = torch.tensor([5.0, 75.0, 76.5, 150.0], dtype=torch.float64)
    true, taken = (pulls(loss, deg.deg2rad()) for loss in (exact, detached))
    assert taken[0] == pytest.approx(0.09, abs=0.005) and true[0] == pytest.approx(0.55, abs=0.005)
    assert taken[3] == pytest.approx(0.50, abs=0.005) and true[3] == pytest.approx(0.02, abs=0.005)
    assert taken[1] < true[1] and taken[2] > true[2]  # they cross at 90° − m/2
    assert torch.allclose(true / taken, (deg.deg2rad() + exact.margin).sin() / deg.deg2rad().sin())
    assert torch.equal(*(curves(loss, deg.deg2rad())[0] for loss in (exact, detached)))


def test_raw_arcface_pushes_a_sample_on_the_far_side_away():
    raw, *others = PRESETS["Pushed to the far side"].losses
    deg = torch.linspace(152, 179.9, 50, dtype=torch.float64).deg2rad()
    pull = pulls(raw, deg)
    assert (pull < 0).all() and (pull.diff() < 0).all()
    assert pulls(raw, torch.tensor([math.radians(151)], dtype=torch.float64)) > 0
    assert all((pulls(loss, deg) >= 0).all() for loss in others)


def test_spherefaces_margin_shrinks_with_the_angle_between_classes():
    sphere = PRESETS["No margin between close classes"].losses[0]
    for between, width in ((30.0, 10.0), (90.0, 30.0)):
        duel = Regions(losses=(sphere,), between=between).duel()
        own = torch.tensor([between / 3], dtype=torch.float64).deg2rad()
        # On the arc from one prototype to the other: the edges lie at a third of it from either side.
        assert duel.gap(own.cos(), (2 * own).cos(), 0).abs() < 1e-9
        assert between - 2 * between / 3 == pytest.approx(width)


def test_perfect_and_28_percent_sure():
    chosen = PRESETS["Perfect, and 28 % sure"]
    count = chosen.values["classes"]
    sure = torch.exp(-values(chosen.losses[2], 2, count, 90.0, 16.0))[0]
    assert sure == pytest.approx(0.28, abs=0.005)
    assert torch.exp(-values(CosFace(scale=64, margin=0.35), 2, count, 90.0, 16.0))[0] > 0.9999
