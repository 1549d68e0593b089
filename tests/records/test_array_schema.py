"""Arrays of another form than a run writes are told, and computed again."""

import numpy as np
import pytest
from boards import edit_arrays, first_of, part_of
from conftest import one_clear_line

from hashbench import InputError
from hashbench.records.array_schema import problem_in


def _nan(array):
    array = array.astype(float)
    array[-1] = np.nan
    return array


CHANGES = [
    ("query_codes", lambda array: array.astype(np.int64)),
    ("query_codes", lambda array: array[0]),
    ("query_codes", lambda array: array[:-1]),
    ("database_codes", lambda array: array[:0]),
    ("per_query:mAP@all", lambda array: array[:-1]),
    ("per_query:mAP@all", lambda array: array[None]),
    ("per_query:mAP@all", _nan),
    ("per_query:mAP@all", lambda array: array.astype(str)),
    ("per_query:mAP@all", lambda array: array.astype(complex)),
    ("rank_recall", lambda array: array[1:]),
    ("radius_precision", lambda array: array[1:]),
    ("ranks", lambda array: array[0]),
]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_arrays_of_another_form(board_run, tmp_path, name, change):
    run = part_of(board_run, tmp_path / "run", lambda record: record.label == "pcah")
    record = first_of(run, "pcah")
    assert problem_in(run.arrays(record.id)) == ""
    edit_arrays(run, record, lambda arrays: arrays.update({name: change(arrays[name])}), true_checksums=False)
    with pytest.raises(InputError, match=rf"{record.id}\.npz is damaged \(.*give the run's command again"):
        run.arrays(record.id)
    assert run.read(record.id) is None


@pytest.mark.parametrize("name", ["query_codes", "per_query:mAP@all"])
def test_missing_arrays_are_computed_again(board_run, tmp_path, cli, name):
    run = part_of(board_run, tmp_path / "run", lambda record: record.label == "pcah")
    record = first_of(run, "pcah")
    edit_arrays(run, record, lambda arrays: arrays.pop(name), true_checksums=False)
    assert run.read(record.id) is None
    done = cli("run", "--in-process", "--methods", "pcah", "--bits", "8,16", "--out", run.directory)
    assert done.returncode == 0, done.stderr
    assert f"{record.id}.npz has no array '{name}'" in done.stderr
    assert name in run.arrays(record.id)


def test_a_missing_curve_is_reported(board_run, tmp_path, cli):
    run = part_of(board_run, tmp_path / "run", lambda record: record.label == "pcah")
    record = first_of(run, "pcah")
    edit_arrays(run, record, lambda arrays: arrays.pop("ranks"), true_checksums=False)
    one_clear_line(cli("plot", run.directory, "--to", tmp_path / "plots"), f"{record.id}.npz has no array 'ranks'")
