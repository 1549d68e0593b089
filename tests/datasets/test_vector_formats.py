"""Kinds of files that embeddings come in: text, .safetensors, folders of VectorDBBench and of big-ann-benchmarks."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import one_clear_line

from hashbench import load_dataset
from hashbench.data.items import fingerprint_of
from hashbench.data.readers.arrays.array_formats import SUFFIXES, SUFFIXES_OF_PARTS, stem_and_suffix
from hashbench.datasets import vectors


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).standard_normal((460, 6)).astype(np.float32)


def nearest(X, k=100):
    """Return the rows of the k nearest of the first 400 rows to each of the others, by float64."""
    far = ((X[400:, None].astype(float) - X[:400]) ** 2).sum(axis=2)
    return np.argsort(far, axis=1, kind="stable")[:, :k]


def words_file(path, X, first="", word="w{}"):
    lines = [f"{word.format(row)} {' '.join(map(repr, map(float, one)))}" for row, one in enumerate(X)]
    path.write_text(first + "\n".join(lines) + "\n")


def write(kind, path, X):
    table = pd.DataFrame(X.astype(float))
    if kind == "table without names":
        table.to_csv(path / "a.csv", index=False, header=False)
    elif kind == "table of pandas":
        table.to_csv(path / "a.csv")
    elif kind == "table with semicolons":
        table.to_csv(path / "a.csv", index=False, header=False, sep=";")
    elif kind == "tabs":
        table.to_csv(path / "a.tsv", index=False, sep="\t")
    elif kind == "lists in a table":
        texts = [json.dumps(row.tolist()) for row in X.astype(float)]
        pd.DataFrame({"id": np.arange(len(X)), "embedding": texts}).to_csv(path / "a.csv", index=False)
    elif kind == "GloVe":
        words_file(path / "glove.txt", X)
    elif kind == "words of several words":
        words_file(path / "glove.txt", X, word="w{} . .")
    elif kind == "word2vec":
        words_file(path / "a.vec", X, first=f"{len(X)} {X.shape[1]}\n", word="{}")
    elif kind == "numbers alone":
        np.savetxt(path / "a.txt", X)
    elif kind == "safetensors":
        from safetensors.numpy import save_file

        save_file({"whatever": X}, path / "a.safetensors")


KINDS = [
    *("table without names", "table of pandas", "table with semicolons", "tabs", "lists in a table"),
    *("GloVe", "words of several words", "word2vec", "numbers alone", "safetensors"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_other_files_hold_the_same_vectors(kind, X, tmp_path, cache_dir):
    (tmp_path / "data").mkdir()
    write(kind, tmp_path / "data", X)
    (file,) = (tmp_path / "data").iterdir()
    for place in (file, tmp_path / "data"):
        dataset = load_dataset("vectors", data_dir=place, cache_dir=cache_dir)
        assert dataset.data_fingerprint == fingerprint_of(X)


def test_a_text_file_next_to_vectors_is_ignored(X, tmp_path, cache_dir):
    np.save(tmp_path / "mine.npy", X)
    (tmp_path / "README.txt").write_text("Vectors of mine.\n")
    assert load_dataset("vectors", data_dir=tmp_path, cache_dir=cache_dir).data_fingerprint == fingerprint_of(X)


def test_tables_of_text_name_parts_and_classes(X, tmp_path, cache_dir):
    part = np.where(np.arange(460) % 5 == 2, "query", "database")
    table = pd.DataFrame(X.astype(float)).assign(label=np.arange(460) % 3, part=part)
    table.to_csv(tmp_path / "a.csv", index=False)
    dataset = load_dataset("vectors", data_dir=tmp_path / "a.csv", cache_dir=cache_dir)
    assert (dataset.features[dataset.split.query] == X[part == "query"]).all()
    assert (dataset.labels[dataset.split.database] == (np.arange(460) % 3)[part == "database"]).all()


def test_bfloat16_tensors_are_their_float32_values(X, tmp_path, cache_dir):
    bits = X.view(np.uint32) >> 16
    raw = bits.astype("<u2").tobytes()
    header = {"database": [0, 400], "query": [400, 460]}
    facts = {
        name: {"dtype": "BF16", "shape": [b - a, 6], "data_offsets": [12 * a, 12 * b]}
        for name, (a, b) in header.items()
    }
    text = json.dumps(facts | {"__metadata__": {"distance": "cosine"}}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + raw)
    dataset = load_dataset("vectors", data_dir=tmp_path / "a.safetensors", cache_dir=cache_dir)
    assert (dataset.features == (bits << 16).view(np.float32)).all()
    assert dataset.protocol.name == "vectors/1[similarity=cosine]"


def tensor(**facts):
    text = json.dumps({"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16], **facts}}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(16)


BAD = [
    ("a.csv", b"a,b\n1,2\n3,x\n", ["a.csv is not a readable table of numbers", "x"]),
    ("a.csv", b"a,a\n1,2\n", ["a.csv names a column twice"]),
    ("a.csv", b"a,b\n", ["a.csv has no rows"]),
    ("a.csv", b"", ["a.csv"]),
    ("a.csv", b'id,embedding\n1,"[1, 2]"\n2,"[1]"\n', ["a.csv: row 1 has 1 values, row 0 has 2"]),
    ("a.csv", b"a,b\n1,2\n3\n", ["a.csv is not a readable table", "columns"]),
    ("a.txt", b"the 1 2 3\nof 1 2\n", ["a.txt: row 1 is not a word and 3 numbers"]),
    ("a.txt", b"the 1 2 3\nof 1 two 3\n", ["a.txt: row 1 is not a word and 3 numbers"]),
    ("a.txt", b"no vectors here\n", ["a.txt: its first line is no word"]),
    ("a.txt", b"", ["a.txt: its first line is no word"]),
    ("a.vec", b"3 2\nthe 1 2\nof 3 4\n", ["a.vec: its first line says 3 rows, it has 2"]),
    ("a.safetensors", b"nothing at all", ["a.safetensors is not a readable .safetensors file"]),
    ("a.safetensors", tensor(data_offsets=[0, 20]), ["a.safetensors: a is damaged"]),
    ("a.safetensors", tensor(shape=[2, 3]), ["a.safetensors: a is damaged"]),
    ("a.safetensors", tensor(shape=[-2, -2]), ["a.safetensors: a is damaged"]),
    ("a.safetensors", tensor(dtype="F8_E5M2"), ["a.safetensors: a has the type F8_E5M2, expected one of F64"]),
]


@pytest.mark.parametrize("case", range(len(BAD)))
def test_bad_files_give_one_clear_line(case, tmp_path, empty_cache, cli):
    name, content, words = BAD[case]
    (tmp_path / name).write_bytes(content)
    arguments = ["run", "--dataset", "vectors", "--data-dir", tmp_path / name, "--methods", "lsh"]
    one_clear_line(cli(*arguments, "--out", tmp_path / "out"), *words)


def test_groups_of_hdf5_are_named(tmp_path, cli):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["embeddings/train"], file["labels/train"] = np.ones((9, 3)), np.ones(9)
    arguments = ["run", "--dataset", "vectors", "--data-dir", tmp_path / "a.hdf5", "--methods", "lsh"]
    one_clear_line(cli(*arguments, "--out", tmp_path / "out"), "keeps its arrays in groups (embeddings, labels)")


@pytest.mark.parametrize("shards", [False, True])
def test_a_folder_of_vectordbbench(X, tmp_path, cache_dir, cli, shards):
    rng = np.random.default_rng(1)
    ids, order = rng.permutation(10_000)[:400], rng.permutation(60)
    base = pa.table({"id": ids, "emb": X[:400].tolist()})
    parts = [base.slice(0, 150), base.slice(150)] if shards else [base]
    for number, one in enumerate(parts):
        pq.write_table(one, tmp_path / (f"train-{number:02}-of-02.parquet" if shards else "train.parquet"))
    pq.write_table(pa.table({"id": np.arange(60), "emb": X[400:].tolist()}), tmp_path / "test.parquet")
    true = nearest(X)
    named = pa.table({"id": order, "neighbors_id": ids[true[order]].tolist()})
    pq.write_table(named, tmp_path / "neighbors.parquet")
    dataset = load_dataset("vectors", data_dir=tmp_path, cache_dir=cache_dir)
    assert dataset.data_fingerprint == fingerprint_of(X)
    assert (dataset.neighbors == true).all()
    wrong = pa.table({"id": order, "neighbors_id": np.full((60, 3), 10_000).tolist()})
    pq.write_table(wrong, tmp_path / "neighbors.parquet")
    arguments = ["run", "--dataset", "vectors", "--data-dir", tmp_path, "--methods", "lsh", "--out", tmp_path / "out"]
    one_clear_line(cli(*arguments), "neighbors.parquet: the id 10000 is that of no row")


@pytest.mark.parametrize("truth", ["GT.public.60.ibin", "bigann-400", "groundtruth.60.ibin"])
def test_a_folder_of_big_ann_benchmarks(X, tmp_path, cache_dir, truth):
    true = nearest(X)
    true[:, 98:100] = true[:, 99:97:-1]  # so that one sees whose they are
    for name, rows in (("base.1B.fbin.crop_nb_400", X[:400]), ("query.public.60.fbin", X[400:])):
        (tmp_path / name).write_bytes(np.array(rows.shape, "<u4").tobytes() + rows.tobytes())
    distances = np.zeros(true.shape, "<f4")
    content = np.array(true.shape, "<u4").tobytes() + true.astype("<i4").tobytes() + distances.tobytes()
    (tmp_path / truth).write_bytes(content)
    dataset = load_dataset("vectors", data_dir=tmp_path, cache_dir=cache_dir)
    assert dataset.data_fingerprint == fingerprint_of(X)
    assert (dataset.neighbors == true).all()


def test_the_documentation_lists_every_format_and_no_other():
    page = (Path(__file__).resolve().parents[2] / "docs" / "datasets.md").read_text("utf-8")
    layouts = page.partition("\n## vectors\n")[2].partition("### Layouts")[2].partition("\n| name |")[0]
    files = [line.split("|")[1] for line in layouts.splitlines() if re.match(r"\| an? `\.", line)]
    assert sorted(re.findall(r"`(\.[\w.]+)`", " ".join(files))) == sorted(SUFFIXES)


def test_no_suffix_has_two_formats_and_what_a_user_must_bring_names_all():
    assert len(set(SUFFIXES)) == len(SUFFIXES)
    assert {suffix for suffix in SUFFIXES if suffix not in vectors.Vectors.needs} == set()


def test_a_folder_without_vectors_names_the_formats_of_parts(tmp_path, cli):
    (tmp_path / "notes.pdf").touch()
    arguments = ["run", "--dataset", "vectors", "--data-dir", tmp_path, "--methods", "lsh", "--out", tmp_path / "out"]
    one_clear_line(cli(*arguments), "holds no vectors", f"as files of {', '.join(SUFFIXES_OF_PARTS)}")
    assert {".npy", ".parquet", ".fvecs"} <= set(SUFFIXES_OF_PARTS) < set(SUFFIXES)


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("Query.NPY", "Query", ".npy"),
        ("base.1B.fbin.crop_nb_400", "base.1B", ".fbin"),
        ("bigann-10M", "bigann-10M", ""),
        ("a.tar.gz", "a.tar", ".gz"),
    ],
)
def test_a_name_ends_in_its_format(name, stem, suffix):
    assert stem_and_suffix(Path(name)) == (stem, suffix)
