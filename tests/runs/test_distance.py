"""A run that ranks by real-valued queries beside Hamming distance."""

import numpy as np
import pandas as pd
import pytest
from bundles import contents_of, edit_records, write
from conftest import one_clear_line

from hashbench import evaluate
from hashbench.evaluation.metrics import parse
from hashbench.records.store import Store
from hashbench.runs import cell

METHODS = ("run", "--methods", "lsh,itq[n_iter=3]", "--bits", 12)


@pytest.fixture(scope="module")
def both(tmp_path_factory, cli):
    out = tmp_path_factory.mktemp("both")
    fitted = []
    with pytest.MonkeyPatch.context() as patch:
        original = cell.fit
        patch.setattr(cell, "fit", lambda *given: fitted.append(given[0].name) or original(*given))
        done = cli(*METHODS, "--distance", "hamming,asymmetric", "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done, fitted


def of(store, asymmetric):
    return [record for record in store if record.is_asymmetric == asymmetric]


def test_hamming_records_are_those_of_a_run_without_the_option(both, cli, tmp_path):
    alone = cli(*METHODS, "--out", tmp_path)
    assert alone.returncode == 0, alone.stderr
    plain = {record.id: (record.config, record.metrics, record.codes_sha256) for record in Store(tmp_path)}
    beside = {record.id: (record.config, record.metrics, record.codes_sha256) for record in of(Store(both[0]), False)}
    assert plain == beside


def test_a_method_is_trained_once_for_both(both):
    assert sorted(both[2]) == ["itq", "lsh"]


def test_scores_are_those_of_the_values_and_bits_that_the_record_keeps(both, digits):
    store = Store(both[0])
    records = of(store, True)
    assert len(records) == 2
    for record in records:
        arrays = store.arrays(record.id)
        assert (np.packbits(arrays["query_values"] > 0, axis=1) == arrays["query_codes"]).all()
        again = evaluate(
            arrays["query_values"],
            arrays["database_codes"],
            metrics=list(record.metrics),
            distance="asymmetric",
            **digits.relevance(),
        )
        assert record.metrics == pytest.approx(dict(again), abs=1e-12)


def test_the_two_have_other_names_wherever_they_are_shown(both, cli, tmp_path):
    out, done, _ = both
    assert "digits/1+asymmetric" in done.stdout
    assert set(pd.read_csv(out / "results.csv")["protocol"]) == {"digits/1", "digits/1+asymmetric"}
    for command in (("publish", out, "--to", tmp_path), ("plot", out, "--to", tmp_path / "figures"), ("audit", out)):
        one = cli(*command)
        assert one.returncode == 0, one.stderr
    board = pd.read_csv(tmp_path / "digits.csv")
    assert board.groupby("protocol").size().to_dict() == {"digits/1": 2, "digits/1+asymmetric": 2}
    valid = cli("validate", tmp_path / "digits.csv")
    assert valid.returncode == 0, valid.stdout


def test_a_bundle_of_both_is_scored_again(both, cli, tmp_path):
    publish = cli("publish", both[0], "--to", tmp_path)
    assert publish.returncode == 0, publish.stderr
    packed = cli("bundle", both[0], "-o", tmp_path / "both.zip")
    assert packed.returncode == 0, packed.stderr
    done = cli("validate", tmp_path / "digits.csv", "--recompute", tmp_path / "both.zip")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 records: their codes give their metrics" in done.stdout
    assert "4 rows compared" in done.stdout


@pytest.mark.parametrize(("distance", "word"), [(None, "digits/1+asymmetric"), ("asymmetric", "digits/1")])
def test_a_bundle_whose_distance_is_not_its_protocols_is_refused(both, cli, tmp_path, distance, word):
    cli("bundle", both[0], "-o", tmp_path / "both.zip")
    contents = contents_of(tmp_path / "both.zip")

    def change(values):
        values["config"].pop("distance", None)
        values["config"] |= {"distance": distance} if distance else {}

    edit_records(contents, change, lambda values: values["config"]["protocol"] == word)
    write(tmp_path / "both.zip", contents)
    refused = cli("validate", "--recompute", tmp_path / "both.zip")
    one_clear_line(refused, f"its distance is not that of {word}")


def test_a_record_whose_values_are_not_those_of_its_codes_is_not_published(both, cli, tmp_path):
    store = Store(both[0])
    record = of(store, True)[0]
    path, arrays = store.arrays_path(record.id), dict(store.arrays(record.id))
    before = path.read_bytes()
    np.savez(path, **arrays | {"query_values": -arrays["query_values"]})
    try:
        one_clear_line(cli("publish", both[0], "--to", tmp_path), "query_values", record.id)
    finally:
        path.write_bytes(before)


def test_there_is_no_metric_within_a_radius(digits):
    radius = digits.protocol.__class__("x/1", "any", 1, 1, 1, ("mAP@all", "P@r2"))
    protocol = radius.ranked_by("asymmetric")
    assert protocol.metrics == ("mAP@all",)
    assert protocol.name == "x/1+asymmetric"
    assert parse("P@r2").by_radius
    assert radius.ranked_by("hamming") is radius


def test_an_unknown_distance_is_reported(cli, tmp_path):
    one_clear_line(cli(*METHODS, "--distance", "hamming,cosine", "--out", tmp_path), "--distance cosine", "asymmetric")
