"""CroVCA with labels: the code of an item's class in its batch is what each of its views' is to be."""

from __future__ import annotations

import math

from hashbench.contract.search_space import log_range
from hashbench.learning.view_pairs import ViewPairMethod


class CroVCASupervised(ViewPairMethod):
    """Cross-view code alignment with labels: a perceptron learns to give the items of a class one code.

    Source: Moummad, Zaher, Goëau and Joly, Image hashing via cross-view code alignment in the age of foundation models,
    CVPR workshops 2026 (arXiv 2510.27584), and the authors' code with ``--supervised``. Network, views and coding rate
    are those of `crovca`. What a view's log-odds are to be is not the other view's bits but those of the batch: the
    mean log-odds of each label over its items and both views, then their mean over an item's labels, cut at 0. An item
    without a label is to have no bit set, as there.

    Where it differs from the authors' code: as `crovca` does.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    hidden : int or None
        Width of the hidden layer; None is the number of features.
    rate_weight : float
        Weight of the coding rate.
    eps : float
        The coding rate's ε, the squared error that it allows.
    min_lr : float
        Where the learning rate ends.
    batch_size : int
        Images per step; each contributes two views. Batches that are not full are left out.
    epochs : int or None
        Passes over the training set; None is as many as it takes for 975 steps.
    lr, weight_decay : float
        AdamW's learning rate at the start, and weight decay.
    select, n_views, views_seed, finetune, precision
        See `hashbench.learning.view_pairs.ViewPairMethod`.
    random_state : int or None
        Seed of initial weights, batches and view choice.

    Attributes
    ----------
    weights1_, bias1_, weights2_, bias2_ : ndarray, float32
        The two layers; the second holds the batch normalisation, with its running statistics.

    Fidelity
    --------
    Compared with the authors' formulas on the same outputs, for classes and for several labels an item: losses equal
    within 3e-7, and so are gradients. Its training was not compared beyond what `crovca` says.
    """

    paper = "Moummad et al., CVPR workshops 2026 (arXiv 2510.27584)"
    supervision = "supervised"
    default_steps = 975
    full_batches = True

    hidden: int | None = None
    rate_weight: float = 0.1
    eps: float = 0.05
    min_lr: float = 1e-6
    batch_size: int = 256
    lr: float = 1e-3
    weight_decay: float = 0.01

    search = {
        "lr": log_range(3e-5, 3e-2),
        "weight_decay": log_range(1e-4, 1e-1),
        "rate_weight": log_range(0.01, 1.0),
        "eps": log_range(0.005, 0.5),
        "hidden": [None, 512, 2048],
        "batch_size": [64, 128, 256],
    }

    def network(self, n_features):
        """Return a perceptron that ends in batch normalisation of each view apart."""
        from hashbench.learning.labelled.coding_rate import ViewCoder

        return ViewCoder(n_features, self.hidden or n_features, self.n_bits)

    def encoder(self, network):
        """Return the perceptron."""
        return network.coder

    def loss(self, outputs, batch):
        """Return the cross entropy of views with their labels' bits, minus the weighted coding rate."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        from hashbench.learning.labelled.coding_rate import coding_rate
        from hashbench.learning.labelled.pairs import marks

        one, other = outputs.chunk(2)
        labels = marks(batch.labels, self.n_classes_)
        items, counts = labels.sum(dim=0).clamp(min=1), labels.sum(dim=1, keepdim=True).clamp(min=1)
        means = labels.T @ (one + other).detach() / (2 * items[:, None])
        bits = (labels @ means / counts > 0).float()
        alignment = binary_cross_entropy_with_logits(outputs, bits.repeat(2, 1))
        rate = (coding_rate(one, self.eps) + coding_rate(other, self.eps)) / 2
        return {"loss": alignment - self.rate_weight * rate, "alignment": alignment, "coding_rate": rate}

    def optimizers(self, network):
        """Return AdamW."""
        from torch.optim import AdamW

        return AdamW(network.parameters(), lr=self.lr, weight_decay=self.weight_decay, fused=True)

    def start_epoch(self, trainer, epoch):
        """Let the rate fall to ``min_lr`` along half a cosine."""
        low, cosine = self.min_lr / self.lr, math.cos(math.pi * (epoch - 1) / trainer.epochs)
        trainer.scale_rates(low + (1 - low) * (1 + cosine) / 2)

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [
            *super().limits(n_items, device, devices),
            ("hidden", self.hidden is None or self.hidden >= 1, "at least 1"),
            ("rate_weight", self.rate_weight >= 0, "at least 0"),
            ("eps", self.eps > 0, "above 0"),
            ("min_lr", 0 <= self.min_lr <= self.lr, "0 to lr"),
        ]
