"""Classes divided over processes: three uneven ones (gloo, on this machine) are as one, for every loss."""

import io
import socket
import traceback
from collections.abc import Callable

import pytest
import torch
import torch.distributed as dist
from cases import head, name, of_pairs, problem, with_prototypes
from torch import Tensor, nn

from losslab import ArcFace, CosFace, CurricularFace, PairHead, PrototypeHead, Softmax, Triplet
from losslab.classes import Division, FoldedSGD, Processes, drawn
from losslab.head import Head, head_for
from losslab.losses import Loss, PairLoss

SIZES = [5, 4, 3]  # samples of each process
CLASSES, DIM = 10, 5  # 4, 3 and 3 classes


def together(work: Callable, *given: object, processes: int = 3) -> list:
    """What `work(*given)` returns in each of some processes that can talk to one another. An error in one is raised."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = torch.multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    started = [
        context.Process(target=member, args=(work, given, k, processes, port, answers)) for k in range(processes)
    ]
    for each in started:
        each.start()
    found = dict(answers.get() for _ in started)
    for each in started:
        each.join()
    assert not (said := [found[k][1] for k in range(processes) if found[k][1]]), "\n".join(said)
    return [torch.load(io.BytesIO(found[k][0]), weights_only=True) for k in range(processes)]


def member(work: Callable, given: tuple, rank: int, processes: int, port: int, answers: object) -> None:
    torch.set_num_threads(1)
    store = dist.TCPStore("127.0.0.1", port, processes, is_master=rank == 0)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=processes)
    try:
        torch.save(work(*given), answer := io.BytesIO())
        answers.put((rank, (answer.getvalue(), "")))
    except Exception:
        answers.put((rank, (b"", traceback.format_exc())))
    dist.barrier()
    dist.destroy_process_group()


def part(whole: Tensor, sizes: list[int] = SIZES) -> Tensor:
    return whole.split(sizes)[dist.get_rank()]


def trained(made: Head, x: Tensor, label: Tensor, weight: Tensor) -> list[list[Tensor]]:
    """Two steps with an epoch's end: in each the losses, the gradients and all that the head keeps."""
    seen = []
    for step in range(2):
        made.zero_grad()
        leaf = x.clone().requires_grad_()
        value = made(leaf, label)
        (value * weight).sum().backward()
        pushed = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in made.parameters()]
        if step == 0:
            made.end_epoch()
        seen.append([value.detach(), leaf.grad, *pushed, *(kept.clone() for kept in made.state_dict().values())])
    return seen


def divided(losses: list[Loss], options: dict) -> list:
    """Every loss, trained on this process's samples with its share of the classes."""
    found = []
    for loss in losses:
        x, label, w, weight = batch(loss)
        made = head_for(loss)(loss, DIM, CLASSES, seed=0, group=dist.group.WORLD, **options).double().train()
        k = loss.subcentres
        whole = head(loss, w)
        made.prototypes.data = whole.prototypes.data[made.first * k : (made.first + made.count) * k].clone()
        found.append(trained(made, part(x), part(label), part(weight)))
        gap = made.eval().gap(part(x), part(label))
        found[-1].append([gap])
    return found


def batch(loss: Loss | None = None) -> tuple[Tensor, ...]:
    x, label, w = problem(batch=sum(SIZES), dim=DIM, classes=CLASSES)
    if isinstance(loss, PairLoss):
        label = label % 4 * 3  # samples of one class, in several processes
    label[3] = -100
    return x, label, w, torch.rand(len(x), dtype=x.dtype, generator=torch.Generator().manual_seed(1))


# What happens past 180° and which slope is taken is the same code wherever a class lies.
USUAL = [loss for loss in with_prototypes() if "beyond=" not in name(loss) and "gradient=" not in name(loss)]
DIVIDED = {
    "tiles": (USUAL, {"tile": 2}),
    "all at once": ([ArcFace(), Softmax()], {"tile": None}),
    "pairs": (of_pairs(), {}),
}


def everything() -> dict:
    """All that the tests here ask of processes, for these take their time to start."""
    return {
        **{("divided", how): divided(losses, options) for how, (losses, options) in DIVIDED.items()},
        **{("sent", name(loss)): sent(loss, 8) for loss, *_ in SENT},
        "drawn": drawn_apart(),
        "updated": updated(2),
        **{("averaged", name(loss)): averaged(loss) for loss in AVERAGED},
        "refusals": refusals(),
    }


@pytest.fixture(scope="module")
def parts() -> list[dict]:
    """What each of three processes answers to `everything`."""
    return together(everything)


@pytest.mark.parametrize("how", DIVIDED)
def test_three_uneven_processes_are_as_one_for_every_loss(parts, how):
    """Losses, gradients of embeddings, prototypes and what is learned in the memory, and the state after each step."""
    for i, loss in enumerate(DIVIDED[how][0]):
        x, label, w, weight = batch(loss)
        made = head(loss, w).train()
        learned = len(list(made.parameters()))
        expected = [*trained(made, x, label, weight), [made.eval().gap(x, label)]]
        for step, want in enumerate(expected):
            for place, one in enumerate(want):
                shares = [each["divided", how][i][step][place] for each in parts]
                # Samples and classes lie side by side; numbers without dimensions are the same in all.
                found = torch.cat(shares) if one.ndim else shares[0]
                if not one.ndim:
                    assert all(torch.equal(share, found) for share in shares), name(loss)
                if 2 <= place < 2 + learned:
                    one = one / len(SIZES)
                told = f"{name(loss)}, step {step}, {place}"
                torch.testing.assert_close(found, one, rtol=1e-12, atol=1e-12, msg=lambda m, told=told: f"{told}: {m}")


# -- what is sent ----------------------------------------------------------------------------------------


def sent(loss: Loss, batch: int) -> list:
    """Bytes that a forward and what its backward hand to collectives, by kind."""
    made = PrototypeHead(loss, 32, 30, seed=0, group=dist.group.WORLD, tile=4).train()
    x = torch.randn(batch, 32, requires_grad=True)
    found = []
    with made.division.processes.counted() as traffic:
        value = made(x, torch.arange(batch) % 30)
        found.append(dict(traffic.bytes))
        traffic.bytes.clear()
        value.mean().backward()
        found.append(dict(traffic.bytes))
    return found


SENT = [(ArcFace(), 0, 0), (CurricularFace(), 0, 0), (Softmax(), 1, 1)]


@pytest.mark.parametrize("loss, more, back", SENT)
def test_processes_send_no_more_than_they_must(parts, loss, more, back):
    """Forward the embeddings and labels, and of each sample in the batch of all three numbers: its own cosine, and the
    maximum and sum of the others (for plain softmax a length too). Backward one number a sample, and the sum of the
    embeddings' gradients; another where the others' curve has a gradient for a sample's own angle or length."""
    batch, size = 8, 3
    forward, backward = parts[0]["sent", name(loss)]
    header = 2 * 8  # on a CPU: the length of each process's batch, and whether it is in order
    assert forward["gather"] <= batch * (4 * 32 + 8) + header
    assert forward["reduce"] == (3 + more) * 4 * size * batch and "scatter" not in forward
    assert backward == {"gather": 4 * batch, "scatter": 4 * 32 * size * batch} | (
        {"reduce": 4 * size * batch * back} if back else {}
    )


# -- the rest of a head ----------------------------------------------------------------------------------


def drawn_apart() -> list:
    torch.manual_seed(dist.get_rank())  # as each process may have its own
    alike = PrototypeHead(CosFace(), DIM, 7, seed=3, group=dist.group.WORLD)
    left = PrototypeHead(CosFace(), DIM, 7, group=dist.group.WORLD)
    places = [alike.first, alike.count, alike.logits(torch.ones(2, DIM)).shape[1]]
    return [alike.prototypes.detach(), places, left.seed, repr(alike)]


def test_processes_draw_their_part_of_the_first_prototypes_of_one(parts):
    parts = [each["drawn"] for each in parts]
    assert [each[1] for each in parts] == [[0, 3, 3], [3, 2, 2], [5, 2, 2]]
    one = PrototypeHead(CosFace(), DIM, 7, seed=3)
    assert torch.equal(torch.cat([each[0] for each in parts]), one.prototypes.detach())
    assert len({int(each[2]) for each in parts}) == 1
    assert "here=3..4" in parts[1][3]


def updated(tile: int) -> list:
    x, label, w, _ = batch()
    update = FoldedSGD(0.1, 0.9, 0.01)
    made = PrototypeHead(CurricularFace(), DIM, CLASSES, seed=0, group=dist.group.WORLD, tile=tile, update=update)
    made.double().train().prototypes.data = w[made.first : made.first + made.count].clone()
    for _ in range(3):
        made(part(x, [4, 4, 4]), part(label, [4, 4, 4])).mean().backward()
    sampled = PrototypeHead(CosFace(), DIM, 60, seed=0, group=dist.group.WORLD, sample_rate=0.5).double().train()
    sampled(part(x, [4, 4, 4]), part(label, [4, 4, 4])).mean().backward()
    touched = int((sampled.prototypes.grad.abs().sum(1) > 0).sum())
    return [made.prototypes.detach(), touched]


def test_updates_in_the_backward_pass_and_samples_are_divided_too(parts):
    parts = [each["updated"] for each in parts]
    x, label, w, _ = batch()
    plain = head(CurricularFace(), w).train()
    sgd = torch.optim.SGD(plain.parameters(), 0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(3):
        sgd.zero_grad()
        plain(x, label).mean().backward()
        sgd.step()
    torch.testing.assert_close(
        torch.cat([each[0] for each in parts]), plain.prototypes.detach(), rtol=1e-12, atol=1e-12
    )
    assert [each[1] for each in parts] == [12, 12, 12]  # as many as the samples of all: 10 of 20 would not do


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Linear(DIM, DIM).double()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def averaged(loss: Loss) -> list:
    """Gradients of a network in DistributedDataParallel before a divided head, and of the head."""
    x, label, w, _ = batch(loss)
    net = nn.parallel.DistributedDataParallel(Net())
    made = head_for(loss)(loss, DIM, CLASSES, seed=0, group=dist.group.WORLD).double().train()
    made.prototypes.data = w[made.first : made.first + made.count].clone()
    made(net(part(x, [4, 4, 4])), part(label, [4, 4, 4])).mean().backward()
    return [net.module.body.weight.grad, *(each.grad for each in made.parameters())]


AVERAGED = [ArcFace(), Triplet()]


@pytest.mark.parametrize("loss", AVERAGED, ids=name)
def test_with_a_network_all_gradients_are_of_the_mean_over_the_whole_batch(parts, loss):
    parts = [each["averaged", name(loss)] for each in parts]
    x, label, w, _ = batch(loss)
    net, plain = Net(), head(loss, w).train()
    plain(net(x), label).mean().backward()
    for each in parts:
        torch.testing.assert_close(each[0], net.body.weight.grad, rtol=1e-12, atol=1e-12)
    for place, weight in enumerate(plain.parameters(), start=1):
        found = torch.cat([each[place] for each in parts])
        torch.testing.assert_close(found, weight.grad, rtol=1e-12, atol=1e-12)


# -- bad input: one sentence in every process, and none left waiting -------------------------------------


def refusals() -> list:
    said = []

    def told(work: Callable) -> None:
        try:
            work()
            said.append("nothing")
        except (ValueError, FloatingPointError) as error:
            said.append(f"{type(error).__name__}: {error}")

    me, (x, label, *_) = dist.get_rank(), batch()
    x, label = part(x).clone(), part(label).clone()
    told(lambda: PrototypeHead(ArcFace(), DIM, 2, group=dist.group.WORLD))
    told(lambda: PrototypeHead(ArcFace(), DIM, 10 + me, group=dist.group.WORLD))
    made = PrototypeHead(ArcFace(), DIM, CLASSES, seed=0, group=dist.group.WORLD).double().train()
    told(lambda: made(x, label + 10 * (me == 1)))
    told(lambda: made(x / 0 if me == 2 else x, label))
    told(lambda: made(x[:, :4] if me == 0 else x, label))
    told(lambda: made(x, label).mean().backward())  # and it goes on
    told(lambda: made.angles(x, label))
    pairs = PairHead(Triplet(), DIM, CLASSES, seed=0, group=dist.group.WORLD).double().train()
    told(lambda: pairs(x, label + 10 * (me == 1)))
    told(lambda: PairHead(Triplet(), DIM, 10 + me, group=dist.group.WORLD))
    return said


def test_what_is_wrong_in_one_process_is_said_in_all(parts):
    parts = [each["refusals"] for each in parts]
    assert {each[0] for each in parts} == {
        "ValueError: 2 classes cannot be divided over 3 processes: each needs at least one. Use fewer processes."
    }
    assert len({each[1] for each in parts}) == 1
    assert parts[0][1].startswith("ValueError: All processes must make the same head; these differ: ArcFace of 10")
    for place, who, sentence in (
        (2, 1, "ValueError: {}Labels must run from 0 to 9 (or be -100: ignored); these run from"),
        (3, 2, "FloatingPointError: {}Embeddings must be finite numbers; 3 of 3 are not"),
        (4, 0, "ValueError: {}Embeddings must be floating point [batch, 5]; these are torch.float64 [5, 4]."),
        (7, 1, "ValueError: {}Labels must run from 0 to 9 (or be -100: ignored); these run from"),
    ):
        for k, each in enumerate(parts):
            told = "" if k == who else f"Process {who} of 3 cannot go on: "
            assert each[place].startswith(sentence.format(told))
    assert [each[5] for each in parts] == ["nothing"] * 3
    assert parts[1][6].startswith("ValueError: Only 3 of 10 classes have their prototypes in this process, so no table")
    assert {each[8][:58] for each in parts} == {"ValueError: All processes must make the same head; these d"}


def test_classes_are_divided_as_evenly_as_they_can_be():
    places = []
    for rank in range(4):
        processes = Processes()
        processes.size, processes.rank = 4, rank
        division = Division(10, processes)
        places.append((division.first, division.count))
        assert sum(division.counts) == 10
    assert places == [(0, 3), (3, 3), (6, 2), (8, 2)]
    assert len(drawn(10, 2, None, 3, 3)) == 3
