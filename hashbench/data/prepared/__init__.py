"""Data prepared once: written, opened, verified, listed, removed."""
