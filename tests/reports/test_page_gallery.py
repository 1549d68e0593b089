"""The gallery of the report's page: what it shows, whose data it finds, and why it is left out."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from boards import edit_record
from made_records import made_record
from made_runs import made_run
from pages import Tags
from PIL import Image

from hashbench.data.dataset import hold_out_validation
from hashbench.errors import InputError
from hashbench.records.store import Store
from hashbench.reports.page.from_run import settings_of_run
from hashbench.reports.page.gallery import make_gallery
from hashbench.reports.page.report import _gallery


def test_the_gallery_shows_the_nearest_and_counts_ties(board_run, digits):
    (setting,) = settings_of_run(board_run)
    gallery = make_gallery(setting, digits)
    store, labels = Store(board_run), digits.labels
    rows = {(row.label, row.n_bits): row for row in setting.rows}
    assert len(gallery.rankings) == len(setting.rows) * len(gallery.queries)
    for ranking in gallery.rankings[::7]:
        query = gallery.queries[ranking["query"]]["row"]
        arrays = store.arrays(rows[ranking["method"], ranking["bits"]].records[0].id)
        asked = arrays["query_codes"][np.flatnonzero(digits.split.query == query)[0]]
        distances = np.unpackbits(arrays["database_codes"] ^ asked, axis=1).sum(axis=1)
        assert [distance for _, distance, _ in ranking["items"]] == sorted(distances)[:10]
        assert ranking["ties"] == (distances <= ranking["items"][-1][1]).sum() - 10
        assert all(relevant == (labels[row] == labels[query]) for row, _, relevant in ranking["items"])
    row, uri = next(iter(gallery.images.items()))
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
    np.testing.assert_array_equal(pixels, digits.images[int(row), ..., 0])


def test_a_gallery_of_class_numbers_of_any_size(board_run, digits):
    (setting,) = settings_of_run(board_run)
    gallery = make_gallery(setting, digits)
    far = make_gallery(setting, replace(digits, labels=digits.labels + 10**12))
    assert [query["label"] for query in far.queries] == [str(int(q["label"]) + 10**12) for q in gallery.queries]
    assert far.rankings == gallery.rankings


def test_a_gallery_of_items_with_several_labels(board_run, digits):
    (setting,) = settings_of_run(board_run)
    labels = digits.labels[:, None] == np.arange(10)
    labels[:, 8] |= labels[:, 3]
    gallery = make_gallery(setting, replace(digits, labels=labels))
    assert [query["label"] for query in gallery.queries if digits.labels[query["row"]] == 3] == ["3, 8"]
    for ranking in gallery.rankings[::7]:
        query = gallery.queries[ranking["query"]]["row"]
        assert all(relevant == (labels[row] & labels[query]).any() for row, _, relevant in ranking["items"])


def test_a_gallery_of_other_data_is_left_out_with_a_note(tmp_path, cli):
    store = made_run(tmp_path / "toy", {"one": (0.5, {})}, bits=(8,))
    done = cli("report", store.directory, "-o", tmp_path / "toy.html", "--gallery")
    assert done.returncode == 0
    assert "no gallery of toy" in done.stderr
    store = made_run(tmp_path / "run", {"one": (0.5, {})}, bits=(8,), dataset="digits", protocol="digits/1")
    done = cli("report", store.directory, "-o", tmp_path / "digits.html", "--gallery")
    assert done.returncode == 0
    assert "digits as it is here has other items" in done.stderr
    (setting,) = Tags((tmp_path / "digits.html").read_bytes()).payload["settings"]
    assert setting["gallery"] is None


def setting_of(directory, dataset, suffix):
    """Return a run of one method on a data set, by a protocol whose name ends in ``suffix``, and its setting."""
    store = Store(directory)
    store.open_for_writing()
    values = {"data": dataset.fingerprint, "protocol": "digits/1" + suffix}
    record = made_record("one", 8, dataset="digits", metrics={"mAP@all": 0.5}, **values)
    parts = {"query_codes": dataset.split.query, "database_codes": dataset.split.database}
    codes = {name: np.zeros((len(rows), 1), np.uint8) for name, rows in parts.items()}
    store.write(record, {"per_query:mAP@all": np.full(len(dataset.split.query), 0.5), **codes})
    return store, settings_of_run(directory)[0]


@pytest.mark.parametrize("suffix", ["", "+bytes", "+validation"])
def test_a_gallery_finds_the_data_of_each_kind_of_protocol(tmp_path, digits, suffix):
    dataset = hold_out_validation(digits)[0] if suffix == "+validation" else digits
    _, setting = setting_of(tmp_path, dataset, suffix)
    gallery = _gallery(setting, ())
    assert [ranking["method"] for ranking in gallery.rankings] == ["one"] * len(gallery.queries)


def test_a_gallery_of_rankings_by_real_values_is_left_out_with_a_note(tmp_path, digits):
    store, _ = setting_of(tmp_path, digits, "+asymmetric")
    (record,) = store
    edit_record(store, record, lambda values: values["config"].update(distance="asymmetric"))
    (setting,) = settings_of_run(store.directory)
    with pytest.raises(InputError, match="not by Hamming distances"):
        _gallery(setting, ())
