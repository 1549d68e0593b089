"""Training on all rows at once, by L-BFGS."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hashbench.learning.deep import DeepMethod

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


class FullBatchMethod(DeepMethod):
    """Base class of a method whose epoch is one call of L-BFGS over all rows, restarted each time.

    torch's L-BFGS is modelled on minFunc, which authors of MATLAB code use. It gets minFunc's settings.

    Parameters
    ----------
    lbfgs_steps : int
        L-BFGS iterations per epoch.
    """

    batch_size: ClassVar[int] = sys.maxsize  # type: ignore[misc]
    lr: ClassVar[float] = 1.0  # type: ignore[misc]
    precision: ClassVar[str] = "32-true"  # type: ignore[misc,assignment]

    lbfgs_steps: int = 40

    def optimizers(self, network: nn.Module) -> Optimizer:
        """Return L-BFGS."""
        from torch.optim import LBFGS

        return LBFGS(
            network.parameters(),
            max_iter=self.lbfgs_steps,
            max_eval=1000,
            tolerance_grad=1e-5,
            tolerance_change=1e-9,
            history_size=100,
            line_search_fn="strong_wolfe",
        )

    def step(self, trainer: Any, batch: Any) -> dict[str, Tensor]:
        """Minimise the loss of all rows; return its terms at the end."""
        import torch

        optimizer = trainer.optimizers[0]

        def evaluate() -> Tensor:
            optimizer.zero_grad()
            loss = self.loss(trainer.forward(batch), batch)["loss"]
            trainer.fabric.backward(loss)
            return loss

        optimizer.step(evaluate)
        optimizer.state.clear()
        with torch.no_grad():
            return self.loss(trainer.forward(batch), batch)

    def limits(self, n_items: int, device: str, devices: int) -> list[tuple[str, bool, str]]:
        """Return the parameters' ranges; a batch is all rows, whatever their number."""
        limits = [limit for limit in super().limits(n_items, device, devices) if limit[0] != "batch_size"]
        return [*limits, ("lbfgs_steps", self.lbfgs_steps >= 1, "at least 1")]


def all_features(trainer: Any) -> Tensor:
    """Return all training rows as training sees them, (n, n_features)."""
    (features,) = trainer.data.inputs(np.arange(trainer.data.n_items)[None])
    return features
