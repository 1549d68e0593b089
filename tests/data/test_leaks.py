"""Planted leaks are found, each in a line: by row, path and content, and labels that decide nothing."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import one_clear_line
from toy_images import noise

from hashbench.data.leaks.check import check_dataset, check_lists
from hashbench.data.leaks.labels import label_findings
from hashbench.data.leaks.near import near_findings, spread
from hashbench.data.leaks.overlap import overlaps, where_training_lies


def listed(folder, **lists):
    """Write lists of 'path marks' lines, such as test=["a.png 1 0"]."""
    for name, lines in lists.items():
        file = folder / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines))
    return folder


def marked(names, first=0):
    """Return lines of names with two classes in turn."""
    return [f"{name} {'1 0' if at % 2 else '0 1'}" for at, name in enumerate(names, first)]


def files(start, stop):
    return [f"images/{number}.png" for number in range(start, stop)]


def clean(folder):
    return listed(folder, test=marked(files(0, 4)), train=marked(files(4, 8)), database=marked(files(4, 20)))


def said(findings):
    return [str(finding) for finding in findings]


def problems(findings):
    return [finding.text for finding in findings if finding.is_problem]


def test_clean_lists_have_no_problem(tmp_path, cli):
    done = cli("data", "check-lists", clean(tmp_path))
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "4 queries (test.txt), 4 training items (train.txt), 16 items of the database (database.txt); 2 labels a line",
        "the training set is inside the database, by path: all 4 of it are among the database's 16, 12 without them",
        "content is not compared: --root names the images' folder",
    ]


@pytest.mark.parametrize("spelling", ["images/2.png", ".\\images//2.png", "images/./2.png"])
def test_a_query_in_another_list_is_found_however_it_is_written(tmp_path, cli, spelling):
    listed(clean(tmp_path), database=marked([*files(4, 20), spelling]))
    done = cli("data", "check-lists", tmp_path)
    assert done.returncode == 1
    assert (
        "problem: 1 of 4 queries is in the database, by path (test.txt line 3, images/2.png = database.txt line 17, "
        in (done.stdout)
    )
    listed(clean(tmp_path), train=marked([*files(4, 8), spelling]))
    assert [text[:43] for text in problems(check_lists(tmp_path))] == ["1 of 4 queries is in the training set, by p"]


def test_the_place_of_the_training_set_is_reported():
    (inside,), (outside,), (partly,), (whole,) = (
        where_training_lies(np.arange(train), np.arange(start, 54), "row")
        for train, start in ((5, 0), (5, 5), (5, 3), (54, 0))
    )
    assert "all 5 of it are among the database's 54, 49 without them" in inside.text
    assert "outside the database, by row: 49 items without it, 54 where others keep it inside" in outside.text
    assert partly.text == "2 of 5 training items are in the database, by row, and 3 are not"
    assert whole.text == "the training set is the whole database, by row: 54 items"


def test_unknown_items_equal_nothing():
    unknown = np.full(3, -1)
    assert not overlaps({"query": unknown, "train": unknown, "database": unknown}, "bytes")


@pytest.mark.parametrize(
    ("lists", "found"),
    [
        ({"test": marked([*files(0, 4), "images/1.png"])}, "1 of 5 items of the queries is there again, by path"),
        ({"database": [f"{name} 1 0" for name in files(4, 20)]}, "all 16 items of the database have the same labels"),
        ({"test": [f"{name} 1 0" for name in files(0, 4)]}, "all 4 queries have the same labels"),
        ({"test": [*marked(files(0, 3)), "images/3.png 0 0"]}, "1 of 4 queries have no label"),
        ({"train": marked(files(4, 8), 1)}, "4 items have other labels in one list than in another"),
        ({"train": [f"{name} 1 0 0" for name in files(4, 8)]}, "differ in the number of labels a line: 2 in that of"),
        (
            {part: [f"{name} {label}" for name, label in zip(names, labels, strict=True)] for part, names, labels in (
                ("test", files(0, 3), (1, 2, 7)), ("train", files(3, 5), (1, 2)), ("database", files(3, 6), (1, 2, 2)),
            )},
            "1 of 3 queries shares no label with the database (query 2 the first): it scores 0",
        ),
    ],
)  # fmt: skip
def test_a_planted_fault_is_a_problem(tmp_path, lists, found):
    assert found in "; ".join(problems(check_lists(listed(clean(tmp_path), **lists))))


def test_layouts_of_others(tmp_path):
    starts = {"test": 0, "database": 20}
    hashnet = {f"test/{kind}{n}": marked(files(at + n, at + n + 1)) for kind, at in starts.items() for n in range(11)}
    first = said(check_lists(listed(tmp_path / "hashnet", train=marked(files(50, 53)), **hashnet)))[0]
    assert first.startswith(
        "11 queries (test0.txt to test10.txt), 3 training items (train.txt), 11 items of the database"
    )
    lists = {"testset": files(0, 3), "training": files(3, 9), "validation": files(0, 3)}
    nuswide = listed(tmp_path / "nuswide", **{name: marked(one) for name, one in lists.items()}, readme=["words"])
    assert said(check_lists(nuswide))[1:3] == [
        "passed over: readme.txt, validation.txt", "no database list: the training list is taken for the database"
    ]  # fmt: skip
    plain = listed(tmp_path / "plain", query=files(0, 3), database=["my photos/1 2.png", *files(2, 5)])
    assert said(check_lists(plain))[0].endswith("4 items of the database (database.txt); no labels")
    assert len(problems(check_lists(plain))) == 1
    other = listed(tmp_path / "other", q=files(0, 3), db=files(3, 5))
    assert not problems(check_lists(other, lists={"query": other / "q.txt"}))
    (tmp_path / "rows").mkdir()
    np.save(tmp_path / "rows" / "query.npy", np.arange(3))
    np.save(tmp_path / "rows" / "database.npy", np.arange(2, 9))
    (problem,) = problems(check_lists(tmp_path / "rows"))
    assert problem == "1 of 3 queries is in the database, by row (query.npy line 3, 2 = database.npy line 1, 2)"


def test_an_absolute_path_is_a_hint_until_the_files_are_compared(tmp_path):
    listed(clean(tmp_path), database=[*marked(files(4, 20)), "/home/of/others/images/3.png 1 0"])
    assert any(
        text.startswith("hint: 1 of 4 queries may be in the database list under a longer or shorter path (images/3.png")
        for text in said(check_lists(tmp_path))
    )
    (tmp_path / "images").mkdir()
    for number in range(20):
        noise(6, 6, number).save(tmp_path / "images" / f"{number}.png")
    (problem,) = problems(check_lists(tmp_path))
    assert problem.startswith("1 of 4 queries is in the database, by bytes (test.txt line 4, images/3.png = ")


def test_equal_bytes_and_equal_pixels_are_found(tmp_path, cli):
    images = tmp_path / "elsewhere" / "images"
    images.mkdir(parents=True)
    for number in range(20):
        noise(6, 6, number).save(images / f"{number}.png")
    shutil.copy(images / "0.png", images / "15.png")
    noise(6, 6, 1).save(images / "16.png", "BMP")  # Pillow goes by content, not by name
    clean(tmp_path)
    found = problems(check_lists(tmp_path, images.parent))
    assert [text.split(" (")[0] for text in found] == [
        "1 of 4 queries is in the database, by bytes",
        "1 of 4 queries is in the database, by pixels",
    ]
    assert "images/1.png = database.txt line 13, images/16.png" in found[1]
    done = cli("data", "check-lists", tmp_path, "--root", images.parent, "--bytes-only")
    assert (done.returncode, "pixels" in done.stdout) == (1, False)
    (images / "7.png").unlink()
    (images / "8.png").write_bytes(b"no image")
    found = problems(check_lists(tmp_path, images.parent))
    assert found[0] == "1 of 20 listed files are not below --root, images/7.png the first"
    assert found[1] == "1 of 20 listed files are no readable images, images/8.png the first"
    one_clear_line(cli("data", "check-lists", tmp_path, "--root", tmp_path / "no"), "no such folder")
    (tmp_path / "empty").mkdir()
    one_clear_line(
        cli("data", "check-lists", tmp_path, "--root", tmp_path / "empty"), "none of 20 listed files is below"
    )


def test_a_list_leads_nowhere_above_the_root(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"")
    (tmp_path / "root").mkdir()
    noise(4, 4).save(tmp_path / "root" / "1.png")
    listed(tmp_path / "lists", test=["../secret.png"], database=["1.png"])
    (problem,) = problems(check_lists(tmp_path / "lists", tmp_path / "root"))
    assert problem == "1 of 2 listed files are not below --root, ../secret.png the first"


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({}, ("has no list of queries", "--query")),
        ({"test": files(0, 2)}, ("has no list of queries",)),
        ({"test": files(0, 2), "query": files(0, 2), "train": files(2, 3)}, ("may both be the query list",)),
        ({"test": files(0, 2), "test1": files(0, 2), "train": files(2, 3)}, ("may both be the query list",)),
        ({"test": [], "train": files(2, 3)}, ("test.txt is empty",)),
        ({"test": ["a.png 1 0", "b.png 1"], "train": files(2, 3)}, ("test.txt line 2 has 1 labels, the first line 2",)),
        ({"test": ["a.png 1 0", "b.png 1 0 1"], "train": files(2, 3)}, ("line 2 has 3 labels, the first line 2",)),
        ({"test": ["a.png 1 3"], "train": files(2, 3)}, ("3 is no mark of a label: expected 0 or 1",)),
        ({"test": ["a.png 1 " + "9" * 30], "train": files(2, 3)}, ("is no mark of a label",)),
    ],
)
def test_lists_that_cannot_be_used_are_one_line(tmp_path, cli, lists, words):
    one_clear_line(cli("data", "check-lists", listed(tmp_path, **lists)), *words)


def test_what_is_no_text_is_one_line(tmp_path, cli):
    (tmp_path / "test.txt").write_bytes(b"\xff\xfe\x00")
    one_clear_line(cli("data", "check-lists", listed(tmp_path, train=files(0, 1))), "test.txt cannot be read")
    one_clear_line(cli("data", "check-lists", tmp_path / "no"), "no such folder")
    np.save(tmp_path / "query.npy", np.zeros((2, 2)))
    one_clear_line(
        cli("data", "check-lists", tmp_path, "--query", tmp_path / "query.npy"), "some lists hold row numbers"
    )
    named = ["--query", tmp_path / "query.npy", "--train", tmp_path / "query.npy"]
    one_clear_line(cli("data", "check-lists", tmp_path, *named), "expected row numbers")


def test_a_data_set_is_checked_by_content(digits):
    images = digits.images.copy()
    images[digits.split.database[7]] = images[digits.split.query[0]]
    labels = np.where(digits.labels == 3, 4, digits.labels)
    found = check_dataset(replace(digits, images=images, items_sha256="", labels=labels))
    first = f"row {digits.split.query[0]} = row {digits.split.database[7]}"
    assert problems(found)[0] == f"1 of 300 queries is in the database, by content ({first})"
    assert said(found)[0] == "the training set is the whole database, by row: 1,497 items"
    assert not problems(check_dataset(digits))


def test_near_vectors_are_a_hint():
    rng = np.random.default_rng(0)
    vectors = (rng.standard_normal((500, 32)) + 1000).astype(np.float32)  # far from 0, where rounding is coarse
    vectors[0] = vectors[300] + 0.01 * rng.standard_normal(32)
    vectors[1] = vectors[400]
    query, other = np.arange(20), np.arange(20, 500)
    (hint,) = near_findings(vectors, query, other)
    assert hint.text.startswith("hint: 1 of 20 queries nearly equal a vector of the database (query 0 and database 280")
    assert not hint.is_problem
    centred = vectors[other].astype(float) - vectors[other].mean(axis=0, dtype=float)
    assert spread(vectors, other) == pytest.approx(np.sqrt((centred**2).sum(axis=1).mean()))
    apart = np.linalg.norm(vectors[0].astype(float) - vectors[300]) / spread(vectors, other)
    assert f", {apart:.2g} of the vectors' spread apart" in hint.text
    exact = np.linalg.norm(vectors[query, None].astype(float) - vectors[None, other], axis=2)
    assert near_findings(vectors, query, other, exact.argmin(axis=1)) == [hint]
    assert not near_findings(vectors, query, other, exact.argmax(axis=1))
    assert not near_findings(np.ones((9, 4), np.float32), np.arange(3), np.arange(3, 9))


def test_labels_of_arrays():
    rng = np.random.default_rng(0)
    assert not label_findings(rng.integers(0, 3, 50), rng.integers(0, 3, 50))
    marks = np.eye(3, dtype=bool)[[0, 1, 2, 2]]
    (lonely,) = label_findings(marks, marks[:2])
    assert "2 of 4 queries share no label with the database (query 2 the first): each scores 0" in lonely.text
