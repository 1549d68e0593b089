"""DSH: codes of one class are drawn together, others are pushed a margin apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashbench.contract.search_space import log_range
from hashbench.learning.losses.linear_layer import LinearLayerMethod

if TYPE_CHECKING:
    from torch import Tensor


class DSH(LinearLayerMethod):
    """Deep supervised hashing: a contrastive loss on outputs that are kept near ±1.

    Source: Liu, Wang, Shan and Chen, Deep supervised hashing for fast image retrieval, CVPR 2016; pairs and settings as
    in DeepHash-pytorch. Each output u is paired with the latest output U of every training row. With the squared
    distance d, minimised is the mean of d/2 over pairs that share a label and of max(0, 2 K − d)/2 over the others, K
    the code length, plus ``penalty`` times the mean of | |u| − 1 |.

    Where it differs: the paper pairs the rows of a batch, DeepHash-pytorch all training rows; rows not yet visited have
    output 0 and count as dissimilar. One linear layer is trained, and the features too only where ``finetune`` is
    given; ``lr`` is theirs (1e-5) times ten. Steps are kept rather than epochs: 19,750 are their 250 epochs of 5,000
    rows. The last weights are kept; theirs are those that do best on the test queries.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    penalty : float
        Weight of what draws outputs to ±1.
    batch_size : int
        Training rows per step.
    epochs : int or None
        Passes over the training set; None is as many as it takes for 19,750 steps.
    lr, weight_decay : float
        Learning rate and weight decay of RMSprop.
    precision, select, views_seed, finetune
        See `hashbench.learning.supervised.SupervisedMethod`.
    random_state : int or None
        Seed of initial weights and of the rows' order.

    Attributes
    ----------
    weights1_, bias1_ : ndarray, float32
        The layer, ``X @ weights1_ + bias1_``.

    Fidelity
    --------
    Compared with DeepHash-pytorch's loss on the same outputs, for classes and for several labels an item: equal within
    1e-6, and so are gradients. On the same CIFAR-10 features, initial weights and batches, 32 bits, 2 epochs, 1 seed:
    equal loss curves, mAP@all .1983 for both (a sixth of the database).
    """

    paper = "Liu et al., CVPR 2016"
    default_steps = 19_750

    penalty: float = 0.1

    search = {
        "lr": log_range(3e-6, 3e-3),
        "weight_decay": log_range(1e-6, 1e-3),
        "penalty": log_range(1e-3, 10.0),
        "batch_size": [32, 64, 128],
    }

    def begin(self, trainer):
        """Remember outputs of all rows."""
        from hashbench.learning.losses.memory import OutputMemory

        trainer.constants["memory"] = OutputMemory(trainer, self.n_bits)

    def loss(self, outputs, batch):
        """Return the contrastive loss of pairs, plus what draws outputs to ±1."""
        memory = batch.constants["memory"]
        memory.update(batch.rows, outputs)
        pairs = contrastive(outputs, memory.outputs, memory.similar(batch.labels), 2 * self.n_bits)
        penalty = (outputs.abs() - 1).abs().mean()
        return {"loss": pairs + self.penalty * penalty, "pairs": pairs, "penalty": penalty}

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [*super().limits(n_items, device, devices), ("penalty", self.penalty >= 0, "at least 0")]


def contrastive(outputs: Tensor, others: Tensor, similar: Tensor, margin: float) -> Tensor:
    """Return the mean over pairs of d/2 for similar ones and of max(0, margin − d)/2 for others, d squared distances.

    Parameters
    ----------
    outputs, others : Tensor of shape (n, K) and (m, K)
        Only the first get a gradient.
    similar : Tensor of shape (n, m), bool
    margin : float
    """
    import torch

    squares, ends = outputs.square().sum(dim=1), others.square().sum(dim=1)
    # Once it is known which pairs are within the margin, the sum is linear in d: no gradient passes through (n, m).
    with torch.no_grad():
        near = torch.addmm(ends, outputs, others.T, alpha=-2) < (margin - squares)[:, None]
        pushed = near & ~similar
        weights = similar.to(outputs.dtype).masked_fill_(pushed, -1)
        constant = (weights @ ends).sum() + margin * pushed.sum()
        towards = weights @ others
    total = (squares * weights.sum(dim=1)).sum() - 2 * (outputs * towards).sum() + constant
    return total / (2 * similar.numel())
