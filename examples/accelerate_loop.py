"""A margin loss in Hugging Face Accelerate: the same loop on a CPU, a GPU, or several in DDP.

By itself it takes the best device; `accelerate launch --num_processes 4 examples/accelerate_loop.py` takes four.
"""

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from losslab import AdaFace, PrototypeHead, data


class Recogniser(nn.Module):
    """Network and head as one module, so that DDP sees one forward pass and averages the gradients of both."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU(), nn.Flatten(),
            nn.BatchNorm1d(800), nn.Linear(800, 32),
        )  # fmt: skip
        self.head = PrototypeHead(AdaFace(scale=16, margin=0.2), dim=32, classes=classes, seed=0)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Losses [b]; without labels the class [b] whose prototype is nearest."""
        embedding = self.backbone(images / 255)
        return self.head.logits(embedding).argmax(1) if labels is None else self.head(embedding, labels)


def main() -> None:
    accelerator = Accelerator()  # as `accelerate launch` says
    set_seed(0)
    train, test = data.load("mnist", "train"), data.load("mnist", "test")
    loader = DataLoader(TensorDataset(train.images, train.labels), batch_size=128, shuffle=True, drop_last=True)
    tests = DataLoader(TensorDataset(test.images, test.labels), batch_size=500)
    model = Recogniser(len(train.names))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model, optimiser, loader, tests = accelerator.prepare(model, optimiser, loader, tests)
    for epoch in range(2):
        for images, labels in loader:
            loss = model(images, labels).mean()
            accelerator.backward(loss)
            optimiser.step()
            optimiser.zero_grad()
        accelerator.print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    model.eval()
    right = []
    with torch.no_grad():
        for images, labels in tests:
            right.append(accelerator.gather_for_metrics(model(images) == labels))
    accuracy = torch.cat(right).float().mean().item()
    accelerator.print(f"accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
