"""Validation finds each planted fault of a leaderboard or of the bundle behind it, and passes what has none."""

import csv

import pytest
from boards import part_of, rows_of
from bundles import arrays_in, as_npz, contents_of, edit_arrays, edit_records, write
from conftest import one_clear_line

from hashbench.reports.bundles.pack import bundle
from hashbench.reports.leaderboards.publish import publish


@pytest.fixture(scope="module")
def sound(board_run, tmp_path_factory):
    """Return a folder with a leaderboard of 8 bits and the bundle of the run behind it, with labels."""
    folder = tmp_path_factory.mktemp("sound")
    store = part_of(board_run, folder / "run", lambda record: record.config["n_bits"] == 8)
    publish([store], folder)
    bundle(store, folder / "results.zip", with_labels=True)
    return folder


@pytest.fixture
def copied(sound, tmp_path):
    for path in sound.glob("*.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def board(change):
    """Plant a fault in the leaderboard: ``change(rows)`` by method."""

    def plant(folder):
        rows = rows_of(folder / "digits.csv")
        change({row["method"]: row for row in rows})
        with (folder / "digits.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(row for row in rows if row["method"])

    return plant


def cell(name, value, method="itq"):
    return board(lambda rows: rows[method].update({name: value(rows[method][name]) if callable(value) else value}))


def every(**values):
    return board(lambda rows: [row.update(values) for row in rows.values()])


def swapped(*names, pair=("itq", "lsh")):
    def change(rows):
        one, other = (rows[method] for method in pair)
        for name in one:
            if name.startswith(names):
                one[name], other[name] = other[name], one[name]

    return board(change)


def packed(change, **options):
    """Plant a fault in the bundle: ``change(contents)``."""

    def plant(folder):
        contents = contents_of(folder / "results.zip")
        change(contents)
        write(folder / "results.zip", contents, **options)

    return plant


def is_itq(values):
    return values["label"] == "itq" and values["config"]["seed"] == 1


def in_record(change, wanted=is_itq):
    return packed(lambda contents: edit_records(contents, change, wanted))


def in_arrays(change, **options):
    return packed(lambda contents: edit_arrays(contents, change, is_itq, **options))


def nudged(text):
    return f"{float(text) + 1e-5:.5f}"


def flip(arrays):
    arrays["database_codes"][7] ^= 255


def reverse_labels(contents):
    name = next(name for name in contents if name.startswith("labels/"))
    arrays = arrays_in(contents[name])
    contents[name] = as_npz({**arrays, "query": arrays["query"][::-1]})


def drop_seed(contents):
    for name in [name for name in contents if name.startswith("records/") and b'"seed": 2' in contents[name]]:
        del contents[name], contents[name.replace(".json", ".npz")]


def change_a_byte(contents):
    name = max(name for name in contents if name.endswith(".npz"))
    contents[name] = contents[name][:-30] + bytes([contents[name][-30] ^ 1]) + contents[name][-29:]


FAULTS = {
    "a changed digit": (cell("mAP@all", nudged), "the codes give"),
    "a changed digit of a deviation": (cell("P@100 std", nudged), "the codes give"),
    "two rows' numbers swapped": (swapped("mAP@100"), "mAP@100 is"),
    "two rows' methods swapped": (swapped("method", "params"), "order"),
    "two rows' parameters swapped": (swapped("params", pair=("itq", "itq[n_iter=3]")), "params is"),
    "a deviation of one seed": (cell("mAP@all std", "0.01000", "pcah"), "where n_seeds is 1"),
    "no deviation of several seeds": (cell("mAP@all std", ""), "where n_seeds is 3"),
    "a deviation above its bound": (cell("mAP@all std", "0.90000"), "can be at most"),
    "mAP above its bound": (cell("mAP@all", "1.00001"), "expected a number from 0 to 1"),
    "mAP above its interval": (cell("mAP@all", "0.99999"), "with the interval from"),
    "a narrower interval": (cell("mAP@all low", nudged), "mAP@all low is"),
    "another verdict": (cell("mAP@all verdict", "not separable", "lsh"), "mAP@all verdict is not separable"),
    "an unknown protocol": (every(protocol="digits/9"), "lacks the row of itq at 8 bits"),
    "a wrong protocol hash": (every(protocol_hash="0" * 16), "lacks the row"),
    "a wrong hash of the data": (every(data="0" * 16), "lacks the row"),
    "a wrong hash of the code": (cell("source", "0" * 16), "source is 0000000000000000"),
    "more seeds than were run": (
        board(lambda rows: rows["lsh"].update(seeds="0 1 2 3", n_seeds="4")), "seeds is 0 1 2 3, the codes give 0 1 2"
    ),
    "labels that were read": (cell("uses_labels", "True"), "verdicts that contradict"),
    "data that is a copy": (cell("data_provenance", "copy"), "data_provenance is copy"),
    "other metrics' version": (cell("engine", "2"), "engine is 2"),
    "a missing row": (board(lambda rows: rows["lsh"].update(method="")), "lacks the row of lsh"),
    "codes that give another number": (in_arrays(flip), "its codes give"),
    "codes that are not the record's": (in_arrays(flip, true_checksums=False), "SHA-256 of its database_codes"),
    "an edited record": (in_record(lambda values: values["metrics"].update({"mAP@all": 0.9})), "its codes give"),
    "edited values per query": (
        in_arrays(lambda arrays: arrays.update({"per_query:P@100": arrays["per_query:P@100"][::-1]})), "per query"
    ),
    "a record of an unknown protocol": (
        in_record(lambda values: values["config"].update(protocol="digits/9"), lambda values: True),
        "digits has no protocol 'digits/9'",
    ),
    "a record of another protocol's hash": (
        in_record(lambda values: values["config"].update(protocol_hash="0" * 64)), "protocol_hash is not that of"
    ),
    "a record of data that is no copy": (in_record(lambda values: values.update(provenance="a copy")), "'a copy'"),
    "a record with another's id": (
        packed(lambda contents: contents.update({f"records/{'0' * 64}.json": b"{}"})), "missing required field"
    ),
    "a record whose codes are missing": (
        packed(lambda contents: contents.pop(max(name for name in contents if name.endswith(".npz")))), "are missing"
    ),
    "a record that is missing": (packed(drop_seed), "n_seeds is 3, the codes give 2"),
    "labels in another order": (packed(reverse_labels), "its labels of digits are not those of the data"),
    "a file changed after it was bundled": (packed(change_a_byte, true_checksums=False), "is not as it was bundled"),
}  # fmt: skip


@pytest.mark.parametrize(("plant", "words"), FAULTS.values(), ids=FAULTS)
def test_each_planted_fault_stops_validation(copied, cli, plant, words):
    plant(copied)
    done = cli("validate", copied / "digits.csv", "--recompute", copied / "results.zip")
    one_clear_line(done)
    assert words in done.stdout + done.stderr, done.stdout + done.stderr


def test_what_has_no_fault_passes(copied, cli):
    done = cli("validate", copied / "digits.csv", "--recompute", copied / "results.zip")
    assert done.returncode == 0, done.stderr
    assert "10 records: their codes give their metrics" in done.stdout
    assert "4 rows compared\n" in done.stdout
