"""Trainings that are killed and go on."""

import numpy as np
import pytest


class Killed(BaseException):
    """Stands for a kill."""


def goes_on_bit_for_bit(fit, workdir, epoch):
    """Assert that a training that is killed after an epoch goes on to the curve and the arrays of one that is not.

    ``fit(**extras)`` trains a new method with ``workdir`` and ``log``, and returns it.
    """
    curve, again = [], []

    def kill(**values):
        if values["epoch"] == epoch:
            raise Killed

    whole = fit(log=lambda **values: curve.append(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hashbench.learning.training.trainer.SAVE_EVERY_S", 0.0)
        patch.setattr("hashbench.learning.training.trainer.SAVE_SHARE", np.inf)
        with pytest.raises(Killed):
            fit(workdir=workdir, log=kill)
    resumed = fit(workdir=workdir, log=lambda **values: again.append(values))
    assert again == curve
    assert resumed.resumed_s_ > 0
    learned = {name: value for name, value in vars(whole).items() if isinstance(value, np.ndarray)}
    assert {"weights1_", "bias1_"} <= set(learned)
    for name, value in learned.items():
        assert (getattr(resumed, name) == value).all(), name
