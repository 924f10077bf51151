"""The caption of a figure: what is seen, the finding, and everything that a reader needs to make it again, in words."""

from losslab import __version__, data, losses
from losslab.figures import Figure, said, trained
from losslab.losses import Loss
from losslab.losses.code import parts
from losslab.scene import Plate
from losslab.schedules import Schedule
from losslab.training import Recipe, Run
from losslab.views.base import listed


def caption(figure: Figure, plate: Plate, runs: tuple[Run, ...]) -> str:
    """What is seen, the finding, the losses with their knobs, what was trained and how, and the version. Plain text:
    `render.paper.pgf.latex` makes it ready for a \\caption."""
    card = said.kind_of(figure).card
    notes = [note for note in plate.notes if note not in plate.says]
    made = f"Made with losslab {__version__}."
    return " ".join([card, plate.says, *notes, of_losses(figure.losses), *of_runs(runs), made])


def of_losses(shown: tuple[Loss, ...]) -> str:
    return f"{'Losses' if len(shown) > 1 else 'Loss'}: {'; '.join(map(worded, shown))}."


def worded(loss: Loss) -> str:
    """ "ArcFace (s = 16, m = 0.3)": every number, and of words and switches those that are not the default."""
    flat, declared = losses.settings(loss), losses.knobs(loss)
    symbols = [knob.symbol for knob in declared.values()]
    inside = ["reconstruction"] if any(part.card.reconstruction for part in parts(loss)) else []
    for name, value in flat.items():
        own = declared[name]
        if isinstance(value, bool | str):
            if value != own.default:  # another base is in the title
                inside += [] if name.endswith("base") else [f"{name.replace('_', ' ')} {str(value).lower()}"]
            continue
        called = own.symbol if own.symbol and symbols.count(own.symbol) == 1 else name.replace("_", " ")
        inside.append(f"{called} = {value if isinstance(value, Schedule) else f'{value:g}'}")
    return losses.title(loss) + (f" ({', '.join(inside)})" if inside else "")


def of_runs(runs: tuple[Run, ...]) -> list[str]:
    """A sentence for each way in which runs were trained: one where only losses and seeds differ."""
    sentences = []
    ways = {run.path: trained_as(run) for run in runs}
    for way in dict.fromkeys(ways.values()):
        alike = [run for run in runs if ways[run.path] == way]
        seeds = sorted({run.recipe.seed for run in alike})
        named = "" if len(set(ways.values())) == 1 else f"{listed(unique([called(run) for run in alike]))}: "
        seed = f"seed{'s' if len(seeds) > 1 else ''} {listed(list(map(str, seeds)))}"
        sentences.append(f"{named}{'trained' if named else 'Trained'} on {way}, {seed}.")
    return sentences


def unique(words: list[str]) -> list[str]:
    return list(dict.fromkeys(words))


def called(run: Run) -> str:
    return losses.title(run.recipe.loss)


def trained_as(run: Run) -> str:
    """What a run was trained on and how, but for its loss and its seed."""
    recipe, default = run.recipe, Recipe()
    network = f"network {recipe.model}, {recipe.dim} dimensions"
    how = f"{recipe.epochs} epoch{'s' if recipe.epochs > 1 else ''} in batches of {recipe.batch}"
    words = [images(recipe), network, how, f"largest rate {recipe.rate:g}"]
    words += [
        f"{name.replace('_', ' ')} {getattr(recipe, name)}"
        for name in ("shift", "precision")
        if getattr(recipe, name) != getattr(default, name)
    ]
    words += [f"from step {step} on with {worded(loss)}" for step, loss in recipe.later]
    if trained.steered(run):
        words.append("knobs turned by hand on the way")
    if run.version != __version__:
        words.append(f"with losslab {run.version}")
    return ", ".join(words)


def images(recipe: Recipe) -> str:
    """Which images: "8 classes (0, 1, 2) of MNIST, up to 200 images of each"."""
    if faces := recipe.faces:
        asked = f"{faces.identities} people of the faces {faces.source} at {faces.size} pixels"
        return asked + (f", up to {faces.per_identity} images of each" if faces.per_identity else "")
    found = data.catalogue()[recipe.data]
    names = ", ".join(found.names[each] for each in recipe.classes)
    words = [f"{len(recipe.classes)} classes ({names}) of {found.title}"]
    words.append(f"up to {recipe.per_class} images of each" if recipe.per_class else "all images of each")
    if recipe.imbalance != 1:
        words.append(f"the first class with {recipe.imbalance:g} times as many as the last")
    if recipe.noise:
        words.append(f"{recipe.noise:.0%} of the labels wrong")
    return ", ".join(words)
