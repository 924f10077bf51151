"""Where words stand beside their places, so that they cover neither one another nor what is drawn. NumPy only."""

import numpy as np

AROUND = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))  # in the order in which they are tried
SPACING = 2.0  # between the places at which a line is felt
COVERED, OUTSIDE, CROSSED = 1000.0, 500.0, 1.0  # what it costs: a word, the edge of the picture, a point of a line


class Room:
    """The room of a picture, in points of the page."""

    def __init__(self, low: np.ndarray, high: np.ndarray) -> None:
        self._low, self._high = low, high  # [2] each
        self._places = [np.zeros((0, 2))]
        self._words: list[tuple[np.ndarray, np.ndarray]] = []

    def take(self, places: np.ndarray, joined: bool = False) -> None:
        """These places [n 2] are drawn at; `joined`, so is the line through them, which NaN breaks."""
        if joined and len(places) > 1:
            a, b = places[:-1], places[1:]
            steps = np.nan_to_num(np.linalg.norm(b - a, axis=1) / SPACING).astype(int) + 1
            share = np.concatenate([np.arange(count) / count for count in steps])
            places = np.repeat(a, steps, 0) + share[:, None] * np.repeat(b - a, steps, 0)
        self._places.append(places[np.isfinite(places).all(1)])

    def fill(self, low: np.ndarray, high: np.ndarray) -> None:
        """No word may stand here."""
        self._words.append((low, high))

    def place(self, at: np.ndarray, size: np.ndarray, away: float) -> np.ndarray:
        """The middle [2] of a word of that size [2] that belongs to the place `at` [2], `away` from its edge; the room
        it needs is taken."""
        taken = np.concatenate(self._places)
        best, least = at, np.inf
        for i, side in enumerate(AROUND):
            middle = at + np.array(side) * (size / 2 + away * (0.75 if all(side) else 1))
            low, high = middle - size / 2, middle + size / 2
            over = sum(bool((low < b).all() and (high > a).all()) for a, b in self._words)
            out = bool((low < self._low).any() or (high > self._high).any())
            crossed = int(((taken > low) & (taken < high)).all(1).sum())
            cost = COVERED * over + OUTSIDE * out + CROSSED * crossed + 0.1 * i
            if cost < least:
                best, least = middle, cost
        self.fill(best - size / 2, best + size / 2)
        return best
