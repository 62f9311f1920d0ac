"""Optimisers and learning-rate schedules by name, and when to stop."""

import torch
from torch.optim import lr_scheduler

from cortexnet.recipe import Recipe

LOWEST_RATE = 1e-5


class Lion(torch.optim.Optimizer):
    """Sign of an interpolated momentum, with decoupled weight decay.

    Parameters
    ----------
    params : iterable
        As of any torch optimiser.
    lr : float
    betas : (float, float)
        Weight of the momentum in the direction of a step, and its own decay.
    weight_decay : float

    References
    ----------
    Chen et al. (2023), Symbolic discovery of optimization algorithms, NeurIPS, algorithm 2.
    """

    def __init__(self, params, lr=2e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        """Move the parameters once; returns the closure's loss, if there is a closure."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, (beta1, beta2) = group["lr"], group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                momentum = state["momentum"]
                direction = torch.lerp(p.grad, momentum, beta1).sign_()
                p.mul_(1 - lr * group["weight_decay"]).sub_(direction, alpha=lr)
                momentum.lerp_(p.grad, 1 - beta2)
        return loss


def make_optimizer(parameters, recipe: Recipe) -> torch.optim.Optimizer:
    """Optimiser of a recipe over the parameters that require gradients."""
    moved = [p for p in parameters if p.requires_grad]
    common = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    kinds = {
        "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "fused": True}),
        "adam": (torch.optim.Adam, {"fused": True}),
        "adamw": (torch.optim.AdamW, {"fused": True}),
        "rmsprop": (torch.optim.RMSprop, {}),
        "lion": (Lion, {}),
    }
    kind, options = kinds[recipe.optimizer]
    return kind(moved, **common, **options)


def make_schedule(optimizer, recipe: Recipe, steps: int):
    """Schedule of a recipe, or None for a constant rate.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    recipe : Recipe
    steps : int
        In an epoch.

    Returns
    -------
    schedule : scheduler or None
        To be advanced every step; a `ReduceLROnPlateau` every epoch, with the validation loss.
    """
    total = recipe.epochs * steps
    if recipe.schedule == "one_cycle":
        return lr_scheduler.OneCycleLR(
            optimizer,
            recipe.learning_rate,
            total_steps=total,
            pct_start=0.15,
            # Momentum is moved against the rate for Adam alone; the others keep what they name.
            cycle_momentum=recipe.optimizer in ("adam", "adamw"),
        )
    if recipe.schedule == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, total)
    if recipe.schedule == "plateau":
        return lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.2, patience=5)
    return None


class EarlyStop:
    """Stops after `patience` epochs whose loss is not lower than the best by more than `min_delta`.

    Attributes
    ----------
    best : float
        Lowest loss that counted as better.
    waited : int
        Epochs since.
    """

    def __init__(self, patience: int, min_delta: float = 0.0):
        self.patience, self.min_delta = patience, min_delta
        self.best, self.waited = float("inf"), 0

    def update(self, loss: float) -> bool:
        """Take the loss of an epoch; true if training should end."""
        if loss < self.best - self.min_delta:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        return self.waited >= self.patience
