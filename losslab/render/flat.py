"""Scenes on the circle and the sphere, flattened for everything that draws planes: the sphere as it is seen from the
camera, and beside it the two halves of it on equal-area maps, so that nothing is hidden.

    Camera: nine numbers, the rows of a rotation: view = M · direction, x to the right, y up, z towards the reader.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from losslab.geometry import circle, octahedron
from losslab.scene import CIRCLE, PLANE, Area, Arrows, Axis, Mark, Path, Points, Scene, Zones

from .contours import Line, arcs, between, contours

FACING = (0.60, -0.75, 0.30)  # where the reader stands when the camera is not said
CELLS, MAP_CELLS = 120, 90  # across the sphere and across a map
FINE = 96  # cells of the grid on which plain boundaries are found
MAP = 0.50  # radius of a map, the sphere's being 1
NEAR_MAP, FAR_MAP = (1.62, 0.57), (1.62, -0.57)
RING, INSIDE, WORD = 0.965, 0.90, 0.80  # of the circle's radius: zones, the narrowest strip, its width in words
FAINT = (0.87, 0.84, 0.81, 0.78, 0.75, 0.72)  # where the arcs of draws and lengths lie
GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Disc:
    """One round picture of the sphere, or of half of it."""

    centre: tuple[float, float]
    radius: float
    half: int  # 1 the near one, −1 the far one
    flat: bool  # an equal-area map
    cells: int

    def put(self, view: np.ndarray) -> np.ndarray:
        """Places [n 2] of directions [n 3] as the camera sees them."""
        place = view[:, :2]
        if self.flat:
            place = place * [self.half, 1] / np.sqrt(1 + np.abs(view[:, 2:]))
        return self.radius * place + self.centre

    def grid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places across it along one axis [m], directions there [m² 3], and how far inside its rim each is [m²]."""
        line = np.linspace(-1.02, 1.02, self.cells + 1)
        x, y = (each.ravel() for each in np.meshgrid(line, line))
        out = np.hypot(x, y)
        x, y, square = x / np.maximum(out, 1), y / np.maximum(out, 1), np.minimum(out, 1) ** 2
        if self.flat:
            stretch = np.sqrt(2 - square)
            view = np.stack([self.half * x * stretch, y * stretch, self.half * (1 - square)], 1)
        else:
            view = np.stack([x, y, np.sqrt(1 - square)], 1)
        return line, view, 1 - out


SPHERE_DISC = Disc((0, 0), 1, 1, False, CELLS)
BEHIND = dataclasses.replace(SPHERE_DISC, half=-1)
MAPS = (Disc(NEAR_MAP, MAP, 1, True, MAP_CELLS), Disc(FAR_MAP, MAP, -1, True, MAP_CELLS))


def flattened(scene: Scene, camera: Any = None, maps: bool = True) -> Scene:
    """The scene in the plane, a sphere with both maps or without. A camera that is no rotation is passed over."""
    if scene.space == CIRCLE:
        marks = [*around(scene), *legend(scene, -1.52)]
        axes = Axis("x", low=-1.6, high=1.6), Axis("y", low=-1.75, high=1.35)
    else:
        marks = [*seen(scene, rotation(camera), MAPS if maps else ()), *legend(scene, -1.14)]
        axes = Axis("x", low=-1.08, high=2.2 if maps else 1.08), Axis("y", low=-1.35, high=1.15)
    return dataclasses.replace(scene, space=PLANE, marks=tuple(marks), x=axes[0], y=axes[1])


def rotation(camera: Any) -> np.ndarray:
    """[3 3] from nine numbers, or from where one stands by default."""
    if turns(camera):
        return np.asarray(camera, dtype=float).reshape(3, 3)
    return facing(np.array(FACING) / np.linalg.norm(FACING))


def turns(camera: Any) -> bool:
    """Are these nine numbers a rotation?"""
    try:
        found = np.asarray(camera, dtype=float).reshape(3, 3)
    except (TypeError, ValueError):
        return False
    upright = np.isfinite(found).all() and np.allclose(found @ found.T, np.eye(3), atol=1e-3)
    return bool(upright and np.linalg.det(found) > 0)


def facing(towards: np.ndarray) -> np.ndarray:
    """The camera [3 3] of somebody who stands at a direction [3] and holds it upright."""
    right = np.cross([0, 0, 1], towards)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(towards, right), towards])


def standpoint(camera: Any) -> tuple[float, float]:
    """Longitude and latitude in degrees from which a camera looks; `facing` is the way back, but for a tilted head."""
    x, y, z = rotation(camera)[2]
    return math.degrees(math.atan2(y, x)), math.degrees(math.asin(np.clip(z, -1, 1)))


def stand(longitude_deg: float, latitude_deg: float) -> list[float]:
    """The nine numbers of a camera at this place; at a pole, a little beside it."""
    lon, lat = math.radians(longitude_deg), math.radians(min(max(latitude_deg, -89.5), 89.5))
    towards = np.array([math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)])
    return facing(towards).round(5).ravel().tolist()


# -- the sphere ----------------------------------------------------------------------------------------------


def seen(scene: Scene, turn: np.ndarray, maps: tuple[Disc, ...]) -> Iterator[Mark]:
    """Everything, back to front."""
    zones = [mark for mark in scene.marks if isinstance(mark, Zones)]
    first = next((mark for mark in zones if mark.role == "zone"), None)
    prototypes = next(mark for mark in scene.marks if mark.role == "prototype")
    look = Look(turn, maps)
    edges = list(boundaries(prototypes))
    yield from look.behind(edges)
    for mark in zones:
        if mark is first:
            yield from (dataclasses.replace(line, of=k) for k, lines in outlines(mark) for line in look.behind(lines))
    for mark in scene.marks:
        yield from look.far(mark)
    for mark in scene.marks:
        if isinstance(mark, Points) and mark.role == "ground":
            yield from look.ground(mark)
    if first is not None:
        yield from look.washes(first)
    yield from look.lines(graticule(), role="graticule")
    yield from look.lines(edges, role="rule")
    for mark in zones:
        role = {"zone": "outline" if mark is first else "second"}.get(mark.role, mark.role)
        for k, lines in outlines(mark):
            yield from look.lines(lines, role=role, of=k)
    yield from rims((SPHERE_DISC, *maps))
    for mark in scene.marks:
        if mark is not prototypes:
            yield from look.front(mark)
    for badge in badges(prototypes, scene):
        yield from look.front(badge)
    if maps:
        yield from captions()


@dataclass(frozen=True, eq=False)
class Look:
    """From where the sphere is seen."""

    turn: np.ndarray  # [3 3]
    maps: tuple[Disc, ...]  # of the near and the far half, or none

    @property
    def all(self) -> tuple[Disc, ...]:
        return SPHERE_DISC, *self.maps

    def discs(self, half: int) -> list[Disc]:
        """Where the near or the far half is drawn in full ink."""
        return [disc for disc in self.all if disc.half == half]

    def view(self, at: np.ndarray) -> np.ndarray:
        return np.asarray(at, dtype=float) @ self.turn.T

    def lines(self, lines: list[Line], role: str, **more: Any) -> Iterator[Path]:
        """Lines in front of the limb, and on both maps: one mark."""
        pieces = [
            disc.put(piece) for line in lines for half, piece in halves(self.view(line)) for disc in self.discs(half)
        ]
        if pieces:
            yield Path(role=role, at=broken(pieces), **more)

    def behind(self, lines: list[Line]) -> Iterator[Path]:
        pieces = [BEHIND.put(piece) for line in lines for half, piece in halves(self.view(line)) if half < 0]
        if pieces:
            yield Path(role="behind", at=broken(pieces))

    def far(self, mark: Mark) -> Iterator[Mark]:
        """What shines through from the far side."""
        match mark:
            case Points(role="ground" | "narrowest"):
                return
            case Points():
                view = self.view(mark.at)
                back = view[:, 2] < 0
                each = None if mark.each is None else mark.each[back]
                if back.any():
                    yield Points(role="behind", at=BEHIND.put(view[back]), each=each)
            case Path():
                yield from (dataclasses.replace(line, of=mark.of) for line in self.behind(unbroken(mark.at)))

    def front(self, mark: Mark) -> Iterator[Mark]:
        match mark:
            case Points(role="ground"):
                return
            case Points(role="narrowest"):
                yield from self.word(mark)
            case Points(role="word"):
                view = self.view(mark.at)
                for disc in self.all:
                    if (part := points(mark, view, disc)) is not None:
                        yield dataclasses.replace(part, at=part.at - [0, 0.075])
            case Points():
                view = self.view(mark.at)
                yield from (part for disc in self.all if (part := points(mark, view, disc)) is not None)
            case Arrows():
                yield from (part for disc in self.all if (part := self.arrows(mark, disc)) is not None)
            case Path():
                yield from self.lines(
                    unbroken(mark.at), role=mark.role, of=mark.of, name="" if mark.role == "narrowest" else mark.name
                )

    def word(self, mark: Points) -> Iterator[Points]:
        """A word beside what it says: on the sphere where it is in front, else on the far map."""
        view = self.view(mark.at)
        disc = SPHERE_DISC if view[0, 2] >= 0 else MAPS[1]
        if disc not in self.all:
            return  # it is on the far side
        yield Points(role="word", at=disc.put(view) + [0, 0.07], words=mark.words)

    def arrows(self, mark: Arrows, disc: Disc) -> Arrows | None:
        view, along = self.view(mark.at), self.view(mark.along)
        mine = view[:, 2] * disc.half >= 0
        if not mine.any():
            return None
        size = np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
        ahead = disc.put(view + 1e-3 * along / size)
        start = disc.put(view)
        return Arrows(
            role=mark.role, name=mark.name if disc is SPHERE_DISC else "", of=mark.of, at=start[mine],
            along=(ahead - start)[mine], value=mark.size[mine],
        )  # fmt: skip

    def washes(self, zones: Zones) -> Iterator[Area]:
        """Zones filled, and in grey what no class clears: a number above zero inside both the zone and the disc."""
        for disc in self.all:
            line, view, inside = disc.grid()
            gap = between(zones.gap, view @ self.turn)
            for k, value in [(None, -gap.max(0)), *enumerate(gap)]:
                value = np.minimum(value, inside / 2)
                if value.max() > 0:
                    x, y = (disc.radius * line + at for at in disc.centre)
                    yield Area(
                        role="strip" if k is None else "wash", of=k, x=x, y=y, value=value.reshape(len(line), -1)
                    )

    def ground(self, mark: Points) -> Iterator[Area]:
        """A magnitude all over the sphere."""
        for disc in self.all:
            line, view, inside = disc.grid()
            value = np.where(inside >= -0.005, between(mark.value[None], view @ self.turn)[0], np.nan)
            x, y = (disc.radius * line + at for at in disc.centre)
            name = mark.name if disc is SPHERE_DISC else ""
            yield Area(role="ground", name=name, x=x, y=y, value=value.reshape(len(line), -1))


def points(mark: Points, view: np.ndarray, disc: Disc) -> Points | None:
    mine = view[:, 2] * disc.half >= 0 if disc.half > 0 else view[:, 2] < 0
    if not mine.any():
        return None
    return dataclasses.replace(
        mark,
        name=mark.name if disc is SPHERE_DISC else "",
        at=disc.put(view[mine]),
        each=None if mark.each is None else mark.each[mine],
        value=None if mark.value is None else mark.value[mine],
        words=tuple(word for word, here in zip(mark.words, mine, strict=False) if here),
    )


def halves(view: Line) -> Iterator[tuple[int, Line]]:
    """Pieces of a line [n 3] as it is seen: 1 in front of the limb, −1 behind it, cut exactly there."""
    half = np.where(view[:, 2] >= 0, 1, -1)
    changes = np.flatnonzero(half[1:] != half[:-1]) + 1
    start = None
    for piece, sign in zip(np.split(view, changes), [half[0], *half[changes]], strict=True):
        head = piece if start is None else np.concatenate([start[None], piece])
        at = changes[0] if len(changes) else None
        if at is None:
            yield int(sign), head
            return
        a, b = view[at - 1], view[at]
        limb = a + a[2] / (a[2] - b[2]) * (b - a)
        limb = np.array([*limb[:2] / np.linalg.norm(limb[:2]), 0])
        yield int(sign), np.concatenate([head, limb[None]])
        start, changes = limb, changes[1:]


def outlines(zones: Zones) -> Iterator[tuple[int, list[Line]]]:
    """The edge of each class's zone."""
    place = zones.at if zones.at is not None else octahedron(math.isqrt(zones.gap.shape[1]) - 1).numpy()
    for k, gap in enumerate(zones.gap):
        yield k, contours(gap, place)


def boundaries(prototypes: Points) -> Iterator[Line]:
    """Where another class is nearest, whatever the margin. Each line once: as the first of its two classes has it."""
    place = octahedron(FINE).double().numpy()
    cosine = best(prototypes, place)
    for k in range(len(cosine) - 1):
        lead = cosine[k] - np.delete(cosine, k, 0).max(0)
        for line in contours(lead, place):
            others = np.delete(best(prototypes, line), k, 0).argmax(0)
            mine = others >= k  # the runner-up comes after this class
            for piece in np.split(np.arange(len(line)), np.flatnonzero(mine[1:] != mine[:-1]) + 1):
                if mine[piece[0]] and len(piece) > 1:
                    yield line[piece]


def best(prototypes: Points, place: np.ndarray) -> np.ndarray:
    """The cosine of each class's nearest prototype at directions [v k], [C v]."""
    cosine = prototypes.at @ place.T
    return np.stack([cosine[prototypes.each == k].max(0) for k in np.unique(prototypes.each)])


def graticule() -> list[Line]:
    turn = np.linspace(0, 2 * math.pi, 121)
    level = [math.radians(deg) for deg in (-60, -30, 0, 30, 60)]
    round_it = [
        np.stack([np.cos(a) * np.cos(turn), np.cos(a) * np.sin(turn), np.full_like(turn, np.sin(a))], 1) for a in level
    ]
    up = turn[:61] - math.pi / 2
    up = up[up <= math.pi / 2 + 1e-9]
    from_pole = [
        np.stack([np.cos(up) * math.cos(a), np.cos(up) * math.sin(a), np.sin(up)], 1)
        for a in np.arange(12) * math.pi / 6
    ]
    return round_it + from_pole


def rims(discs: tuple[Disc, ...]) -> Iterator[Path]:
    turn = np.linspace(0, 2 * math.pi, 181)
    ring = np.stack([np.cos(turn), np.sin(turn)], 1)
    yield Path(role="rim", at=broken([disc.radius * ring + disc.centre for disc in discs]))


def captions() -> Iterator[Points]:
    under = [(disc.centre[0], disc.centre[1] - MAP - 0.06) for disc in MAPS]
    yield Points(role="caption", at=np.array(under), words=("near half, equal area", "far half, from behind"))


# -- the circle ----------------------------------------------------------------------------------------------


def around(scene: Scene) -> Iterator[Mark]:
    zones = [mark for mark in scene.marks if isinstance(mark, Zones)]
    first = next((mark for mark in zones if mark.role == "zone"), None)
    prototypes = next(mark for mark in scene.marks if mark.role == "prototype")
    if first is not None:
        line = np.linspace(-1.02, 1.02, 2 * CELLS + 1)
        x, y = (each.ravel() for each in np.meshgrid(line, line))
        gap, inside = between(first.gap, np.stack([x, y], 1)), 1 - np.hypot(x, y)
        for k, value in [(None, -gap.max(0)), *enumerate(gap)]:
            value = np.minimum(value, inside / 2).reshape(len(line), -1)
            if value.max() > 0:
                yield Area(role="strip" if k is None else "wash", of=k, x=line, y=line, value=value)
    yield Path(role="rule", at=broken([np.stack([0 * edge, edge]) for edge in rays(prototypes)]))
    for mark in zones:
        role, out = (
            ("arc", RING)
            if mark is first
            else ("second", 0.91)
            if mark.role == "zone"
            else (mark.role, FAINT[(mark.of or 0) % len(FAINT)])
        )
        for k, gap in enumerate(mark.gap):
            pieces = [out * bow(a, b) for a, b in arcs(gap)]
            if pieces:
                yield Path(role=role, of=k, at=broken(pieces))
    yield Path(role="rim", at=bow(0, 2 * math.pi))
    for at, k in zip(prototypes.at, prototypes.each, strict=True):
        yield Path(role="spoke", of=int(k), at=np.stack([0 * at, 0.7 * at]))
    for mark in scene.marks:
        if mark is not prototypes:
            yield from on_circle(mark)
    for badge in badges(prototypes, scene):
        yield from on_circle(badge)


def badges(prototypes: Points, scene: Scene) -> Iterator[Points]:
    """Prototypes with the names of their classes, and what else is written at them below."""
    names = tuple(scene.names[k] for k in prototypes.each)
    yield dataclasses.replace(prototypes, words=names)
    if prototypes.words != names:
        yield Points(role="word", at=prototypes.at, words=tuple(word.split(" · ")[-1] for word in prototypes.words))


def rays(prototypes: Points) -> Iterator[np.ndarray]:
    place = circle(1440).double().numpy()
    winner = best(prototypes, place).argmax(0)
    for i in np.flatnonzero(winner != np.roll(winner, -1)):
        edge = place[i] + place[(i + 1) % len(place)]
        yield edge / np.linalg.norm(edge)


def bow(start: float, end: float) -> np.ndarray:
    turn = np.linspace(start, end, max(2, int((end - start) * 60)))
    return np.stack([np.cos(turn), np.sin(turn)], 1)


def on_circle(mark: Mark) -> Iterator[Mark]:
    match mark:
        case Points(role="prototype"):
            yield dataclasses.replace(mark, at=0.76 * mark.at)
        case Points(role="word"):
            yield dataclasses.replace(mark, at=0.62 * mark.at)
        case Points(role="narrowest"):
            yield Points(role="word", at=WORD * mark.at, words=mark.words)
        case Points(role="ground"):
            high = np.sqrt(np.clip(mark.value / (np.quantile(mark.value, 0.98) or 1), 0, 1))
            yield Path(role="flow", name=mark.name, at=mark.at * (1.04 + 0.35 * high)[:, None])
        case Points():
            out = (
                1.03 + 0.16 * (np.arange(len(mark.at)) * GOLDEN % 1) if mark.role == "sample" else np.ones(len(mark.at))
            )
            yield dataclasses.replace(mark, at=mark.at * out[:, None])
        case Path():
            inside = mark.role == "narrowest"
            yield dataclasses.replace(mark, at=(INSIDE if inside else 1.0) * mark.at, name="" if inside else mark.name)
        case Arrows():
            yield dataclasses.replace(mark, at=INSIDE * mark.at)


# -- both ----------------------------------------------------------------------------------------------------


def legend(scene: Scene, y: float) -> Iterator[Mark]:
    """Which outline is whose, where there are several."""
    zones = [mark for mark in scene.marks if isinstance(mark, Zones)]
    if len(zones) < 2:
        return
    draws = [mark for mark in zones if mark.role == "breath"]
    rows = [("plain" if mark is zones[0] else "second", mark.name) for mark in zones if mark.role == "zone"]
    rows += [("length", mark.name) for mark in zones if mark.role == "length"]
    rows += [("breath", f"{len(draws)} draws")] if draws else []
    wide = 3.1 / max(len(rows), 3)
    for i, (role, name) in enumerate(rows):
        x = -1.0 + i * wide
        yield Path(role=role, at=np.array([[x, y], [x + 0.12, y]]))
        yield Points(role="remark", at=np.array([[x + 0.15, y]]), words=(name,))


def broken(pieces: list[np.ndarray]) -> np.ndarray:
    """Lines as one, NaN between them."""
    gap = np.full((1, pieces[0].shape[1]), np.nan) if pieces else np.zeros((0, 2))
    return np.concatenate([part for piece in pieces for part in (piece, gap)]) if pieces else gap


def unbroken(at: np.ndarray) -> list[np.ndarray]:
    """A line that NaN breaks, as its pieces."""
    bad = np.isnan(at).any(1)
    pieces = np.split(at, np.flatnonzero(bad))
    return [part for piece in pieces if len(part := piece[~np.isnan(piece).any(1)]) > 1]
