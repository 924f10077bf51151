"""The same numbers as pytorch-metric-learning, values and gradients, for every loss that both have."""

import math

import pytest
import torch
from cases import head, name, problem

from losslab import (
    ArcFace,
    CirclePair,
    Contrastive,
    CosFace,
    LSoftmax,
    NormFace,
    P2SGrad,
    PairHead,
    RegularFace,
    SphereFace,
    SubCenterArcFace,
    Triplet,
)

pytest.importorskip("pytorch_metric_learning")
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers  # noqa: E402

C, D = 6, 3  # in three dimensions many samples lie past 90 degrees from their prototype
each = reducers.DoNothingReducer()


def close(got, want):
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


def ours(loss, x, label, w, classes=C):
    made, leaf = head(loss, w, classes=classes), x.clone().requires_grad_()
    value = made(leaf, label)
    value.sum().backward()
    return value.detach(), leaf.grad, None if isinstance(made, PairHead) else made.prototypes.grad


def theirs(loss, x, label, w):
    """Values, and gradients of their sum; W is held as [d C] there."""
    leaf = x.clone().requires_grad_()
    weight = next(loss.parameters())
    weight.data = w.T.contiguous() if weight.shape[0] == D else w.clone()
    value = loss(leaf, label)["loss"]["losses"]
    value.sum().backward()
    return value.detach(), leaf.grad, weight.grad.T if weight.shape[0] == D else weight.grad


# With prototypes

PROTOTYPES = [
    (ArcFace(scale=16, margin=m), losses.ArcFaceLoss(C, D, margin=math.degrees(m), scale=16, reducer=each))
    for m in (0.2, 0.5, 1.2)
]
PROTOTYPES += [
    (ArcFace(like="pytorch-metric-learning"), losses.ArcFaceLoss(C, D, margin=math.degrees(0.5), reducer=each)),
    (CosFace(scale=16, margin=0.35), losses.CosFaceLoss(C, D, margin=0.35, scale=16, reducer=each)),
    (NormFace(scale=16), losses.NormalizedSoftmaxLoss(C, D, temperature=1 / 16, reducer=each)),
    # with one centre a class, and its margin in the cosine
    (CosFace(scale=16, margin=0.1), losses.SoftTripleLoss(C, D, centers_per_class=1, la=16, margin=0.1, reducer=each)),
    # −16·‖u − v‖² is 32 cos θ and a constant.
    (NormFace(scale=32), losses.ProxyNCALoss(C, D, softmax_scale=16, reducer=each)),
]
for m in (1, 2, 3, 4):
    fold = losses.SphereFaceLoss(C, D, margin=m, scale=1, reducer=each)
    PROTOTYPES.append((SphereFace(margin=m, easing=0), fold))
    PROTOTYPES.append(
        (LSoftmax(margin=m, easing=0), losses.LargeMarginSoftmaxLoss(C, D, margin=m, scale=1, reducer=each))
    )


@pytest.mark.parametrize(("loss", "peer"), PROTOTYPES, ids=[f"{name(a)}|{type(b).__name__}" for a, b in PROTOTYPES])
def test_a_loss_with_prototypes_is_the_same(loss, peer):
    x, label, w = problem(batch=60, dim=D, classes=C)
    for got, want in zip(ours(loss, x, label, w), theirs(peer, x, label, w), strict=True):
        close(got, want)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_subcentres_are_the_same(k):
    x, label, _ = problem(batch=60, dim=D, classes=C)
    w = problem(dim=D, classes=C * k)[2]
    peer = losses.SubCenterArcFaceLoss(
        num_classes=C, embedding_size=D, margin=math.degrees(0.4), scale=16, sub_centers=k, reducer=each
    )
    got = ours(SubCenterArcFace(scale=16, margin=0.4, subcentres=k), x, label, w)
    for one, other in zip(got, theirs(peer, x, label, w), strict=True):
        close(one, other)


def test_p2sgrad_is_the_same_but_for_a_constant_and_a_projection():
    """There: the mean over samples and classes of the square, prototypes put to length 1 outside of the gradient. Here:
    half the sum over classes, and a gradient that is tangent to the sphere."""
    x, label, w = problem(batch=60, dim=D, classes=C)
    w = torch.nn.functional.normalize(w)
    leaf, peer = x.clone().requires_grad_(), losses.P2SGradLoss(D, C)
    peer.weight.data = 1e6 * w.T  # renorm adds 1e-7 to each length: nothing, next to a million
    value = peer(leaf, label)
    value.backward()
    (got, got_x, got_w), factor = ours(P2SGrad(), x, label, w), 2 / (60 * C)
    push = peer.weight.grad.T
    close(factor * got.sum(), value.detach())
    close(factor * got_x, leaf.grad)
    close(factor * got_w, push - (push * w).sum(1, keepdim=True) * w)


def test_regularface_is_the_same_over_one_sample_of_each_class():
    x, _, w = problem(batch=C, dim=D, classes=C)
    label = torch.arange(C)
    peer = losses.NormalizedSoftmaxLoss(
        C, D, temperature=1 / 16, weight_regularizer=regularizers.RegularFaceRegularizer(), weight_reg_weight=0.7
    )
    leaf = x.clone().requires_grad_()
    peer.W.data = w.T.contiguous()
    value = peer(leaf, label)
    value.backward()
    got, got_x, got_w = ours(RegularFace(base=NormFace(scale=16), weight=0.7), x, label, w)
    close(got.mean(), value.detach())
    close(got_x / C, leaf.grad)
    close(got_w / C, peer.W.grad.T)


# Between samples. There one number for each pair or triplet, averaged over those that are not zero; here one for each
# anchor, the mean over its own. So theirs are taken one by one and joined as ours are.

LABEL = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 4, 4])


def samples():
    return problem(batch=len(LABEL), dim=D)[0]


def by_anchor(values, anchor):
    """Mean of `values` over those of each anchor, [b]."""
    total = torch.zeros(len(LABEL), dtype=values.dtype).index_add(0, anchor, values)
    return total / torch.bincount(anchor, minlength=len(LABEL)).clamp(min=1)


def compare(loss, theirs):
    x = samples()
    leaf = x.clone().requires_grad_()
    value = theirs(leaf)
    (push,) = torch.autograd.grad(value.sum(), leaf)
    got, got_x, _ = ours(loss, x, LABEL, torch.eye(5, D, dtype=torch.float64), classes=5)
    assert (got > 0).any()
    close(got, value.detach())
    close(got_x, push)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("margin", [0.5, 1.0, 1.5])
def test_contrastive_is_the_same(squared, margin):
    peer = losses.ContrastiveLoss(pos_margin=0, neg_margin=margin, reducer=each)

    def value(x):
        found = peer(x, LABEL)
        parts = [(part["losses"], part["indices"][0]) for part in (found["pos_loss"], found["neg_loss"])]
        return sum(by_anchor(cost.square() if squared else cost, anchor) for cost, anchor in parts)

    compare(Contrastive(margin=margin, squared=squared), value)


def triplets(margin, miner=None):
    peer = losses.TripletMarginLoss(margin=margin, distance=distances.LpDistance(power=2), reducer=each)

    def value(x):
        chosen = None if miner is None else miner(x.detach(), LABEL)
        found = peer(x, LABEL, chosen)["loss"]
        return by_anchor(found["losses"], found["indices"][0])

    return value


@pytest.mark.parametrize("margin", [0.1, 0.3, 1.0])
def test_triplets_of_all_samples_are_the_same(margin):
    compare(Triplet(margin=margin, mining="all"), triplets(margin))


@pytest.mark.parametrize("margin", [0.1, 0.3, 1.0])
def test_hardest_triplets_are_the_same(margin):
    compare(Triplet(margin=margin, mining="hard"), triplets(margin, miners.BatchHardMiner()))


def test_semihard_triplets_are_the_same_where_both_find_one():
    """There for one own sample of each anchor, so every class has two here; and an anchor without any other sample
    farther than its own one is left out, where we take the farthest."""
    x = samples()
    label = torch.arange(6).repeat_interleave(2)
    miner = miners.BatchEasyHardMiner("hard", "semihard", distance=distances.LpDistance(power=2))
    chosen = miner(x, label)
    peer = losses.TripletMarginLoss(margin=0.3, distance=distances.LpDistance(power=2), reducer=each)
    leaf = x.clone().requires_grad_()
    found = peer(leaf, label, chosen)["loss"]
    anchor = found["indices"][0]
    assert len(anchor) > 6 and len(anchor.unique()) == len(anchor) and (found["losses"] > 0).any()
    (push,) = torch.autograd.grad(found["losses"].sum(), leaf)

    mine = x.clone().requires_grad_()
    value = head(Triplet(margin=0.3), torch.eye(6, D, dtype=torch.float64))(mine, label)[anchor]
    close(value.detach(), found["losses"].detach())
    close(torch.autograd.grad(value.sum(), mine)[0], push)


@pytest.mark.parametrize("scale", [16, 256])
def test_circle_of_pairs_is_the_same(scale):
    peer = losses.CircleLoss(m=0.25, gamma=scale, reducer=each)
    compare(CirclePair(scale=scale, margin=0.25), lambda x: peer(x, LABEL)["loss"]["losses"].squeeze(1))
