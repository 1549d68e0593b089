"""hashbench import: codes of a protocol, made by another program, become records like any other."""

import json
import re
import shlex
import shutil

import h5py
import numpy as np
import pytest
from boards import rows_of
from conftest import one_clear_line

from hashbench.records.store import Store
from hashbench.reports.leaderboards.checks import problems_of
from hashbench.reports.page.figures.all_figures import figures_of
from hashbench.reports.page.from_run import settings_of_run
from hashbench.reports.page.gallery import make_gallery
from hashbench.results.setting import by_setting
from hashbench.results.verdicts import group_of, verdicts

WORDS = {
    "--about": "ITQ in numpy",
    "--training": "the training set of the protocol",
    "--backbone": "pixels",
    "--no-labels-used": None,
}


def flags(out, name="numpy-itq", **changed):
    """Return the options of an import; one that is None is left out, one that is True has no value."""
    values = {"--as": name, "--out": out, **{flag: True if text is None else text for flag, text in WORDS.items()}}
    values |= {f"--{flag.replace('_', '-')}": value for flag, value in changed.items()}
    given = [(flag, value) for flag, value in values.items() if value is not None]
    return ["import", *(part for flag, value in given for part in ([flag] if value is True else [flag, value]))]


def itq(X, train, n_bits, seed):
    """Return the bits of all rows by Gong and Lezebnik's ITQ, written with numpy alone."""
    centred = X - X[train].mean(axis=0)
    _, vectors = np.linalg.eigh(centred[train].T @ centred[train])
    P = vectors[:, ::-1][:, :n_bits]
    P = P * np.sign(P[np.abs(P).argmax(axis=0), np.arange(n_bits)])
    R = np.linalg.qr(np.random.default_rng(seed).standard_normal((n_bits, n_bits)))[0]
    V = centred @ P
    for _ in range(51):
        U, _, Wt = np.linalg.svd(V[train].T @ np.where(V[train] @ R >= 0, 1, -1))
        R = U @ Wt
    return V @ R > 0


@pytest.fixture(scope="module")
def protocol(tmp_path_factory, cli):
    """Return the folder of the exported protocol."""
    folder = tmp_path_factory.mktemp("import") / "protocol"
    done = cli("data", "export", "digits", "-o", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def codes(protocol):
    """Return a folder with codes of 8 and 16 bits, three seeds each."""
    folder = protocol.parent / "codes"
    folder.mkdir()
    images = np.load(protocol / "images.npy")
    query, train, database = (np.load(protocol / f"{part}.npy") for part in ("query", "train", "database"))
    X = images.reshape(len(images), -1) / 255
    for n_bits in (8, 16):
        for seed in range(3):
            bits = itq(X, train, n_bits, seed)
            for name, rows in (("q", query), ("d", database)):
                np.save(folder / f"{name}_{n_bits}_{seed}.npy", np.where(bits[rows], 1, -1).astype(np.int8))
    return folder


@pytest.fixture(scope="module")
def imported(codes, protocol, board_run, tmp_path_factory, cli):
    """Return a directory with ITQ, LSH and PCAH of hashbench, and the codes of ITQ in numpy."""
    out = tmp_path_factory.mktemp("imported") / "out"
    shutil.copytree(board_run, out)
    done = cli(*flags(out, query_codes=codes / "q_{bits}_{seed}.npy", database_codes=codes / "d_{bits}_{seed}.npy"))
    assert done.returncode == 0, done.stderr
    assert "import: the training set is the whole database, by row: 1,497 items" in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("import: numpy-itq 16 bits seed 2: ")]
    assert len(said) == 1
    assert "1,497 database codes from d_16_2.npy, 16 bits, -1 and 1; database: 811 different, ones are" in said[0]
    assert "numpy-itq (imported)" in done.stdout
    return Store(out)


def by_cell(store, method, params=None):
    return {
        (record.config["n_bits"], record.config["seed"]): record
        for record in store
        if record.config["method"] == method and params in (None, record.config["params"])
    }


def test_codes_of_the_exported_protocol_give_the_digits_of_the_methods_row(imported):
    theirs, ours = by_cell(imported, "numpy-itq"), by_cell(imported, "itq", {"n_iter": 51})
    assert theirs.keys() == ours.keys() == {(n_bits, seed) for n_bits in (8, 16) for seed in range(3)}
    for cell, record in theirs.items():
        assert record.codes_sha256 == ours[cell].codes_sha256
        assert record.metrics == ours[cell].metrics
        arrays, others = imported.arrays(record.id), imported.arrays(ours[cell].id)
        assert all(np.array_equal(arrays[name], others[name]) for name in others)
        assert (record.origin, record.uses_labels, record.timings) == ("imported", False, {})
        assert record.config["params"] == {"about": WORDS["--about"], "training": WORDS["--training"]}


def test_a_run_compares_them_with_what_was_trained(imported):
    compared = verdicts(list(imported), imported)
    theirs, ours = by_cell(imported, "numpy-itq")[16, 0], by_cell(imported, "itq", {"n_iter": 51})[16, 0]
    one, other = (compared[group_of(record), "mAP@all"] for record in (theirs, ours))
    assert {one.verdict, other.verdict} == {"best", "not separable"}


def test_a_leaderboard_keeps_them_apart_and_a_bundle_is_scored_again(imported, tmp_path, cli):
    board, bundle = tmp_path / "digits.csv", tmp_path / "results.zip"
    assert cli("publish", imported.directory, "--to", tmp_path).returncode == 0
    assert problems_of(board) == []
    rows = {(row["method"], row["n_bits"]): row for row in rows_of(board)}
    theirs, ours = rows["numpy-itq", "16"], rows["itq", "16"]
    assert (theirs["origin"], ours["origin"]) == ("imported", "")
    assert (theirs["mAP@all"], theirs["mAP@all std"], theirs["codes"]) == tuple(
        ours[name] for name in ("mAP@all", "mAP@all std", "codes")
    )
    assert theirs["mAP@all verdict"] == "best"  # of the imported rows
    assert not any(theirs[name] for name in ("features_s", "fit_s", "encode_items_per_s", "search_queries_per_s"))
    assert WORDS["--about"] in (tmp_path / "methods.json").read_text()
    assert "its codes are imported, so there is no code to compare" in cli("validate", "--code", board).stdout
    assert cli("bundle", imported.directory, "-o", bundle).returncode == 0
    done = cli("validate", "--recompute", bundle, board)
    assert (done.returncode, "10 rows compared" in done.stdout) == (0, True), done.stdout + done.stderr
    shown = cli("show", board, "--metric", "mAP@all", "--methods", "itq,numpy-itq", "--format", "csv").stdout
    assert "digits/1, imported codes" in shown.replace('"', "")
    assert "numpy-itq (imported)" in shown


def test_a_page_marks_them_and_compare_finds_them(imported, digits, cli):
    (setting,) = settings_of_run(imported.directory)
    assert "numpy-itq (imported)" in setting.labels
    (said,) = {one["parameters"] for one in setting.evidence if one["method"] == "numpy-itq (imported)"}
    assert WORDS["--about"] in said
    (figures,) = figures_of([setting])
    drawn = {one.panel for one in figures if "numpy-itq (imported)" in set(one.data.get("name", ()))}
    assert drawn >= {"by_bits", "pr", "precision"}
    shown = make_gallery(setting, digits).rankings
    assert "numpy-itq (imported)" in {one["method"] for one in shown}
    done = cli("compare", imported.directory, "--methods", "itq,numpy-itq", "--metrics", "mAP@all")
    assert "itq / numpy-itq (imported)" in done.stdout
    assert "+0.0000" in done.stdout


def test_imported_codes_alone_are_compared_with_another_run(codes, board_run, tmp_path, cli):
    given = {"query_codes": codes / "q_16_{seed}.npy", "database_codes": codes / "d_16_{seed}.npy"}
    assert cli(*flags(tmp_path / "out", **given, seeds="0,2")).returncode == 0
    done = cli("compare", board_run, tmp_path / "out", "--methods", "pcah,numpy-itq")
    assert "pcah / numpy-itq (imported)" in done.stdout
    assert "timings" not in cli("show", tmp_path / "out").stdout


@pytest.fixture
def one(codes):
    """Return the options that give the codes of one record."""
    return {"query_codes": codes / "q_16_0.npy", "database_codes": codes / "d_16_0.npy"}


def test_the_same_codes_again_change_nothing_and_others_need_a_word(codes, one, tmp_path, cli):
    assert cli(*flags(tmp_path, **one)).returncode == 0
    first = {path: path.read_bytes() for path in (tmp_path / "records").iterdir()}
    assert cli(*flags(tmp_path, **one)).returncode == 0
    assert first == {path: path.read_bytes() for path in (tmp_path / "records").iterdir()}
    other = {"query_codes": codes / "q_16_1.npy", "database_codes": codes / "d_16_1.npy"}
    one_clear_line(cli(*flags(tmp_path, **other)), "has other codes of numpy-itq 16 bits seed 0", "--replace")
    one_clear_line(cli(*flags(tmp_path, **one, about="PCA")), "what was said of them differs", "--replace replaces it")
    one_clear_line(cli(*flags(tmp_path, **one, no_labels_used=None, labels_used=True)), "what was said of them differs")
    assert first == {path: path.read_bytes() for path in (tmp_path / "records").iterdir()}
    assert (
        cli(*flags(tmp_path, **other, about="PCA", labels_used=True, no_labels_used=None), "--replace").returncode == 0
    )
    (record,) = Store(tmp_path)
    assert record.config["params"]["about"] == "PCA"
    assert record.uses_labels
    assert len(list((tmp_path / "records").glob("*.npz"))) == 1


def test_a_deterministic_method_has_no_seed(one, tmp_path, cli):
    assert cli(*flags(tmp_path, **one, seeds="none")).returncode == 0
    (record,) = Store(tmp_path)
    assert record.config["seed"] is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"query_codes": None}, "--query-codes is missing"),
        ({"about": None}, "--about is missing"),
        ({"training": None}, "--training is missing"),
        ({"backbone": None}, "--backbone is missing: what turned the images into features"),
        ({"no_labels_used": None}, "did training, or the choice of a model, read labels?"),
        ({"about": "two\nlines"}, "--about: expected one line"),
        ({"name": "itq"}, "--as itq is a method that hashbench trains"),
        ({"name": "my itq"}, "--as my itq: expected up to 100 letters"),
        ({"dataset": "digit"}, "unknown dataset 'digit'"),
        ({"query_labels": "protocol/query_labels.npy"}, "give both, or none"),
        ({"bits": "8,16"}, "--bits has 2 values: write {bits} in the files' names"),
        ({"seeds": "0,1"}, "--seeds has 2 values: write {seed} in the files' names"),
        ({"query_codes": "codes/q_{bits}_0.npy"}, "must be in both, or in neither"),
        ({"query_codes": "no_{seed}.npy", "database_codes": "d_{seed}.npy"}, "no file fits"),
        ({"query_codes": "c.npz:q{seed}", "database_codes": "c.npz:d{seed}"}, "list --bits and --seeds"),
        (
            {"query_codes": "codes/q_16_{seed}.npy", "database_codes": "codes/d_16_{seed}.npy", "seeds": "none"},
            "a deterministic method has no {seed}",
        ),
        ({"bits": "12"}, "--bits 12 needs 12"),
        ({"database_codes": "codes/d_8_0.npy"}, "expected codes of one width"),
        ({"query_codes": "codes/d_16_0.npy", "database_codes": "codes/q_16_0.npy"}, "they seem to be exchanged"),
        ({"query_codes": "short.npy"}, "does the loader drop its last batch?"),
        ({"query_codes": "long.npy", "database_codes": "long.npy"}, "digits/1 has 300 queries and 1,497"),
        ({"query_labels": "moved.npy", "database_labels": "protocol/database_labels.npy"}, "labels are not those of"),
        ({"query_labels": "marks.npy", "database_labels": "marks_d.npy"}, "has a class an item"),
        ({"export": "codes"}, "codes is no exported protocol"),
        ({"export": "moved"}, "2 of 300 rows are in other places than in digits/1, position 5 the first"),
        ({"export": "listed"}, "test.txt is not as it was exported"),
        ({"export": "another"}, "it differs in dataset"),
    ],
)
def test_a_line_says_what_to_do(changed, words, protocol, codes, one, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "codes").symlink_to(codes)
    (tmp_path / "protocol").symlink_to(protocol)
    labels = np.load(protocol / "query_labels.npy")
    np.save("short.npy", np.load(one["query_codes"])[:256])
    np.save("long.npy", np.ones((1797, 16), bool))
    np.save("moved.npy", np.roll(labels, 1))
    for name, of in (("marks", labels), ("marks_d", np.load(protocol / "database_labels.npy"))):
        marks = np.eye(11)[of]
        marks[::2, 10] = 1
        np.save(f"{name}.npy", marks)
    if changed.get("export") in ("moved", "listed", "another"):
        shutil.copytree(protocol, changed["export"])
    if changed.get("export") == "moved":
        rows = np.load(protocol / "query.npy")
        rows[[5, 9]] = rows[[9, 5]]
        np.save("moved/query.npy", rows)
    if changed.get("export") == "listed":
        lines = (protocol / "test.txt").read_text().splitlines(keepends=True)
        (tmp_path / "listed" / "test.txt").write_text("".join(lines[::-1]))
    if changed.get("export") == "another":
        manifest = json.loads((protocol / "manifest.json").read_text())
        (tmp_path / "another" / "manifest.json").write_text(json.dumps(manifest | {"dataset": "cifar10"}))
    one_clear_line(cli(*flags("out", **(one | changed))), words)
    assert not (tmp_path / "out" / "records").exists()


def test_labels_under_other_names_show_that_the_order_is_kept(protocol, one, tmp_path, cli):
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    given = {}
    for part in ("query", "database"):
        np.savetxt(tmp_path / f"{part}.txt", names[np.load(protocol / f"{part}_labels.npy")], fmt="%s")
        given[f"{part}_labels"] = tmp_path / f"{part}.txt"
    done = cli(*flags(tmp_path / "out", **one, **given, export=protocol))
    assert done.returncode == 0, done.stderr
    assert "the labels are those of digits/1 in its order" in done.stderr


def test_arrays_of_one_file_are_listed_by_length_and_seed(codes, tmp_path, cli):
    arrays = {path.stem: np.load(path) for path in codes.glob("*.npy")}
    np.savez(tmp_path / "all.npz", **arrays)
    given = {name: tmp_path / f"all.npz:{name[0]}_{{bits}}_{{seed}}" for name in ("query_codes", "database_codes")}
    assert cli(*flags(tmp_path / "out", **given, bits="8,16", seeds="1")).returncode == 0
    assert by_cell(Store(tmp_path / "out"), "numpy-itq").keys() == {(8, 1), (16, 1)}


def test_the_commands_of_the_exported_page(protocol, codes, tmp_path, monkeypatch, cli):
    folder = shutil.copytree(protocol, tmp_path / "protocol")
    monkeypatch.chdir(folder)
    for name in ("query", "database"):
        shutil.copy(codes / f"{name[0]}_16_0.npy", f"{name}_codes.npy")
    page = (folder / "README.md").read_text()
    commands = [
        shlex.split(block.replace("\\\n", " ")) for block in re.findall(r"```sh\nhashbench (.*?)```", page, re.DOTALL)
    ]
    assert [words[0] for words in commands] == ["score", "import"]
    for words in commands:
        done = cli(*words)
        assert done.returncode == 0, done.stderr
    assert len(list(Store(folder / "DIR"))) == 1


def test_codes_of_vectors_are_compared_with_methods_on_them(tmp_path, cli):
    rng = np.random.default_rng(0)
    data = {name: rng.standard_normal((n, 16), dtype=np.float32) for name, n in (("train", 300), ("test", 20))}
    with h5py.File(tmp_path / "my.hdf5", "w") as file:
        file.update(data)
    about = ["--dataset", "vectors", "--data-dir", tmp_path / "my.hdf5", "--out", tmp_path / "out"]
    assert cli("run", *about, "--methods", "lsh", "--bits", "16").returncode == 0
    for name, vectors in data.items():
        np.save(tmp_path / f"{name}.npy", vectors)
    given = {"query_codes": tmp_path / "test.npy", "database_codes": tmp_path / "train.npy", "backbone": None}
    done = cli(*flags(tmp_path / "out", name="signs", **given, dataset="vectors", data_dir=tmp_path / "my.hdf5"))
    assert done.returncode == 0, done.stderr
    (members,) = by_setting(Store(tmp_path / "out")).values()
    assert {record.label for record in members} == {"lsh", "signs"}
