"""What watches over a training."""

import dataclasses

import pytest
import torch
from face_cases import sentence
from scale_cases import SMOOTH, in_group

from losslab import ArcFace, CosFace, PrototypeHead, Triplet
from losslab.scale.engine import Engine
from losslab.scale.estimate import estimate
from losslab.scale.guard import Guard, expected, first_loss
from losslab.scale.processes import Processes, ScaleError, joined, why

ALONE = Processes(torch.device("cpu"))


def test_the_first_loss_that_is_not_finite_is_remembered():
    guard = Guard(ALONE)
    guard.look(1, torch.tensor([1.0, 2.0]), torch.tensor([3, 4]))
    guard.check()
    guard.look(2, torch.tensor([1.0, torch.nan, torch.inf]), torch.tensor([3, 4, 5]))
    guard.look(3, torch.tensor([torch.nan]), torch.tensor([9]))
    with pytest.raises(ScaleError, match="class 4 .* step 2, in process 0") as refused:
        guard.check()
    sentence(refused)


def test_a_first_loss_like_an_untrained_networks_is_none_to_warn_of():
    draw = torch.Generator().manual_seed(3)
    embedding = torch.randn(64, 32, generator=draw)
    about, _ = expected(CosFace(scale=16), 32, 100)
    assert first_loss(about, CosFace(scale=16), 32, 100, embedding) == ""
    assert "trained already" in (first_loss(about / 4, CosFace(scale=16), 32, 100, embedding))
    assert "scale and margin" in (first_loss(about * 4, CosFace(scale=16), 32, 100, embedding))
    assert "one way" in (first_loss(about, CosFace(scale=16), 32, 100, embedding * 0.01 + 1))


def test_few_identities_in_a_batch_are_no_reason_to_warn():
    """Embeddings of an untrained network are much alike, and then the samples of an identity have one loss."""
    draw, head = torch.Generator().manual_seed(3), PrototypeHead(CosFace(), 512, 500, seed=0)
    warnings = {1: 0, 64: 0}
    for _ in range(40):
        embedding = torch.randn(512, generator=draw) + torch.randn(512, 512, generator=draw)
        label = torch.randperm(500, generator=draw)[:8].repeat_interleave(64)
        found = float(head(embedding, label).mean().detach())
        for grouped in warnings:
            warnings[grouped] += first_loss(found, CosFace(), 512, 500, embedding, grouped) != ""
    assert warnings[64] == 0 < warnings[1]


def shares(recipe, seed=0, value=None):
    draw = torch.Generator().manual_seed(seed)
    for _ in range(recipe.parts):
        images = torch.randint(256, (recipe.batch // recipe.parts, 1, 32, 32), generator=draw, dtype=torch.uint8)
        yield images, torch.randint(5, (len(images),), generator=draw)


def test_gradients_are_clipped_to_the_length_asked_for():
    for clipped in ("all", "network"):
        recipe = dataclasses.replace(SMOOTH, clip=0.01, clipped=clipped)
        engine = Engine(recipe, 5, ALONE)
        engine.train(shares(recipe), 0.0)
        before, after = float(engine.norm), float(engine.length())
        assert before > 0.01 and after == pytest.approx(0.01, rel=1e-4)
        head = engine.head.prototypes.grad
        plain = Engine(dataclasses.replace(recipe, clip=0.0), 5, ALONE)
        plain.train(shares(recipe), 0.0)
        assert torch.allclose(head, plain.head.prototypes.grad) == (clipped == "network")


def test_a_gradient_that_overflows_is_skipped_and_the_loss_scaled_down():
    recipe = dataclasses.replace(SMOOTH, precision="float16")
    engine = Engine(recipe, 5, ALONE)
    engine.scaler = type(engine.scaler)(ALONE, True)
    engine.scaler.load_state_dict(
        {"scale": 2.0**40, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000, "_growth_tracker": 0}
    )
    before = {name: value.detach().clone() for name, value in engine.named.items()}
    engine.train(shares(recipe), 0.1)
    assert all(torch.equal(value, before[name]) for name, value in engine.named.items())
    assert engine.scaler.get_scale() == 2.0**39
    engine.scaler.load_state_dict({**engine.scaler.state_dict(), "scale": 2.0**-12})
    with pytest.raises(ScaleError, match="overflow float16") as refused:
        engine.check()
    sentence(refused)


def test_parts_of_a_batch_average_as_the_whole_does():
    """With a network that takes no statistics, whose parts would have other ones."""
    found = []
    for parts in (1, 4):
        recipe = dataclasses.replace(SMOOTH, clip=0.0, parts=parts)
        engine = Engine(recipe, 5, ALONE)
        torch.manual_seed(0)
        engine.model = torch.nn.Sequential(torch.nn.Flatten(), Scaled(), torch.nn.Linear(32 * 32, recipe.dim))
        images, labels = next(shares(dataclasses.replace(recipe, parts=1)))
        engine.train(zip(images.chunk(parts), labels.chunk(parts), strict=True), 0.0)
        found.append((engine.model[2].weight.grad, engine.head.prototypes.grad, engine.loss))
    for whole, parts in zip(*found, strict=True):
        assert torch.allclose(whole, parts, rtol=1e-4, atol=1e-6)


class Scaled(torch.nn.Module):
    def forward(self, images):
        return images / 255 - 0.5


def test_averaged_weights_follow():
    recipe = dataclasses.replace(SMOOTH, average=0.75)
    engine = Engine(recipe, 5, ALONE)
    name = "embed.weight"
    first = engine.network.state_dict()[name].clone()
    engine.train(shares(recipe), 0.1)
    now = engine.network.state_dict()[name]
    assert torch.allclose(engine.average[name], 0.75 * first + 0.25 * now) and not torch.equal(now, first)


def test_prototypes_that_step_in_the_backward_pass_step_as_the_optimiser_does():
    recipe = dataclasses.replace(SMOOTH, clipped="network")
    one, other = (Engine(dataclasses.replace(recipe, folded=folded), 5, ALONE) for folded in (False, True))
    for rate in (0.1, 0.05, 0.2):
        for engine in (one, other):
            engine.forget_gradients()
            engine.train(shares(recipe), rate)
        assert other.head.prototypes.grad is None
    assert torch.allclose(one.head.prototypes, other.head.prototypes, atol=1e-6)
    assert torch.allclose(*(each.network.embed.weight for each in (one, other)), atol=1e-6)
    assert estimated(one.recipe).state > estimated(other.recipe).state


def estimated(recipe, classes=100):
    return estimate(recipe, classes, processes=1, device=ALONE.device, faces=None, workers=0)


def test_estimates_grow_with_what_they_are_of():
    small, large = estimated(SMOOTH), estimated(dataclasses.replace(SMOOTH, batch=48), 10_000)
    assert large.operations > 2 * small.operations and large.activations == pytest.approx(2 * small.activations)
    assert large.weights == small.weights and large.state > small.state
    tiled = estimated(dataclasses.replace(SMOOTH, tile=256), 10_000)
    assert tiled.cosines < large.cosines and "Images a second" in str(tiled)
    assert expected(ArcFace(), 16, 10) is not None


def test_pairs_of_a_batch_take_memory():
    pairs = dataclasses.replace(SMOOTH, loss=Triplet(), grouped=4)
    some, all_ = (estimated(dataclasses.replace(pairs, loss=Triplet(mining=each))).cosines for each in ("hard", "all"))
    assert 4 * 24**2 < some < 40 * 24**2 and 4 * 24**3 < all_ < 10 * 24**3  # batch 24, four bytes a number

    class Looking(Triplet):
        def pairs(self, p):
            return super().pairs(p) if p.same.any() else p.cosine.sum(1)

    assert 4 * 24**2 < estimated(dataclasses.replace(pairs, loss=Looking())).cosines < 40 * 24**2


def test_what_an_optimiser_goes_on_with_lies_where_its_weights_lie():
    elsewhere = torch.device("meta")
    engine = Engine(dataclasses.replace(SMOOTH, optimiser="adamw"), 5, Processes(elsewhere))
    name, weight = next(iter(engine.named.items()))
    engine.expect({f"optimiser.{name}.step": torch.Size([]), f"optimiser.{name}.exp_avg": weight.shape})
    assert {key: value.device for key, value in engine.optimiser.state[weight].items()} == {
        "step": elsewhere, "exp_avg": elsewhere,
    }  # fmt: skip


def one_overflows(processes):
    """In one process alone, by one row of its prototypes: all skip, and all say whose class it is."""
    recipe = dataclasses.replace(SMOOTH, precision="float16", clip=0.0)
    engine = Engine(recipe, 5, processes)
    engine.scaler.load_state_dict({**engine.scaler.state_dict(), "scale": 2.0**-9})
    before = {name: value.detach().clone() for name, value in engine.named.items()}
    if processes.rank == 1:
        engine.head.prototypes.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor([1]), torch.inf))
    engine.train(shares(dataclasses.replace(recipe, batch=8)), 0.1)
    assert all(torch.equal(value, before[name]) for name, value in engine.named.items())
    assert engine.scaler.get_scale() == 2.0**-10
    engine.check()
    engine.train(shares(dataclasses.replace(recipe, batch=8)), 0.1)
    with pytest.raises(ScaleError, match=r"in process 1 \(class 4\)") as refused:
        engine.check()
    sentence(refused)


def test_a_gradient_that_overflows_in_one_process_is_skipped_by_all():
    in_group(2, one_overflows)


def one_is_not_finite(processes):
    guard = Guard(processes)
    guard.look(7, torch.tensor([1.0, torch.nan if processes.rank == 2 else 1.0]), torch.tensor([3, 4]))
    with pytest.raises(ScaleError, match="class 4 .* step 7, in process 2"):
        guard.check()


def test_a_loss_that_is_not_finite_in_one_process_stops_all():
    in_group(3, one_is_not_finite)


def lengths(processes):
    """Of the gradient, before and after it is clipped: those of one process that has all samples."""
    recipe = dataclasses.replace(SMOOTH, batch=12, clip=0.01)
    images, labels = next(shares(recipe))
    alone = Engine(recipe, 5, Processes(torch.device("cpu"), alone=True))
    alone.train(iter([(images, labels)]), 0.0)
    engine, mine = Engine(recipe, 5, processes), slice(6 * processes.rank, 6 * processes.rank + 6)
    engine.train(iter([(images[mine], labels[mine])]), 0.0)
    assert float(engine.norm) == pytest.approx(float(alone.norm), rel=1e-4)
    assert float(engine.length()) == pytest.approx(0.01, rel=1e-4)


def test_the_length_of_a_divided_gradient_is_that_of_the_whole():
    in_group(2, lengths)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no device 'gpu'") as refused, joined("gpu", 60):
        pass
    sentence(refused)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "Connection refused"),
        ConnectionResetError(),
        EOFError(),
        FileNotFoundError(2, "No such file"),
    ],
)
def test_however_a_worker_is_missed_it_is_said_what_it_was(error):
    assert "decodes images was killed" in sentence(why(error, 1))


def test_a_file_that_is_missing_is_no_worker():
    missing = FileNotFoundError(2, "No such file or directory", "train.rec")
    assert "train.rec" in why(missing, 0) and "killed" not in why(missing, 0)
