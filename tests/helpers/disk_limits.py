"""What stands for a full disk."""

import resource
from contextlib import contextmanager


@contextmanager
def files_of_at_most(n_bytes):
    """Let no file of this process grow larger, which a write is told as it is of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
