"""How long CIBHash trains."""

MIN_STEPS = 2400
"""Steps that the default schedule takes at least; the authors' makes 4,740 on their 5,000 images."""


def default_epochs(n_bits: int, n_images: int, batch_size: int) -> int:
    """Return the authors' 60 epochs, 80 at 16 bits, or as many as it takes for 2,400 steps on few images."""
    steps = -(-n_images // batch_size)
    return max(80 if n_bits == 16 else 60, -(-MIN_STEPS // steps))
