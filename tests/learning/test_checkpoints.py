"""Checkpoints: by time, outside of what training takes, and refused in one line where another version wrote them."""

import json

import numpy as np
import pytest
import torch

from hashbench import InputError, load_method
from hashbench.learning.training import checkpoint

X = np.random.default_rng(0).standard_normal((60, 12)).astype(np.float32)


def fit(folder, epochs=6, log=None):
    method = load_method("greedyhash")(8, epochs=epochs, batch_size=20, random_state=0)
    return method.fit(X, workdir=folder, log=log)


@pytest.fixture
def clock(monkeypatch):
    """Let a second pass in each epoch and four in each checkpoint; return the times at which these began."""
    now, saved, save = [0.0], [], checkpoint.save

    def slowly(*arguments):
        saved.append(now[0])
        save(*arguments)
        now[0] += 4.0

    monkeypatch.setattr(checkpoint, "save", slowly)
    monkeypatch.setattr("hashbench.learning.training.trainer.time.perf_counter", lambda: now[0])

    def tick(**values):
        now[0] += 1.0

    return saved, tick


def test_checkpoints_come_after_the_first_epoch_and_then_take_a_twentieth_of_the_time(tmp_path, clock):
    saved, tick = clock
    method = fit(tmp_path, 200, tick)
    assert saved == [0.0, 84.0, 168.0]  # 4 s are a twentieth of 80 s
    assert method.checkpoint_s_ == 12.0


def test_quick_checkpoints_come_every_ten_seconds(tmp_path, clock, monkeypatch):
    saved, tick = clock
    monkeypatch.setattr("hashbench.learning.training.trainer.SAVE_SHARE", 1.0)
    fit(tmp_path, 40, tick)
    assert saved == [0.0, 14.0, 28.0, 42.0]


def test_a_resumed_training_counts_only_its_checkpoints(tmp_path):
    first = fit(tmp_path)
    assert first.checkpoint_s_ > 0
    values = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert json.loads(values["json"])["format"] == checkpoint.FORMAT
    again = fit(tmp_path)
    assert again.resumed_s_ > 0
    assert (again.weights1_ == first.weights1_).all()


def test_no_checkpoints_take_no_time():
    assert load_method("greedyhash")(8, epochs=1, batch_size=20).fit(X).checkpoint_s_ == 0


@pytest.mark.parametrize("written", [None, 1, 99])
def test_a_checkpoint_of_another_version_is_refused_in_one_line(tmp_path, written):
    fit(tmp_path)
    file = tmp_path / "checkpoint.pt"
    values = torch.load(file, weights_only=True)
    kept = json.loads(values["json"])
    kept["format"] = written
    torch.save({**values, "json": json.dumps(kept)}, file)
    with pytest.raises(InputError, match=r"checkpoint\.pt is a checkpoint of another version of hashbench: remove it"):
        fit(tmp_path)
