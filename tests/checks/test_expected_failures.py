"""A plugin says which checks it fails and why; what does not apply to it is skipped with a reason."""

import numpy as np
import pytest
from good_plugins import GoodMethod, GoodQuantizer

from hashbench import HashDataset, InputError
from hashbench.checks import check_plugin, parametrize_with_checks
from hashbench.checks.suite import outcomes

REASON = "transductive: rows are encoded together"


class Together(GoodMethod):
    """Centres each batch; ``scale`` does nothing."""

    expected_failures = {
        "check_rows_are_independent": REASON,
        "check_codes_are_packed": REASON,
        "check_encode_memory_is_bounded": "all rows are centred at once",
    }

    def encode(self, X):
        return super().encode(X - np.nanmedian(X, axis=0))


def ended(plugin_class):
    return {outcome.name: (outcome.how, outcome.reason) for outcome in outcomes(plugin_class)}


def test_an_expected_failure_that_passes_is_a_failure():
    class Cured(GoodQuantizer):
        __doc__ = GoodQuantizer.__doc__
        expected_failures = {"check_refit_forgets": "it goes on from before", "check_a_last_batch_of_one_row": "none"}

    how = ended(Cured)
    passes = "passes although it is expected to fail: remove it from expected_failures"
    assert how["check_refit_forgets"] == ("FAILED", passes)
    assert how["check_a_last_batch_of_one_row"] == ("skipped", "it has no parameter batch_size")


def test_a_data_set_expects_failures_too():
    class Unattributed(HashDataset):
        """Is from nowhere."""

        needs = "files"
        protocols = ()
        expected_failures = {"check_facts": "it is from nowhere", "check_protocol_names": "there is\nno protocol"}

    how = ended(Unattributed)
    assert how["check_facts"] == ("xfail", "expected to fail: it is from nowhere")
    assert how["check_protocol_names"] == ("xfail", "expected to fail: there is no protocol")


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (
            {"check_rows_are_independant": REASON},
            ["'check_rows_are_independant'", "no check of methods", "did you mean 'check_rows_are_independent'?"],
        ),
        ({"check_splits": "it has none"}, ["'check_splits', no check of methods"]),
        ({3: "odd"}, ["names 3, no check of methods; known: check_parameters, "]),
        ({"check_labels": " "}, ["check_labels is ' '; say why it fails"]),
        ({"check_labels": None}, ["check_labels is None; say why it fails"]),
        (["check_labels"], ["expected_failures is a list; write {"]),
    ],
)
def test_an_unusable_expectation_is_refused_in_one_line(expected, words):
    class Mistaken(GoodMethod):
        expected_failures = expected

    for refuses in (check_plugin, lambda one: parametrize_with_checks([one])):
        with pytest.raises(InputError) as refused:
            refuses(Mistaken)
        assert "\n" not in str(refused.value)
        for word in [Mistaken.name, *words]:
            assert word in str(refused.value)


PLUGIN = """
import numpy as np
from hashbench import HashMethod

class Together(HashMethod):
    '''Centres each batch.'''

    expected_failures = {EXPECTED}

    def __init__(self, n_bits=8):
        self.n_bits = n_bits

    def fit(self, X):
        self.axes_ = np.random.default_rng(0).standard_normal((X.shape[1], self.n_bits), np.float32)
        return self

    def encode(self, X):
        return super().encode(X - np.nanmedian(X, axis=0))

    def project(self, X):
        return X @ self.axes_
"""


@pytest.mark.parametrize(
    ("added", "code", "line"),
    [
        ({}, 0, f"  xfail    check_rows_are_independent  expected to fail: {REASON}"),
        (
            {"check_refit_forgets": "it does not"},
            1,
            "  FAILED   check_refit_forgets  passes although it is expected to fail: remove it from expected_failures",
        ),
        (
            {"check_refit_forget": "it does not"},
            1,
            "  FAILED   expected_failures  together: expected_failures names 'check_refit_forget', no check of methods"
            "; did you mean 'check_refit_forgets'?",
        ),
    ],
)
def test_the_command(cli, tmp_path, added, code, line):
    file = tmp_path / "together.py"
    file.write_text(PLUGIN.replace("{EXPECTED}", repr(Together.expected_failures | added)))
    done = cli("check", "together", "--plugin", file)
    assert done.returncode == code, done.stdout
    assert line in done.stdout.splitlines()
    assert done.stdout.count("FAILED") == code


def test_pytest_marks_expected_failures():
    rows = parametrize_with_checks([Together]).args[1]
    marks = {row.values[1].__name__: [(mark.name, mark.kwargs) for mark in row.marks] for row in rows}
    assert marks["check_rows_are_independent"] == [("xfail", {"reason": REASON, "strict": True})]
    assert marks["check_labels"] == [("skip", {"reason": "it reads no labels"})]
    assert marks["check_refit_forgets"] == []


@parametrize_with_checks([Together])
def test_together(method_class, check):
    check(method_class)


class OnGraphs(GoodMethod):
    """Learns from graphs; ``scale`` does nothing."""

    def skip(self, dataset):
        return f"it needs a graph of {len(dataset.split.train)} nodes"


class TrainsABackbone(GoodMethod):
    """Trains a backbone; ``scale`` does nothing."""

    def fit(self, X, y=None, *, tunable):
        return super().fit(X)


@pytest.mark.parametrize(
    ("method_class", "reason"),
    [
        (OnGraphs, "it needs a graph of 400 nodes"),
        (TrainsABackbone, "fit asks for tunable, a backbone, and the checks have none"),
    ],
)
def test_what_a_method_skips_is_skipped(method_class, reason):
    how = ended(method_class)
    assert how["check_seed_decides"] == how["check_refuses_unusable_input"] == ("skipped", reason)
    assert how["check_parameters"] == how["check_documented"] == ("ok", "")
    assert {one for one, _ in how.values()} == {"ok", "skipped"}
