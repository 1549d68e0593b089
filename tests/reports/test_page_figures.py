"""The figures of the report's page: what each is computed from, and what it tells."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from boards import edit_record
from made_runs import METRICS, N_CLASSES, N_DATABASE, N_QUERIES, made_run

from hashbench.records.store import Store
from hashbench.reports.page.figures.all_figures import figures_of
from hashbench.reports.page.figures.codes import class_matrix, classes_in, figures_of_codes, per_class, principal_plane
from hashbench.reports.page.figures.looks import looks_of
from hashbench.reports.page.figures.scores import figures_of_scores
from hashbench.reports.page.from_run import settings_of_run
from hashbench.reports.pareto import pareto_front


def told_exactly(layer):
    """Return the titles of what a figure's tooltip tells to the last digit."""
    tooltips = layer.get("encoding", {}).get("tooltip", [])
    own = {one["title"] for one in tooltips if one.get("format") == ","}
    return own.union(*map(told_exactly, layer.get("layer", [])))


def test_counts_and_parameters_are_shown_to_the_last_digit(tmp_path):
    store = made_run(
        tmp_path / "run",
        {"a": (0.5, {"size": 16384}), "b": (0.4, {"size": 16385})},
        method="m",
        training=[{"epoch": 1, "loss": 2.0}],
    )
    (setting,) = settings_of_run(store.directory)
    told = {}
    for figure in figures_of([setting])[0]:
        told.setdefault(figure.panel, set()).update(told_exactly(figure.spec))
    assert told == {
        "by_bits": {"bits"},
        "cost": {"bytes of a code"},
        "pr": set(),
        "precision": {"N (items retrieved)"},
        "classes": {"queries"},
        "map": set(),
        "sensitivity": {"size"},
        "training": {"epoch"},
    }


@pytest.mark.parametrize(
    ("costs", "scores", "front"),
    [
        ([1, 2, 3], [0.1, 0.2, 0.3], [True, True, True]),
        ([1, 2, 3], [0.3, 0.2, 0.1], [True, False, False]),
        ([1, 1, 2], [0.2, 0.3, 0.3], [False, True, False]),
        ([1, 1], [0.3, 0.3], [True, True]),
    ],
)
def test_pareto_front(costs, scores, front):
    assert pareto_front(pd.Series(costs), pd.Series(scores)).tolist() == front


def test_per_class_means():
    labels = np.array([0, 10**12, 0, 10**12])
    classes = classes_in(labels)
    assert classes.tolist() == [0, 10**12]
    np.testing.assert_allclose(per_class(np.array([0.1, 0.2, 0.3, 0.6]), class_matrix(labels, classes)), [0.2, 0.4])


def test_labels_of_every_kind_give_one_matrix():
    matrix = np.random.default_rng(0).random((9, 70)) < 0.2
    matrix[:, 3], matrix[0, 69] = False, True
    padded = np.pad(matrix, ((0, 0), (0, 58)))
    masks = np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)
    classes = np.flatnonzero(matrix.any(axis=0))
    for labels in (masks, matrix):
        np.testing.assert_array_equal(classes_in(labels), classes)
        np.testing.assert_array_equal(class_matrix(labels, classes), matrix[:, classes])


def relabelled(store, labels_of):
    """Let what is kept of a made run's labels be other labels: ``labels_of`` the classes 0, 1, 2."""
    fingerprint = next(iter(store)).config["data"]
    store.labels_path(fingerprint).unlink()
    sizes = {"query_labels": N_QUERIES, "database_labels": N_DATABASE}
    store.write_relevance(fingerprint, {name: labels_of[np.arange(n) % N_CLASSES] for name, n in sizes.items()})
    return list(figures_of_codes(settings_of_run(store.directory)[0]))


def test_a_metric_that_no_method_has_at_the_largest_length(tmp_path):
    store = made_run(tmp_path / "run", {"one": (0.5, {}), "two": (0.4, {})}, bits=(4, 8, 16))
    for record in list(store):
        if record.config["n_bits"] == 16:
            edit_record(store, record, lambda values: values["metrics"].pop("mAP@10"))
    (setting,) = settings_of_run(store.directory)
    (lines,) = (one for one in figures_of([setting])[0] if (one.panel, one.metric) == ("by_bits", "mAP@10"))
    assert "At 8 bits the highest of 2 methods is one" in lines.alt
    shown_at = [one.bits for one in figures_of_codes(setting) if (one.panel, one.metric) == ("classes", "mAP@10")]
    assert shown_at == [4, 8]


def test_where_lower_is_better_the_easiest_class_has_the_lowest_mean(tmp_path):
    (setting,) = settings_of_run(made_run(tmp_path / "run", {"one": (0.5, {})}, bits=(8,)).directory)
    scores = {name: replace(score, better="lower") for name, score in setting.rows[0].scores.items()}
    turned = replace(setting, rows=[replace(setting.rows[0], scores=scores)])
    higher, lower = (next(one for one in figures_of_codes(of) if one.panel == "classes") for of in (setting, turned))
    means = higher.data.set_index("class")["y"]
    assert f"class {means.idxmax()} is the easiest with {means.max():.3f}" in higher.alt
    assert f"class {means.idxmin()} is the easiest with {means.min():.3f}" in lower.alt
    assert f"class {means.idxmax()} the hardest with {means.max():.3f}" in lower.alt


def test_costs_are_in_one_order_whatever_is_scored(tmp_path):
    for protocol, titles in (("toy/1", ["training", "items", "bytes"]), ("toy/1+bytes", ["training", "items"])):
        store = made_run(tmp_path / protocol, {"one": (0.5, {}), "two": (0.4, {})}, protocol=protocol)
        (setting,) = settings_of_run(store.directory)
        figures = figures_of_scores(setting, looks_of([setting]))
        costs = [one.title.split()[2] for one in figures if (one.panel, one.metric) == ("cost", "mAP@10")]
        assert costs == titles


def test_heat_maps_of_all_metrics_read_each_record_once(tmp_path, monkeypatch):
    store = made_run(tmp_path / "run", {"one": (0.5, {}), "two": (0.4, {})})
    (setting,) = settings_of_run(store.directory)
    reads, read = Counter(), Store.arrays
    monkeypatch.setattr(Store, "arrays", lambda store, id: reads.update([id]) or read(store, id))
    figures = list(figures_of_codes(setting))
    assert {one.metric for one in figures if one.panel == "classes"} == set(METRICS)
    maps = {row.records[0].id for row in setting.rows}
    assert reads == {record.id: 2 if record.id in maps else 1 for row in setting.rows for record in row.records}


def test_class_numbers_may_be_of_any_size(tmp_path):
    store = made_run(tmp_path / "run", {"one": (0.5, {})}, bits=(8,))
    figures = relabelled(store, np.array([7, 10**12, 2**63 - 1]))
    classes = {str(number) for number in (7, 10**12, 2**63 - 1)}
    assert {figure.panel for figure in figures} == {"map", "classes"}
    for figure in figures:
        assert set(figure.data["class" if figure.panel == "classes" else "name"]) == classes


def test_a_map_says_who_has_no_class_and_who_has_several(tmp_path):
    store = made_run(tmp_path / "run", {"one": (0.5, {})}, bits=(8,))
    labels_of = np.array([[1, 0], [1, 1], [0, 0]], bool)
    (figure,) = (one for one in relabelled(store, labels_of) if one.panel == "map")
    assert figure.data["name"].value_counts().to_dict() == {"0": N_DATABASE * 2 // 3, "none": N_DATABASE // 3}
    assert [row["name"] for row in figure.spec["datasets"]["key"]] == ["0", "none"]
    assert "its first one, where a code has several" in figure.alt
    (figure,) = (one for one in relabelled(store, np.eye(2, dtype=bool)[[0, 1, 1]]) if one.panel == "map")
    assert "several" not in figure.alt


def test_the_plane_keeps_hamming_distances_where_two_bits_vary():
    signs = np.array([[1, 1, 1.0], [1, -1, 1], [-1, 1, 1], [-1, -1, 1]])
    points, share = principal_plane(signs)
    between = np.square(points[:, None] - points[None]).sum(axis=2) / 4
    np.testing.assert_allclose(between, (signs[:, None] != signs[None]).sum(axis=2), atol=1e-12)
    assert share == pytest.approx(1)
    assert not principal_plane(np.ones((5, 8)))[0].any()
