"""Plugin files are read as Python reads them, and what they define can be pickled and found again."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from conftest import one_clear_line

from hashbench.errors import InputError
from hashbench.plugins.named_files import named_plugins
from hashbench.plugins.registry import Registry

PLUGIN = """{first}import numpy as np
from hashbench import HashMethod, Quantizer


class Mine(HashMethod):
    '''Signs, schön.'''

    def __init__(self, n_bits=8):
        self.n_bits = n_bits

    def fit(self, X):
        self.mean_ = X[:, : self.n_bits].mean(0)
        return self

    def project(self, X):
        return X[:, : self.n_bits] - self.mean_
"""
X = np.random.default_rng(0).standard_normal((40, 16), dtype=np.float32)
LOAD = (
    "import pickle, sys\n"
    "try:\n"
    "    print(pickle.load(open(sys.argv[1], 'rb')).n_bits)\n"
    "except Exception as error:\n"
    "    print(type(error).__name__, error)\n"
)


@pytest.fixture
def pickled(tmp_path):
    """Return a plugin's file and that of a fitted, pickled method of it."""
    (tmp_path / "mine.py").write_text(PLUGIN.format(first=""))
    method = Registry([tmp_path / "mine.py"]).find("methods", "mine").load()(n_bits=8).fit(X)
    (tmp_path / "mine.pkl").write_bytes(pickle.dumps(method))
    return tmp_path / "mine.py", tmp_path / "mine.pkl", method


def loaded_elsewhere(file):
    """Return what another process says when it unpickles a file."""
    done = subprocess.run([sys.executable, "-c", LOAD, file], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_fitted_method_is_unpickled_elsewhere(pickled):
    _, content, method = pickled
    assert loaded_elsewhere(content) == "8"
    for other in (pickle.loads(content.read_bytes()), copy.deepcopy(method)):
        assert type(other) is type(method)
        assert (other.encode(X) == method.encode(X)).all()


def test_an_edited_plugin_file_is_not_taken_for_the_old(pickled):
    file, content, _ = pickled
    file.write_text(PLUGIN.format(first="").replace("mean(0)", "mean(0) + 1"))
    assert loaded_elsewhere(content).startswith(f"InputError {file} has been edited since its 'mine' was pickled: fit")


def test_a_plugin_file_that_is_gone_is_asked_for(pickled):
    file, content, _ = pickled
    file.unlink()
    assert loaded_elsewhere(content).startswith(f"InputError 'mine' was pickled with its plugin file {file}: bring")


@pytest.mark.parametrize(
    ("encoding", "first"), [("utf-8-sig", ""), ("latin-1", "# -*- coding: latin-1 -*-\n"), ("utf-8", "")]
)
def test_plugin_files_are_read_as_python_reads_them(encoding, first, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(first + PLUGIN.format(first="'''Schön.'''\n"), encoding)
    (plugin,) = named_plugins([file])
    assert plugin.kind == "methods"
    assert plugin.summary == "Schön."


def test_a_name_that_cannot_be_a_plugins_says_which_letters_can(tmp_path, cli):
    (tmp_path / "größe.py").write_text(PLUGIN.format(first=""))
    one_clear_line(cli("list", "--plugin", tmp_path / "größe.py"), "größe", "letters a to z and A to Z")


def test_no_kind_of_pickle_hides_a_broken_plugin(pickled):
    file, content, _ = pickled
    module = next(name for name in sys.modules if name.startswith("hashbench_plugins.") and name.endswith(".mine"))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in sys.modules if name.endswith(".mine")]:
            patch.delitem(sys.modules, name)
        file.write_text("raise ValueError('broken')\n")
        with pytest.raises(InputError, match="cannot be imported: ValueError: broken"):
            pickle.loads(content.read_bytes())
    assert module in sys.modules
