"""IDHN: pairs of items with several labels are similar to a degree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashbench.contract.search_space import log_range
from hashbench.errors import Unsupported
from hashbench.learning.labelled.linear_layer import LinearLayerMethod

if TYPE_CHECKING:
    from torch import Tensor


class IDHN(LinearLayerMethod):
    """Improved deep hashing network: the share of common labels says how similar the codes of a pair are to be.

    Source: Zhang et al., Improved deep hashing with soft pairwise similarity for multi-label image retrieval, IEEE
    Transactions on Multimedia 2020; settings as in DeepHash-pytorch. Outputs are h = u / (|u| + 1); each is paired with
    the latest of every training row. A pair's similarity s is the cosine of its labels, t is ``alpha`` times the inner
    product of its outputs. Minimised is, in the mean, log(1 + eᵗ) − s t where labels are all the same or all different,
    ``gamma`` (t + K − 2 s K)² where some are common, plus ``penalty`` times the mean of | |h| − 1 |.

    It needs items with several labels: of single ones no pair is similar to a degree.

    Where it differs: one linear layer is trained, and the features too only where ``finetune`` is given; ``lr`` is
    DeepHash-pytorch's (1e-5) times ten. Rows not yet visited have output 0 and no common label, as there. Steps are
    kept rather than epochs: 6,000 are its 150 epochs of 5,000 rows. The last weights are kept; theirs are those that do
    best on the test queries.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    alpha : float
        What inner products are multiplied by.
    gamma : float
        Weight of pairs that have some labels in common.
    penalty : float
        Weight of what draws outputs to ±1.
    batch_size : int
        Training rows per step.
    epochs : int or None
        Passes over the training set; None is as many as it takes for 6,000 steps.
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
    Compared with DeepHash-pytorch's loss on the same outputs of items with several labels: equal within 1e-6, and so
    are gradients. Its training was not compared.
    """

    paper = "Zhang et al., IEEE Transactions on Multimedia 2020"
    default_steps = 6_000
    labels = "multilabel"

    alpha: float = 0.5
    gamma: float = 0.1
    penalty: float = 0.1
    batch_size: int = 128

    search = {
        "lr": log_range(3e-6, 3e-3),
        "alpha": log_range(0.05, 5.0),
        "gamma": log_range(0.01, 10.0),
        "penalty": log_range(1e-3, 10.0),
        "batch_size": [64, 128, 256],
    }

    def begin(self, trainer):
        """Refuse items of one label each; remember outputs of all rows."""
        from hashbench.learning.labelled.memory import OutputMemory

        if trainer.data.labels.sum(axis=1).max() < 2:
            raise Unsupported(f"{self.name} learns from several labels an item; here each has one at most")
        trainer.constants["memory"] = OutputMemory(trainer, self.n_bits)

    def loss(self, outputs, batch):
        """Return the likelihood of equal and of different pairs, the squared error of others, and the penalty."""
        import torch
        from torch.nn.functional import softplus

        memory = batch.constants["memory"]
        codes = outputs / (outputs.abs() + 1)
        memory.update(batch.rows, codes)
        similarity = label_cosines(batch.labels, memory.labels) * memory.seen
        products = self.alpha * codes @ memory.outputs.T
        likelihood = softplus(products) - similarity * products
        error = (products + self.n_bits - 2 * similarity * self.n_bits).square()
        to_a_degree = (similarity >= 0.01) & (similarity <= 0.99)
        pairs = torch.where(to_a_degree, self.gamma * error, likelihood).mean()
        penalty = (codes.abs() - 1).abs().mean()
        return {"loss": pairs + self.penalty * penalty, "pairs": pairs, "penalty": penalty}

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [
            *super().limits(n_items, device, devices),
            ("alpha", self.alpha > 0, "above 0"),
            ("gamma", self.gamma >= 0, "at least 0"),
            ("penalty", self.penalty >= 0, "at least 0"),
        ]


def label_cosines(labels: Tensor, others: Tensor) -> Tensor:
    """Return the cosines of which labels items have, (n, m); an item without a label has 0 with all."""
    labels, others = labels.float(), others.float()
    norms = labels.norm(dim=1)[:, None] * others.norm(dim=1)
    return labels @ others.T / (norms + 1e-5)
