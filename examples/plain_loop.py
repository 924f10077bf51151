"""A margin loss in a plain PyTorch loop: digits of the bundled MNIST, told apart by direction."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from losslab import ArcFace, PrototypeHead, data

torch.manual_seed(0)
train, test = data.load("mnist", "train"), data.load("mnist", "test")
loader = DataLoader(TensorDataset(train.images, train.labels), batch_size=128, shuffle=True, drop_last=True)

# Any network that ends in an embedding. No activation and no softmax behind it: the loss looks at its direction.
backbone = nn.Sequential(
    nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(), nn.Flatten(),
    nn.BatchNorm1d(800), nn.Linear(800, 32),
)  # fmt: skip
# The head holds what is learned of the classes, so its parameters go to the optimiser and its state into checkpoints.
head = PrototypeHead(ArcFace(scale=16, margin=0.3), dim=32, classes=len(train.names), seed=0)
optimiser = torch.optim.SGD([*backbone.parameters(), *head.parameters()], lr=0.1, momentum=0.9)

for epoch in range(2):
    for images, labels in loader:
        loss = head(backbone(images / 255), labels)  # [b], one for each sample
        loss.mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    head.end_epoch()  # for losses that look back over an epoch, such as KappaFace
    print(f"epoch {epoch + 1}: loss {loss.mean().item():.3f}")

backbone.eval(), head.eval()
with torch.no_grad():
    embedding = backbone(test.images / 255)
    accuracy = (head.logits(embedding).argmax(1) == test.labels).float().mean().item()
    beyond = (head.gap(embedding, test.labels) > 0).float().mean().item()
print(f"accuracy {accuracy:.4f}, of the test images {beyond:.4f} lie beyond the margin")
