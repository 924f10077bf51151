"""What heads promise around every loss: samples to ignore, one clear sentence for bad input, no stopping of a GPU,
float32 under autocast, and nothing written into what the caller owns."""

import copy
from dataclasses import replace

import pytest
import torch
from cases import head, name, of_pairs, problem, season, variants
from torch import Tensor
from torch.overrides import TorchFunctionMode

from losslab import ArcFace, PairHead, PrototypeHead, Softmax, Triplet
from losslab.losses import PairLoss, catalogue, starting

every = pytest.mark.parametrize("loss", variants(), ids=name)


def gradients(made, value: Tensor, *leaves: Tensor) -> list[Tensor]:
    return torch.autograd.grad(value.sum(), [*leaves, *made.parameters()], allow_unused=True, materialize_grads=True)


# -- samples to ignore -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", variants() + [starting(kind) for kind in catalogue().values()], ids=name)
def test_ignored_samples_cost_nothing_push_nowhere_and_change_nothing_for_the_others(loss):
    """In losses, gradients and everything that a head keeps, over two epochs of one step."""
    some, label, w = problem(batch=12)
    some, more = some + 6 * w[label], problem(batch=5, seed=1)[0]  # the others far from where these are
    with_ignored, without = (head(loss, w).train() for _ in range(2))
    for _ in range(2):
        x, rest = torch.cat([some, more]).requires_grad_(), some.clone().requires_grad_()
        value, want = with_ignored(x, torch.cat([label, torch.full((5,), -100)])), without(rest, label)
        assert (value[12:] == 0).all()
        torch.testing.assert_close(value[:12], want)
        push, wanted = gradients(with_ignored, value, x), gradients(without, want, rest)
        assert (push[0][12:] == 0).all()
        torch.testing.assert_close([push[0][:12], *push[1:]], list(wanted))
        torch.testing.assert_close(with_ignored.state_dict(), without.state_dict())
        with_ignored.end_epoch(), without.end_epoch()


@every
def test_a_batch_to_be_ignored_altogether_changes_nothing(loss):
    x, label, w = problem()
    for fresh in (True, False):
        made = head(loss, w) if fresh else season(head(loss, w), x, label)
        made.end_epoch()
        before = copy.deepcopy(made.state_dict()) | {"step": made.step + 1}
        leaf = x.clone().requires_grad_()
        value = made.train()(leaf, torch.full_like(label, -100))
        assert all((found == 0).all() for found in (value, *gradients(made, value, leaf)))
        torch.testing.assert_close(made.state_dict(), before, rtol=0, atol=0)


def test_any_number_can_mean_ignored():
    x, label, w = problem()
    made, plain = head(Softmax(), w), head(Softmax(), w)
    made.ignore_index = 2
    torch.testing.assert_close(made(x, label), torch.where(label == 2, 0, plain(x, label)))


# -- bad input -------------------------------------------------------------------------------------------

X, LABEL, W = problem(batch=4, dim=5, classes=6)


@pytest.mark.parametrize("loss", [ArcFace(), Triplet()], ids=name)
@pytest.mark.parametrize(
    "x, label, error, sentence",
    [
        (X, LABEL + 6, ValueError, r"Labels must run from 0 to 5 \(or be -100: ignored\); these run from \d+ to \d+\."),
        (X, LABEL - 6, ValueError, r"Labels must run from 0 to 5 \(or be -100: ignored\); these run from -\d+ to -\d+"),
        (X, LABEL.int(), ValueError, r"Labels must be int64 \[4\], one per embedding; these are torch.int32 \[4\]\."),
        (X, LABEL.double(), ValueError, r"Labels must be int64 \[4\], .* torch.float64 \[4\]\."),
        (X, LABEL[:, None], ValueError, r"Labels must be int64 \[4\], .* torch.int64 \[4, 1\]\."),
        (X, LABEL[:3], ValueError, r"Labels must be int64 \[4\], .* torch.int64 \[3\]\."),
        (X[:, :4], LABEL, ValueError, r"Embeddings must be floating point \[batch, 5\]; these are .* \[4, 4\]\."),
        (X[0], LABEL, ValueError, r"Embeddings must be floating point \[batch, 5\]; these are .* \[5\]\."),
        (X.long(), LABEL, ValueError, r"Embeddings must be floating point .* torch.int64 \[4, 5\]\."),
        (X / 0, LABEL, FloatingPointError, r"Embeddings must be finite numbers; 4 of 4 are not, the first at position"),
        (
            X.masked_fill(torch.arange(4)[:, None] == 2, torch.nan),
            LABEL,
            FloatingPointError,
            r"1 of 4 are not, the first at position 2: look at the network or the step size before it\.",
        ),
    ],
)
def test_bad_input_gets_one_sentence_and_changes_nothing(loss, x, label, error, sentence):
    made = head(loss, W).train()
    before = copy.deepcopy(made.state_dict())
    with pytest.raises(error, match=sentence):
        made(x, label)
    torch.testing.assert_close(made.state_dict(), before, rtol=0, atol=0)


def test_a_head_refuses_a_loss_of_the_other_kind_and_sizes_that_are_none():
    for kind, loss in ((PrototypeHead, Triplet()), (PairHead, ArcFace())):
        with pytest.raises(ValueError, match=f"{type(loss).__name__} does not belong in a {kind.__name__}: "):
            kind(loss, 2, 3)
    with pytest.raises(ValueError, match="at least 1 dimension and 1 class; it was given 0 and 3"):
        PrototypeHead(ArcFace(), 0, 3)


class NoCopies(TorchFunctionMode):
    """Refuses to make a tensor of a number, which would be copied to an accelerator, and would wait for it."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        from_host = func in (torch.tensor, torch.as_tensor, Tensor.new_tensor) and not isinstance(args[0], Tensor)
        assert not from_host, f"{func.__name__}({args[0]}) on the way of every step"
        return func(*args, **(kwargs or {}))


@every
def test_nothing_in_a_step_reads_a_value_back_or_copies_one_over(loss):
    """Either would stop a GPU until it has caught up. Tensors without values (`meta`) complain of the first."""
    with torch.device("meta"):
        made = (PairHead if isinstance(loss, PairLoss) else PrototypeHead)(loss, 5, 6).train()
        x, label = torch.randn(7, 5, requires_grad=True), torch.randint(6, (7,))
    with NoCopies():
        made(x, label).mean().backward()
        made.end_epoch()
        made.eval()(x, label)
        assert made.logits(x).shape == (7, 6) and made.gap(x, label).shape == (7,)
    assert x.grad.shape == (7, 5) and x.grad.is_meta


# -- precision, and what belongs to the caller -----------------------------------------------------------


@every
def test_everything_is_float32_under_autocast(loss):
    x, label, w = problem(dtype=torch.float32)
    plain = season(head(loss, w, dtype=torch.float32), x, label).train()
    under, results = copy.deepcopy(plain), []
    for made, enabled in ((plain, False), (under, True)):
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            value = made(leaf, label)
            looks = made.logits(x), made.gap(x, label)
        results.append([value, *looks, *gradients(made, value, leaf), *made.state_dict().values()])
    assert results[0][0].dtype == torch.float32
    torch.testing.assert_close(*results, rtol=0, atol=0)


@every
def test_nothing_is_written_into_what_the_caller_owns(loss):
    x, label, w = problem(dtype=torch.float32)
    made = head(loss, w, dtype=torch.float32).train()
    prototypes = made.prototypes.detach().clone()
    x.requires_grad_(), label.masked_fill_(label == 1, -100)
    before = x.detach().clone(), label.clone(), made.loss
    for _ in range(2):
        made(x, label).sum().backward()
        made.end_epoch()
    assert torch.equal(x, before[0]) and torch.equal(label, before[1]) and made.loss is before[2]
    assert x._version == 0
    if not isinstance(loss, PairLoss):
        assert torch.equal(made.prototypes, prototypes) and made.prototypes._version == 0


def test_another_loss_takes_effect_at_the_next_call():
    x, label, w = problem()
    made = head(ArcFace(margin=0.2), w)
    made(x, label)
    made.loss = replace(made.loss, margin=0.4)
    assert torch.equal(made(x, label), head(ArcFace(margin=0.4), w)(x, label))


# -- pairs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", of_pairs(), ids=name)
def test_prototypes_of_a_pair_head_follow_the_means_of_their_classes(loss):
    x, _, w = problem(batch=8)
    label = torch.tensor([0, 0, 0, 1, 1, 2, -100, 3])
    made = PairHead(loss, 5, 6, seed=0).double().train()
    w = made.prototypes.clone()
    made(x, label)
    unit = torch.nn.functional.normalize
    mean = torch.stack([unit(unit(x[label == c]).sum(0), dim=0) for c in range(4)])
    torch.testing.assert_close(made.prototypes[:4], mean)  # at first sight: all the way
    torch.testing.assert_close(made.prototypes[4:], w[4:])  # classes that were not there stay

    y, where = problem(batch=3, seed=1)[0], torch.tensor([1, 1, 5])
    made(y, where)
    toward = unit(unit(y[:2]).sum(0), dim=0)
    torch.testing.assert_close(made.prototypes[1], mean[1] + PairHead.FOLLOW * (toward - mean[1]))
    torch.testing.assert_close(made.prototypes[0], mean[0])
    torch.testing.assert_close(made.prototypes[5], unit(y[2], dim=0))
    assert not list(made.parameters())


@pytest.mark.parametrize("loss", of_pairs(), ids=name)
def test_a_pair_head_ranks_by_its_prototypes(loss):
    x, label, w = problem()
    made = head(loss, w)
    cosine = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(w).T
    torch.testing.assert_close(made.logits(x), cosine)
    a = made.angles(x, label)
    best = loss.negative(a).masked_fill(a.own, -torch.inf).amax(1)
    torch.testing.assert_close(made.gap(x, label), loss.positive(a) - best)
    with pytest.raises(TypeError, match=f"{type(loss).__name__} compares samples with one another"):
        loss(a)
