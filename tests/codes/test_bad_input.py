"""What cannot be scored is one line that says what to do."""

import numpy as np
import pytest
import saved_codes
from conftest import one_clear_line
from scipy.io import savemat

import hashbench

PROBLEM = saved_codes.Problem()
ARRAYS = {
    "query_codes": PROBLEM.query,
    "database_codes": PROBLEM.database,
    "query_labels": PROBLEM.query_classes,
    "database_labels": PROBLEM.database_classes,
}
NEIGHBORS = np.argsort(np.random.default_rng(0).random((24, 300)), axis=1)[:, :10]


def given(folder, **changed):
    """Return the options that give the arrays, some of them changed, or left out where they are None."""
    options = []
    for name, array in {**ARRAYS, **changed}.items():
        if array is not None:
            np.save(folder / f"{name}.npy", array)
            options += [f"--{name.replace('_', '-')}", folder / f"{name}.npy"]
    return options


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"query_labels": PROBLEM.query_classes[1:]}, "has 23 labels, there are 24 query codes"),
        ({"database_labels": PROBLEM.query_classes}, "has 24 labels, there are 300 database codes"),
        ({"query_codes": PROBLEM.query[:, :16]}, "expected codes of one width"),
        ({"query_codes": PROBLEM.query.ravel()}, "expected a matrix of codes, a row for each item"),
        ({"database_codes": np.where(PROBLEM.database > 0, np.nan, -1)}, "holds nan in row 0"),
        (
            {"database_codes": PROBLEM.database + (PROBLEM.database > 0) * np.eye(300, 32)},
            "3 different values, -1, 1, 2",
        ),
        ({"query_codes": np.packbits(PROBLEM.query > 0, axis=1)}, "expected codes of one width"),
        ({"query_codes": PROBLEM.query.T}, "looks transposed; save codes.T"),
        ({"query_codes": PROBLEM.query.T, "database_codes": PROBLEM.database.T}, "transposed, items as columns; save"),
        ({"database_labels": PROBLEM.database_labels.T}, "it looks transposed: save labels.T"),
        ({"database_labels": PROBLEM.database_classes + 100}, "no database item shares a label with a query"),
        ({"query_labels": np.full(24, 3), "database_labels": np.full(300, 3)}, "every item has the label 3"),
        ({"query_labels": None}, "there are no query labels: give --query-labels, or --neighbors"),
        ({"database_codes": None}, "there are no database codes: give --database-codes"),
        ({"query_labels": PROBLEM.query_labels + 0.5}, "values other than 0 and 1"),
        ({"neighbors": NEIGHBORS}, "--neighbors and labels both say what is relevant"),
    ],
)
def test_a_line_says_what_to_do(changed, words, cli, tmp_path):
    one_clear_line(cli("score", *given(tmp_path, **changed)), words)


def test_two_transposed_matrices_of_one_shape_are_seen_by_their_labels(cli, tmp_path):
    labels = {f"{part}_labels": PROBLEM.database_classes for part in ("query", "database")}
    codes = {f"{part}_codes": PROBLEM.database.T for part in ("query", "database")}
    one_clear_line(cli("score", *given(tmp_path, **codes, **labels)), "transposed, items as columns; save codes.T")
    savemat(tmp_path / "self.mat", {"q": PROBLEM.database.T, "r": PROBLEM.database.T})
    named = ("--query-codes", f"{tmp_path}/self.mat:q", "--database-codes", f"{tmp_path}/self.mat:r")
    done = cli("score", *named, *given(tmp_path, query_codes=None, database_codes=None, **labels))
    assert "score: 300 query codes" in done.stderr
    assert "items are the columns" in done.stderr


def test_bits_of_two_items_on_a_line_are_refused(cli, tmp_path):
    lines = ["".join(map(str, row)) for row in (PROBLEM.query > 0).astype(int)]
    (tmp_path / "q.txt").write_text("\n".join([lines[0], "", " ".join(lines[1:3]), *lines[3:]]))
    done = cli("score", "--query-codes", tmp_path / "q.txt", *given(tmp_path, query_codes=None))
    one_clear_line(done, "q.txt line 3 is not 32 characters 0 and 1, as the first line is")


NO_LABELS = {"query_labels": None, "database_labels": None}


@pytest.mark.parametrize(
    ("neighbors", "words"),
    [
        (NEIGHBORS[1:], "expected (24, k): a row of neighbours per query"),
        (NEIGHBORS + 0.5, "expected whole numbers"),
        (np.where(NEIGHBORS.max() == NEIGHBORS, 299, NEIGHBORS) + 1, "it seems to count from 1"),
        (NEIGHBORS - 400, "the database has rows 0 to 299"),
        (NEIGHBORS[:, [0, 0]], "row 0 names a neighbour twice"),
    ],
)
def test_neighbours_are_checked(neighbors, words, cli, tmp_path):
    one_clear_line(cli("score", *given(tmp_path, neighbors=neighbors, **NO_LABELS)), words)


def test_neighbours_are_scored_by_recall(cli, tmp_path):
    done = cli("score", *given(tmp_path, neighbors=NEIGHBORS, **NO_LABELS))
    assert done.returncode == 0, done.stderr
    assert "10 true neighbours of each query" in done.stderr
    assert done.stdout.split()[2::2] == ["recall@1", "recall@10"]
    one_clear_line(cli("score", *given(tmp_path, neighbors=NEIGHBORS, **NO_LABELS), "--audit"), "--audit is about")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--bits", "40"], "--bits 40 needs 40, a value for each bit, or 5, packed bytes"),
        (["--metrics", "mAP@0"], "the cut-off must be at least 1"),
        (["--metrics", "mop"], "unknown metric 'mop'"),
        (["--metrics", "recall@10"], "recall@10"),
        (["--csv", "scores.txt"], ".csv"),
    ],
)
def test_an_option_is_checked(option, words, cli, tmp_path):
    one_clear_line(cli("score", *given(tmp_path), *option), words)


def test_packed_codes_need_a_length_that_is_no_multiple_of_8(cli, tmp_path):
    packed = {
        f"{part}_codes": np.packbits(ARRAYS[f"{part}_codes"][:, :12] > 0, axis=1) for part in ("query", "database")
    }
    one_clear_line(cli("score", *given(tmp_path, **packed)), "say --bits 12 if they are padding")
    assert cli("score", *given(tmp_path, **packed), "--bits", "12").returncode == 0


def test_codes_of_two_forms_are_of_one_length(cli, tmp_path):
    wide = np.packbits(np.random.default_rng(0).random((300, 256)) < 0.5, axis=1)
    one_clear_line(cli("score", *given(tmp_path, database_codes=wide)), "read as 32 bits", "as 256")


def test_what_is_missing_is_named(cli, tmp_path):
    one_clear_line(cli("score"), "there are no query codes")
    one_clear_line(cli("score", tmp_path / "nothing.npy"), "no such file")
    one_clear_line(cli("score", tmp_path), "holds no files whose names say that they are codes")
    np.savez(tmp_path / "two.npz", a=PROBLEM.query, b=PROBLEM.query)
    one_clear_line(cli("score", "--query-codes", tmp_path / "two.npz:c", "--database-codes", tmp_path), "it has a, b")
    np.savez(tmp_path / "many.npz", x=PROBLEM.query, y=PROBLEM.query)
    one_clear_line(cli("score", "--query-codes", tmp_path / "many.npz"), "name one, such as", "many.npz:x")


def test_cross_modal_codes_are_not_guessed(cli, tmp_path):
    names = ("q_img", "q_txt", "r_img", "r_txt")
    arrays = dict(zip(names, [PROBLEM.query, PROBLEM.query, PROBLEM.database, PROBLEM.database], strict=True))
    savemat(tmp_path / "32-hash.mat", arrays)
    one_clear_line(cli("score", tmp_path / "32-hash.mat"), "can each be the query codes", "--query-codes FILE:NAME")
    file = tmp_path / "32-hash.mat"
    named = ("--query-codes", f"{file}:q_img", "--database-codes", f"{file}:r_txt")
    labels = given(tmp_path, query_codes=None, database_codes=None)
    assert cli("score", *named, *labels).returncode == 0


def test_properties_of_codes_and_labels_are_reported(cli, tmp_path):
    database = PROBLEM.database.copy()
    database[:, 3], database[:, 5] = 1, database[:, 4]
    changed = {"query_codes": np.ones_like(PROBLEM.query), "database_codes": database}
    done = cli("score", *given(tmp_path, **changed))
    assert done.returncode == 0, done.stderr
    for line in (
        "score: database: 300 codes of 32 bits, ",
        "score: database: 1 of 32 bits are constant: 3\n",
        "score: database: 1 of 496 pairs of bits are equal or inverse in every code, bits 4 and 5 the first\n",
        "score: queries: 24 codes of 32 bits, all of them the same: every distance is 0\n",
        "score: problem: 2 of 24 queries share no label with the database (query 0 the first): each scores 0\n",
    ):
        assert line in done.stderr


def test_codes_of_very_many_bits_are_scored_without_a_word_on_their_bits():
    wide = np.random.default_rng(0).integers(0, 2, (4, 5000), np.uint8).astype(bool)
    result = hashbench.score(
        query_codes=wide, database_codes=wide, query_labels=[0, 1, 2, 3], database_labels=[0, 1, 2, 3]
    )
    assert result.findings == []
