"""A plugin's identity covers the definitions that it reaches in shared modules, and no other line of them."""

import pytest

from hashbench.files import reached
from hashbench.files.source import hash_source

PLUGIN = "from hashbench.learning.linear import mean\n"
LINEAR = '''"""Linear methods."""
from __future__ import annotations
from typing import TYPE_CHECKING
import numpy as np
from hashbench.learning.blocks import blocks, largest
from hashbench.learning import graph
if TYPE_CHECKING:
    from hashbench.learning.blocks import Unused
SCALE = 2
"""How much."""
def mean(X: Unused):
    return SCALE * sum(blocks(X)) + np.float64(1)
def other(X):
    return graph.edges(largest(X))
@staticmethod
def decorated(X):
    return X
'''
BLOCKS = (
    "ROWS = 1024\ndef blocks(X):\n    yield X[:ROWS]\ndef largest(X):\n    return max(X)\nclass Unused:\n    pass\n"
)
GRAPH = "def edges(X):\n    return X\ndef nodes(X):\n    return 1\n"


@pytest.fixture
def hashed(tmp_path, monkeypatch):
    """Return a function that writes shared modules and a plugin, and returns the plugin's checksum."""
    numbers = iter(range(100))

    def checksum(plugin=PLUGIN, **modules):
        folder = tmp_path / str(next(numbers))
        (folder / "learning").mkdir(parents=True)
        for name, text in {"linear": LINEAR, "blocks": BLOCKS, "graph": GRAPH, **modules}.items():
            (folder / "learning" / f"{name}.py").write_text(text)
        (folder / "mine.py").write_text(plugin)
        monkeypatch.setattr(reached, "PACKAGE", folder)
        return hash_source(folder / "mine.py")

    return checksum


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (LINEAR, "SCALE = 2", "SCALE = 3"),
        (LINEAR, "SCALE * sum", "SCALE + sum"),
        (LINEAR, "import numpy as np", "import scipy as np"),
        (BLOCKS, "ROWS = 1024", "ROWS = 512"),
        (BLOCKS, "yield X", "yield -X"),
    ],
)
def test_what_is_reached_counts(module, old, new, hashed):
    assert old in module
    name = "linear" if module is LINEAR else "blocks"
    assert hashed(**{name: module.replace(old, new)}) != hashed()


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (LINEAR, "graph.edges", "graph.nodes"),
        (LINEAR, "    return X\n", "    return -X\n"),
        (LINEAR, "@staticmethod", "@classmethod"),
        (LINEAR, '"""How much."""', '"""How often."""'),
        (BLOCKS, "max(X)", "min(X)"),
        (BLOCKS, "    pass", "    size = 1"),
        (GRAPH, "    return 1", "    return 2"),
    ],
)
def test_what_is_not_reached_does_not_count(module, old, new, hashed):
    assert old in module
    name = {LINEAR: "linear", BLOCKS: "blocks", GRAPH: "graph"}[module]
    assert hashed(**{name: module.replace(old, new)}) == hashed()


@pytest.mark.parametrize(
    "plugin",
    [
        "from hashbench.learning.linear import other\n",
        "from hashbench.learning import linear\n",
        "import hashbench.learning.linear\n",
        "from hashbench.learning.linear import *\n",
        "def fit():\n    from hashbench.learning.linear import other\n",
    ],
)
def test_a_module_used_as_a_whole_counts_as_a_whole(plugin, hashed):
    assert hashed(plugin, graph=GRAPH.replace("return 1", "return 2")) != hashed(plugin)
    assert hashed(plugin, blocks=BLOCKS.replace("max(X)", "min(X)")) != hashed(plugin)


def test_a_statement_that_binds_nothing_counts_with_its_module(hashed):
    assert hashed(blocks=BLOCKS + "print(ROWS)\n") != hashed()
    assert hashed(graph=GRAPH + "print()\n") == hashed()


def test_a_definition_may_move_to_another_shared_module(hashed):
    moved = LINEAR.replace(
        "from hashbench.learning.blocks import blocks, largest", "from hashbench.learning.blocks import largest"
    )
    moved = moved.replace("import numpy", "from hashbench.learning.graph import blocks\nimport numpy")
    taken, rest = BLOCKS[: BLOCKS.index("def largest")], BLOCKS[BLOCKS.index("def largest") :]
    assert hashed(linear=moved, blocks=rest, graph=GRAPH + taken) == hashed()


def test_a_name_that_a_shared_module_passes_on_is_followed(hashed):
    plugin = "from hashbench.learning.linear import largest\n"
    assert hashed(plugin, blocks=BLOCKS.replace("max(X)", "min(X)")) != hashed(plugin)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bom.py", b"\xef\xbb\xbfx = 'gr\xc3\xb6\xc3\x9fe'\n"),
        ("cookie.py", b"# -*- coding: latin-1 -*-\nx = 'gr\xf6\xdfe'\n"),
        ("plain.py", "x = 'größe'\n".encode()),
    ],
)
def test_files_are_decoded_as_python_does(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "utf8.py").write_text("x = 'größe'\n", "utf-8")
    assert hash_source(tmp_path / name) == hash_source(tmp_path / "utf8.py")
