"""A process that was forked after its parent has evaluated gets an answer or a line; it does not just end."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import multiprocessing, sys
import numpy as np
from hashbench import evaluate
from hashbench.errors import InputError
codes, labels = np.arange(40, dtype=np.uint8).reshape(40, 1), np.arange(40) % 3

def job(number):
    try:
        return evaluate(codes[:5], codes, labels[:5], labels, metrics=["mAP@all"])["mAP@all"]
    except InputError as error:
        return str(error)

if __name__ == "__main__":
    expected = job(0)
    with multiprocessing.get_context(sys.argv[1]).Pool(1) as pool:
        given = pool.map_async(job, range(2)).get(60)
    print("the same" if given == [expected, expected] else given[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "layer", "told"),
    [
        ("fork", "omp", "this process was forked from one that has run hashbench's compiled loops"),
        ("fork", "workqueue", "the same"),
        ("spawn", "omp", "the same"),
    ],
)
def test_processes_of_one_that_has_evaluated(start, layer, told, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py", start],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "NUMBA_THREADING_LAYER": layer},
    )
    assert done.stdout.startswith(told), done.stderr
