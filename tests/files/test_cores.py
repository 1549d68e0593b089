"""The number of processors that work is spread over."""

import os
import subprocess
import sys

import pytest

from hashbench.files.cores import n_cores

CODE = "from hashbench.files.cores import n_cores; print(n_cores())"


def test_a_limit_below_the_machine_counts():
    environment = {**os.environ, "LOKY_MAX_CPU_COUNT": "1"}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
    assert 1 <= n_cores() <= (os.cpu_count() or 1)


@pytest.mark.slow
def test_one_core_holds_for_libraries_that_come_later():
    code = (
        "import os, torch\n"
        "from threadpoolctl import threadpool_info\n"
        "from hashbench.files.cores import one_core\n"
        "with one_core():\n"
        "    import faiss\n"
        "    assert torch.get_num_threads() == 1\n"
        "    assert {pool['num_threads'] for pool in threadpool_info()} == {1}, threadpool_info()\n"
        "assert torch.get_num_threads() == 2\n"
        "assert os.environ['OMP_NUM_THREADS'] == '2'\n"
    )
    environment = {**os.environ, **{f"{name}_NUM_THREADS": "2" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
