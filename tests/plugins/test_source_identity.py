"""Which source code belongs to a plugin's identity, and what in it counts."""

import importlib

import pytest

from hashbench.files.reached import reached_statements
from hashbench.files.source import code_of, hash_class, hash_source
from hashbench.plugins.registry import Registry


@pytest.mark.parametrize(
    ("kind", "name", "reached", "not_reached"),
    [
        ("methods", "lsh", ["class LinearMethod", "def mean("], ["def principal_axes", "def find_anchors"]),
        ("methods", "agh", ["def find_anchors", "def blocks("], ["class LinearMethod"]),
        ("methods", "crovca", ["class Trainer", "class ViewPairMethod"], ["def principal_axes", "def nt_xent"]),
        ("datasets", "digits", [], ["def "]),
        ("datasets", "vectors", ["def true_neighbors"], ["def read_cifar"]),
    ],
)
def test_what_a_plugin_reaches_of_learning_and_readers_counts(kind, name, reached, not_reached):
    text = "\n".join(reached_statements([Registry().find(kind, name).file]))
    assert [start for start in reached if start not in text] == []
    assert [start for start in not_reached if start in text] == []


SOURCE = '''"""A plugin."""
from hashbench.contract.method import HashMethod
from hashbench.errors import Unsupported as No

SCALE = 2


class Mine(HashMethod):
    def project(self, X):
        return X * SCALE, f"{SCALE:>{SCALE}} of {'one'}"
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A plugin."""', '"""Another text,\n\nlonger."""'),
        ('"""A plugin."""\n', ""),
        ("SCALE = 2", "# why\nSCALE = 2  # times"),
        ("SCALE = 2", 'SCALE = 2\n"""How much."""'),
        ("SCALE = 2", "\n\nSCALE  =  2"),
        ("    def project", '    """Says more."""\n\n    def project'),
        ("hashbench.contract.method", "hashbench"),
        (
            "from hashbench.contract.method import HashMethod\nfrom hashbench.errors import Unsupported as No",
            "from hashbench.here import (\n    HashMethod,\n    Unsupported as No,\n)",
        ),
        ("X * SCALE", "X   *  SCALE"),
    ],
)
def test_wording_and_layout_do_not_count(old, new, tmp_path):
    assert old in SOURCE
    assert code_of(SOURCE.replace(old, new)) == code_of(SOURCE)
    for name, text in (("a.py", SOURCE), ("b.py", SOURCE.replace(old, new))):
        (tmp_path / name).write_text(text)
    assert hash_source(tmp_path / "a.py") == hash_source(tmp_path / "b.py")


METHOD = "class Mine(HashMethod):\n"


@pytest.mark.parametrize(
    "search",
    [
        '    search = {"scale": (1, 3)}\n',
        '    search = {"scale": log_range(1e-3, 1e3)}  # three decades on either side\n',
        '    search = {\n        "scale": (1, 3),\n        "é": ["é", "b"],\n    }\n\n',
        '    search: ClassVar[dict[str, Any]] = {"scale": (1, 3)}\n',
    ],
)
@pytest.mark.parametrize("before", [METHOD, METHOD + "    paper = 'é'; year = 2021\n"])
def test_a_search_space_does_not_count(search, before):
    source = SOURCE.replace(METHOD, before)
    assert code_of(source.replace(before, before + search)) == code_of(source)


@pytest.mark.parametrize(
    "line",
    [
        "from hashbench import log_range",
        "from hashbench.contract.search_space import log_range",
        "from hashbench.contract.search_space import log_range as log",
    ],
)
def test_the_import_for_a_search_space_does_not_count(line):
    assert code_of(f"{line}\n{SOURCE}") == code_of(SOURCE)
    method = "from hashbench.contract.method import HashMethod"
    assert code_of(SOURCE.replace(method, f"{method}\n{line}")) == code_of(SOURCE)


@pytest.mark.parametrize(
    "added",
    [
        '    searched = {"scale": (1, 3)}\n',
        '    space = {"scale": (1, 3)}\n',
        "    search = space = {}\n",
        "    search = {}; SCALE = 3\n",
        "    SCALE = 3; search = {}\n",
        "    search.limit = 3\n",
        "    search |= {}\n",
        "    for search in ():\n        pass\n",
        "    def search(self):\n        return 3\n",
        "    def fit(self, X):\n        search = 3\n",
    ],
)
def test_all_else_in_a_class_counts(added):
    assert code_of(SOURCE.replace(METHOD, METHOD + added)) != code_of(SOURCE)


def test_a_search_outside_a_class_counts():
    assert code_of(SOURCE.replace("SCALE = 2", "SCALE = 2\nsearch = {}")) != code_of(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SCALE = 2", "SCALE = 3"),
        ("X * SCALE", "X + SCALE"),
        ("Unsupported as No", "InputError as No"),
        ("        return", "        SCALE = 1\n        return"),
        ("of {'one'}", "of {'two'}"),
        ("of {'one'}", "of  {'one'}"),
    ],
)
def test_code_counts(old, new):
    assert old in SOURCE
    assert code_of(SOURCE.replace(old, new)) != code_of(SOURCE)


def test_the_place_of_a_file_does_not_count(tmp_path):
    for folder, name in (("a", "helper.py"), ("b", "renamed.py")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text(SOURCE)
        (tmp_path / folder / name).write_text("x = 1\n")
    assert hash_source(tmp_path / "a" / "__init__.py") == hash_source(tmp_path / "b" / "__init__.py")
    (tmp_path / "b" / "renamed.py").write_text("x = 2\n")
    assert hash_source(tmp_path / "a" / "__init__.py") != hash_source(tmp_path / "b" / "__init__.py")


def test_a_class_is_of_other_code_once_a_file_beside_its_own_changes(tmp_path, monkeypatch):
    folder = tmp_path / "edited_method"
    folder.mkdir()
    (folder / "__init__.py").write_text("class Edited:\n    pass\n")
    (folder / "steps.py").write_text("ROUNDS = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    edited = importlib.import_module("edited_method").Edited
    before = hash_class(edited)
    (folder / "steps.py").write_text("ROUNDS = 2\n")
    assert hash_class(edited) == hash_source(folder / "__init__.py") != before
    assert hash_class(int) == ""
