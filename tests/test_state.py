"""What heads keep from step to step: it is where a loss declares it, is saved, restored and kept in float32, changes in
training only, and is what the formulas say."""

import copy
import io
import math
from dataclasses import replace

import pytest
import torch
from cases import head, name, problem, season, variants, with_prototypes
from torch import Tensor, nn
from torch.nn.functional import normalize

from losslab import (
    AdaCos,
    AdaFace,
    ArcFace,
    CenterLoss,
    CosFace,
    CurricularFace,
    ElasticFace,
    IntraLoss,
    KappaFace,
    Linear,
    MarginLoss,
    NormFace,
    PairHead,
    PrototypeHead,
    RingLoss,
    Softmax,
    Triplet,
    UniTSFace,
)
from losslab.losses import Loss, PairLoss, Term, catalogue

WRAPPED = [
    IntraLoss(base=KappaFace()),
    CenterLoss(base=Softmax(), weight=0.003),
    IntraLoss(base=CurricularFace()),
    CenterLoss(base=RingLoss(base=AdaFace())),
]
SCHEDULED = [
    ArcFace(margin=Linear(0, 0.5, 4)),
    CenterLoss(weight=Linear(0, 1, 3)),
    ElasticFace(spread=Linear(0, 0.2, 3), sorted=True),
]
every = pytest.mark.parametrize("loss", variants() + WRAPPED + SCHEDULED, ids=name)


def trained(loss: Loss, dtype: torch.dtype = torch.float64):
    """A head in training with a past of two short epochs, and a batch for it."""
    x, label, w = problem(batch=10, dtype=dtype)
    return season(head(loss, w, dtype=dtype), x, label).train(), x, label


def step(made, x: Tensor, label: Tensor) -> list[Tensor]:
    """Losses and gradients of a training step."""
    leaf = x.clone().requires_grad_()
    made.zero_grad()
    value = made(leaf, label)
    value.sum().backward()
    return [value.detach(), leaf.grad, *(weight.grad for weight in made.parameters() if weight.grad is not None)]


# -- of every loss ---------------------------------------------------------------------------------------


@every
def test_memory_holds_what_the_loss_declares_and_the_state_dict_has_all_of_it(loss):
    made, saved = head(loss, problem()[2]), set()
    memory, prefix = made.memory, "memory."
    while True:
        for key, value in loss.begin(5, 6, None).items():
            kept = memory.get_parameter(key) if isinstance(value, nn.Parameter) else memory.get_buffer(key)
            assert kept.shape == value.shape and kept.requires_grad is isinstance(value, nn.Parameter)
            saved.add(prefix + key)
        if not isinstance(loss, Term):
            break
        loss, memory, prefix = loss.base, memory.base, prefix + "base."
    assert set(made.state_dict()) == saved | {"prototypes", "seed", "step"}


@every
def test_a_saved_head_goes_on_as_if_nothing_had_happened(loss):
    """Into a head with other first numbers: the next steps are equal to the last bit, random margins included."""
    made, x, label = trained(loss)
    file = io.BytesIO()
    torch.save(made.state_dict(), file)
    file.seek(0)
    kind = PairHead if isinstance(loss, PairLoss) else PrototypeHead
    other = kind(loss, 5, 6, seed=99).double()
    other.load_state_dict(torch.load(file, weights_only=True))
    for _ in range(2):
        assert all(map(torch.equal, step(made, x, label), step(other, x, label)))
        made.end_epoch(), other.end_epoch()
    assert all(map(torch.equal, made.state_dict().values(), other.state_dict().values()))


@every
def test_only_a_call_in_training_changes_anything(loss):
    made, x, label = trained(loss)
    before = copy.deepcopy(made.state_dict())
    for _ in range(2):
        made.logits(x), made.gap(x, label), made.curves(torch.linspace(0, math.pi, 5, dtype=torch.float64))
        made.angles(x, label)
        made.eval()
    first, second = made(x, label), made(x, label)
    assert torch.equal(first, second)
    torch.testing.assert_close(made.state_dict(), before, rtol=0, atol=0)
    made.train()(x, label)
    assert made.step == before["step"] + 1


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_slow_state_keeps_float32_in_a_head_of_half_precision(loss, dtype):
    """An average that moves by a hundredth at a step would not move at all."""
    made, x, label = trained(loss, dtype)
    assert made.prototypes.dtype == dtype
    for _ in range(2):
        step(made, x, label)
        made.end_epoch()
    for key, value in made.memory.state_dict().items():
        assert value.dtype == torch.float32 or not value.is_floating_point(), key
    floats = [value for value in made.double().state_dict().values() if value.is_floating_point()]
    assert all(value.dtype == torch.float64 for value in floats)


@every
def test_several_batches_may_be_judged_before_their_gradients_are_taken(loss):
    """Gradients add up to what they are one by one, though slow state has moved on in between."""
    made, x, label = trained(loss)
    other = copy.deepcopy(made)
    y, where, _ = problem(batch=10, seed=1)
    leaves, one_by_one = [x.clone().requires_grad_(), y.clone().requires_grad_()], []
    both = [made(leaves[0], label), made(leaves[1], where)]
    sum(value.sum() for value in both).backward()
    for embedding, labels in ((x, label), (y, where)):
        leaf = embedding.clone().requires_grad_()
        other(leaf, labels).sum().backward()
        one_by_one.append(leaf.grad)
    torch.testing.assert_close([leaf.grad for leaf in leaves], one_by_one)
    torch.testing.assert_close([p.grad for p in made.parameters()], [p.grad for p in other.parameters()])


# -- of wrapped losses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [loss for loss in with_prototypes() if not isinstance(loss, Term)][::3], ids=name)
def test_a_term_and_its_base_each_keep_their_own(base):
    """Over a training with epochs the base's memory is what it is without the term."""
    x, label, w = problem(batch=10)
    alone, wrapped = head(base, w).train(), head(CenterLoss(base=base, weight=0.003), w).train()
    for _ in range(3):
        want, value = alone(x, label), wrapped(x, label)
        centre = (value - want) / 0.003
        assert (centre > -1e-6).all() and centre.max() > 0
        torch.testing.assert_close(wrapped.memory.base.state_dict(), alone.memory.state_dict())
        alone.end_epoch(), wrapped.end_epoch()
    assert wrapped.memory.centre.abs().max() > 0


def test_the_end_of_an_epoch_reaches_the_base():
    made, x, label = trained(IntraLoss(base=KappaFace()))
    assert (made.memory.base.psi != 1).any()


def test_composition_needs_no_class_of_its_own():
    x, label, w = problem()
    made = head(IntraLoss(base=CurricularFace(), weight=0.1), w).train()
    made(x, label)
    assert made.memory.base.ripeness == 0.01 * head(Softmax(), w).angles(x, label).target.mean()

    base = head(Softmax(), w)(x, label)
    torch.testing.assert_close(
        head(CenterLoss(base=Softmax(), weight=0.003), w)(x, label), base + 0.003 * x.square().sum(1) / 2
    )


@pytest.mark.parametrize("term", [kind for kind in catalogue().values() if issubclass(kind, Term)])
def test_a_term_refuses_a_base_without_prototypes(term):
    for base in (Triplet(), "ArcFace", None):
        with pytest.raises(ValueError, match="but it must be a loss with prototypes, such as ArcFace"):
            term(base=base)


# -- of single losses ------------------------------------------------------------------------------------

EXAMPLE_X = torch.tensor([[2, 1.5]], dtype=torch.float64)
EXAMPLE_W = torch.tensor([[1, 0], [0, 1], [-(0.5**0.5), -(0.5**0.5)]], dtype=torch.float64)
FIRST = torch.tensor([0])


def test_curricularface_follows_the_own_cosine_before_it_judges():
    """The published example: T from 0.3 to 0.305, and the loss already has the new one."""
    made = head(CurricularFace(scale=10), EXAMPLE_W).train()
    made.memory.ripeness = torch.tensor(0.3, dtype=torch.float64)
    assert made(EXAMPLE_X, FIRST).item() == pytest.approx(1.529939, abs=1e-6)
    assert made.memory.ripeness.item() == pytest.approx(0.305)


def test_centres_follow_after_the_batch_was_judged_by_the_old_ones():
    """The published example: ½‖x − c‖² = 0.25, and α = 0.5 moves the centre from (1.5, 1) to (1.625, 1.125)."""
    made = head(CenterLoss(weight=1), EXAMPLE_W).train()
    made.memory.centre = torch.tensor([[1.5, 1], [2.5, 2.5], [0, -1]], dtype=torch.float64)
    base = head(Softmax(), EXAMPLE_W)(EXAMPLE_X, FIRST)
    assert (made(EXAMPLE_X, FIRST) - base).item() == pytest.approx(0.25)
    assert made.memory.centre.tolist() == [[1.625, 1.125], [2.5, 2.5], [0, -1]]


@pytest.mark.parametrize("loss", [CenterLoss(), MarginLoss(centres="moving")], ids=name)
def test_centres_move_as_the_paper_of_center_loss_has_it(loss):
    made, x, label = trained(loss)
    old = made.memory.centre.clone()
    made(x, label)
    for c, centre in enumerate(old):
        mine = x[label == c]
        want = centre - 0.5 * (centre - mine).sum(0) / (1 + len(mine))
        torch.testing.assert_close(made.memory.centre[c], want)


def test_learned_centres_are_learned():
    made, x, label = trained(MarginLoss(centres="learned"))
    old = made.memory.centre.detach().clone()
    step(made, x, label)
    assert torch.equal(made.memory.centre, old) and made.memory.centre.grad.abs().max() > 0


def test_ring_loss_begins_with_the_mean_length_of_the_first_batch_and_learns_from_there():
    x, label, w = problem()
    made = head(RingLoss(weight=1), w).train()
    mean = x.norm(dim=1).mean()
    torch.testing.assert_close(made(x, label), head(Softmax(), w)(x, label) + (x.norm(dim=1) - mean).square() / 2)
    made(10 * x, label).sum().backward()
    torch.testing.assert_close(made.memory.radius.detach(), mean)
    torch.testing.assert_close(made.memory.radius.grad, (mean - 10 * x.norm(dim=1)).sum())


def test_adaface_follows_mean_and_unbiased_deviation_of_the_held_lengths():
    x, label, w = problem(batch=8)
    x = x * torch.linspace(1e-5, 30, 8)[:, None]
    made = head(AdaFace(), w).train()
    made(x, label)
    norm = x.norm(dim=1).clamp(0.001, 100)
    assert norm.max() == 100 and norm.min() == 0.001
    torch.testing.assert_close(made.memory.mean, 0.99 * 20 + 0.01 * norm.mean())
    torch.testing.assert_close(made.memory.deviation, 0.99 * 100 + 0.01 * norm.std())


def test_adacos_takes_the_scale_that_fits_the_batch_before_it_judges():
    x, label, w = problem(batch=9)
    x = x + 6 * w[label]  # so near that the median counts, and not the 45° that it is held to
    made = head(AdaCos(), w).train()
    first = made.memory.scale.clone()
    torch.testing.assert_close(first, torch.tensor(2**0.5 * math.log(5), dtype=torch.float64), rtol=0, atol=1e-6)
    value = made(x, label)
    a = made.angles(x, label)
    others = (first * a.cosine).exp().masked_fill(a.own, 0).sum(1).mean()
    median = a.target.arccos().median()
    assert 0.1 < median < math.pi / 4
    want = others.log() / median.cos()
    torch.testing.assert_close(made.memory.scale, want)
    torch.testing.assert_close(value, head(NormFace(scale=want.item()), w)(x, label))


def test_unitsface_fills_its_memory_in_the_first_epoch_and_takes_its_threshold_from_the_second():
    x, _, w = problem(batch=5)
    y = problem(batch=3, seed=1)[0]
    made = head(UniTSFace(scale=8, base=CosFace(scale=8)), w).train()
    base = head(CosFace(scale=8), w)
    made(x, torch.tensor([0, 1, 0, 2, 1]))
    last = normalize(x)[[2, 4, 3]]  # the last sample of each class that was there
    torch.testing.assert_close(made.memory.feature[:3], last)
    assert made.memory.seen.tolist() == [True] * 3 + [False] * 3
    begun_with = made.memory.bias.item()
    assert begun_with == pytest.approx(math.log(60))

    made.end_epoch()
    label = torch.tensor([1, 0, 5])
    value = made(y, label)
    logit = 8 * normalize(y) @ last.T
    others = [[0, 2], [1, 2], [0, 1, 2]]
    bias = torch.stack([row[there].logsumexp(0) for row, there in zip(logit, others, strict=True)]).mean()
    torch.testing.assert_close(made.memory.bias.detach(), bias)
    sp = torch.nn.functional.softplus
    want = [sp(row[there] - bias).sum() for row, there in zip(logit, others, strict=True)]
    for i, c in ((0, 1), (1, 0)):  # class 5 has nothing remembered to be compared with
        want[i] = want[i] + sp(bias - logit[i, c] + 8 * 0.1)
    torch.testing.assert_close(value, base(y, label) + torch.stack(want))

    made(x, torch.tensor([0, 1, 0, 2, 1]))
    torch.testing.assert_close(made.memory.bias.detach(), bias)  # from here on it is learned


def test_kappaface_sums_every_class_over_an_epoch_and_calibrates_at_its_end():
    loss, (w, *_) = KappaFace(), problem()[2:]
    made, batches = head(loss, w).train(), [problem(batch=12, seed=seed)[:2] for seed in range(4)]
    for x, label in batches:
        value = made(x, label)
        assert (made.memory.psi == 1).all()
        torch.testing.assert_close(value, head(ArcFace(margin=loss.margin), w)(x, label))
    x, label = (torch.cat(parts) for parts in zip(*batches, strict=True))
    sums = torch.stack([normalize(x)[label == c].sum(0) for c in range(6)])
    count = label.bincount(minlength=6).double()
    torch.testing.assert_close(made.memory.sum, sums)
    torch.testing.assert_close(made.memory.count, count)

    made.end_epoch()
    torch.testing.assert_close(made.memory.psi, loss.calibrate(sums.norm(dim=1) / count, count, 5))
    assert (made.memory.psi != 1).all() and (made.memory.sum == 0).all() and (made.memory.count == 0).all()
    for c, psi in enumerate(made.memory.psi.tolist()):
        mine = x[label == c], label[label == c]
        torch.testing.assert_close(made.eval()(*mine), head(ArcFace(margin=loss.margin * psi), w)(*mine))


def test_a_class_that_an_epoch_did_not_see_keeps_its_margin():
    made, x, label = trained(KappaFace())
    made.end_epoch()
    before = made.memory.psi.clone()
    made(x[label != 1], label[label != 1])
    made.end_epoch()
    assert made.memory.psi[1] == before[1] and (made.memory.psi != before).any()


def test_kappaface_the_sum_of_averages_is_the_average_of_sums():
    """With momentum the paper keeps an average for every image and sums them by class; here sums are averaged. Over
    epochs in which the images' embeddings move, both give the same ψ."""
    loss, label = KappaFace(momentum=0.9), torch.tensor([0, 0, 0, 0, 1, 1, 2, 2, 2])
    made = head(loss, torch.eye(3)).train()
    average, weight = torch.zeros(9, 3, dtype=torch.float64), 0
    for epoch in range(5):
        x, *_ = problem(batch=9, dim=3, seed=epoch)
        made(x[:5], label[:5]), made(x[5:], label[5:])
        made.end_epoch()
        average, weight = 0.9 * average + 0.1 * normalize(x), 0.9 * weight + 0.1
        images = average / weight  # without the part that no epoch has filled yet
        sums = torch.stack([images[label == c].sum(0) for c in range(3)])
        count = label.bincount().double()
        torch.testing.assert_close(made.memory.psi, loss.calibrate(sums.norm(dim=1) / count, count, 3))


def test_a_schedule_moves_on_with_training_steps_only():
    x, label, w = problem()
    made = head(ArcFace(margin=Linear(0, 0.5, steps=4)), w).train()
    for margin in (0, 0.125, 0.25, 0.375, 0.5, 0.5):
        want = head(replace(made.loss, margin=margin), w)(x, label)
        torch.testing.assert_close(made.eval()(x, label), want)
        torch.testing.assert_close(made.train()(x, label), want)
