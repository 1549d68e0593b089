"""Searching by Hamming distance among codes, images and vectors."""

import csv

import numpy as np
from conftest import one_clear_line
from PIL import Image

from hashbench import load_model
from hashbench.models.encode import encode_input


def plainly_nearest(query, database, k):
    """Return rows and distances of the k nearest, by sorting; ties in row order."""
    distances = (np.unpackbits(query, axis=1)[:, None] != np.unpackbits(database, axis=1)[None]).sum(axis=2)
    rows = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(distances, rows, axis=1)


def test_search_finds_the_nearest_in_row_order(model, kept, digits, tmp_path, cli):
    np.save(tmp_path / "all.npy", digits.images)
    codes = encode_input(load_model(model), tmp_path / "all.npy").codes
    np.save(tmp_path / "database.npy", codes[300:])
    np.save(tmp_path / "query.npy", digits.images[:300])
    done = cli("search", model, tmp_path / "database.npy", tmp_path / "query.npy", "-k", 7, "--csv", tmp_path / "n.csv")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        f"warning: {tmp_path / 'database.npy'} does not say which model made it; it is taken for codes of {model}"
    ]
    rows, distances = plainly_nearest(codes[:300], codes[300:], 7)
    with (tmp_path / "n.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert list(lines[0]) == ["query", "rank", "distance", "row"]
    assert [int(line["row"]) for line in lines] == rows.ravel().tolist()
    assert [int(line["distance"]) for line in lines] == distances.ravel().tolist()
    assert [(int(line["query"]), int(line["rank"])) for line in lines] == [
        (query, rank) for query in range(300) for rank in range(1, 8)
    ]
    assert "7 nearest of 1,497 by Hamming distance (itq[n_iter=5], 12 bits)" in done.stdout
    assert "the first 20 of 300 queries; --csv FILE writes all" in done.stdout
    printed = [line.split() for line in done.stdout.splitlines() if line.split()[0].isdigit() and "nearest" not in line]
    assert [[int(cell) for cell in line] for line in printed] == [
        [query, rank + 1, distances[query, rank], rows[query, rank]] for query in range(20) for rank in range(7)
    ]


def test_search_names_images_as_files_and_their_codes_do(model, digits, tmp_path, cli):
    images = tmp_path / "images"
    images.mkdir()
    names = ["+b.png", "-[bold]c.png", "=a.png", "@d.png", "e.png"]
    for row, name in enumerate(names):
        Image.fromarray(digits.images[row, ..., 0]).save(images / name)
    assert cli("encode", model, images, "-o", tmp_path / "codes.npy").returncode == 0
    done = cli("search", model, tmp_path / "codes.npy", images / "=a.png", "-k", 99, "--csv", tmp_path / "n.csv")
    assert done.returncode == 0, done.stderr
    with (tmp_path / "n.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert sorted(line["row_name"] for line in lines) == sorted(names)
    assert {line["row_name"] for line in lines} == set((tmp_path / "codes.names.txt").read_text().splitlines())
    assert {line["query_name"] for line in lines} == {"=a.png"}
    assert (lines[0]["row"], lines[0]["distance"]) == ("2", "0")
    assert "-[bold]c.png" in done.stdout
    assert "5 nearest of 5" in done.stdout
    assert "queries" not in done.stdout
    direct = cli("search", model, images, images / "=a.png", "-k", 99)
    assert direct.stdout == done.stdout.removesuffix(f"{tmp_path / 'n.csv'}\n")


def test_codes_that_are_not_the_models(model, tmp_path, cli):
    np.save(tmp_path / "q.npy", np.zeros((1, 64), np.float32))
    for codes, word in [
        (np.zeros((3, 3), np.uint8), "codes of 12 bits are (n, 2) uint8"),
        (np.full((3, 2), 255, np.uint8), "more than 12 bits"),
        (np.zeros((0, 2), np.uint8), "nothing in it"),
        (np.zeros((3, 2), np.int8), "dtype int8"),
    ]:
        np.save(tmp_path / "codes.npy", codes)
        one_clear_line(cli("search", model, tmp_path / "codes.npy", tmp_path / "q.npy"), "codes.npy", word)
    np.save(tmp_path / "codes.npy", np.zeros((3, 2), np.uint8))
    for names in ("a\nb\n", "a\nb\nc\nd\n", "a\nb\nc\x1b[1m\n"):
        (tmp_path / "codes.names.txt").write_text(names)
        one_clear_line(cli("search", model, tmp_path / "codes.npy", tmp_path / "q.npy"), "not a list of 3 names")
    (tmp_path / "codes.names.txt").write_bytes(b"a\nb\n\xff\n")
    one_clear_line(cli("search", model, tmp_path / "codes.npy", tmp_path / "q.npy"), "not a readable list of names")


def test_bad_options(model, folder, tmp_path, cli):
    np.save(tmp_path / "codes.npy", np.zeros((3, 2), np.uint8))
    search = ("search", model, tmp_path / "codes.npy", folder)
    one_clear_line(cli(*search, "-k", 0), "-k")
    one_clear_line(cli(*search, "--device", "tpu"), "--device tpu")
    one_clear_line(cli(*search, "--csv", tmp_path / "codes.npy"), "--csv", "ends in .csv")
    one_clear_line(cli(*search, "--csv", "/proc/n.csv"), "--csv", "cannot be written to")
    one_clear_line(cli(*search, "--weights", tmp_path / "w.pth"), "pixels themselves, which need none")
    one_clear_line(cli("encode", model, folder), "--out")
    assert np.load(tmp_path / "codes.npy").shape == (3, 2)


def encoded(cli, path, model, source):
    """Write codes with the command line."""
    done = cli("encode", model, source, "-o", path)
    assert done.returncode == 0, done.stderr
    return path


def test_codes_are_searched_with_the_model_that_made_them(kept, model, digits, tmp_path, cli):
    other = next(path for path in (kept[0] / "models").iterdir() if path != model)
    np.save(tmp_path / "images.npy", digits.images[:9])
    codes = encoded(cli, tmp_path / "codes.npy", model, tmp_path / "images.npy")
    done = cli("search", model, codes, codes)
    assert (done.returncode, done.stderr) == (0, "")
    one_clear_line(cli("search", other, codes, codes), str(codes), "codes of another model (itq[n_iter=5])", str(other))
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(model.read_bytes())
    assert cli("search", copy, codes, codes).returncode == 0


def test_files_next_to_codes_are_checked(model, digits, tmp_path, cli):
    np.save(tmp_path / "images.npy", digits.images[:9])
    codes = encoded(cli, tmp_path / "codes.npy", model, tmp_path / "images.npy")
    origin = tmp_path / "codes.model.json"
    whole = origin.read_text()
    for text in ("", "[]", "{}", '{"model": 3, "label": "", "codes": ""}', whole[:40], "[" * 100_000, "\ufeff"):
        origin.write_text(text)
        one_clear_line(cli("search", model, codes, codes), str(origin), "encode again or remove it")
    origin.write_text(whole)
    np.save(codes, np.zeros((9, 2), np.uint8))
    one_clear_line(cli("search", model, codes, codes), str(origin), "is about other codes")
    origin.unlink()
    done = cli("search", model, codes, codes)
    assert done.returncode == 0
    assert f"warning: {codes} does not say which model made it" in done.stderr


def test_names_give_the_terminal_no_orders(model, tmp_path, cli):
    np.save(tmp_path / "codes.npy", np.zeros((2, 2), np.uint8))
    (tmp_path / "codes.names.txt").write_text("a\u202egnp.exe\nb\u2066c\n", encoding="utf-8")
    done = cli("search", model, tmp_path / "codes.npy", tmp_path / "codes.npy")
    assert done.returncode == 0, done.stderr
    assert r"a\u202egnp.exe" in done.stdout
    assert not {"\u202e", "\u2066"} & set(done.stdout)
