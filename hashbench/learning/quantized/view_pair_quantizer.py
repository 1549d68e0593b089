"""The base class of product quantizers that train on two views of each image."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hashbench.contract.estimator import Estimator
from hashbench.contract.faiss_quantizer import CENTROIDS, faiss_module
from hashbench.contract.parameters import checked_n_bits
from hashbench.contract.quantizer import Quantizer
from hashbench.data.similarity import Similarity
from hashbench.errors import Unsupported
from hashbench.learning.view_pairs import ViewPairMethod

if TYPE_CHECKING:
    from collections.abc import Callable


class ViewPairQuantizer(Quantizer, ViewPairMethod):
    """Base class of a product quantizer whose network is trained on two augmented views of each image.

    The training is that of `ViewPairMethod`: the same loop, pool of views, checkpoints and precisions, with a frozen
    backbone. Codes, distances and search are those of a `Quantizer`. The encoder, one linear layer, gives a vector of
    equal parts. The code of a part is the number of the nearest codeword of its codebook, one byte. Codewords have
    length 1, so the nearest has the greatest inner product with the part. Queries keep their values: a lookup table
    for each query has their products with all codewords.

    A subclass defines ``network`` and ``loss``. The network's attribute ``codebooks`` is a Parameter or a buffer of
    shape (n_bits / 8, 256, ``part_dims``), and ``encoder`` returns a Linear with ``n_bits`` / 8 · ``part_dims``
    outputs.

    Parameters
    ----------
    part_dims : int
        Dimensions of a part of the encoder's vectors.

    Attributes
    ----------
    weights1_ : ndarray of shape (n_features, n_parts * part_dims), float32
    bias1_ : ndarray of shape (n_parts * part_dims,), float32
        The encoder.
    codebooks_ : ndarray of shape (n_parts, 256, part_dims), float32
        Codewords of length 1.
    """

    select: ClassVar[str] = "last"  # type: ignore[assignment, misc]
    finetune: ClassVar[float] = 0.0  # type: ignore[misc]
    code_length = Estimator.code_length

    part_dims: int = 12

    @property
    def n_parts(self) -> int:
        """Number of codebooks, one for each byte of a code."""
        return int(self.n_bits) // 8

    def n_bytes(self, n_features: int) -> int:
        """Return one for each part."""
        checked_n_bits(self.n_bits)
        if self.n_bits % 8:
            raise Unsupported(f"n_bits={self.n_bits}: {self.name} gives whole bytes; take a multiple of 8")
        return self.n_parts

    def limits(self, n_items: int, device: str, devices: int) -> list[tuple[str, bool, str]]:
        """Return the parameters' ranges."""
        return [*super().limits(n_items, device, devices), ("part_dims", self.part_dims >= 2, "at least 2")]

    def fit(  # type: ignore[override]
        self,
        X: np.ndarray,
        y: np.ndarray | None = None,
        *,
        views: np.ndarray | None = None,
        device: str = "cpu",
        devices: int = 1,
        workdir: Path | None = None,
        log: "Callable[..., None] | None" = None,
    ) -> "ViewPairQuantizer":
        """Train the network.

        Parameters
        ----------
        X : ndarray of shape (n, d), float32
            Features of the training images; batches hold features of the views instead.
        y : None
            Not used.
        views : ndarray of shape (n, n_pool_views(n), d), float16
            Features of the training images' augmented views.
        device, devices, workdir, log
            As for `ViewPairMethod.fit`.

        Raises
        ------
        Unsupported
            A parameter is out of its range.
        ValueError
            ``views`` is missing or has the wrong shape.
        FloatingPointError
            The loss is no longer finite.
        InputError
            ``workdir`` holds the checkpoint of another training.
        """
        ViewPairMethod.fit(self, X, views=views, device=device, devices=devices, workdir=workdir, log=log)
        return self

    def _pool(self, X: np.ndarray, labels: Any, views: Any) -> Any:
        from hashbench.learning.quantized.codebook_pool import CodebookPool

        pool = super()._pool(X, labels, views)
        return CodebookPool(pool.views, pool.fresh, pool.scaling)

    def _parts(self, X: np.ndarray) -> np.ndarray:
        """Return the encoder's vectors, (n_parts, n, part_dims)."""
        return self.project(X).reshape(len(X), self.n_parts, self.part_dims).swapaxes(0, 1)

    def encode_block(self, X: np.ndarray) -> np.ndarray:
        """Return the number of each part's nearest codeword."""
        codes = np.empty((len(X), self.n_parts), np.uint8)
        for number, (values, codewords) in enumerate(zip(self._parts(X), self.codebooks_, strict=True)):
            codes[:, number] = (values @ codewords.T).argmax(axis=1)
        return codes

    def distances(self, queries: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return squared distances of the encoder's vectors to codewords, less ‖z‖² + n_parts of each query's z."""
        distances = np.zeros((len(queries), len(codes)), np.float32)
        for number, (values, codewords) in enumerate(zip(self._parts(queries), self.codebooks_, strict=True)):
            distances += np.take(-2 * (values @ codewords.T), codes[:, number], axis=1)
        return distances

    def products(self, queries: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Refuse: distances are those of the encoder's vectors, and say nothing of products of the features."""
        raise Unsupported(f"{self.name} ranks by a distance that it learns, not by the inner product")

    def to_faiss(self, similarity: Similarity = "euclidean") -> Any:
        """Return a linear transformation and an ``IndexPQ``, which has the same codes."""
        if similarity == "ip":
            raise Unsupported(f"{self.name} ranks by a distance that it learns, not by the inner product")
        faiss = faiss_module(self.name)
        weights, width = self.weights1_, self.n_parts * self.part_dims
        encoder = faiss.LinearTransform(len(weights), width, True)
        faiss.copy_array_to_vector(np.ascontiguousarray(weights.T).ravel(), encoder.A)
        faiss.copy_array_to_vector(self.bias1_, encoder.b)
        index = faiss.IndexPQ(width, self.n_parts, CENTROIDS.bit_length() - 1)
        faiss.copy_array_to_vector(self.codebooks_.ravel(), index.pq.centroids)
        encoder.is_trained = index.is_trained = True
        return faiss.IndexPreTransform(encoder, index)
