"""A miniature of IJB in the layout of the published files, its faces drawn here; and its numbers, worked out slowly."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from losslab.data.faces.decode import png
from losslab.evaluation.align import POINTS

ROOT = Path(__file__).parents[1]
FACES = Path(os.environ.get("LOSSLAB_TEST_DATA", ROOT.parent / "shared" / "data")) / "orl_faces"


def face(person: int, draw: np.random.Generator, side: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """A drawn photograph, uint8 [side side 3], and its five points [5 2]: what makes the person is painted where the
    points are, and these are turned, shifted and resized from face to face."""
    angle, scale = draw.uniform(-0.4, 0.4), draw.uniform(0.7, 1.0)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (POINTS - 56) @ turn.T + 64 + draw.uniform(-4, 4, 2)
    y, x = np.mgrid[:side, :side]
    image = np.full((side, side, 3), 90.0)
    ink = np.random.default_rng(person).uniform(-30, 90, (5, 3))
    for point, colour in zip(points, ink, strict=True):
        image += colour * np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (120 * scale**2))[..., None]
    return (image + draw.normal(0, 6, image.shape) + draw.normal(0, 30, 3)).clip(0, 255).astype(np.uint8), points


def write_ijb(folder: Path, name: str = "ijbc", people: int = 6, seed: int = 0) -> Path:
    """Some people with four templates each, of one to three media with one to three faces."""
    draw = np.random.default_rng(seed)
    (folder / "meta").mkdir(parents=True)
    (folder / "loose_crop").mkdir()
    membership, detected, owner = [], [], {}
    order = draw.permutation(4 * people)  # templates of one person are not neighbours
    for template in order:
        owner[int(template) + 10] = person = int(template) % people
        for _ in range(draw.integers(1, 4)):
            media = int(draw.integers(0, 3))  # numbers that other templates use too
            for _ in range(draw.integers(1, 4)):
                image, points = face(person, draw)
                file = f"{len(detected) + 1}.jpg"
                (folder / "loose_crop" / file).write_bytes(png(image))
                membership.append(f"{file} {template + 10} {media}")
                said = " ".join(f"{value:.3f}" for value in points.ravel())
                detected.append(f"{file} {said} {draw.uniform(0.4, 1):.4f}")
    numbers = sorted(owner)
    pairs = [(a, b, int(owner[a] == owner[b])) for i, a in enumerate(numbers) for b in numbers[i + 1 :]]
    for file, rows in {
        "face_tid_mid": membership,
        "name_5pts_score": detected,
        "template_pair_label": [" ".join(map(str, pair)) for pair in pairs],
    }.items():
        (folder / "meta" / f"{name}_{file}.txt").write_text("\n".join(rows) + "\n")
    return folder


def slow_cosines(model, faces, folder: Path, name: str, length: bool, score: bool, flip: bool = True):
    """The cosine of every pair of templates and its label, by loops over the lines of the files."""
    features = []
    for i in range(len(faces)):
        image = torch.from_numpy(faces.image(i).transpose(2, 0, 1).copy())[None]
        with torch.no_grad():
            feature = (model(image) + model(image.flip(3)) if flip else model(image))[0].double().numpy()
        features.append(feature if length else feature / np.sqrt((feature**2).sum()))
    templates: dict[str, dict[str, list]] = {}
    meta = folder / "meta"
    for feature, member, said in zip(
        features,
        (meta / f"{name}_face_tid_mid.txt").read_text().splitlines(),
        (meta / f"{name}_name_5pts_score.txt").read_text().splitlines(),
        strict=True,
    ):
        weight = float(said.split()[-1]) if score else 1.0
        _, template, media = member.split()
        templates.setdefault(template, {}).setdefault(media, []).append(weight * feature)
    summed = {key: sum(sum(each) / len(each) for each in media.values()) for key, media in templates.items()}
    found = []
    for line in (meta / f"{name}_template_pair_label.txt").read_text().splitlines():
        a, b, label = line.split()
        u, v = summed[a], summed[b]
        found.append((u @ v / np.sqrt((u @ u) * (v @ v)), label == "1"))
    return np.array([cosine for cosine, _ in found]), np.array([label for _, label in found])


def slow_tar(cosine: np.ndarray, same: np.ndarray, far: float) -> float:
    """The largest share of genuine pairs that some threshold accepts with at most the share `far` of impostors."""
    best = 0.0
    for threshold in [np.inf, *cosine, -np.inf]:
        accepted = cosine > threshold
        if accepted[~same].mean() <= far:
            best = max(best, accepted[same].mean())
    return best


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def side_by_side(count: int, *words: object, cwd: Path) -> list[tuple[int, str, str]]:
    """A losslab command in `count` processes, as torchrun starts them: exit code, output and errors of each."""
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    started = []
    for rank in range(count):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", **(common if count > 1 else {}), **own}
        command = [sys.executable, "-m", "losslab", *map(str, words)]
        started.append(
            subprocess.Popen(
                command, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    outcome = [each.communicate(timeout=120) for each in started]
    return [(each.returncode, *said) for each, said in zip(started, outcome, strict=True)]
