"""Waiting in tests: for a condition, with a deadline that is long enough for a busy machine."""

import time

DEADLINE_S = 120


def wait_until(condition, what="it"):
    """Return when a condition holds; fail where it does not within two minutes."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {DEADLINE_S} s"
        time.sleep(0.02)
