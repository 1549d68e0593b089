"""CIBHash: contrastive learning of binary codes with an information bottleneck."""

from __future__ import annotations

from typing import Literal

import numpy as np
from hashbench.methods.cibhash.schedule import default_epochs

from hashbench.errors import Unsupported
from hashbench.method import HashMethod

SAMPLINGS = ("sign", "bernoulli", "zero_one", "continuous")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


class CIBHash(HashMethod):
    """Unsupervised hashing with contrastive information bottleneck.

    Source: Qiu, Su, Ou, Yu and Chen, Unsupervised Hashing with Contrastive Information Bottleneck, IJCAI 2021
    (arXiv 2105.06138). A head Linear – ReLU – Linear on frozen features gives each bit's probability
    p = σ(h). Two views' codes, binarised with a straight-through gradient, are contrasted by NT-Xent
    (section 3.2); the bottleneck adds β times the symmetric KL divergence of the two views' Bernoulli codes
    (section 3.3). The sign is the authors' code's, contrastive + β · KL: a smaller divergence means fewer bits
    about the view and more about what the views share. A Lagrangian written L − β · I, as one reads it elsewhere,
    means the same where I is what the views share, not this divergence.

    The head trains on a pool of augmented views whose features are extracted once; each step draws two
    different views of each image. With VGG16, whose dropout CIBHash's code leaves active in training, each view of
    the pool carries the dropout mask that was drawn when it was extracted.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    beta : float
        Weight of the KL term.
    temperature : float
        NT-Xent's τ.
    sampling : {"sign", "bernoulli", "zero_one", "continuous"}
        How training codes are made: ``sign(p − 1/2)`` as in the authors' code; ``sign(p − u)`` with u uniform as in
        the paper's text; the same draw as codes of 0 and 1; or not at all: ``continuous`` contrasts the head's
        outputs and takes signs afterwards (with ``beta=0`` the paper's naive contrastive baseline).
    similarity : {"cosine", "dot"}
        What NT-Xent compares codes by: the authors' cosine, or the dot product over ``n_bits``, which has the same
        value on ±1 codes and another gradient.
    batch_size : int
        Images per step; each contributes two views.
    epochs : int or None
        Passes over the training set; None is the authors' schedule, 60, and 80 at 16 bits, or as many as it takes
        for 2,400 steps on a small training set.
    lr, weight_decay : float
        Adam's learning rate and weight decay.
    hidden : int
        Width of the head's hidden layer.
    select : {"last", "validation"}
        Which epoch's head is kept: the last, or, as the authors do, the one that does best on labelled validation
        queries, looked at every 20 epochs. That uses labels: a run takes half of the queries for it, scores the
        other half under a protocol name of its own, and marks the row.
    n_views : int or "fresh"
        Size of the view pool; ``fresh`` is two new views of each image in every epoch, as the authors do.
    views_seed : int
        Seed of the views.
    finetune : float
        Learning rate of the backbone; at 0 it stays frozen. Otherwise it is trained with the head on two new views of
        each image in every epoch, there is no pool, and codes are made of the trained backbone's features.
    precision : {"32-true", "bf16-mixed", "16-mixed"}
        Lightning Fabric's precision of what is trained.
    random_state : int or None
        Seed of initial weights, batches, view choice and sampling.

    Attributes
    ----------
    resumed_s_ : float
        Seconds of training before an interruption; 0 where there was none.
    backbone_weights_ : ndarray, float32
        The trained backbone's parameters; only with ``finetune``.
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
        sampling: Literal["sign", "bernoulli", "zero_one", "continuous"] = "sign",
        similarity: Literal["cosine", "dot"] = "cosine",
        batch_size: int = 64,
        epochs: int | None = None,
        lr: float = 0.001,
        weight_decay: float = 0.0,
        hidden: int = 1024,
        select: Literal["last", "validation"] = "last",
        n_views: int | Literal["fresh"] = 24,
        views_seed: int = 0,
        finetune: float = 0.0,
        precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true",
        random_state: int | None = None,
    ):
        self.n_bits = n_bits
        self.beta = beta
        self.temperature = temperature
        self.sampling = sampling
        self.similarity = similarity
        self.batch_size = batch_size
        self.epochs = epochs
        self.lr = lr
        self.weight_decay = weight_decay
        self.hidden = hidden
        self.select = select
        self.n_views = n_views
        self.views_seed = views_seed
        self.finetune = finetune
        self.precision = precision
        self.random_state = random_state

    def skip(self, dataset):
        """Need images: views are made of them."""
        return None if dataset.images is not None and dataset.views is not None else "it trains on augmented images"

    def wants(self):
        """Ask for validation queries only where they choose the epoch, and for the backbone only to train it."""
        unused = {"views" if self.finetune else "tunable"} | ({"validation"} if self.select == "last" else set())
        return super().wants() - unused

    def n_pool_views(self, n_images):
        """Return ``n_views``, or two for each epoch where every epoch has its own."""
        if self.n_views != "fresh":
            return self.n_views
        return 2 * (self.epochs or default_epochs(self.n_bits, n_images, self.batch_size))

    def fit(
        self,
        X,
        y=None,
        *,
        views=None,
        tunable=None,
        validation=None,
        device="cpu",
        devices=1,
        workdir=None,
        log=None,
    ):
        """Train the head, and the backbone where ``finetune`` says so.

        Parameters
        ----------
        X : ndarray of shape (n, d), float32
            Features of the training images; only their shape is used.
        y : None
            Ignored.
        views : ndarray of shape (n, n_pool_views(n), d), float16
            Features of the training images' augmented views; not needed with ``finetune``.
        tunable : hashbench.features.tunable.Tunable
            The training images and the backbone; needed with ``finetune``.
        validation : callable, optional
            ``validation(method)`` scores the method as it is; called for ``select="validation"``.
        device : str
            Torch device that trains.
        devices : int
            Number of devices, with a process each.
        workdir : Path, optional
            Where a checkpoint is kept after each epoch; an interrupted training goes on from it, bit for bit.
        log : callable, optional
            Called once an epoch as ``log(epoch=, epochs=, loss=, contrastive=, kl=)``.

        Raises
        ------
        Unsupported
            A parameter is out of its range.
        FloatingPointError
            The loss is not finite any more.
        InputError
            ``workdir`` holds the checkpoint of another training.
        """
        from hashbench.methods.cibhash.inputs import Pool, TunedBackbone
        from hashbench.methods.cibhash.training import silent, train

        self._check(len(X), device, devices)
        self.__dict__.pop("backbone_weights_", None)
        needed = {"tunable": tunable} if self.finetune else {"views": views}
        if self.select == "validation":
            needed["validation"] = validation
        for name, value in needed.items():
            if value is None:
                raise ValueError(f"fit needs {name}=: a run gives it, see help(CIBHash.fit)")
        if self.finetune:
            if devices > 1 and tunable.has_dropout:
                raise Unsupported("finetune: a backbone with dropout trains on one device; its masks are a batch's")
            inputs = TunedBackbone(tunable, X.shape[1], self.views_seed, self.finetune)
        else:
            n_views = self.n_pool_views(len(X))
            if views.shape[:2] != (len(X), n_views):
                raise ValueError(f"views has shape {views.shape}, expected ({len(X)}, {n_views}, d)")
            inputs = Pool(views)

        def validate(layers):
            self._keep(layers)
            return validation(self)

        where = {"device": device, "devices": devices, "workdir": workdir}
        trained = train(
            self, inputs, **where, log=log or silent, validate=validate if self.select == "validation" else None
        )
        self._keep(trained.layers)
        if trained.backbone is not None:
            self.backbone_weights_ = trained.backbone
        self.resumed_s_ = trained.progress.resumed_s
        return self

    def _keep(self, layers):
        self.weights1_, self.bias1_, self.weights2_, self.bias2_ = layers

    def project(self, X):
        """Return the head's outputs, the log-odds of each bit."""
        return np.maximum(X @ self.weights1_ + self.bias1_, 0) @ self.weights2_ + self.bias2_

    def _check(self, n_images, device, devices):
        bounds = (
            ("temperature", self.temperature > 0, "above 0"),
            ("batch_size", 2 <= self.batch_size <= n_images, f"2 to the {n_images} training images"),
            ("epochs", self.epochs is None or self.epochs >= 1, "at least 1"),
            ("n_views", self.n_views == "fresh" or self.n_views >= 2, "at least 2, or 'fresh'"),
            ("hidden", self.hidden >= 1, "at least 1"),
            ("lr", self.lr > 0, "above 0"),
            ("beta", self.beta >= 0, "at least 0"),
            ("finetune", self.finetune >= 0, "at least 0"),
            ("finetune", not self.finetune or self.select == "last", "0 where validation queries choose the epoch"),
            ("weight_decay", self.weight_decay >= 0, "at least 0"),
            ("sampling", self.sampling in SAMPLINGS, f"one of {', '.join(SAMPLINGS)}"),
            ("similarity", self.similarity in ("cosine", "dot"), "'cosine' or 'dot'"),
            ("select", self.select in ("last", "validation"), "'last' or 'validation'"),
            ("select", self.select == "last" or devices == 1, "'last' on several devices"),
            ("precision", self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
            ("precision", self.precision != "16-mixed" or device != "cpu", "another on a CPU, which has no fp16"),
        )
        for name, holds, expected in bounds:
            if not holds:
                raise Unsupported(f"{name}={getattr(self, name)!r}: expected {expected}")
