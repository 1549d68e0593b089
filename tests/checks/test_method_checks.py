"""Every plugin of the project passes the conformance suite; a deliberately broken one fails each check."""

import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hashbench import HashMethod, Unsupported, load_method
from hashbench.checks import methods as checks
from hashbench.checks.method_fitting import check_a_last_batch_of_one_row
from hashbench.learning.deep import DeepMethod
from hashbench.plugins.registry import Registry

METHODS = [load_method(name) for name in Registry().names("methods")]
NETWORKS = [one for one in METHODS if issubclass(one, DeepMethod)]


@checks.parametrize_with_checks([one for one in METHODS if one not in NETWORKS])
def test_conformance(method_class, check):
    if method_class.name.startswith("faiss"):
        pytest.importorskip("faiss")
    check(method_class)


@pytest.mark.slow
@checks.parametrize_with_checks(NETWORKS)
def test_conformance_of_networks(method_class, check):
    check(method_class)


class Good(HashMethod):
    """Random directions; ``scale`` does nothing."""

    def __init__(self, n_bits=32, *, scale=1.0, random_state=None):
        self.n_bits, self.scale, self.random_state = n_bits, scale, random_state

    def fit(self, X, y=None):
        rng = np.random.default_rng(self.random_state)
        self.mean_ = X.mean(axis=0)
        self.directions_ = rng.standard_normal((X.shape[1], self.n_bits), dtype=np.float32)
        return self

    def project(self, X):
        return (X - self.mean_) @ self.directions_


def test_ten_lines_are_enough():
    checks.check_method(Good)


class RoundsBits(Good):
    def __init__(self, n_bits=32, *, scale=1.0, random_state=None):
        super().__init__(int(n_bits // 8 * 8), scale=scale, random_state=random_state)


class WrongPadding(Good):
    def encode(self, X):
        return super().encode(X) | np.uint8(self.n_bits % 8 > 0)


class LittleEndian(Good):
    def encode(self, X):
        return np.packbits(self.project(np.asarray(X)) > 0, axis=1, bitorder="little")


class Unseeded(Good):
    def fit(self, X, y=None):
        super().fit(X)
        self.directions_ = np.random.default_rng().standard_normal(self.directions_.shape)
        return self


class IgnoresSeed(Good):
    def fit(self, X, y=None):
        super().fit(X)
        self.directions_ = np.random.default_rng(0).standard_normal(self.directions_.shape)
        return self


class MovesGlobalState(Good):
    def fit(self, X, y=None):
        np.random.standard_normal(3)  # noqa: NPY002 (what the check is about)
        return super().fit(X)


class CentresOnTheBatch(Good):
    def encode(self, X):
        return super().encode(np.asarray(X) - np.asarray(X).mean(axis=0) + self.mean_)


class WritesToItsInput(Good):
    def encode(self, X):
        codes = super().encode(X)
        X[:] = 0
        return codes


class LikesOneLayout(Good):
    def encode(self, X):
        return super().encode(X) if X.flags.c_contiguous else super().encode(-X)


class Remembers(Good):
    def fit(self, X, y=None):
        super().fit(X)
        self._means = getattr(self, "_means", 0) + self.mean_  # the contract forgets learned attributes, not this one
        self.mean_ = self._means
        return self


class HidesItsState(Good):
    def fit(self, X, y=None):
        super().fit(X)
        self._hidden, self.directions_ = self.directions_, None
        return self

    def project(self, X):
        return (X - self.mean_) @ self._hidden


class AcceptsAnything(Good):
    def encode(self, X):
        X = np.nan_to_num(np.asarray(X, np.float32))
        return super().encode(X)


class GivesFewerBits(Good):
    def encode(self, X):
        return super().encode(X)[:, :4]


class Whitens(Good):
    def fit(self, X, y=None):
        super().fit(X)
        self.directions_ = self.directions_ / X.std(axis=0)[:, None]
        return self


class OneBitIsConstant(Good):
    def project(self, X):
        values = super().project(X)
        values[:, 3] = 1
        return values


class Copies(Good):
    def encode(self, X):
        return super().encode(np.array(X, np.float64))


class ChangesItsLength(Good):
    def fit(self, X, y=None):
        self.n_bits = 1024
        return super().fit(X)


class ChangesWhenEncoding(Good):
    def encode(self, X):
        self.scale = 2.0
        return super().encode(X)


class ChangesWhenProjecting(Good):
    def project(self, X):
        self.scale = 2.0
        return super().project(X)


class AsksForATeacher(Good):
    def fit(self, X, y=None, *, teacher=None):
        return super().fit(X)


class AsksForViews(Good):
    def fit(self, X, y=None, *, views=None):
        return super().fit(X)


class DividesByLengths(Good):
    def project(self, X):
        with np.errstate(divide="ignore", invalid="ignore"):
            return super().project(X) / np.linalg.norm(X, axis=1, keepdims=True)


class ProjectsTooWide(Good):
    def project(self, X):
        return np.repeat(super().project(X), 2, axis=1)


class IgnoresLabels(Good):
    supervision = "supervised"


class FailsOnOneRow(Good):
    def __init__(self, n_bits=32, *, scale=1.0, batch_size=64, random_state=None):
        super().__init__(n_bits, scale=scale, random_state=random_state)
        self.batch_size = batch_size

    def fit(self, X, y=None):
        if len(X) % self.batch_size == 1:
            raise ValueError("Expected more than 1 value per channel when training")
        return super().fit(X)


class Leaves(Good):
    def fit(self, X, y=None):
        raise SystemExit(0)


class LeavesWhenMade(Good):
    def __init__(self, n_bits=32, *, scale=1.0, random_state=None):
        raise KeyboardInterrupt


class LeavesWhenProjecting(Good):
    def project(self, X):
        raise GeneratorExit


class LeavesErrorsRaised(Good):
    def fit(self, X, y=None):
        np.seterr(over="raise")
        return super().fit(X)


class LeavesAThread(Good):
    def fit(self, X, y=None):
        threading.Thread(target=time.sleep, args=(1,)).start()
        return super().fit(X)


class Undocumented(Good):
    __doc__ = None


BROKEN = [
    (RoundsBits, "check_parameters", "n_bits is not kept as given"),
    (WrongPadding, "check_codes_are_packed", "padding bits"),
    (LittleEndian, "check_codes_are_packed", "numpy.packbits"),
    (Unseeded, "check_seed_decides", "two fits"),
    (IgnoresSeed, "check_seed_decides", "is it used?"),
    (LeavesErrorsRaised, "check_process_is_left_alone", "leaves changed behind: numpy's error state"),
    (LeavesAThread, "check_process_is_left_alone", "leaves changed behind: running threads"),
    (MovesGlobalState, "check_global_random_state_is_left_alone", "global random state"),
    (CentresOnTheBatch, "check_rows_are_independent", "differs"),
    (WritesToItsInput, "check_input_is_not_changed", "was changed"),
    (LikesOneLayout, "check_memory_layouts", "Fortran order"),
    (Remembers, "check_refit_forgets", "depends on the first"),
    (HidesItsState, "check_saves_and_loads", "_hidden"),
    (AcceptsAnything, "check_refuses_unusable_input", "encode accepts nan"),
    (GivesFewerBits, "check_too_many_bits", "40 bits give codes of 4 bytes"),
    (Whitens, "check_degenerate_data", "divide by zero"),
    (OneBitIsConstant, "check_no_bit_is_constant", "bits [3]"),
    (Copies, "check_encode_memory_is_bounded", "allocates"),
    (Undocumented, "check_documented", "no docstring"),
    (ChangesItsLength, "check_parameters_stay", "fit changed the parameter n_bits from 16 to 1024"),
    (ChangesWhenEncoding, "check_parameters_stay", "scale was 1.0 in fit and is 2.0 now"),
    (ChangesWhenProjecting, "check_parameters_stay", "encode changes the parameters"),
    (AsksForATeacher, "check_fit_asks_for_what_there_is", "fit asks for teacher; a run offers device, "),
    (AsksForViews, "check_fit_asks_for_what_there_is", "n_pool_views(n_images)"),
    (
        DividesByLengths,
        "check_values_are_finite",
        "rows of zeros: test_method_checks: project returned -inf for row 0, bit 0",
    ),
    (
        ProjectsTooWide,
        "check_codes_are_packed",
        "project returned shape (1024, 32), expected an array of shape (1024, 16)",
    ),
    (IgnoresLabels, "check_labels", "other labels give the same codes"),
    (
        FailsOnOneRow,
        "check_a_last_batch_of_one_row",
        "a batch of one row: ValueError: Expected more than 1 value per channel when training; leave such a batch out",
    ),
    (Leaves, "check_codes_are_packed", "SystemExit: 0"),
    (LeavesWhenMade, "check_codes_are_packed", "KeyboardInterrupt"),
    (LeavesWhenProjecting, "check_codes_are_packed", "GeneratorExit"),
]


@pytest.mark.parametrize(("broken", "name", "reason"), BROKEN, ids=[row[0].__name__ for row in BROKEN])
def test_a_broken_method_fails_its_check(broken, name, reason):
    failed = {outcome.name: outcome.reason for outcome in checks.outcomes(broken) if outcome.reason}
    assert name in failed, failed
    assert reason in failed[name]


class Supervised(Good):
    """Centres on the last class; ``scale`` does nothing."""

    supervision = "supervised"

    def fit(self, X, y):
        if y.ndim > 1:
            raise Unsupported(f"{self.name} needs classes")
        super().fit(X)
        self.mean_ = X[y == y.max()].mean(axis=0)
        return self


def test_a_method_that_reads_labels_is_given_them():
    checks.check_method(Supervised)


class Normalised(DeepMethod):
    """Normalises batches."""

    def network(self, n_features):
        from torch import nn

        return nn.Sequential(nn.Linear(n_features, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, self.n_bits))

    def loss(self, outputs, batch):
        return {"loss": outputs.square().mean()}


class LeavesOneRowOut(Normalised):
    """Normalises batches of two rows or more."""

    def rows_used(self, n_rows):
        return n_rows if n_rows > 1 else 0


def test_batch_normalisation_and_a_last_batch_of_one_row():
    with pytest.raises(AssertionError, match=r"400 rows in batches of 57 .*rows_used returns 0"):
        check_a_last_batch_of_one_row(Normalised)
    check_a_last_batch_of_one_row(LeavesOneRowOut)


def test_every_check_is_failed_by_some_broken_method():
    assert {check.__name__ for check in checks.CHECKS} == {name for _, name, _ in BROKEN}


def test_both_suites_are_imported_from_one_place():
    from hashbench.checks import check_dataset, check_method, parametrize_with_checks

    check_method(Good)
    check_dataset(load_dataset_class("digits"))
    for plugin_class, arguments in (
        (Good, ("method_class", "check")),
        (load_dataset_class("digits"), ("trial", "check")),
    ):
        assert parametrize_with_checks([plugin_class]).args[0] == arguments
    with pytest.raises(TypeError, match="give each kind a test of its own"):
        parametrize_with_checks([Good, load_dataset_class("digits")])


def load_dataset_class(name):
    return Registry().find("datasets", name).load()


def test_the_documentations_example_is_checked(cli, tmp_path, data):
    text = (Path(__file__).resolve().parents[2] / "docs" / "add-a-method.md").read_text()
    plugin, own_test = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "mine.py").write_text(plugin)
    done = cli("check", "mine", "--plugin", tmp_path / "mine.py")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("  ok") == len(checks.CHECKS), done.stdout
    scope = {"Mine": load_method("mine", (tmp_path / "mine.py",))}
    exec(own_test, scope)
    (mark,) = scope["test_mine"].pytestmark
    assert len(mark.args[1]) == len(checks.CHECKS)


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
    assert others.count("  ok") == len(checks.CHECKS)
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
    assert others.count("  ok") == len(checks.CHECKS)


def test_check_method_names_all_failures():
    with pytest.raises(AssertionError, match=r"check_no_bit_is_constant: bits \[3\]"):
        checks.check_method(OneBitIsConstant)


def test_the_command(cli, tmp_path):
    done = cli("check", "lsh")
    assert done.returncode == 0
    assert done.stdout.count("  ok") == len(checks.CHECKS)
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
