"""CIBHash: contrastive learning of binary codes with an information bottleneck."""

from __future__ import annotations

from typing import Literal

import numpy as np

from hashbench.errors import Unsupported
from hashbench.method import HashMethod


class CIBHash(HashMethod):
    """Unsupervised hashing with contrastive information bottleneck.

    Source: Qiu, Su, Ou, Yu and Chen, Unsupervised Hashing with Contrastive Information Bottleneck, IJCAI 2021
    (arXiv 2105.06138). A head Linear – ReLU – Linear on frozen features gives each bit's probability
    p = σ(h). Two views' codes, binarised with a straight-through gradient, are contrasted by NT-Xent
    (section 3.2); the bottleneck adds β times the symmetric KL divergence of the two views' Bernoulli codes
    (section 3.3). The sign is the authors' code's, contrastive + β · KL: a smaller divergence means fewer bits
    about the view and more about what the views share.

    The head trains on a pool of augmented views whose features are extracted once; each step draws two
    different views of each image.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    beta : float
        Weight of the KL term.
    temperature : float
        NT-Xent's τ.
    sampling : {"sign", "bernoulli"}
        How training codes are made: ``sign(p − 1/2)`` as in the authors' code, or ``sign(p − u)`` with u
        uniform as in the paper's text.
    batch_size : int
        Images per step; each contributes two views.
    epochs : int or None
        Passes over the training set; None is the authors' schedule, 60, and 80 at 16 bits, or as many as it takes
        for 2,400 steps on a small training set.
    lr, weight_decay : float
        Adam's learning rate and weight decay.
    hidden : int
        Width of the head's hidden layer.
    n_views, views_seed : int
        Size and seed of the view pool.
    random_state : int or None
        Seed of initial weights, batches, view choice and sampling.

    Attributes
    ----------
    weights1_, bias1_, weights2_, bias2_ : ndarray, float32
        The head: ``relu(X @ weights1_ + bias1_) @ weights2_ + bias2_``.
    """

    paper = "Qiu et al., IJCAI 2021 (arXiv 2105.06138)"

    def __init__(
        self,
        n_bits: int = 32,
        *,
        beta: float = 0.001,
        temperature: float = 0.3,
        sampling: Literal["sign", "bernoulli"] = "sign",
        batch_size: int = 64,
        epochs: int | None = None,
        lr: float = 0.001,
        weight_decay: float = 0.0,
        hidden: int = 1024,
        n_views: int = 32,
        views_seed: int = 0,
        random_state: int | None = None,
    ):
        self.n_bits = n_bits
        self.beta = beta
        self.temperature = temperature
        self.sampling = sampling
        self.batch_size = batch_size
        self.epochs = epochs
        self.lr = lr
        self.weight_decay = weight_decay
        self.hidden = hidden
        self.n_views = n_views
        self.views_seed = views_seed
        self.random_state = random_state

    def skip(self, dataset):
        """Need images: views are made of them."""
        return None if dataset.images is not None and dataset.views is not None else "it trains on augmented images"

    def fit(self, X, y=None, *, views, device="cpu", log=None):
        """Train the head.

        Parameters
        ----------
        X : ndarray of shape (n, d), float32
            Features of the training images; only their shape is used.
        y : None
            Ignored.
        views : ndarray of shape (n, n_views, d), float16
            Features of the training images' augmented views.
        device : str
            Torch device that trains.
        log : callable, optional
            Called once an epoch as ``log(epoch=, loss=, contrastive=, kl=)``.

        Raises
        ------
        Unsupported
            A parameter is out of its range.
        FloatingPointError
            The loss is not finite any more.
        """
        from hashbench.methods.cibhash.training import train_head

        self._check(len(X), views.shape)
        layers = train_head(self, views, device, log)
        self.weights1_, self.bias1_, self.weights2_, self.bias2_ = layers
        return self

    def project(self, X):
        """Return the head's outputs, the log-odds of each bit."""
        return np.maximum(X @ self.weights1_ + self.bias1_, 0) @ self.weights2_ + self.bias2_

    def _check(self, n_images, pool_shape):
        bounds = (
            ("temperature", self.temperature > 0, "above 0"),
            ("batch_size", 2 <= self.batch_size <= n_images, f"2 to the {n_images} training images"),
            ("epochs", self.epochs is None or self.epochs >= 1, "at least 1"),
            ("n_views", self.n_views >= 2, "at least 2"),
            ("hidden", self.hidden >= 1, "at least 1"),
            ("lr", self.lr > 0, "above 0"),
            ("beta", self.beta >= 0, "at least 0"),
            ("weight_decay", self.weight_decay >= 0, "at least 0"),
            ("sampling", self.sampling in ("sign", "bernoulli"), "'sign' or 'bernoulli'"),
        )
        for name, holds, expected in bounds:
            if not holds:
                raise Unsupported(f"{name}={getattr(self, name)!r}: expected {expected}")
        if pool_shape[0] != n_images or pool_shape[1] != self.n_views:
            raise ValueError(f"views has shape {pool_shape}, expected ({n_images}, {self.n_views}, d)")
