"""RaBitQ as faiss does it, 1 to 9 bits per dimension, with the rotation that faiss leaves to the user."""

from hashbench.contract.faiss_quantizer import FaissQuantizer, faiss_module, new_rabitq


class FaissRaBitQ(FaissQuantizer):
    """``faiss.IndexRaBitQ`` behind a ``RandomRotationMatrix``, which the index does not have inside.

    Source: faiss from 1.11 on (more than one bit from 1.13.1 on); the method is Gao and Long's, SIGMOD 2024, and for
    several bits Gao et al.'s, SIGMOD 2025. Training centres the rotated vectors.

    Parameters
    ----------
    bits : int
        Bits a dimension, 1 to 9.
    query_bits : int
        Bits of a query's dimension, up to 8; 0 keeps its real values.
    random_state : int or None
        Seed of the rotation; None is faiss's default, 12345.
    """

    paper = "Gao and Long, SIGMOD 2024; Johnson et al., faiss"
    magnitudes = (4e-3, 1e9)
    parts = ("rotation_", "center_")
    ranks_by_products = False  # the numbers in a code are those of squared distances

    def __init__(self, *, bits=1, query_bits=0, random_state=None):
        self.bits = bits
        self.query_bits = query_bits
        self.random_state = random_state

    def n_bytes(self, n_features):
        """Return what faiss needs: the bits, and two numbers a vector, more of them for several bits."""
        return self._inner(n_features).code_size

    def new_index(self, n_features):
        """Return a rotation and an ``IndexRaBitQ``."""
        faiss = faiss_module(self.name)
        rotation = faiss.RandomRotationMatrix(n_features, n_features)
        rotation.init(12345 if self.random_state is None else int(self.random_state))
        rotation.is_trained = True
        return faiss.IndexPreTransform(rotation, self._inner(n_features))

    def _inner(self, n_features):
        return new_rabitq(n_features, self.bits, self.query_bits, self.name)
