"""The number of processors that work is spread over."""

import os
import subprocess
import sys

from hashbench.files.cores import n_cores

CODE = "from hashbench.files.cores import n_cores; print(n_cores())"


def test_a_limit_below_the_machine_counts():
    environment = {**os.environ, "LOKY_MAX_CPU_COUNT": "1"}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
    assert 1 <= n_cores() <= (os.cpu_count() or 1)
