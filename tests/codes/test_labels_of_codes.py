"""Labels of every form say the same of what is relevant."""

import numpy as np
import pandas as pd
import pytest
import saved_codes
from scipy.io import savemat

from hashbench import score
from hashbench.errors import InputError

PROBLEM = saved_codes.Problem()
NAMES = np.array(["cat", "dog", "red fox", "owl", "emu", "bat", "cow", "hen", "yak", "ape"])


def text(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def marks(classes):
    return np.eye(10, dtype=int)[classes]


FORMS = {
    "classes a line": lambda f, c: text(f.with_suffix(".txt"), c),
    "names a line": lambda f, c: text(f.with_suffix(".txt"), NAMES[c]),
    "names under a word": lambda f, c: text(f.with_suffix(".csv"), ["label", *NAMES[c]]),
    "paths and marks": lambda f, c: text(
        f.with_suffix(".txt"), [f"my images/{n}.jpg {' '.join(map(str, one))}" for n, one in enumerate(marks(c))]
    ),
    "paths and classes": lambda f, c: text(f.with_suffix(".txt"), [f"images/{n}.jpg {one}" for n, one in enumerate(c)]),
    "marks a line": lambda f, c: text(f.with_suffix(".txt"), [" ".join(map(str, one)) for one in marks(c)]),
    "marks in a table": lambda f, c: text(f.with_suffix(".csv"), [",".join(map(str, one)) for one in marks(c)]),
    "a column of a table": lambda f, c: text(
        f.with_suffix(".csv"), ["path,label", *(f"{n}.jpg,{one}" for n, one in enumerate(NAMES[c]))]
    ),
    "parquet": lambda f, c: (
        pd.DataFrame({"label": c, "x": 0}).to_parquet(f.with_suffix(".parquet")) or f.with_suffix(".parquet")
    ),
    "MATLAB row": lambda f, c: (
        savemat(f.with_suffix(".mat"), {"labels": c[None].astype(float)}) or f.with_suffix(".mat")
    ),
    "MATLAB marks as columns": lambda f, c: (
        savemat(f.with_suffix(".mat"), {"labels": marks(c).T}) or f.with_suffix(".mat")
    ),
    "names in an array": lambda f, c: NAMES[c],
    "a list of lists": lambda f, c: [[NAMES[one]] for one in c],
    "a matrix of one column": lambda f, c: c[:, None],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_means_the_same(form, tmp_path):
    make = FORMS[form]
    found = score(
        query_codes=PROBLEM.query,
        database_codes=PROBLEM.database,
        query_labels=make(tmp_path / "query", PROBLEM.query_classes),
        database_labels=make(tmp_path / "database", PROBLEM.database_classes),
        metrics="mAP@all,P@10",
    )
    expected = score(
        query_codes=PROBLEM.query,
        database_codes=PROBLEM.database,
        query_labels=PROBLEM.query_classes,
        database_labels=PROBLEM.database_classes,
        metrics="mAP@all,P@10",
    )
    assert dict(found) == dict(expected)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "is empty"),
        (["a,b"], "has names of columns and no rows"),
        (["path,label", "1.jpg"], "line 2 has no column label"),
        (["1 0", "0"], "line 2 is not 2 numbers, as line 1 is"),
        (["a.jpg 0 1", "b.jpg 1"], "line 2 has 1 labels after a path, expected 2"),
        (["a.jpg 0 1", "b.jpg 0 7"], "line 2: 7 is no label, expected 0 or 1"),
        (["label", "cat", "nan"], "as programs write a missing value"),
    ],
)
def test_a_text_that_is_no_list_of_labels_is_one_line(lines, words, tmp_path):
    labels = text(tmp_path / "labels.csv", lines)
    with pytest.raises(InputError) as refused:
        score(
            query_codes=PROBLEM.query[:2], database_codes=PROBLEM.query[:2], query_labels=labels, database_labels=[0, 1]
        )
    assert words in str(refused.value)


def test_lists_of_labels_share_one(tmp_path):
    found = score(
        query_codes=PROBLEM.query[:2],
        database_codes=PROBLEM.database[:3],
        query_labels=[["cat", "red"], ["owl"]],
        database_labels=[["red"], ["owl", "cat"], ["emu"]],
        metrics="P@3",
    )
    assert found.per_query["P@3"].tolist() == pytest.approx([2 / 3, 1 / 3])
