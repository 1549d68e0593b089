"""Model files with any damage at all: codes or one clear line."""

import tempfile
from pathlib import Path

import numpy as np
from conftest import one_clear_line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import sealed, taken_apart
from mutations import contents, json_texts


@st.composite
def damaged(draw, content, header, arrays):
    """Draw a model's file: bytes changed, or a header that is changed and sealed."""
    if draw(st.booleans()):
        return draw(contents(content))
    return sealed(draw(json_texts(header)).encode("utf-8", "replace").decode(), arrays)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_no_damage_gives_anything_but_codes_or_one_line(model, cli, data):
    content = data.draw(damaged(model.read_bytes(), *taken_apart(model)))
    vectors = data.draw(st.booleans())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "below"
        folder.mkdir()
        (folder / "m.safetensors").write_bytes(content)
        np.save(folder / "v.npy", np.ones((2, 64), np.float32) if vectors else np.ones((2, 8, 8, 1), np.uint8))
        done = cli("encode", folder / "m.safetensors", folder / "v.npy", "-o", folder / "c.npy")
        assert done.returncode in (0, 2), done.stderr
        assert "hashbench: unexpected" not in done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert [path.name for path in Path(name).iterdir()] == ["below"]
        left = {path.name for path in folder.iterdir()} - {"m.safetensors", "v.npy"}
        if done.returncode:
            one_clear_line(done, "m.safetensors")
            assert len(done.stderr) < 2_000
            assert not left
        else:
            assert left == {"c.npy", "c.model.json"}
