"""Fashion-MNIST: the same shape as MNIST, and a harder task."""

from .idx_dataset import IdxDataset, Remote


class Fashion(IdxDataset):
    """60 000 + 10 000 pictures of clothes in ten classes."""

    name = "fashion"
    title = "Fashion-MNIST"
    card = (
        "70 000 pictures of clothes. H. Xiao, K. Rasul, R. Vollgraf, Zalando Research, arXiv:1708.07747. MIT licence."
    )
    names = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    sizes = {"train": 60_000, "test": 10_000}
    folders = ("FashionMNIST/raw", "fashion", "fashion-mnist")
    system = ("/usr/share/datasets/fashion-mnist",)  # the Debian package dataset-fashion-mnist
    begins = {"train": (9, 0, 0, 3, 0, 2, 7, 2, 5, 5), "test": (9, 2, 1, 1, 6, 1, 4, 6, 5, 7)}
    mirrors = (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    )
    remote = {
        "train-images-idx3-ubyte.gz": Remote(26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        "train-labels-idx1-ubyte.gz": Remote(29_515, "25c81989df183df01b3e8a0aad5dffbe"),
        "t10k-images-idx3-ubyte.gz": Remote(4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
        "t10k-labels-idx1-ubyte.gz": Remote(5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
    }
