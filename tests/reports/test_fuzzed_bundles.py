"""Bundles with any damage at all: a result or one clear line, and no file elsewhere."""

import json
import tempfile
from pathlib import Path

import pytest
from boards import part_of, snapshot
from bundles import MANIFEST, contents_of, write
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from mutations import contents, json_texts

from hashbench import InputError
from hashbench.reports.bundles.pack import bundle
from hashbench.reports.bundles.recompute import recompute

SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.fixture(scope="module")
def one(board_run, tmp_path_factory):
    """Return the bundle of one record, with labels."""
    folder = tmp_path_factory.mktemp("one")
    store = part_of(board_run, folder / "run", lambda record: record.label == "pcah" and record.config["n_bits"] == 8)
    bundle(store, folder / "one.zip", with_labels=True)
    return folder / "one.zip"


def scored_or_refused(path):
    """Score a bundle again in a folder of its own; whatever it holds, nothing is left there."""
    before = snapshot(path.parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(path.parent))
        try:
            recompute(path)
        except InputError as error:
            note(str(error))
    assert snapshot(path.parent) == before


@settings(max_examples=40, **SETTINGS)
@given(data=st.data())
def test_damaged_archives(one, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.zip")
        path.write_bytes(data.draw(contents(one.read_bytes())))
        scored_or_refused(path)


@settings(max_examples=40, **SETTINGS)
@given(data=st.data())
def test_damaged_files_under_true_checksums(one, data):
    files = contents_of(one)
    name = data.draw(st.sampled_from(sorted(files)))
    if name.endswith(".json"):
        files[name] = data.draw(json_texts(json.loads(files[name]))).encode(errors="surrogatepass")
    else:
        files[name] = data.draw(contents(files[name]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.zip")
        write(path, files, true_checksums=name != MANIFEST)
        scored_or_refused(path)
