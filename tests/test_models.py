"""Every network of the catalogue makes embeddings from images."""

import pytest
import torch

from losslab import models

OF_ANY_SIZE = [name for name in models.catalogue() if not name.startswith("iresnet")]  # see test_iresnet.py


@pytest.fixture(params=OF_ANY_SIZE)
def name(request):
    return request.param


def digits(count=16, shape=(1, 28, 28)):
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dim", [2, 3, 64])
def test_images_become_embeddings(name, dim):
    images = digits()
    embedding = models.make(name, dim)(images)
    assert embedding.shape == (16, dim) and embedding.dtype == torch.float32 and embedding.isfinite().all()
    assert torch.equal(images, digits())  # left alone


def test_other_shapes_are_possible(name):
    assert models.make(name, 3, (3, 40, 32))(digits(4, (3, 40, 32))).shape == (4, 3)


def test_every_part_of_a_network_learns(name):
    model = models.make(name, 3)
    model(digits()).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_embeddings_of_an_untrained_network_lie_all_around(name):
    """In one narrow cone a margin loss draws everything together (see `Centred`)."""
    torch.manual_seed(0)
    embedding = models.make(name, 3).train()(digits(256))
    directions = torch.nn.functional.normalize(embedding)
    assert directions.mean(0).norm() < 0.5


def test_nothing_ties_the_length_of_an_embedding(name):
    """Plain softmax tells its story with lengths: the last layer must be able to make any."""
    model = models.make(name, 2).eval()
    assert isinstance(model.embed, torch.nn.Linear)
    with torch.no_grad():
        before = model(digits()).norm(dim=1).mean()
        model.embed.weight *= 10
        model.embed.bias *= 10
        torch.testing.assert_close(model(digits()).norm(dim=1).mean(), 10 * before)


def test_an_unknown_network_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="no model called 'vast'; there are .*tiny"):
        models.make("vast", 3)


@pytest.mark.parametrize("name", models.catalogue())
def test_every_network_says_what_it_is(name):
    card = models.catalogue()[name].card
    assert card.title and card.sentence.endswith(".")
