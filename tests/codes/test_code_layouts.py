"""Codes as public repositories save them are read without an option, and give what the arrays themselves give."""

import numpy as np
import pytest
import saved_codes
from conftest import one_clear_line

from hashbench import evaluate, score
from hashbench.codes.names import role_of
from hashbench.reports.scores import readings_of

CLASSES = (saved_codes.cvprw15, saved_codes.ddh)
"""Layouts with one class an item."""


@pytest.mark.parametrize("layout", saved_codes.LAYOUTS, ids=lambda layout: layout.__name__)
def test_a_layout_is_read_without_an_option(layout, tmp_path):
    problem = saved_codes.Problem(several=layout not in CLASSES)
    found = score(*layout(tmp_path, problem), metrics="mAP@50,mAP@all")
    expected = evaluate(
        problem.query > 0,
        problem.database > 0,
        problem.query_labels > 0,
        problem.database_labels > 0,
        ["mAP@50", "mAP@all"],
    )
    assert dict(found) == dict(expected)
    assert "24 query codes from" in found.read_as
    assert "32 bits" in found.read_as


def test_the_command_says_what_was_read_and_prints_the_metrics(cli, tmp_path):
    problem = saved_codes.Problem()
    (folder,) = saved_codes.hashnet(tmp_path, problem)
    done = cli("score", folder, "--csv", tmp_path / "scores.csv", "--metrics", "mAP@50,P@10")
    assert done.returncode == 0, done.stderr
    assert "score: 24 query codes from iter_10000_test_code.npy, 300 database codes from" in done.stderr
    assert "32 bits, -1 and 1; labels from" in done.stderr
    assert "-1 is read as 0" in done.stderr
    assert "2 of 24 queries share no label with the database" in done.stderr
    assert "mAP@50" in done.stdout
    assert (tmp_path / "scores.csv").read_text().startswith("metric,value\nmAP@50,")


def test_the_audit_prints_every_convention(cli, tmp_path):
    (checkpoint,) = saved_codes.dsdh(tmp_path, saved_codes.Problem())
    done = cli("score", checkpoint, "--audit", "--metrics", "mAP@50", "--csv", tmp_path / "audit.csv")
    assert done.returncode == 0, done.stderr
    for words in ("mAP@50", "min(k,R)", "pessimistic", "torch-topk", "irrelevant dropped"):
        assert words in done.stdout
    lines = (tmp_path / "audit.csv").read_text().splitlines()
    assert lines[0] == "cutoff,divisor,ties,without_hit,mAP"
    assert len(lines) == 1 + 9 * (3 * 3 + 2)


def test_a_printed_score_is_found_among_the_conventions(cli, tmp_path):
    (folder,) = saved_codes.deephash_pytorch(tmp_path, saved_codes.Problem())
    frame = score(folder, audit=True, metrics="mAP@50").conventions
    value = frame.query("cutoff == '50' and divisor == 'hits' and ties == 'numpy' and without_hit == '0'")["mAP"].item()
    reading = "@50 / hits, numpy, no hit: 0"
    for printed in (f"{value:.12f}", f"{100 * value:.8f}"):
        assert f"{reading} ({value:.6f})" in readings_of(frame, printed)
    assert any(reading in line for line in readings_of(frame, f"{value:.4f}"))
    assert readings_of(frame, "0.99999")[0].startswith("no reading rounds to it; the nearest is @")
    done = cli("score", folder, "--printed", f"{value:.6f}", "--metrics", "mAP@50")
    assert f"{value:.6f}: {reading}" in done.stdout
    one_clear_line(cli("score", folder, "--printed", "good"), "expected a score such as 0.7146")


def test_packed_codes_of_twelve_bits_from_the_lowest_up_need_their_length(tmp_path):
    problem = saved_codes.Problem(n_bits=12)
    found = score(*saved_codes.adsh_matlab(tmp_path, problem), bits=12)
    expected = evaluate(
        problem.query > 0, problem.database > 0, problem.query_labels > 0, problem.database_labels > 0, ["mAP@all"]
    )
    assert found["mAP@all"] == expected["mAP@all"]
    assert any("from the lowest up" in note for note in found.notes)


def test_arrays_of_several_files_and_of_one_are_named(tmp_path):
    problem = saved_codes.Problem()
    np.savez(tmp_path / "all.npz", images=problem.query, texts=problem.database, x=problem.query_classes)
    np.savetxt(tmp_path / "classes.txt", problem.database_classes, fmt="%d")
    found = score(
        query_codes=f"{tmp_path}/all.npz:images",
        database_codes=f"{tmp_path}/all.npz:texts",
        query_labels=f"{tmp_path}/all.npz:x",
        database_labels=tmp_path / "classes.txt",
    )
    assert "from all.npz:images, 300 database codes from all.npz:texts" in found.read_as


@pytest.mark.parametrize(
    ("name", "part", "kind"),
    [
        ("tst_binary", "query", "codes"),
        ("trn_label", "database", "labels"),
        ("qB", "query", "codes"),
        ("rL", "database", "labels"),
        ("B_dataset", "database", "codes"),
        ("L_te", "query", "labels"),
        ("val_B", "query", "codes"),
        ("test.codes", "query", "codes"),
        ("retrievalL", "database", "labels"),
        ("database_hash", "database", "codes"),
        ("query_targets", "query", "labels"),
        ("probe_hash", "query", "codes"),
        ("trainset_labels", "database", "labels"),
        ("cateTrainTest", None, None),
        ("map", None, None),
    ],
)
def test_names_say_what_arrays_are(name, part, kind):
    assert role_of(name)[:2] == (part, kind)
