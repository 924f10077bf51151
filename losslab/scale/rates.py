"""The step size of each step: it warms up, then falls by the schedule of the recipe."""

import math

from .recipe import ScaleRecipe


def rate(recipe: ScaleRecipe, step: int, per_epoch: int) -> float:
    """The step size of training step `step` (the first is 1), of an epoch of `per_epoch` steps."""
    total, done = recipe.epochs * per_epoch, step - 1
    warm = round(recipe.warm_up * per_epoch)
    if step <= warm:
        return recipe.rate * step / warm
    if recipe.schedule == "step":
        return recipe.rate * recipe.factor ** sum(done >= drop * per_epoch for drop in recipe.drops)
    gone = (done - warm) / (total - warm)  # share of what follows the warm-up
    if recipe.schedule == "cosine":
        return recipe.rate * (1 + math.cos(math.pi * gone)) / 2
    return recipe.rate * (1 - gone) ** recipe.power
