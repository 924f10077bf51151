"""A frame holds a snapshot: decoded as a browser does, it gives the numbers back within its quantisation."""

import dataclasses
import json
import math
import struct

import numpy as np
import pytest
import torch

from losslab import Linear, PrototypeHead, losses
from losslab.live.frames import encode
from losslab.losses import ArcFace, KappaFace, Softmax
from losslab.training import Probe, Recipe, Run, RunWriter, Snapshot


def decode(data: bytes) -> dict:
    """What the browser makes of a frame."""
    magic, index, step, n, c, dim, flags, points, k, size, norm_max = struct.unpack_from("<4sIIIHBBHHIf", data)
    assert magic == b"LLF1" and size % 4 == 0
    at = 32

    def take(dtype: str, *shape: int) -> np.ndarray:
        nonlocal at
        assert at % 4 == 0
        array = np.frombuffer(data, dtype, math.prod(shape), at).reshape(shape)
        at += -(-array.nbytes // 4) * 4
        return array

    frame = dict(index=index, step=step, flags=flags, norm_max=norm_max, json=json.loads(take("u1", size).tobytes()))
    curve = (c, points) if flags & 4 else (points,)
    frame |= dict(prototypes=take("<f4", c * k, dim), positive=take("<f4", *curve), negative=take("<f4", points))
    frame |= dict(position=take("<i2", n, dim) / 32767, norm=take("<u2", n) / 65535 * norm_max)
    frame |= dict(gap=take("<i2", n) / 8192, loss=take("<u2", n) / 256, state=take("u1", n))
    assert at == len(data)
    return frame


def write(path, snapshots, recipe=None):
    recipe = recipe or Recipe(loss=ArcFace(scale=16, margin=0.2), classes=(3, 5), dim=snapshots[0].embedding.shape[1])
    n = len(snapshots[0].loss)
    probe = Probe(
        images=np.zeros((n, 28, 28), np.uint8),
        labels=np.arange(n) % 2,
        split=np.zeros(n, np.uint8),
        names=("3", "5"),
    )
    writer = RunWriter(path, recipe, probe)
    for snapshot in snapshots:
        writer.append(snapshot)
    return Run(path)


def moment(step=0, n=7, dim=3, knobs=None, **more):
    rng = np.random.default_rng(step)
    return Snapshot(
        **dict(
            step=step,
            embedding=rng.normal(size=(n, dim)).astype(np.float32) * 5,
            prototypes=rng.normal(size=(2, dim)).astype(np.float32),
            loss=rng.exponential(size=n).astype(np.float32),
            gap=rng.normal(size=n).astype(np.float32),
            correct=rng.random(n) > 0.3,
            scalars={"loss": 0.5, "train_accuracy": 0.75},
            knobs=knobs or {"scale": 16.0, "margin": 0.2, "gradient": "exact", "beyond": "monotone"},
            weights=None,
        )
        | more
    )


@pytest.mark.parametrize("n, dim", [(7, 3), (8, 2), (1, 3), (5, 16)])
def test_a_frame_gives_the_snapshot_back(tmp_path, n, dim):
    run = write(tmp_path / "run", [moment(40, n, dim)])
    frame, snapshot = decode(encode(run, 0)), run[0]
    norm = np.linalg.norm(snapshot.embedding, axis=1)
    assert (frame["index"], frame["step"], frame["flags"]) == (0, 40, 0)
    assert np.allclose(frame["position"], snapshot.embedding / norm[:, None], atol=1 / 32767)
    assert np.allclose(frame["norm"], norm, atol=frame["norm_max"] / 65535)
    assert np.allclose(frame["gap"], snapshot.gap, atol=1 / 8192)
    assert np.allclose(frame["loss"], snapshot.loss, atol=1 / 256)
    assert np.array_equal(frame["prototypes"], snapshot.prototypes)
    assert frame["json"] == {"scalars": snapshot.scalars, "knobs": snapshot.knobs}


def test_wrong_comes_before_inside_and_inside_before_clear(tmp_path):
    snapshot = moment(n=4, gap=np.float32([0.5, -0.5, -0.5, 0.5]), correct=np.array([True, True, False, False]))
    assert decode(encode(write(tmp_path / "run", [snapshot]), 0))["state"].tolist() == [0, 1, 2, 2]


def test_the_curves_are_those_of_the_knobs_in_force(tmp_path):
    first = moment(0)
    run = write(tmp_path / "run", [first, moment(1, knobs=first.knobs | {"margin": 0.4}), moment(2)])
    frames = [decode(encode(run, i)) for i in range(3)]
    angle = torch.linspace(0, math.pi, 257)
    for frame, margin in zip(frames, (0.2, 0.4, 0.2), strict=True):
        head = PrototypeHead(ArcFace(scale=16, margin=margin), 3, 2)
        (positive, _), negative = head.curves(angle)
        assert np.allclose(frame["positive"], positive) and np.allclose(frame["negative"], negative)
    assert [frame["flags"] for frame in frames] == [0, 2, 2]


def test_plain_softmax_says_that_it_weighs_the_length_of_prototypes(tmp_path):
    recipe = Recipe(loss=Softmax(), classes=(3, 5))
    snapshot = dataclasses.replace(moment(), knobs={})
    assert decode(encode(write(tmp_path / "run", [snapshot], recipe), 0))["flags"] == 1


def test_classes_with_margins_of_their_own_have_curves_of_their_own(tmp_path):
    loss = KappaFace(scale=16, margin=0.5)
    begun = PrototypeHead(loss, 3, 2).memory.state_dict()
    memory = {name: value.numpy() for name, value in begun.items()} | {"psi": np.float32([0.2, 0.8])}
    snapshot = moment(knobs=losses.settings(loss), memory=memory)
    frame = decode(encode(write(tmp_path / "run", [snapshot], Recipe(loss=loss, classes=(3, 5))), 0))
    angle = torch.linspace(0, math.pi, 257)
    assert frame["flags"] == 4
    for curve, psi in zip(frame["positive"], memory["psi"], strict=True):
        (want, _), _ = PrototypeHead(ArcFace(margin=0.5 * float(psi)), 3, 2).curves(angle)
        assert np.allclose(curve, want, atol=1e-6)


def test_a_margin_that_follows_the_length_is_drawn_for_the_median_length(tmp_path):
    loss = losses.starting("MagFace")
    snapshot = moment(knobs=losses.settings(loss))
    frame = decode(encode(write(tmp_path / "run", [snapshot], Recipe(loss=loss, classes=(3, 5))), 0))
    length = float(np.median(np.linalg.norm(snapshot.embedding, axis=1)))
    (want, _), _ = PrototypeHead(loss, 3, 2).curves(torch.linspace(0, math.pi, 257), length)
    assert np.allclose(frame["positive"], want, atol=1e-6)


def test_a_loss_whose_zones_need_more_than_one_angle_has_no_curves(tmp_path):
    loss = losses.starting("InterFace")
    run = write(tmp_path / "run", [moment(knobs=losses.settings(loss))], Recipe(loss=loss, classes=(3, 5)))
    frame = decode(encode(run, 0))
    assert frame["flags"] == 8 and not len(frame["positive"]) and not len(frame["negative"])


def test_every_prototype_of_a_class_travels(tmp_path):
    loss = losses.make("SubCenterArcFace", subcentres=3)
    prototypes = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    snapshot = moment(knobs=losses.settings(loss), prototypes=prototypes)
    data = encode(write(tmp_path / "run", [snapshot], Recipe(loss=loss, classes=(3, 5))), 0)
    assert struct.unpack_from("<H", data, 22) == (3,)
    assert np.array_equal(decode(data)["prototypes"], prototypes)


def test_a_knob_that_a_schedule_moves_was_not_turned_by_hand(tmp_path):
    recipe = Recipe(loss=ArcFace(scale=16, margin=Linear(0, 0.4, 100)), classes=(3, 5))
    at = [losses.settings(ArcFace(scale=scale, margin=m)) for scale, m in ((16, 0.0), (16, 0.1), (8, 0.2))]
    run = write(tmp_path / "run", [moment(i, knobs=knobs) for i, knobs in enumerate(at)], recipe)
    assert [decode(encode(run, i))["flags"] for i in range(3)] == [0, 0, 2]


def test_another_loss_is_marked_where_it_begins_to_count(tmp_path):
    first, second = ArcFace(scale=16, margin=0.2), losses.make("CosFace", scale=16.0, margin=0.2)
    recipe = Recipe(loss=first, classes=(3, 5), later=((1, second),))
    knobs = [losses.settings(loss) for loss in (first, first, second, second)]
    run = write(tmp_path / "run", [moment(step, knobs=each) for step, each in enumerate(knobs)], recipe)
    assert [decode(encode(run, i))["flags"] for i in range(4)] == [0, 0, 2, 0]


def test_extreme_numbers_stay_in_range_and_in_json(tmp_path):
    snapshot = moment(
        n=3,
        embedding=np.zeros((3, 3), np.float32),
        gap=np.float32([9, -9, 0]),
        loss=np.float32([1e9, np.inf, np.nan]),
        scalars={"loss": math.nan, "epoch": 1.0},
    )
    frame = decode(encode(write(tmp_path / "run", [snapshot]), 0))
    assert frame["norm_max"] == 0 and not frame["norm"].any() and not frame["position"].any()
    assert np.allclose(frame["gap"], [4, -4, 0], atol=1e-3)
    assert np.allclose(frame["loss"], [255.996, 255.996, 0], atol=1e-3)
    assert frame["json"]["scalars"] == {"loss": None, "epoch": 1.0}


def test_embeddings_too_long_to_square_keep_their_directions(tmp_path):
    long = np.float32([[3e30, 0, 0], [0, -3e38, 3e38], [0, 0, np.inf]])
    frame = decode(encode(write(tmp_path / "run", [moment(n=3, embedding=long)]), 0))
    half = math.sqrt(0.5)
    assert np.allclose(frame["position"], [[1, 0, 0], [0, -half, half], [0, 0, 1]], atol=1e-4)
    assert math.isfinite(frame["norm_max"]) and np.allclose(frame["norm"][1:], frame["norm_max"])


def test_a_snapshot_that_does_not_exist_has_no_frame(tmp_path):
    run = write(tmp_path / "run", [moment()])
    with pytest.raises(IndexError):
        encode(run, 1)
