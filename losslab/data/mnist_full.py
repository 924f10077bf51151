"""MNIST, all seventy thousand digits."""

from .idx_dataset import IdxDataset, Remote


class MnistFull(IdxDataset):
    """60 000 + 10 000 handwritten digits in their original split."""

    name = "mnist-full"
    title = "MNIST"
    card = "70 000 handwritten digits. Y. LeCun, C. Cortes, C. Burges. CC BY-SA 3.0."
    names = tuple("0123456789")
    sizes = {"train": 60_000, "test": 10_000}
    folders = ("MNIST/raw", "mnist", "mnist-full")
    begins = {"train": (5, 0, 4, 1, 9, 2, 1, 3, 1, 4), "test": (7, 2, 1, 0, 4, 1, 4, 9, 5, 9)}
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    remote = {
        "train-images-idx3-ubyte.gz": Remote(9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        "train-labels-idx1-ubyte.gz": Remote(28_881, "d53e105ee54ea40749a09fcbcd1e9432"),
        "t10k-images-idx3-ubyte.gz": Remote(1_648_877, "9fb629c4189551a2d022fa330f9573f3"),
        "t10k-labels-idx1-ubyte.gz": Remote(4_542, "ec29112dd5afa0611ce80d1b7f02629c"),
    }
