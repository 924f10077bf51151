"""A margin loss in Lightning Fabric: the same loop on a CPU, a GPU, or several in DDP.

By itself it takes the best device; `fabric run --devices=4 --precision=bf16-mixed examples/fabric.py` takes four.
"""

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from losslab import CosFace, PrototypeHead, data


class Recogniser(nn.Module):
    """Network and head as one module, so that DDP sees one forward pass and averages the gradients of both."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(), nn.Flatten(),
            nn.BatchNorm1d(800), nn.Linear(800, 32),
        )  # fmt: skip
        self.head = PrototypeHead(CosFace(scale=16, margin=0.2), dim=32, classes=classes, seed=0)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Losses [b]. In mixed precision the head still computes in float32."""
        return self.head(self.backbone(images / 255), labels)

    def recognised(self, images: Tensor) -> Tensor:
        """The class [b] whose prototype is nearest."""
        return self.head.logits(self.backbone(images / 255)).argmax(1)


def main() -> None:
    fabric = Fabric()  # as `fabric run` says
    fabric.seed_everything(0)
    train, test = data.load("mnist", "train"), data.load("mnist", "test")
    loader = DataLoader(TensorDataset(train.images, train.labels), batch_size=128, shuffle=True, drop_last=True)
    tests = DataLoader(TensorDataset(test.images, test.labels), batch_size=500)
    model = Recogniser(len(train.names))
    model, optimiser = fabric.setup(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    model.mark_forward_method("recognised")
    loader, tests = fabric.setup_dataloaders(loader, tests)
    for epoch in range(2):
        for images, labels in loader:
            loss = model(images, labels).mean()
            fabric.backward(loss)
            optimiser.step()
            optimiser.zero_grad()
        fabric.print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    model.eval()
    with torch.no_grad():
        right = torch.cat([model.recognised(images) == labels for images, labels in tests])
    accuracy = fabric.all_gather(right).float().mean().item()
    fabric.print(f"accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
