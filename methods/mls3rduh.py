"""MLS3RDUH: codes whose products fit the features' cosines, corrected along the training rows' neighbour graph."""

from __future__ import annotations

import math

import psutil

from hashbench.contract.search_space import log_range
from hashbench.errors import Unsupported
from hashbench.learning.centred import CentredMethod
from hashbench.learning.manifold import BYTES_PER_PAIR, manifold_similarity, rows_that_fit


class MLS3RDUH(CentredMethod):
    """MLS3RDUH: codes whose products fit a similarity of all training rows, rebuilt along their neighbour graph.

    Source: Tu, Mao and Wei, MLS3RDUH: deep unsupervised hashing via manifold based local semantic similarity structure
    reconstructing, IJCAI 2020, and the authors' code. Before training, S in [−1, 1] is computed from the cosines of all
    pairs: neighbours of a row that are also near along the graph become similar, other neighbours dissimilar
    (`hashbench.learning.manifold.manifold_similarity`). The loss is the mean of log cosh(h_i·h_j/K − S_ij) over the
    pairs of a batch, with h the outputs of a layer after tanh. The quantisation term of the paper is computed but not
    used by the code, and is left out.

    Where it differs from the authors' code: it trains a whole VGG16 or AlexNet, this one layer on fixed features, so
    the learning rate is ten times theirs, which leaves the layer undertrained. There is no dropout, neither before the
    layer (``dropout=0.5`` is theirs) nor for the graph. If a row has fewer neighbours than requested, their code adds
    arbitrary ones. The number of steps is kept instead of the number of epochs: 6,000 are their 150 epochs of 5,000
    rows. Features are not centred, as in their code; ``center=True`` was slightly worse on CIFAR-10.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    neighbors : float
        Share of the training rows that count as neighbours by cosine.
    manifold_ratio : float
        Number of neighbours along the graph, as a multiple of those by cosine.
    alpha : float
        Weight of the random walk along the graph, from 0 to below 1.
    dropout : float
        Share of the features that is dropped before the layer in training.
    center : bool
        Whether the training set's mean row is subtracted from features, before the layer and before their cosine.
    batch_size : int
        Training rows per step.
    epochs : int or None
        Passes over the training set; None is the number that gives 6,000 steps.
    lr, weight_decay : float
        Learning rate and weight decay of stochastic gradient descent.
    precision : {"32-true", "tf32", "bf16-mixed", "16-mixed"}
        Lightning Fabric's precision of the training.
    random_state : int or None
        Seed of initial weights, of the rows' order and of dropout.

    Attributes
    ----------
    weights1_, bias1_ : ndarray, float32
        The layer, ``X @ weights1_ + bias1_``; the bias includes the subtraction of a mean.

    Notes
    -----
    Memory grows with the square of the number of training rows: 16 bytes per pair, .4 GB for 5,000 rows and 40 GB for
    50,000.

    Fidelity
    --------
    Compared with the authors' similarity and loss with this layer and rate on the same CIFAR-10 features and batches,
    32 bits, 6,000 steps, 2 seeds: 2 of 25 million similarities differ, losses equal to 3e-5, mAP@1000 .4444 for both;
    .4426 for theirs with other batches (standard deviation .0016).
    """

    paper = "Tu et al., IJCAI 2020"
    default_steps = 6_000

    neighbors: float = 0.06
    manifold_ratio: float = 1.5
    alpha: float = 0.99
    dropout: float = 0.0
    center: bool = False
    batch_size: int = 128
    lr: float = 0.4
    weight_decay: float = 1e-5

    search = {
        "lr": log_range(1e-2, 10.0),
        "neighbors": log_range(0.01, 0.2),
        "manifold_ratio": (1.0, 3.0),
        "alpha": [0.9, 0.97, 0.99, 0.997],
        "dropout": (0.0, 0.5),
        "center": [False, True],
    }

    def network(self, n_features):
        """Return one linear layer after dropout, with tanh."""
        from torch import nn

        return nn.Sequential(nn.Dropout(self.dropout), nn.Linear(n_features, self.n_bits), nn.Tanh())

    def begin(self, trainer):
        """Compare all pairs of training rows."""
        import torch

        X, scaling = trainer.data.X, trainer.data.scaling
        X = X if scaling is None else (X - scaling[0]).astype("float32")
        n_near, n_reached = self._counts(len(X))
        similarity = manifold_similarity(X, n_near, n_reached, self.alpha)
        trainer.constants["similarity"] = torch.from_numpy(similarity).to(trainer.fabric.device)

    def _counts(self, n_items):
        """Return how many neighbours rows have by cosine, and along the graph."""
        return int(n_items * self.neighbors), min(n_items, int(n_items * self.neighbors * self.manifold_ratio))

    def loss(self, outputs, batch):
        """Return the mean log cosh of the products' errors."""
        from torch.nn.functional import softplus

        target = batch.constants["similarity"][batch.rows][:, batch.rows]
        error = (outputs @ outputs.T / self.n_bits - target).abs()
        return {"loss": (error + softplus(-2 * error) - math.log(2)).mean()}

    def optimizers(self, network):
        """Return stochastic gradient descent."""
        from torch.optim import SGD

        return SGD(network.parameters(), lr=self.lr, weight_decay=self.weight_decay)

    def check(self, X, device, devices):
        """Also refuse more rows than memory can hold pairs of."""
        super().check(X, device, devices)
        free = psutil.virtual_memory().available
        if len(X) > rows_that_fit(free):
            raise Unsupported(
                f"{len(X):,} training rows: {self.name} compares all pairs, which takes "
                f"{BYTES_PER_PAIR * len(X) ** 2 / 1e9:,.1f} GB of memory; in the {free / 1e9:,.1f} GB that are free, "
                f"{rows_that_fit(free):,} rows would fit"
            )

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        enough = 0 < self.neighbors < 1 and self._counts(n_items)[0] >= 1
        return [
            *super().limits(n_items, device, devices),
            ("neighbors", enough, f"a share below 1 that is at least one of the {n_items} training rows"),
            ("manifold_ratio", 1 <= self.manifold_ratio < math.inf, "at least 1"),
            ("alpha", 0 < self.alpha < 1, "above 0 and below 1"),
            ("dropout", 0 <= self.dropout < 1, "at least 0 and below 1"),
        ]
