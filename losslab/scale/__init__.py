"""Training at full scale: one recipe, one process or many, millions of classes, days that may be interrupted.

    torchrun --nproc-per-node 8 -m losslab scale casia-r50-arcface --out runs/arcface
    torchrun --nproc-per-node 6 -m losslab scale --out runs/arcface --resume

A recipe (`recipe`) decides every number. How it is run decides none: which step sees which images follows from the seed
(`loader`), what is random in a step from the seed and the step (`engine`), means and batch statistics are those of all
processes together (`norms`), and what is saved is saved as a whole whoever held its parts (`checkpoint`). So a training
that was stopped, and goes on elsewhere, ends as one that was not: with the same bits on as many processes of the same
kind, else but for the order in which floating-point numbers are summed. Three things of a recipe bind it to a number of
processes: `statistics = "own"`, a `sample_rate` below 1, and a network with dropout.

A loss whose knobs follow a schedule counts calls of its head: `parts` of them a step.
"""

from .recipe import ScaleRecipe, changed, read, recipes

__all__ = ["ScaleRecipe", "changed", "read", "recipes"]
