"""How the panels of several losses stand on a page."""

from typing import Any

from losslab.scene import Scene

ACROSS = 4  # panels beside one another at the width of a page


def by_loss(each: list[tuple[Scene, ...]], names: tuple[str, ...]) -> dict[str, Any]:
    """Panels, columns and heads of a plate: a column for each loss, with its scenes below one another. Where that would
    be too wide, or all fit into one row, the scenes of a loss stand beside one another instead, in even rows."""
    kinds = len(each[0])
    if len(each) > ACROSS or len(each) * kinds <= ACROSS:
        rows = -(-len(each) // (ACROSS // kinds))
        columns = -(-len(each) // rows) * kinds
        order = [(i, kind) for i in range(len(each)) for kind in range(kinds)]
    else:
        columns = len(each)
        order = [(i, kind) for kind in range(kinds) for i in range(len(each))]
    heads = short(names)
    return {
        "panels": tuple(each[i][kind] for i, kind in order),
        "heads": tuple(heads[i] for i, _ in order),
        "columns": columns,
    }


def short(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of losses as heads: without what a term is added to, where they can still be told apart."""
    cut = tuple(name.split(" around ")[0] for name in names)
    return cut if len(set(cut)) == len(cut) else names


def noted(each: list[tuple[Scene, ...]], names: tuple[str, ...]) -> tuple[str, ...]:
    """What a reader must know of the scenes of each loss, once and with its name."""
    said = (
        f"{name}: {note}" for name, scenes in zip(names, each, strict=True) for scene in scenes for note in scene.notes
    )
    return tuple(dict.fromkeys(said))
