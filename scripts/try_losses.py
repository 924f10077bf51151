"""Train every loss with its small knobs on the bundled digits, and print a Markdown table of what came of it.

    python -m scripts.try_losses [loss ...] [--seeds N]

This is where the small knobs of the losses (`Card.toy`) are chosen: see docs/LOG.md.
"""

import argparse
import time

import torch

from losslab import losses
from losslab.training import Diverged, Recipe, train


def main() -> None:
    parser = argparse.ArgumentParser(prog="try_losses", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="loss", help="which losses; all when none is named")
    parser.add_argument("--seeds", type=int, default=1, help="how often each is trained")
    parser.add_argument("--set", default="", help="knobs to set, such as margin=0.3,scale=20")
    asked = parser.parse_args()
    changes = {name: float(value) for name, value in (part.split("=") for part in asked.set.split(",") if part)}
    torch.set_num_threads(1)
    print("| loss | sphere: test accuracy, clears its margin | circle: the same | seconds a run |")
    print("| --- | --- | --- | --- |")
    for name in asked.names or losses.catalogue():
        begun, loss = time.perf_counter(), losses.turned(losses.starting(name), changes)
        sphere, circle = (", ".join(outcome(loss, dim, seed) for seed in range(asked.seeds)) for dim in (3, 2))
        seconds = (time.perf_counter() - begun) / 2 / asked.seeds
        print(f"| {name} | {sphere} | {circle} | {seconds:.1f} |", flush=True)


def outcome(loss: losses.Loss, dim: int, seed: int) -> str:
    """Test accuracy at the end, and the share of the probe's held-out samples that clear the margin."""
    epochs, batch = (10, 128) if dim == 3 else (20, 64)
    try:
        for snapshot in train(Recipe(loss=loss, dim=dim, epochs=epochs, batch=batch, seed=seed)):
            last = snapshot
    except Diverged:
        return "diverged"
    return f"{last.scalars['test_accuracy']:.1%} {(last.gap[len(last.gap) // 2 :] > 0).mean():.0%}"


if __name__ == "__main__":
    main()
