"""How many faces can be read at random in a second, and how soon do they move once *Train* is pressed?"""

import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from losslab.data.faces import sources
from losslab.data.faces.convert import WRITERS

from .browser import Server, chromium, tab, until
from .report import Row, Table

PEOPLE, EACH, SIDE = 200, 20, 112
HOW = (
    "{n} JPEG images of {side} x {side} (quality 95, about {size:.0f} KiB each), in random order, one thread, files in "
    "the system's cache. Peer: {peer}."
)
FOLDER = "the same images in a folder per identity, opened one by one with Pillow"
MXNET = "the same train.rec through MXNet's own MXIndexedRecordIO and image.imdecode"
UNIT = {"unit": "images/s", "more": True}
ORL = Path(os.environ.get("LOSSLAB_TEST_DATA", "../shared/data")) / "orl_faces" / "images"
WAY = "software compositing"
PRESSED = (
    "28 people of the ORL faces, 48 x 48 grey, 64 dimensions on a sphere map, 30 epochs. Server and workers are "
    "warm; each time another seed, so other people to decode. `--disable-gpu`."
)


def measure(*, quick: bool) -> list[Table]:
    people, tries = (10, 1) if quick else (PEOPLE, 7)
    with tempfile.TemporaryDirectory() as scratch:
        images = [(str(person), [face(person, take) for take in range(EACH)]) for person in range(people)]
        for form, write in WRITERS.items():
            (Path(scratch) / form).mkdir()
            write(Path(scratch) / form, images)
        kib = np.mean([len(image) for _, each in images for image in each]) / 1024
        order = np.random.default_rng(0).permutation(people * EACH).tolist()
        opened = {name: found.open() for name, found in sources(scratch).items()}
        readers = {name: each.image for name, each in opened.items()}
        readers |= {f"{name}, not decoded": each.payload for name, each in opened.items()}
        found = rates({**readers, "peer": folder_reader(Path(scratch) / "folders")}, order, tries)
        rows = [Row(name, found[name], found["peer"] if name in opened else None, **UNIT) for name in readers]
        told = {"n": f"{len(order):,}".replace(",", " "), "side": SIDE, "size": kib}
        tables = [Table("Faces read at random", HOW.format(peer=FOLDER, **told), rows)]
        if mxnet := mxnet_reader(Path(scratch) / "recordio"):
            found = rates({"ours": opened["recordio"].image, "peer": mxnet}, order, tries)
            row = Row("recordio", found["ours"], found["peer"], **UNIT)
            tables.append(Table("Faces read at random, beside MXNet", HOW.format(peer=MXNET, **told), [row]))
    return [*tables, pressed(2 if quick else 4)] if ORL.is_dir() else tables


def pressed(tries: int) -> Table:
    """From *Train* to the first picture, and to the end of the training; the first try does not count."""
    first, whole = [], []
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as runs, chromium(WAY) as browser:
        shutil.copytree(ORL, Path(data) / "orl")
        with Server("app.py", LOSSLAB_DATA=data, LOSSLAB_RUNS=runs) as server:
            for seed in range(tries):
                choices = f"source=orl&identities=28&held_out=12&size=48&grey=true&seed={seed}"
                with tab(browser, f"{server.url}/faces?{choices}") as page:
                    button = page.get_by_role("button", name="Train", exact=True)
                    button.wait_for()
                    time.sleep(3)
                    begun = time.perf_counter()
                    button.click()
                    page.wait_for_selector("[data-points]:not([data-points='0'])", state="attached")
                    first.append(time.perf_counter() - begun)
                    until(
                        lambda page=page: page.get_attribute("[data-testid=stage]", "data-state") == "done",
                        300,
                        "the end",
                    )
                    whole.append(time.perf_counter() - begun)
    rows = [Row("to the first picture", first[1:]), Row("to the last snapshot placed", whole[1:], target=60)]
    return Table("Faces, from Train", PRESSED, rows)


def face(person: int, take: int) -> bytes:
    """A JPEG about as large as that of a face: smooth shapes with a little noise."""
    draw = np.random.default_rng([person, take])
    coarse = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((SIDE, SIDE), Image.BICUBIC)
    noisy = np.asarray(coarse) + draw.normal(0, 4, (SIDE, SIDE, 3))
    file = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=95)
    return file.getvalue()


def rates(readers: dict[str, Callable[[int], object]], order: list[int], tries: int) -> dict[str, list[float]]:
    """Images a second of each reader, of `tries` passes in turn; the first does not count."""
    found: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(tries + 1):
        for name, read in readers.items():
            begun = time.perf_counter()
            for i in order:
                read(i)
            found[name].append(len(order) / (time.perf_counter() - begun))
    return {name: each[1:] for name, each in found.items()}


def folder_reader(folder: Path) -> Callable[[int], np.ndarray]:
    """Image i of a folder per identity, as anybody would read it."""
    files = sorted(folder.rglob("*.jpg"))

    def read(i: int) -> np.ndarray:
        with Image.open(files[i]) as image:
            return np.array(image.convert("RGB"))

    return read


def mxnet_reader(folder: Path) -> Callable[[int], np.ndarray] | None:
    """Image i of a train.rec through MXNet; None where it is not installed."""
    try:
        import mxnet as mx
    except ImportError:
        return None
    file = mx.recordio.MXIndexedRecordIO(str(folder / "train.idx"), str(folder / "train.rec"), "r")
    return lambda i: mx.image.imdecode(mx.recordio.unpack(file.read_idx(i + 1))[1]).asnumpy()
