"""A branch is a recipe: its past is its parent's bit for bit, and then it goes its own way."""

import itertools
from functools import cache

import numpy as np
import pytest
import torch

from losslab import ArcFace, CosFace, ElasticFace, IntraLoss, Linear, Softmax, SubCenterArcFace, Triplet, losses
from losslab.head import head_for
from losslab.losses import catalogue, starting
from losslab.training import Recipe, Run, RunWriter, branched, head_at, in_force, probe, restore, thin, train, upcoming
from losslab.training.build import handed_over
from losslab.training.loop import renew

ARC, COS = ArcFace(scale=16, margin=0.3), CosFace(scale=16, margin=0.2)
ARRAYS = ("embedding", "prototypes", "loss", "gap", "correct")
probed = cache(probe)  # what is asked for at every snapshot


def small(**more):
    few = dict(loss=ARC, model="mlp", classes=(0, 1, 2), per_class=40, epochs=3, batch=20, probe=40, dim=2)
    return Recipe(**few | more)  # 18 steps


def assert_same(left, right):
    assert (left.step, left.scalars, left.knobs, left.planned) == (
        right.step,
        right.scalars,
        right.knobs,
        right.planned,
    )
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
    for kept in ("memory", "weights"):
        mine, other = getattr(left, kept), getattr(right, kept)
        assert mine.keys() == other.keys()
        for name in mine:
            np.testing.assert_array_equal(mine[name], other[name])


def trained(recipe, turns=None):
    """All snapshots; `turns` says which knobs are turned after which step."""
    training = train(recipe)
    found = [next(training)]
    while found[-1].step < probed(recipe).total_steps:
        found.append(training.send((turns or {}).get(found[-1].step)))
    return found


def kept(path, recipe, turns=None):
    """The run of `trained` on disk, and its snapshots as they were."""
    snapshots = trained(recipe, turns)
    with RunWriter(path, recipe, probed(recipe)) as writer:
        for snapshot in snapshots:
            writer.append(snapshot)
        writer.state("done")
    return Run(path), snapshots


def index_of(run, step):
    return run.metrics()["step"].tolist().index(step)


@pytest.mark.parametrize("loss", [COS, ArcFace(scale=16, margin=0.6), Triplet(), Softmax()], ids=losses.written)
def test_a_branch_shares_its_past_and_no_more(tmp_path, loss):
    run, parent = kept(tmp_path / "run", small())
    index = index_of(run, 8)
    recipe = branched(run, index, loss)
    assert recipe == small(later=((8, loss),))
    branch = trained(recipe)
    assert [s.step for s in branch] == [s.step for s in parent]
    for left, right in zip(parent[: index + 1], branch, strict=False):
        assert_same(left, right)
    assert not np.array_equal(branch[index + 1].embedding, parent[index + 1].embedding)
    assert in_force(recipe, branch[index]) == ARC and in_force(recipe, branch[index + 1]) == loss
    assert upcoming(recipe, branch[index - 1]) == ARC and upcoming(recipe, branch[index]) == loss
    np.testing.assert_allclose(branch[-1].loss.mean(), loss_again(recipe, branch[-1]).mean(), rtol=1e-4)


def loss_again(recipe, snapshot):
    head, shown = head_at(recipe, snapshot), probed(recipe)
    assert head.loss == in_force(recipe, snapshot)
    with torch.no_grad():
        return head(torch.from_numpy(snapshot.embedding), torch.from_numpy(shown.labels)).numpy()


def test_the_snapshot_at_the_step_still_shows_the_old_loss():
    recipe = small(later=((5, COS),))  # step 5 is one of a snapshot only because of the branch
    snapshots = trained(recipe)
    at = [s.step for s in snapshots].index(5)
    assert snapshots[at].knobs == losses.settings(ARC) and snapshots[at + 1].knobs == losses.settings(COS)
    np.testing.assert_allclose(loss_again(recipe, snapshots[at]), snapshots[at].loss, atol=1e-5)
    np.testing.assert_allclose(loss_again(recipe, snapshots[at + 1]), snapshots[at + 1].loss, atol=1e-5)


def test_a_branch_of_a_branch_has_both_pasts(tmp_path):
    first, parent = kept(tmp_path / "first", small(later=((4, COS),)))
    assert branched(first, index_of(first, 8), Softmax()) == small(later=((4, COS), (8, Softmax())))
    assert branched(first, index_of(first, 4), Softmax()) == small(later=((4, Softmax()),))
    assert branched(first, index_of(first, 2), Softmax()) == small(later=((2, Softmax()),))
    assert branched(first, index_of(first, 8), COS) == first.recipe, "what goes on anyway is no branch"
    assert branched(first, index_of(first, 4), ARC) == small()


def test_the_first_snapshot_branches_into_another_recipe(tmp_path):
    run, parent = kept(tmp_path / "run", small(later=((4, COS),)))
    assert branched(run, 0, Softmax()) == small(loss=Softmax())
    np.testing.assert_array_equal(trained(branched(run, 0, COS))[0].prototypes, parent[0].prototypes)


def test_what_was_steered_by_hand_is_part_of_the_branch(tmp_path):
    turns = {1: {"margin": 0.1}, 4: {"margin": 0.5, "scale": 8.0}, 11: {"margin": 0.2}}
    run, parent = kept(tmp_path / "run", small(), turns)
    index = index_of(run, 9)
    recipe = branched(run, index, COS)
    assert recipe.later == ((1, ArcFace(scale=16, margin=0.1)), (4, ArcFace(scale=8, margin=0.5)), (9, COS))
    for left, right in zip(parent[: index + 1], trained(recipe), strict=False):
        assert_same(left, right)


def test_knobs_turned_before_the_first_step_are_those_of_the_first_loss(tmp_path):
    run, parent = kept(tmp_path / "run", small(), {0: {"margin": 0.1}})
    recipe = branched(run, index_of(run, 4), COS)
    assert recipe == small(loss=ArcFace(scale=16, margin=0.1), later=((4, COS),))
    for left, right in zip(parent[1:5], trained(recipe)[1:5], strict=True):
        assert_same(left, right)


def test_schedules_go_on_and_those_steered_in_are_kept(tmp_path):
    scheduled = ArcFace(scale=16, margin=Linear(0, 0.5, 30))
    turns = {2: {"scale": 8.0}, 8: {"margin": "Linear(0.2, 0.4, 40)"}, 9: {"margin": 0.1}}
    run, parent = kept(tmp_path / "run", small(loss=scheduled), turns)
    index = index_of(run, 12)
    recipe = branched(run, index, Softmax())
    assert recipe.loss == scheduled and recipe.later == (
        (2, ArcFace(scale=8, margin=Linear(0, 0.5, 30))),
        (8, ArcFace(scale=8, margin=Linear(0.2, 0.4, 40))),
        (9, ArcFace(scale=8, margin=0.1)),
        (12, Softmax()),
    )
    for left, right in zip(parent[: index + 1], trained(recipe), strict=False):
        assert_same(left, right)


def test_schedules_of_a_record_that_does_not_tell_are_taken_to_go_on(tmp_path):
    scheduled = ArcFace(scale=16, margin=Linear(0, 0.5, 30))
    _, parent = kept(tmp_path / "run", small(loss=scheduled), {4: {"scale": 8.0}})
    with RunWriter(tmp_path / "old", small(loss=scheduled), probe(small())) as writer:
        for snapshot in parent:
            object.__setattr__(snapshot, "planned", None)
            writer.append(snapshot)
    run = Run(tmp_path / "old")
    assert branched(run, index_of(run, 8), COS).later == (
        (4, ArcFace(scale=8, margin=Linear(0, 0.5, 30))),
        (8, COS),
    )


def test_a_branch_steered_by_hand_is_branched_again(tmp_path):
    run, parent = kept(tmp_path / "run", small(later=((4, COS),)), {2: {"margin": 0.6}, 8: {"margin": 0.4}})
    index = index_of(run, 11)
    recipe = branched(run, index, Softmax())
    assert recipe.later == (
        (2, ArcFace(scale=16, margin=0.6)), (4, COS), (8, CosFace(scale=16, margin=0.4)), (11, Softmax()),
    )  # fmt: skip
    for left, right in zip(parent[: index + 1], trained(recipe), strict=False):
        assert_same(left, right)


def test_a_steered_run_too_restless_for_a_recipe_is_a_sentence(tmp_path):
    recipe = small(epochs=12)
    steps = [s.step for s in train(recipe)]
    run, _ = kept(tmp_path / "run", recipe, {step: {"margin": step / 1000} for step in steps[1:]})
    with pytest.raises(ValueError, match=r"^A recipe holds at most 32 changes of its loss; this one would have 4\d\.$"):
        branched(run, 40, COS)


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        (-1, "The run has no snapshot -1: choose one from 0 to"),
        (99, "The run has no snapshot 99: choose one from 0 to"),
        (None, "Nothing is left to train after the last snapshot: choose an earlier one."),
    ],
)
def test_where_no_branch_can_begin_is_a_sentence(tmp_path, index, sentence):
    run, _ = kept(tmp_path / "run", small(epochs=1))
    with pytest.raises(ValueError) as refused:
        branched(run, len(run) - 1 if index is None else index, COS)
    assert str(refused.value).startswith(sentence) and str(refused.value).endswith(".")


def test_a_later_loss_can_be_steered():
    recipe = small(later=((4, COS),))
    still, turned = trained(recipe), trained(recipe, {4: {"margin": 0.5}, 9: {"margin": 0.0}})
    margins = {s.step: s.knobs["margin"] for s in turned}
    assert (margins[4], margins[8], margins[9], margins[11]) == (0.3, 0.5, 0.5, 0.0)
    assert not np.array_equal(still[-1].embedding, turned[-1].embedding)
    with pytest.raises(ValueError, match="Softmax has no knob called 'margin'"):
        trained(small(later=((4, Softmax()),)), {8: {"margin": 0.1}})


def test_a_later_loss_that_never_comes_is_a_sentence():
    for recipe in (small(later=((18, COS),)), small(later=((4, COS), (10**6, ARC)))):
        with pytest.raises(ValueError, match=r"would begin after step \d+, but this training has only 18 steps:"):
            probe(recipe)
        with pytest.raises(ValueError, match="has only 18 steps"):
            next(train(recipe))
    assert trained(small(later=((17, COS),)))[-1].knobs == losses.settings(COS)


@pytest.mark.parametrize("name", catalogue())
def test_every_loss_takes_over_and_is_taken_over(tmp_path, name):
    loss = starting(name)
    recipe = small(epochs=2, later=((4, loss), (9, COS if name != "CosFace" else ARC)))
    run, snapshots = kept(tmp_path / "run", recipe)
    for before, after in itertools.pairwise(snapshots):
        assert np.isfinite(after.loss).all()
        if before.step in (4, 9) and before.prototypes.shape == after.prototypes.shape:
            assert (before.prototypes != after.prototypes).any(), "the optimizer has them"
    for index in range(len(run)):
        np.testing.assert_allclose(loss_again(recipe, run[index]), run[index].loss, atol=1e-3, rtol=1e-3)
    network, head = restore(run)
    assert torch.equal(head.prototypes, torch.from_numpy(run[-1].prototypes))


def test_losses_that_can_take_turns_keep_the_head_and_others_its_prototypes():
    head = head_for(ARC)(ARC, 3, 4, seed=1)
    head.step += 7
    assert handed_over(head, ArcFace(scale=8, margin=0.1), 1) is head and head.loss == ArcFace(scale=8, margin=0.1)
    for loss in (COS, Triplet(), IntraLoss(), ElasticFace()):
        after = handed_over(head, loss, 1)
        assert type(after) is head_for(loss) and after.loss == loss and after.step == 7 and after.seed == head.seed
        assert torch.equal(after.prototypes, head.prototypes)
        assert torch.equal(handed_over(after, ARC, 1).prototypes, head.prototypes)


def test_the_optimizer_goes_on_with_the_network_and_begins_anew_with_another_head():
    network, head = torch.nn.Linear(2, 3), head_for(ARC)(ARC, 3, 4, seed=1)
    optimizer = torch.optim.AdamW([{"params": list(network.parameters())}, {"params": list(head.parameters())}])

    def step(head):
        head(network(torch.eye(2)), torch.tensor([0, 1])).mean().backward()
        optimizer.step()

    step(head)
    renew(optimizer, handed_over(head, ArcFace(scale=8, margin=0.1), 1))
    assert set(optimizer.state) == {*network.parameters(), head.prototypes}, "the same head keeps its moments too"
    after = handed_over(head, COS, 1)
    renew(optimizer, after)
    assert set(optimizer.state) == set(network.parameters())
    step(after)
    assert set(optimizer.state) == {*network.parameters(), after.prototypes}
    renew(optimizer, handed_over(after, Triplet(), 1))
    assert set(optimizer.state) == set(network.parameters()) and optimizer.param_groups[1]["params"] == []


def test_sub_centres_become_their_mean_and_a_prototype_each_of_its_sub_centres():
    many, two = SubCenterArcFace(subcentres=3), SubCenterArcFace(subcentres=2)
    head = head_for(many)(many, 3, 4, seed=1)
    mean = head.prototypes.detach().view(4, 3, 3).mean(1)
    torch.testing.assert_close(handed_over(head, ARC, 1).prototypes.detach(), mean)
    assert handed_over(head, SubCenterArcFace(subcentres=3, margin=0.1), 1) is head
    after = handed_over(head, two, 1)
    torch.testing.assert_close(after.prototypes.detach().view(4, 2, 3), mean[:, None].expand(4, 2, 3))
    with torch.no_grad():  # A class's rows lie side by side: the nearest of each class stays the nearest.
        x = torch.randn(5, 3)
        torch.testing.assert_close(after.logits(x) / 64, handed_over(head, ARC, 1).logits(x) / 16)


def test_a_thinned_run_can_be_branched(tmp_path):
    run, _ = kept(tmp_path / "run", small(later=((5, COS),)))
    thin(run, tmp_path / "thin", every=3)
    thinned = Run(tmp_path / "thin")
    assert 5 not in thinned.metrics()["step"]
    index = next(i for i, step in enumerate(thinned.metrics()["step"]) if step > 5)
    assert branched(thinned, index, Softmax()).later == ((5, COS), (thinned[index].step, Softmax()))
