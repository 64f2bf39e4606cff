"""What is compared: numbers of looks, kinds of masks, and the released semantics."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mstar.hooks.interventions import random_masks
from mstar.model.modeling import MstarModel

#: σ of an arm -> σ of the configuration. `random` has the watershed's area at random places.
SIGMAS = {"empty": "none", "random": "watershed", "threshold": "threshold",
          "watershed": "watershed", "released": "released"}  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """One way to train the PVE phase.

    Attributes:
        looks: T.
        sigma: one of `SIGMAS`; of no meaning for T = 0.
        semantics: `paper`, or `released` (its word model).
        side: images along a side of a mosaic: 2 for a grid twice as fine, as on smaller ones the
            released masks are almost always empty.
        copies: of each of the parent's queries. With one look and two copies there are as many
            embeddings as two looks make: what more of them are worth by themselves.
    """

    looks: int
    sigma: str = "empty"
    semantics: str = "paper"
    side: int = 1
    copies: int = 1

    @property
    def name(self) -> str:
        """Unique, and fit for a file name."""
        mask = f"-{self.sigma}" if self.looks else ""
        copies = f"-x{self.copies}" if self.copies > 1 else ""
        mosaic = "-mosaic" if self.side > 1 else ""
        return f"{self.semantics}{mosaic}-T{self.looks}{mask}{copies}"

    @property
    def control(self) -> "Arm":
        """The arm that trains as long on the same images, with one look of the parent's queries."""
        return Arm(0, semantics=self.semantics, side=self.side)

    @property
    def overrides(self) -> dict[str, Any]:
        """Of the configuration. Words alone are trained and asked for, so there is one branch."""
        changed = {"sigma": SIGMAS[self.sigma], "pve_steps": self.looks, "multi_word_branch": False}
        if self.semantics == "released":
            changed["recycled_temperature"] = True  # as its word model does (official.md 9)
            changed["learn_temperature"] = False
        return changed

    def queries(self, parents: Tensor, scale: float, seed: int) -> Tensor:
        """The parent's queries [1, Q, d] -> [1, copies · Q, d], copies a little apart.

        Args:
            scale: standard deviation with which queries are drawn; copies have a quarter of it.
        """
        generator = torch.Generator().manual_seed(seed)
        noise = [torch.randn(parents.shape, generator=generator) for _ in range(self.copies - 1)]
        return torch.cat([parents, *(parents + scale / 4 * apart for apart in noise)], dim=1)

    @property
    def assigned_weight(self) -> float:
        """Of the loss on assigned embeddings, which would undo the released stop-gradients."""
        return 0.0 if self.semantics == "released" else 1.0

    @property
    def galleries(self) -> tuple[str, ...]:
        """What judges it; a mosaic of four crowded images would hold thirty words."""
        return ("easy", "crowd") if self.side == 1 else ("easy",)

    def masks(self, model: MstarModel, seed: int) -> AbstractContextManager[Any]:
        """In training and in evaluation: masks at random places where the arm has them."""
        drawn = self.sigma == "random" and self.looks
        return model.hooks(random_masks(seed)) if drawn else nullcontext()


CONTROL = Arm(0)
DOUBLED = Arm(0, copies=2)
GRID = tuple(
    Arm(looks, sigma)
    for looks in (1, 2, 3)
    for sigma in ("empty", "random", "threshold", "watershed")
)
#: On mosaics, the paper's own masks beside the released ones.
MOSAICS = (
    Arm(0, side=2),
    Arm(1, "empty", side=2),
    Arm(1, "watershed", side=2),
    Arm(0, semantics="released", side=2),
    Arm(1, "empty", "released", side=2),
    Arm(1, "released", "released", side=2),
)
ARMS = (CONTROL, DOUBLED, *GRID, *MOSAICS)
