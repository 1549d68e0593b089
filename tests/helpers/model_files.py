"""Model files taken apart and sealed again, so that a test gets past their checksum."""

import json

from safetensors import safe_open
from safetensors.numpy import save

from hashbench.saved_method import checksum


def taken_apart(model):
    """Return header and arrays of a model's file."""
    with safe_open(str(model), "numpy") as file:
        return json.loads(file.metadata()["hashbench"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def sealed(text, arrays):
    """Return a model's file whose checksum is right, whatever the header is."""
    return save(arrays, metadata={"hashbench": text, "sha256": checksum(text, arrays)})
