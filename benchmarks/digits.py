"""Train the default recipe once, our way or as a DataLoader loop, and say how long it took:
`python -m benchmarks.digits ours|ours-probe-2|loader-0|loader-2 SEED`."""

import json
import random
import sys
import time
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from losslab import data
from losslab.training import Recipe, train
from losslab.training.build import build
from losslab.training.loop import PROTOTYPE_SHARE, WEIGHT_DECAY, rate_share

ENOUGH = 0.97


def ours(recipe: Recipe) -> Iterator[float]:
    """Test accuracies, as the training gives them."""
    for snapshot in train(recipe):
        if "test_accuracy" in snapshot.scalars:
            yield snapshot.scalars["test_accuracy"]


class Digits(Dataset):
    """One image at a time, as a float tensor [1 28 28], shifted at random where `shift` says so."""

    def __init__(self, split: str, shift: int = 0) -> None:
        part = data.load("mnist", split)
        self.images, self.labels, self.shift = part.images, part.labels, shift

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, shift = self.images[index].float(), self.shift
        if shift:
            height, width = image.shape[1:]
            down, across = random.randint(0, 2 * shift), random.randint(0, 2 * shift)
            image = F.pad(image, (shift, shift, shift, shift))[:, down : down + height, across : across + width]
        return image, self.labels[index]


def loader_loop(recipe: Recipe, workers: int) -> Iterator[float]:
    """Test accuracies after each epoch of a plain loop with the same arithmetic as `losslab.training.train`."""
    torch.manual_seed(recipe.seed)
    random.seed(recipe.seed)
    options = {"batch_size": recipe.batch, "num_workers": workers, "persistent_workers": workers > 0}
    batches = DataLoader(Digits("train", recipe.shift), shuffle=True, drop_last=True, **options)
    held_out = DataLoader(Digits("test"), **options)
    model, head = build(recipe, (1, 28, 28))
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model.parameters()), "share": 1},
            {"params": list(head.parameters()), "share": PROTOTYPE_SHARE, "weight_decay": 0},
        ],
        lr=recipe.rate,
        weight_decay=WEIGHT_DECAY,
        fused=True,
    )
    step, total = 0, recipe.epochs * len(batches)
    for _ in range(recipe.epochs):
        model.train(), head.train()
        for images, labels in batches:
            step += 1
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate * rate_share(step / total) * group["share"]
            loss = head(model(images), labels).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval(), head.eval()
        with torch.inference_mode():
            right = sum((head.logits(model(images)).argmax(1) == labels).sum().item() for images, labels in held_out)
        yield right / len(held_out.dataset)


def main(who: str, seed: int) -> None:
    recipe = Recipe(seed=seed, probe=2) if who == "ours-probe-2" else Recipe(seed=seed)
    begun, enough = time.perf_counter(), None
    for accuracy in loader_loop(recipe, int(who[-1])) if who.startswith("loader") else ours(recipe):
        if accuracy >= ENOUGH and enough is None:
            enough = time.perf_counter() - begun
    print(json.dumps({"enough": enough, "all": time.perf_counter() - begun, "accuracy": accuracy}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
