"""CIBHash's objective: NT-Xent on binary codes, and the bottleneck's divergence."""

import torch
import torch.nn.functional as F
from torch import Tensor


def binarize(p: Tensor, threshold: Tensor | float) -> Tensor:
    """Return codes in ±1 with the gradient of ``p`` passed straight through.

    Parameters
    ----------
    p : Tensor of shape (n, n_bits)
        Probabilities.
    threshold : Tensor or float
        1/2, or uniform noise for Bernoulli sampling.

    Returns
    -------
    Tensor of shape (n, n_bits)
        1 where ``p`` is above the threshold, else −1; never 0, so that every code is one.
    """
    code = torch.where(p > threshold, 1.0, -1.0)
    return code + (p - p.detach())


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Return the normalised temperature-scaled cross entropy of two views (Chen et al., ICML 2020, eq. 1).

    The similarity is the cosine with its own gradient: for ±1 codes its value equals the scaled dot product,
    but the norm's gradient keeps the probabilities from saturating.

    Parameters
    ----------
    first, second : Tensor of shape (n, n_bits)
        Codes of the two views; row i of both is image i.
    temperature : float

    Returns
    -------
    Tensor
        Mean over the 2n anchors.
    """
    codes = F.normalize(torch.cat([first, second]))
    n = len(first)
    similarity = codes @ codes.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    partner = torch.arange(2 * n, device=codes.device).roll(n)
    return F.cross_entropy(similarity, partner)


def symmetric_kl(p: Tensor, q: Tensor) -> Tensor:
    """Return the symmetrised KL divergence of two views' Bernoulli codes, in nats.

    Each direction holds its second argument constant; bits are summed, images averaged, directions averaged.

    Parameters
    ----------
    p, q : Tensor of shape (n, n_bits)
        Probabilities.
    """
    return (_kl(p, q.detach()) + _kl(q, p.detach())) / 2


def _kl(p: Tensor, q: Tensor) -> Tensor:
    tiny = 1e-8
    ones = p * ((p + tiny).log() - (q + tiny).log())
    zeros = (1 - p) * ((1 - p + tiny).log() - (1 - q + tiny).log())
    return (ones + zeros).sum(dim=1).mean()
