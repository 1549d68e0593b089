"""The file of what was trained, without the class of it."""

import numpy as np
import pytest

from hashbench.contract.saved_file import read_saved, write_saved

CONTENT = {
    "kind": "quantizers",
    "name": "mine",
    "params": {"scale": 2.5},
    "learned": {"n_features_in_": 3, "steps_": np.arange(3.0), "rounds_": np.int64(4), "words_": ["a", None]},
    "provenance": {"dataset": "digits"},
}


def test_a_file_gives_back_what_it_was_given(tmp_path):
    write_saved(tmp_path / "m.safetensors", **CONTENT)
    saved = read_saved(tmp_path / "m.safetensors")
    learned = saved.learned
    assert learned.pop("steps_").tolist() == [0, 1, 2]
    assert learned == {"n_features_in_": 3, "rounds_": 4, "words_": ["a", None]}
    given = (saved.kind, saved.name, saved.params, saved.width, saved.columns, saved.provenance)
    assert given == ("quantizers", "mine", {"scale": 2.5}, 3, None, {"dataset": "digits"})


def test_columns_are_no_learned_value(tmp_path):
    learned = CONTENT["learned"] | {"feature_names_in_": ["a", "b", "c"]}
    write_saved(tmp_path / "m.safetensors", **CONTENT | {"learned": learned})
    saved = read_saved(tmp_path / "m.safetensors")
    assert saved.columns.tolist() == ["a", "b", "c"]
    assert saved.learned.keys() == CONTENT["learned"].keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learned": {"steps_": np.arange(3.0)}}, "before it was fitted"),
        ({"learned": {"n_features_in_": 0}}, "Expected `int` >= 1 - at `fitted.n_features_in_`"),
        ({"learned": {"n_features_in_": 2, "feature_names_in_": ["a"]}}, "no list of 2 names"),
        ({"learned": {"n_features_in_": 2, "steps": [1]}}, "Expected the name of a learned value, got 'steps'"),
        ({"learned": {"n_features_in_": 2, "steps": np.ones(2)}}, "'steps' is none that a method learns"),
        ({"name": "../mine"}, "got '../mine' - at `method`"),
        ({"kind": "methods"}, "missing required field `n_bits`"),
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write_saved(tmp_path / "m.safetensors", **CONTENT | change)
    assert not list(tmp_path.iterdir())
