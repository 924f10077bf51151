"""The residual networks of face recognition: those of the field, layer for layer."""

import pytest
import torch
from torch.nn import functional as F

from losslab import models
from losslab.models.iresnet import IResNet18

SIZES = {"iresnet18": 24_025_600, "iresnet34": 34_139_328, "iresnet50": 43_590_848, "iresnet100": 65_156_160}


def faces(count=4, shape=(3, 32, 32)):
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def counted(blocks, dim=512, side=7):
    """Weights by the formula: 3 x 3 convolutions, four numbers for two channels of a normalisation and a PReLU."""
    total, channels = 3 * 64 * 9 + 3 * 64, 64
    for width, number in zip((64, 128, 256, 512), blocks, strict=True):
        for block in range(number):
            total += 2 * channels + 9 * channels * width + 2 * width + width + 9 * width * width + 2 * width
            if block == 0:
                total += channels * width + 2 * width
            channels = width
    return total + 2 * 512 + 512 * side * side * dim + dim + 2 * dim


@pytest.mark.parametrize("name", SIZES)
def test_as_many_weights_as_those_of_the_field(name):
    with torch.device("meta"):
        model = models.catalogue()[name](512, (3, 112, 112))
    assert sum(p.numel() for p in model.parameters()) == SIZES[name] == counted(model.blocks)


def by_hand(model, x):
    """The network written out with functions, in `eval`, from pixels."""

    def norm(x, bn):
        return F.batch_norm(x, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=1e-5)

    x = F.conv2d(x, model.conv1.weight, padding=1)
    x = F.prelu(norm(x, model.bn1), model.prelu.weight)
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for i, block in enumerate(stage):
            stride = 2 if i == 0 else 1
            y = F.conv2d(norm(x, block.bn1), block.conv1.weight, padding=1)
            y = F.prelu(norm(y, block.bn2), block.prelu.weight)
            y = norm(F.conv2d(y, block.conv2.weight, stride=stride, padding=1), block.bn3)
            if i == 0:
                x = norm(F.conv2d(x, block.downsample[0].weight, stride=2), block.downsample[1])
            x = x + y
    x = norm(x, model.bn2).flatten(1)
    return norm(F.linear(x, model.fc.weight, model.fc.bias), model.features)


def test_the_network_is_what_its_definition_says():
    torch.manual_seed(0)
    model = IResNet18(7, (3, 32, 48))
    images = faces(8, (3, 32, 48))
    model(images)  # the normalisations have seen something
    model.eval()
    pixels = (images / 255 - 0.5) / 0.5
    with torch.no_grad():
        torch.testing.assert_close(model(images), model.embedding(pixels), rtol=1e-2, atol=1e-2)
        model.double()
        torch.testing.assert_close(model.embedding(pixels.double()), by_hand(model, pixels.double()))


def test_how_it_begins():
    torch.manual_seed(0)
    model = IResNet18(16, (3, 32, 32))
    assert model.layer3[1].conv1.weight.std().item() == pytest.approx(0.1, rel=0.02)
    assert not model.features.weight.requires_grad and (model.features.weight == 1).all()
    model(faces()).square().sum().backward()
    without = {name for name, p in model.named_parameters() if p.grad is None}
    assert without == {"features.weight"}


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 32, 32), (3, 64, 48), (3, 112, 112)])
def test_sizes_that_it_takes(shape):
    model = IResNet18(5, shape).eval()
    with torch.no_grad():
        assert model(faces(2, shape)).shape == (2, 5)


def test_grey_is_colour_of_equal_channels():
    torch.manual_seed(0)
    model = IResNet18(5, (3, 32, 32)).eval()
    grey = faces(3, (1, 32, 32))
    with torch.no_grad():
        torch.testing.assert_close(model(grey), model(grey.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 40, 32), (2, 32, 32), (3, 128, 128), (3, 16, 16), (4, 112, 112)])
def test_sizes_that_it_cannot_take(shape):
    with pytest.raises(ValueError, match=rf"multiples of 16 from 32 to 112 .*{shape[1]} x {shape[2]}.*choose another"):
        models.make("iresnet18", 3, shape)
