"""Which classes are near to each other: the angle between the prototypes of every two."""

import numpy as np

from losslab.scene import CHART, Area, Axis, Scene

from .true_angles import TrueAngles, farthest_deg

MOST = 120  # classes in one picture
MOST_NAMED = 40  # whose names are written beside it


class AnglesMatrix(TrueAngles):
    """Each pair of classes a cell; of many classes those that have the nearest rivals."""

    card = (
        "The true angle between the prototypes of every two classes: dark cells are classes that are easily confused."
    )

    def scene(self) -> Scene:
        moment, deg = self.moment, self.between_deg
        nearest = np.nanmin(deg, 1)
        shown = np.sort(np.argsort(nearest, kind="stable")[:MOST])
        place = np.arange(len(shown))
        every = -(-len(shown) // MOST_NAMED)
        axis = {
            "ticks": tuple(float(k) for k in place[::every]),
            "words": tuple(self.classes[k] for k in shown[::every]),
        }
        end = len(shown) - 0.5
        return Scene(
            title=f"Angles between prototypes at step {moment.step}",
            says=self.says(deg),
            space=CHART,
            marks=(Area(role="cells", name="angle (°)", x=place, y=place, value=deg[np.ix_(shown, shown)]),),
            x=Axis("Class", "", -0.5, end, **axis),
            y=Axis("Class", "", end, -0.5, **axis),  # from the top down, as tables are read
            names=self.classes,
            by_class=True,
            square=True,
            notes=tuple(self.left_out(len(shown), len(deg))),
        )

    def says(self, deg: np.ndarray) -> str:
        a, b = divmod(int(np.nanargmin(deg)), len(deg))
        pairs = deg[np.triu_indices(len(deg), 1)]
        return (
            f"{self.classes[a]} and {self.classes[b]} are nearest to each other, {deg[a, b]:.1f}° apart; "
            f"the median pair is {np.median(pairs):.1f}° apart, and {len(deg)} cannot all be farther from each other "
            f"than {farthest_deg(len(deg)):.1f}°."
        )

    def left_out(self, shown: int, count: int) -> list[str]:
        if shown == count:
            return []
        return [f"Of {count} classes these are the {shown} that have the nearest rivals."]
