"""The library under torch's transforms: `torch.compile` in one graph that serves every step, `torch.func` on samples.

Most compile with a backend that cuts gradients from values as the default one does, but needs no C compiler.
"""

import copy
import os
import shutil
import sysconfig
from pathlib import Path

import pytest
import torch
from cases import head, name, problem, season, with_prototypes
from torch.func import functional_call, grad, vmap

from losslab import (
    ArcFace,
    CenterLoss,
    CosFace,
    Cosine,
    CurricularFace,
    Decay,
    ElasticFace,
    IntraLoss,
    KappaFace,
    Linear,
    MarginLoss,
    NormFace,
    PrototypeHead,
    SphereFace,
    UniTSFace,
)
from losslab.losses import Term, catalogue, turned

DEFAULTS = [kind() for kind in catalogue().values()]
MOVING = [
    ArcFace(margin=Linear(0, 0.5, 2), scale=Cosine(16, 64, 3)),
    CenterLoss(base=KappaFace(), weight=Linear(0, 1, 3)),
    SphereFace(easing=Decay(1000, 5, rate=0.12, power=1)),
    UniTSFace(base=CurricularFace(), weight=Linear(0, 1, 3)),
    IntraLoss(base=KappaFace(gradient="detached"), variant="ring", weight=Linear(0, 1, 3)),
    ElasticFace(sorted=True, spread=Linear(0, 0.2, 3)),
    ElasticFace(variant="cos"),
    MarginLoss(centres="moving"),
    NormFace(learned=True),
]


def same_training(loss, backend: str) -> None:
    """Three steps and an epoch, compiled and not: equal losses, gradients and state, from one graph."""
    torch._dynamo.reset()
    x, label, w = problem(batch=9, dtype=torch.float32)
    label[4] = -100
    plain = head(loss, w, dtype=torch.float32).train()
    twin = copy.deepcopy(plain)
    with torch._dynamo.config.patch(error_on_recompile=True):
        compiled = torch.compile(twin, fullgraph=True, backend=backend)
        for _ in range(3):
            results = []
            for run, made in ((plain, plain), (compiled, twin)):
                made.zero_grad()
                leaf = x.clone().requires_grad_()
                value = run(leaf, label)
                value.mean().backward()
                results.append([value, leaf.grad, *(p.grad for p in made.parameters()), *made.state_dict().values()])
                made.end_epoch()
            torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("loss", DEFAULTS + MOVING, ids=name)
def test_a_compiled_training_is_one_graph_with_the_same_numbers(loss):
    same_training(loss, "aot_eager_decomp_partition")


COMPILER = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
HEADERS = Path(sysconfig.get_path("include"), "Python.h").exists()


@pytest.mark.skipif(not (COMPILER and HEADERS), reason="the default backend needs a C++ compiler and Python's headers")
def test_the_default_backend_has_the_same_numbers():
    same_training(ArcFace(), "inductor")


def test_a_knob_turned_takes_effect_in_a_compiled_head():
    x, label, w = problem(dtype=torch.float32)
    made = head(ArcFace(margin=0.2), w, dtype=torch.float32)
    compiled = torch.compile(made, fullgraph=True, backend="aot_eager")
    for margin in (0.2, 0.4):
        made.loss = turned(made.loss, {"margin": margin})
        torch.testing.assert_close(compiled(x, label), head(made.loss, w, dtype=torch.float32)(x, label))


# -- torch.func ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", with_prototypes(), ids=name)
def test_gradients_of_single_samples_are_those_of_the_batch(loss):
    x, label, w = problem(batch=6)
    made = season(head(loss, w), *problem(batch=20, seed=1)[:2])
    alone = [made(x[i : i + 1], label[i : i + 1]) for i in range(6)]
    if isinstance(loss, Term) and not torch.allclose(torch.cat(alone), made(x, label)):
        pytest.skip("this term compares the samples of a batch with one another")
    learned = {key: value.detach() for key, value in made.named_parameters()}

    def one(learned, embedding, label):
        return functional_call(made, learned, (embedding[None], label[None]))[0]

    of_learned, of_x = vmap(grad(one, argnums=(0, 1)), in_dims=(None, 0, 0))(learned, x, label)
    leaf = x.clone().requires_grad_()
    made(leaf, label).sum().backward()
    torch.testing.assert_close(of_x, leaf.grad)
    for key, parameter in made.named_parameters():
        want = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(of_learned[key].sum(0), want)


def test_a_head_can_be_called_with_other_weights():
    x, label, w = problem()
    made = head(CosFace(), w)
    value = functional_call(made, {"prototypes": 2 * w.flip(0)}, (x, label))
    torch.testing.assert_close(value, head(CosFace(), w.flip(0))(x, label))
    assert torch.equal(made.prototypes, w)


def test_tiles_say_that_they_cannot_be_transformed():
    x, label, _ = problem(batch=2, classes=2_000)
    tiled, whole = (PrototypeHead(CosFace(), 5, 2_000, seed=0, tile=tile) for tile in ("auto", None))
    with pytest.raises(ValueError, match="make the head with tile=None"):
        grad(lambda x: tiled(x, label).sum())(x)
    assert grad(lambda x: whole(x, label).sum())(x).shape == x.shape
