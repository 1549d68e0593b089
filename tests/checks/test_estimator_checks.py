"""The project's methods pass the checks; a deliberately broken method and quantizer fail each."""

import re
from pathlib import Path

import pytest
from broken_estimators import ALL_BROKEN, OneBitIsConstant
from good_plugins import GoodMethod, GoodQuantizer

from hashbench import Unsupported, load_method
from hashbench.checks import check_dataset, check_method, check_plugin, parametrize_with_checks
from hashbench.checks.estimator_fitting import check_a_last_batch_of_one_row, check_search_space
from hashbench.checks.estimator_trial import N_TRAIN
from hashbench.checks.suite import checks_of, kind_of, run_check
from hashbench.learning.deep import DeepMethod
from hashbench.plugins.registry import Registry

METHODS = [load_method(name) for name in Registry().names("methods")]
NETWORKS = [one for one in METHODS if issubclass(one, DeepMethod)]


@parametrize_with_checks([one for one in METHODS if one not in NETWORKS])
def test_conformance(method_class, check):
    if method_class.name.startswith("faiss"):
        pytest.importorskip("faiss")
    check(method_class)


@pytest.mark.slow
@parametrize_with_checks(NETWORKS)
def test_conformance_of_networks(method_class, check):
    check(method_class)


@pytest.mark.parametrize("good", [GoodMethod, GoodQuantizer])
def test_ten_lines_are_enough(good):
    check_plugin(good)


ROWS = [pytest.param(*row, id=f"{kind}-{row[0].__name__}") for kind, rows in ALL_BROKEN.items() for row in rows]


@pytest.mark.parametrize(("broken_class", "name", "reason"), ROWS)
def test_a_broken_plugin_fails_its_check(broken_class, name, reason):
    (check,) = (check for check in checks_of(kind_of(broken_class)) if check.__name__ == name)
    outcome = run_check(check, broken_class)
    assert outcome.failed
    assert reason in outcome.reason


@pytest.mark.parametrize("kind", ALL_BROKEN)
def test_every_check_is_failed_by_some_broken_plugin(kind):
    assert {check.__name__ for check in checks_of(kind)} == {name for _, name, _ in ALL_BROKEN[kind]}


N_OK = len(checks_of("methods")) - 3
"""Of a method without labels, batches and a search space."""


class Supervised(GoodMethod):
    """Centres on the last class; ``scale`` does nothing."""

    supervision = "supervised"
    labels = "classes"

    def fit(self, X, y):
        super().fit(X)
        self.mean_ = X[y == y.max()].mean(axis=0)
        return self


class Multilabel(GoodMethod):
    """Centres on the first of several labels; ``scale`` does nothing."""

    supervision = "supervised"
    labels = "multilabel"

    def fit(self, X, y):
        super().fit(X)
        self.mean_ = X[y[:, 0]].mean(axis=0)
        return self


class WholeBytes(Supervised):
    """Has codes of whole bytes, and four bits for each class; ``scale`` does nothing."""

    classes_per_bit = 0.25

    def fit(self, X, y):
        if self.n_bits % 8:
            raise Unsupported(f"n_bits={self.n_bits}: expected a multiple of 8 bits")
        return super().fit(X, y)


@pytest.mark.parametrize("supervised", [Supervised, Multilabel, WholeBytes])
def test_a_method_that_reads_labels_is_given_such_as_it_needs(supervised):
    check_method(supervised)


class Normalised(DeepMethod):
    """Normalises batches."""

    def network(self, n_features):
        from torch import nn

        return nn.Sequential(nn.Linear(n_features, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, self.n_bits))

    def loss(self, outputs, batch):
        return {"loss": outputs.square().mean()}


def test_the_two_ends_of_a_search_space():
    tried = []

    class Recorded(GoodMethod):
        """Centres on the mean; ``scale``, ``size`` and ``n_parts`` do nothing."""

        search = {"scale": (0.5, 2.0), "size": (2, 10_000), "n_parts": [1, 2, 5_000]}

        def __init__(self, n_bits=32, *, scale=1.0, size=8, n_parts=2, random_state=None):
            super().__init__(n_bits, scale=scale, random_state=random_state)
            self.size = size
            self.n_parts = n_parts

        def fit(self, X, y=None):
            tried.append((self.scale, self.size, self.n_parts))
            return super().fit(X)

    check_search_space(Recorded)
    assert tried == [(0.5, 2, 1), (2.0, N_TRAIN, 2)]


def test_batch_normalisation_and_a_last_batch_of_one_row():
    check_a_last_batch_of_one_row(Normalised)  # the training leaves such a batch out


def test_the_suite_is_imported_from_one_place():
    check_method(GoodMethod)
    check_dataset(load_dataset_class("digits"))
    for plugin_class, arguments in (
        (GoodMethod, ("method_class", "check")),
        (GoodQuantizer, ("quantizer_class", "check")),
        (load_dataset_class("digits"), ("trial", "check")),
    ):
        assert parametrize_with_checks([plugin_class]).args[0] == arguments
    with pytest.raises(TypeError, match="write one test for each kind"):
        parametrize_with_checks([GoodMethod, load_dataset_class("digits")])


def load_dataset_class(name):
    return Registry().find("datasets", name).load()


def test_the_documentations_example_is_checked(cli, tmp_path, data):
    text = (Path(__file__).resolve().parents[2] / "docs" / "add-a-method.md").read_text()
    plugin, own_test = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "mine.py").write_text(plugin)
    done = cli("check", "mine", "--plugin", tmp_path / "mine.py")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("  ok") == N_OK, done.stdout
    scope = {"Mine": load_method("mine", (tmp_path / "mine.py",))}
    exec(own_test, scope)
    (mark,) = scope["test_mine"].pytestmark
    assert len(mark.args[1]) == len(checks_of("methods"))


LEAVING = """
from hashbench import HashMethod
{at_import}

class Leaving(HashMethod):
    def __init__(self, n_bits=8):
        {at_init}
        self.n_bits = n_bits

    def fit(self, X):
        {at_fit}
        return self

    def project(self, X):
        {at_project}
        return X[:, :self.n_bits]
"""


@pytest.mark.parametrize("leave", ["raise SystemExit(0)", "raise KeyboardInterrupt", "raise GeneratorExit"])
@pytest.mark.parametrize("where", ["at_import", "at_init", "at_fit", "at_project"])
def test_a_plugin_that_would_end_the_program_fails_its_checks(cli, tmp_path, leave, where):
    statements = {"at_import": "", "at_init": "pass", "at_fit": "pass", "at_project": "pass", where: leave}
    (tmp_path / "leaving.py").write_text(LEAVING.format(**statements))
    done = cli("check", "leaving", "lsh", "--plugin", tmp_path / "leaving.py")
    assert done.returncode == 1, done.stdout + done.stderr
    own, others = done.stdout.split("\nlsh\n")
    reason = leave.removeprefix("raise ").replace("(0)", ": 0")
    assert re.search(rf"  FAILED   \w+  .*{reason}", own), own
    assert others.count("  ok") == N_OK
    if where == "at_import":
        assert own.splitlines()[1:] == [
            f"  FAILED   import  method 'leaving' ({tmp_path / 'leaving.py'}) cannot be imported: {reason}"
        ]


ENDING = {
    "import os; os._exit(0)": "its process ended with exit code 0",
    "import os; os.kill(os.getpid(), 11)": "its process was ended by SIGSEGV",
    "import time; print('I wait', flush=True); time.sleep(3600)": "it was stopped after 6 s (--timeout)",
}


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDING)
def test_a_plugin_that_ends_its_process_fails_alone(cli, tmp_path, end):
    statements = {"at_import": "", "at_init": "pass", "at_fit": end, "at_project": "pass"}
    (tmp_path / "ending.py").write_text(LEAVING.format(**statements))
    done = cli("check", "ending", "lsh", "--plugin", tmp_path / "ending.py", "--timeout", 6)
    assert done.returncode == 1, done.stdout + done.stderr
    own, others = done.stdout.split("\nlsh\n")
    assert ENDING[end] in own
    assert ("I wait" in own) == ("I wait" in end)
    assert others.count("  ok") == N_OK


def test_check_method_names_all_failures():
    with pytest.raises(AssertionError, match=r"check_no_bit_is_constant: bits \[3\]"):
        check_method(OneBitIsConstant)


def test_the_command(cli, tmp_path):
    done = cli("check", "lsh")
    assert done.returncode == 0
    assert done.stdout.count("  ok") == N_OK
    broken = tmp_path / "broken.py"
    broken.write_text(
        '"""Broken."""\nimport numpy as np\nfrom hashbench import HashMethod\n'
        "class Broken(HashMethod):\n    def __init__(self, n_bits=8):\n        self.n_bits = n_bits\n"
        "    def fit(self, X, y=None):\n        return self\n"
        "    def project(self, X):\n        return np.ones((len(X), self.n_bits))\n"
    )
    done = cli("check", "broken", "--plugin", broken)
    assert done.returncode == 1
    assert "check_no_bit_is_constant" in done.stdout
