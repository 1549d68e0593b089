"""Model files taken apart and sealed again, so that a test gets past their checksum; and damaged ones."""

import json
import tempfile
from pathlib import Path

import numpy as np
from conftest import one_clear_line
from hypothesis import strategies as st
from mutations import contents, json_texts
from safetensors import safe_open
from safetensors.numpy import save

from hashbench.contract.saved_file import checksum


def taken_apart(model):
    """Return header and arrays of a model's file."""
    with safe_open(str(model), "numpy") as file:
        return json.loads(file.metadata()["hashbench"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def sealed(text, arrays):
    """Return a model's file whose checksum is right, whatever the header is."""
    return save(arrays, metadata={"hashbench": text, "sha256": checksum(text, arrays)})


@st.composite
def damaged(draw, model):
    """Draw a model's file: bytes changed, or a header that is changed and sealed."""
    if draw(st.booleans()):
        return draw(contents(model.read_bytes()))
    header, arrays = taken_apart(model)
    return sealed(draw(json_texts(header)).encode("utf-8", "replace").decode(), arrays)


def gives_codes_or_one_line(cli, content, items):
    """Assert that encoding with a model's file gives codes, or one clear line and nothing else, in its folder alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "below"
        folder.mkdir()
        (folder / "m.safetensors").write_bytes(content)
        np.save(folder / "v.npy", items)
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
