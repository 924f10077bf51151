"""Write docs/losses/: a page and a picture for each loss, and the table of them all, from what the losses say.

    python -m scripts.write_docs

Run it after a change to a loss; a test holds what is written against what would be.
"""

from pathlib import Path

from losslab import library, losses
from losslab.losses import FAMILIES, Loss

FOLDER = Path(__file__).parent.parent / "docs" / "losses"

WORDS = """
x is an embedding and θ_j the angle from it to the prototype w_j of class j; y is its own class, s the scale, m the
margin, λ a weight. Unless a page says otherwise the formula is what stands for the own class in a softmax over all
classes, in which every other class has s·cos θ_j:
"""

SOFTMAX = r"""-\log\frac{e^{\,\text{own}}}{e^{\,\text{own}}+\sum_{j\ne y}e^{\,s\cos\theta_j}}"""

LEFT_OUT = """
## What is left out, and why

- **The bias of softmax.** A class that wins by its bias has no direction to draw; see [Softmax](Softmax.md).
- **Sampled classes** (Partial FC, and UniFace's sampled negatives). They change which classes a head looks at, not a
  loss: they belong to the head that divides classes over processes.
- **KappaFace's memory of every image.** It averages each image's embedding and then sums them by class. The sum of
  averages is the average of sums, so the class sums that [KappaFace](KappaFace.md) keeps give the same concentrations
  with C·d numbers in place of N·d. The released code normalises each image's average again, which no sum can follow.
- **KappaFace's momentum encoder.** A second network that follows the first is a matter of the training loop. The loss
  works from the embeddings that it is given.
- **The backward pass of SphereFace's first code,** which divides the parts of the gradient for embedding and prototype
  by their joint length. It is the derivative of nothing; `gradient="detached"` has the convention of the authors' later
  code.
- **ArcFace's intra and triplet terms** need no classes of their own: they are
  [`IntraLoss(base=NormFace(), variant="angle", weight=1)`](IntraLoss.md) and
  [`Triplet(distance="angle", margin=0.35)`](Triplet.md).
- **SphereFace2's variants A and M,** with their margins on the angle. [SphereFace2](SphereFace2.md) is variant C, with
  the margin on the cosine.
- **AdaptiveFace,** whose margins are learned, one a class: the paper was not to be had, only a port of it.
- **`beyond` for [QAMFace](QAMFace.md) and [Li-ArcFace](LiArcFace.md).** They add a margin to the angle but take no
  cosine of the sum: their curves go on falling past 180°, so there is nothing to settle.
- **Losses that share a name with Margin Loss:** the margin loss of capsule networks, that of distance-weighted
  sampling, Minimum Margin Loss and Marginal Loss are others than [this one](MarginLoss.md).
- **Slips of released codes,** such as margins looked up by the label within one process, prototypes looked up in a
  sampled list by the label within all, or statistics of a network that never reach its copy. Where a slip decides what
  the paper's numbers mean it is a switch, as ElasticFace's `pairing="as_released"`; else the formula stands.

To add one of your own: [Write your own loss in one file](../write_your_own.md).
"""


def overview() -> str:
    """The table of all losses by family, and what is not among them."""
    parts = [
        "# The losses",
        f"{len(losses.catalogue())} losses, one file each. "
        "Every page here is written from the loss itself by `python -m scripts.write_docs`.",
        WORDS.strip(),
        f"```math\n{SOFTMAX}\n```",
    ]
    for family in FAMILIES:
        parts += [
            f"## {family}",
            "\n".join(
                ["| loss | year | formula | what it does to the sphere |", "| --- | --- | --- | --- |"]
                + [row(kind) for kind in losses.catalogue().values() if kind.card.family == family]
            ),
        ]
    return "\n\n".join(parts) + "\n" + LEFT_OUT


def row(kind: type[Loss]) -> str:
    card = kind.card
    formula = card.formula.replace("|", r"\vert ")  # a bar would end the cell
    name = f"[{card.title}]({kind.__name__}.md)<br>{library.paper(kind)}"
    return f"| {name} | {card.year} | $`{formula}`$ | {library.prose(card.geometry)} |"


def files() -> dict[str, str]:
    """Everything that docs/losses/ holds, by name."""
    made = {"README.md": overview()}
    for name, kind in losses.catalogue().items():
        made |= {f"{name}.md": library.page(kind), f"{name}.svg": library.curve(kind)}
    return made


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = files()
    for old in FOLDER.iterdir():
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")
    print(f"{len(made)} files in {FOLDER}")


if __name__ == "__main__":
    main()
