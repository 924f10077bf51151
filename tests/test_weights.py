"""Weights of others: every name finds its place, or one sentence says which does not."""

import os
import pickle
from collections import OrderedDict

import pytest
import torch
from torch import nn

from losslab.models.iresnet import IResNet
from losslab.models.tiny import Tiny
from losslab.models.weights import WeightsError, load_weights

SHAPE = (3, 32, 32)


class Small(IResNet):
    """With a stage of two blocks, so that they can be taken for one another."""

    blocks = (1, 2, 1, 1)


class TheirBlock(nn.Module):
    """As AdaFace has it: the names and the order of its layers."""

    def __init__(self, channels, width, stride):
        super().__init__()
        self.shortcut_layer = nn.MaxPool2d(1, stride)
        if channels != width:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(width),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x):
        return self.shortcut_layer(x) + self.res_layer(x)


class Theirs(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        sizes = [(64, 64, 2), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 512, 2)]
        self.body = nn.Sequential(*(TheirBlock(*size) for size in sizes))
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512), nn.Dropout(), nn.Flatten(), nn.Linear(512 * 4, dim), nn.BatchNorm1d(dim, affine=False)
        )

    def forward(self, x):
        return self.output_layer(self.body(self.input_layer(x)))


def shaken(model):
    """Every number of a network, its statistics too, something of its own."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape) + 0.5 if "var" in name else 0.1 * torch.randn(value.shape))
    return model.eval()


@pytest.fixture(scope="module")
def ours():
    return shaken(Small(8, SHAPE))


@pytest.fixture(scope="module")
def theirs():
    return shaken(Theirs())


def fresh():
    torch.manual_seed(1)
    return Small(8, SHAPE).eval()


def images(count=3):
    return torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def saved(tmp_path):
    def save(found, name="w.pth", **how):
        torch.save(found, tmp_path / name, **how)
        return tmp_path / name

    return save


@torch.no_grad()
def same(model, other):
    torch.testing.assert_close(model(images()), other(images()))


def prefixed(weights, prefix):
    return OrderedDict((f"{prefix}{name}", value) for name, value in weights.items())


@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "model.", "module.backbone."])
@pytest.mark.parametrize("wrapped", [None, "state_dict", "state_dict_backbone", "model"])
def test_insightface_weights(ours, saved, prefix, wrapped):
    weights = prefixed(ours.state_dict(), prefix)
    model = fresh()
    load_weights(model, saved({"epoch": 3, wrapped: weights} if wrapped else weights))
    same(model, ours)


def test_an_older_file_without_counts_of_batches(ours, saved):
    weights = {name: value for name, value in ours.state_dict().items() if "num_batches" not in name}
    model = fresh()
    load_weights(model, saved(weights, "w.pt", _use_new_zipfile_serialization=False))
    same(model, ours)


def test_half_precision(ours, saved):
    model = fresh()
    load_weights(model, saved({name: value.half() if value.is_floating_point() else value
                               for name, value in ours.state_dict().items()}))  # fmt: skip
    assert model.fc.weight.dtype == torch.float32
    torch.testing.assert_close(model.fc.weight, ours.fc.weight, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("prefix", ["", "model.", "net."])
@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_adaface_weights(theirs, saved, prefix, colour):
    """Its file is that of a whole training: the network, and the head beside it."""
    weights = prefixed(theirs.state_dict(), prefix) | {"head.kernel": torch.zeros(8, 10), "head.t": torch.zeros(1)}
    model = fresh()
    load_weights(model, saved({"state_dict": weights, "epoch": 25}, "adaface.ckpt"), colour)
    pixels = (images().float() / 255 - 0.5) / 0.5
    with torch.no_grad():
        expected = theirs(pixels.flip(1) if colour == "bgr" else pixels)
        torch.testing.assert_close(model(images()), expected, rtol=1e-4, atol=1e-4)


def test_insightface_weights_of_a_network_trained_on_bgr(ours, saved):
    model = fresh()
    load_weights(model, saved(ours.state_dict()), "bgr")
    with torch.no_grad():
        torch.testing.assert_close(model(images()), ours(images().flip(1)))


# -- what does not fit -----------------------------------------------------------------------------------


def refused(model, path, **more):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WeightsError) as caught:
        load_weights(model, path, **more)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert str(caught.value).endswith(".") and ". " not in str(caught.value)
    return str(caught.value)


def test_each_missing_name_is_told(ours, saved):
    for name in ("conv1.weight", "layer2.1.bn3.running_var", "features.bias"):
        weights = dict(ours.state_dict())
        del weights[name]
        assert f"w.pth has no {name}: " in refused(fresh(), saved(weights))


def test_names_that_are_not_ours_are_told(ours, theirs, saved):
    assert "has se.fc1.weight, which" in refused(fresh(), saved(ours.state_dict() | {"se.fc1.weight": torch.ones(1)}))
    deeper = theirs.state_dict() | {"body.5.res_layer.0.weight": torch.ones(512), "body.6.x": torch.ones(1)}
    assert "has body.5.res_layer.0.weight and 1 more" in refused(fresh(), saved(deeper))


def test_an_adaface_network_that_lacks_a_layer(theirs, saved):
    weights = dict(theirs.state_dict())
    del weights["body.2.res_layer.4.weight"], weights["output_layer.3.bias"]
    assert "has no fc.bias and 1 more" in refused(fresh(), saved(weights))


@pytest.mark.parametrize(
    "name, value, says",
    [
        (
            "fc.weight",
            torch.zeros(8, 512 * 49),
            "8 x 25088 numbers in fc.weight where this network has 8 x 2048: .*size",
        ),
        ("features.bias", torch.zeros(9), "9 numbers in features.bias"),
        ("conv1.weight", torch.zeros(64, 1, 3, 3), "64 x 1 x 3 x 3 numbers .*another network"),
        ("bn1.weight", torch.tensor(1.0), "1 numbers in bn1.weight where this network has 64"),
        ("bn1.weight", torch.full((64,), float("nan")), "not finite"),
        ("bn1.weight", torch.ones(64, dtype=torch.int64), "plain numbers"),
        ("bn1.weight", torch.ones(64).to_sparse(), "plain numbers"),
    ],
)
def test_values_that_do_not_fit(ours, saved, name, value, says):
    import re

    assert re.search(says, refused(fresh(), saved(ours.state_dict() | {name: value})))


@pytest.mark.parametrize("found", [{}, [], torch.ones(3), {"epoch": 3}, {"state_dict": {}}, {3: torch.ones(2)}])
def test_files_without_weights_by_name(saved, found):
    assert "has no weights by name" in refused(fresh(), saved(found))


def test_a_file_that_holds_itself(saved):
    found = {}
    found["model"] = found
    assert "has no weights by name" in refused(fresh(), saved(found))


class Calls:
    def __reduce__(self):
        return os.system, ("touch ran",)


def test_no_program_in_a_file_is_run(saved, tmp_path, monkeypatch, ours):
    monkeypatch.chdir(tmp_path)
    for how in ({}, {"_use_new_zipfile_serialization": False}):
        says = refused(fresh(), saved({"state_dict": ours.state_dict(), "callbacks": Calls()}, **how))
        assert "could run a program" in says
    (tmp_path / "p.pth").write_bytes(pickle.dumps(Calls(), 2))
    refused(fresh(), tmp_path / "p.pth")
    refused(fresh(), saved(nn.Linear(2, 2)))  # a whole network instead of its weights
    assert not (tmp_path / "ran").exists()


def test_damaged_files(saved, tmp_path):
    whole = saved({"a": torch.arange(100.0)}).read_bytes()
    for data in (b"", b"no weights", whole[:50], whole[: len(whole) // 2], whole[:-5]):
        (tmp_path / "w.pth").write_bytes(data)
        refused(fresh(), tmp_path / "w.pth")
    assert "cannot be read" in refused(fresh(), tmp_path / "none.pth")
    assert "cannot be read" in refused(fresh(), tmp_path)


def test_what_they_are_loaded_into(ours, saved):
    with pytest.raises(WeightsError, match="into an IResNet, and this network is a Tiny"):
        load_weights(Tiny(3, (1, 28, 28)), saved(ours.state_dict()))
    assert "must be rgb or bgr" in refused(fresh(), saved(ours.state_dict()), colour="grb")
