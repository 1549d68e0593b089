"""SSDH: codes of pairs that are surely near or surely far, by two half Gaussians fitted to all distances."""

from __future__ import annotations

import math

import numpy as np
import psutil

from hashbench.contract.search_space import log_range
from hashbench.errors import Unsupported
from hashbench.learning.centred import CentredMethod
from hashbench.learning.linear import blocks

BYTES_PER_PAIR = 6
"""Memory of a pair of training rows at most: a distance in float32, its similarity in int8, and a comparison."""
N_BINS = 100
"""Number of bins of width .01 in which the most frequent distance is looked for, as in the authors' code."""
START = -1e-8
"""Where the first bin begins, as there."""


class SSDH(CentredMethod):
    """Semantic structure-based unsupervised deep hashing: pairs that are surely near get like codes, far ones opposite.

    Source: Yang, Deng, Liu, Liu and Tao, Semantic structure-based unsupervised deep hashing, IJCAI 2018, and the
    authors' code. Of the cosine distances of all pairs of training rows, m is the most frequent. Two Gaussians have
    their mean there: one has the spread of the distances up to m, the other of those beyond. A pair is similar, S = 1,
    if its distance is below m − α σ of the first, dissimilar, S = −1, if it is above m + α σ of the second, and
    otherwise left out, S = 0. The loss is the mean of |S| (h_i·h_j/K − S)² over the pairs of a batch, a row with itself
    among them, with h the outputs of a layer after tanh.

    Where it differs from the authors' code: it trains a whole VGG16, this one layer on fixed features, with Adam's
    usual ε; theirs is 1, and the learning rate is the same. There is no dropout. The layer's initial weights are
    torch's. The number of steps is kept instead of the number of epochs: 2,080 are their 10 epochs of 5,000 rows. The
    last weights are kept. Features are not centred, as in their code. Distances are float32.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    alpha : float
        Number α of standard deviations between m and the distances of pairs that count.
    center : bool
        Whether the training set's mean row is subtracted from features, before the layer and before their cosine.
    batch_size : int
        Training rows per step; batches that are not full are left out.
    epochs : int or None
        Passes over the training set; None is the number that gives 2,080 steps.
    lr, weight_decay : float
        Learning rate and weight decay of Adam.
    precision : {"32-true", "tf32", "bf16-mixed", "16-mixed"}
        Lightning Fabric's precision of the training.
    random_state : int or None
        Seed of initial weights and of the rows' order.

    Attributes
    ----------
    weights1_, bias1_ : ndarray, float32
        The layer, ``X @ weights1_ + bias1_``; the bias includes the subtraction of a mean.

    Notes
    -----
    Memory grows with the square of the number of training rows: 6 bytes per pair, .15 GB for 5,000 rows and 15 GB for
    50,000.

    Fidelity
    --------
    Compared with the authors' steps from distances to similarities, written out in float64, on 300 rows in six
    clusters: fewer than one in a thousand similarities differ, from rounding. Their loss, written out pair by pair, is
    equal to 1e-12. Their TensorFlow code was not run. On CIFAR-10 at 32 bits mAP@1000 is .374 and .381 (2 seeds), with
    ``center=True`` .396 and .391; ITQ's is .514.
    """

    paper = "Yang et al., IJCAI 2018"
    default_steps = 2_080
    full_batches = True

    alpha: float = 2.0
    center: bool = False
    batch_size: int = 24

    search = {
        "lr": log_range(1e-5, 1e-2),
        "alpha": (1.0, 3.0),
        "center": [False, True],
        "batch_size": [24, 64, 128],
    }

    def network(self, n_features):
        """Return one linear layer with tanh."""
        from torch import nn

        return nn.Sequential(nn.Linear(n_features, self.n_bits), nn.Tanh())

    def begin(self, trainer):
        """Compare all pairs of training rows."""
        import torch

        X, scaling = trainer.data.X, trainer.data.scaling
        X = X if scaling is None else (X - scaling[0]).astype(np.float32)
        similarity = sure_pairs(cosine_distances(X), self.alpha)
        trainer.constants["similarity"] = torch.from_numpy(similarity).to(trainer.fabric.device)

    def loss(self, outputs, batch):
        """Return the mean squared error of the products of pairs that count, over all pairs."""
        target = batch.constants["similarity"][batch.rows][:, batch.rows]
        error = outputs @ outputs.T / self.n_bits - target
        return {"loss": (target.abs() * error.square()).mean()}

    def check(self, X, device, devices):
        """Also refuse more rows than memory can hold pairs of."""
        super().check(X, device, devices)
        free = psutil.virtual_memory().available
        if BYTES_PER_PAIR * len(X) ** 2 > free:
            raise Unsupported(
                f"{len(X):,} training rows: {self.name} compares all pairs, which takes "
                f"{BYTES_PER_PAIR * len(X) ** 2 / 1e9:,.1f} GB of memory; in the {free / 1e9:,.1f} GB that are free, "
                f"{math.isqrt(free // BYTES_PER_PAIR):,} rows would fit"
            )

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [*super().limits(n_items, device, devices), ("alpha", 0 <= self.alpha < math.inf, "at least 0")]


def cosine_distances(X: np.ndarray) -> np.ndarray:
    """Return 1 minus the cosine of all pairs of rows, (n, n) float32; a row of zeros is at 1 from all others."""
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    unit = X / np.where(lengths > 0, lengths, 1)
    distances = unit @ unit.T
    np.subtract(1, distances, out=distances)
    np.fill_diagonal(distances, 0)
    return distances


def sure_pairs(distances: np.ndarray, alpha: float) -> np.ndarray:
    """Return which pairs are surely near (1), surely far (−1), or neither (0), (n, n) int8.

    Parameters
    ----------
    distances : ndarray of shape (n, n), float32
        Cosine distances.
    alpha : float
        Number of standard deviations between the most frequent distance and those of sure pairs.
    """
    counts = sum(np.histogram(block, N_BINS, (START, START + 1))[0] for block in blocks(distances))
    mode = START + np.argmax(counts) / N_BINS
    squares, n_rows = np.zeros(2), np.zeros(2)
    for block in blocks(distances):
        far, square = block > mode, np.square(block - mode, dtype=np.float64)
        squares += square[~far].sum(), square[far].sum()
        n_rows += (~far).sum(), far.sum()
    # Mirrored at their mean, each half is a Gaussian's sample: its spread is the root of the mean square.
    near_spread, far_spread = np.sqrt(squares / np.maximum(n_rows, 1))
    similarity = np.zeros(distances.shape, np.int8)
    similarity[distances < mode - alpha * near_spread] = 1
    similarity[distances > mode + alpha * far_spread] = -1
    return similarity
