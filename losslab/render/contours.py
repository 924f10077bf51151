"""Where numbers given on the circle or all over the sphere pass through zero, and what they are in between.

Grids are `geometry.octahedron` (row by row) and evenly spaced angles from (1, 0) on. NumPy only.
"""

import math

import numpy as np

Line = np.ndarray  # [n 3], directions one after the other


def side(count: int) -> int:
    """Cells along the octahedral grid that `count` directions are."""
    n = math.isqrt(count) - 1
    if (n + 1) ** 2 != count:
        raise ValueError(f"{count} directions are no octahedral grid.")
    return n


def contours(value: np.ndarray, place: np.ndarray) -> list[Line]:
    """Lines on which `value` [v] is zero, on the octahedral grid whose directions are `place` [v 3]."""
    n = side(len(value))
    f, p = value.reshape(n + 1, n + 1), place.reshape(n + 1, n + 1, 3)
    inside = f > 0
    across = np.arange(n * (n + 1)).reshape(n + 1, n)  # edges to the right, by number
    down = across.size + np.arange(n * (n + 1)).reshape(n, n + 1)  # and downwards
    cut = np.concatenate([(inside[:, 1:] != inside[:, :-1]).ravel(), (inside[1:] != inside[:-1]).ravel()])
    spot = np.concatenate([crossing(f, p, 1).reshape(-1, 3), crossing(f, p, 0).reshape(-1, 3)])
    edges = np.stack([across[:-1], down[:, 1:], across[1:], down[:, :-1]], -1).reshape(-1, 4)  # of each cell, around it
    count = cut[edges].sum(1)
    twice = edges[count == 2][cut[edges[count == 2]]].reshape(-1, 2)
    all_four = edges[count == 4]
    same = (inside[:-1, :-1] == inside[1:, 1:]).ravel()[count == 4][:, None]
    # A saddle: the corners that agree across it are each cut off, or the other two are.
    first = np.where(same, all_four[:, [0, 1]], all_four[:, [0, 3]])
    other = np.where(same, all_four[:, [2, 3]], all_four[:, [1, 2]])
    return [spot[line] for line in chained(np.concatenate([twice, first, other]))]


def crossing(f: np.ndarray, p: np.ndarray, axis: int) -> np.ndarray:
    """Where `f` is zero on each edge along an axis of the grid, if it is."""
    a, b = (f[:, :-1], f[:, 1:]) if axis else (f[:-1], f[1:])
    start, end = (p[:, :-1], p[:, 1:]) if axis else (p[:-1], p[1:])
    rise = np.where(a == b, 1, a - b)
    at = start + np.clip(a / rise, 0, 1)[..., None] * (end - start)
    return at / np.linalg.norm(at, axis=-1, keepdims=True)


def chained(links: np.ndarray) -> list[list[int]]:
    """Pairs of numbers [m 2] that touch, as lines: each number has at most two neighbours."""
    neighbours: dict[int, list[int]] = {}
    for a, b in links.tolist():
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    lines, done = [], set()
    ends = [edge for edge, near in neighbours.items() if len(near) == 1]
    for start in [*ends, *neighbours]:
        if start in done:
            continue
        line, here = [], start
        while here is not None:
            done.add(here)
            line.append(here)
            here = next((near for near in neighbours[here] if near not in done), None)
        if len(line) > 2 and start in neighbours[line[-1]] and len(neighbours[start]) == 2:
            line.append(start)  # a closed loop
        lines.append(line)
    return lines


def arcs(value: np.ndarray) -> list[tuple[float, float]]:
    """Where `value` [m], at m equal angles, is above zero: from and to, in radians, `to` the larger."""
    step, inside = 2 * math.pi / len(value), value > 0
    if inside.all():
        return [(0.0, 2 * math.pi)]
    after = np.roll(value, -1)
    edge = np.arange(len(value)) + np.clip(value / np.where(value == after, 1, value - after), 0, 1)
    into, out = (edge[where] * step for where in (~inside & (after > 0), inside & (after <= 0)))
    ends = np.concatenate([out, out + 2 * math.pi])
    return [(float(a), float(ends[ends > a].min())) for a in into]


def between(value: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """`value` [C v] of the grid at any directions [m k], [C m]: on the sphere (k = 3) or the circle (k = 2)."""
    if direction.shape[1] == 2:
        count = value.shape[1]
        turn = np.arctan2(direction[:, 1], direction[:, 0]) / (2 * math.pi) % 1 * count
        first = np.floor(turn).astype(int) % count
        share = turn - np.floor(turn)
        return value[:, first] * (1 - share) + value[:, (first + 1) % count] * share
    n = side(value.shape[1])
    flat = direction / np.abs(direction).sum(1, keepdims=True)
    x, y = flat[:, 0], flat[:, 1]
    below = flat[:, 2] < 0
    x, y = (
        np.where(below, (1 - np.abs(y)) * np.where(x < 0, -1, 1), x),
        np.where(below, (1 - np.abs(x)) * np.where(y < 0, -1, 1), y),
    )
    a, b = (x + 1) * n / 2, (y + 1) * n / 2
    i, j = (np.clip(np.floor(v), 0, n - 1).astype(int) for v in (a, b))
    u, w = a - i, b - j
    grid = value.reshape(len(value), n + 1, n + 1)
    upper = grid[:, j, i] * (1 - u) + grid[:, j, i + 1] * u
    lower = grid[:, j + 1, i] * (1 - u) + grid[:, j + 1, i + 1] * u
    return upper * (1 - w) + lower * w
