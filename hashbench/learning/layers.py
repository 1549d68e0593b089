"""Parts of networks that hashing methods share."""

import torch
from torch import Tensor


def binarize(values: Tensor, threshold: Tensor | float = 0.0, low: float = -1.0) -> Tensor:
    """Return codes with the gradient of ``values`` passed straight through (Bengio et al., arXiv 1308.3432).

    Parameters
    ----------
    values : Tensor of shape (n, n_bits)
        Log-odds or other real values, or probabilities with their threshold.
    threshold : Tensor or float
        0; for probabilities 1/2, or uniform noise for Bernoulli sampling.
    low : float
        Value of a bit that is off: −1, or 0 for codes in {0, 1}.

    Returns
    -------
    Tensor of shape (n, n_bits)
        1 where a value is above the threshold, as in ``HashMethod.encode``, else ``low``. A tie is ``low``, not 0 as in
        torch.sign.
    """
    code = torch.where(values > threshold, 1.0, low)
    return code + (values - values.detach())
