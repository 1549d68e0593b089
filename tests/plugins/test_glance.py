"""What is listed of a method, read from its source; and the groups that are made of it."""

import pytest
from conftest import one_clear_line

from hashbench.contract.method import HashMethod
from hashbench.learning.deep import DeepMethod
from hashbench.plugins.glance import Glance, glance
from hashbench.plugins.registry import Registry
from hashbench.runs.requested.groups import BY_GLANCE, FIXED, with_groups

SOURCES = {
    "plain": ("from hashbench import HashMethod\nclass A(HashMethod): pass", Glance("features", False, "other")),
    "supervised": (
        'import hashbench\nclass A(hashbench.HashMethod):\n    paper = "Liu, CVPR 2012 (again 2013)"\n'
        '    supervision = "supervised"\n    """A note.\n    """\n',
        Glance("features", True, "other", "2012"),
    ),
    "kind": (
        "from hashbench.learning.linear import LinearMethod as L\nclass A(L):\n"
        '    """Is one.\n\n    Kind\n    ----\n    kernel\n\n    Fidelity\n    --------\n    None.\n    """\n',
        Glance("features", False, "kernel"),
    ),
    "base in the file": (
        "from hashbench.learning.view_pairs import ViewPairMethod\n"
        'class B(ViewPairMethod):\n    supervision = "supervised"\nclass A(B):\n    paper: str = "ICCV 2017"\n',
        Glance("views", True, "deep", "2017"),
    ),
    "deep": (
        "from hashbench.learning.supervised import SupervisedMethod\nclass A(SupervisedMethod): ...",
        Glance("features", True, "deep"),
    ),
    "asks for views": (
        "from hashbench import HashMethod\nclass A(HashMethod):\n    def fit(self, X, *, views): ...",
        Glance("views", False, "other"),
    ),
    "none": ("x = 1", Glance()),
    "its own base": ("class A(A): ...\nclass B(C): ...\nclass C(B): ...", Glance()),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_source_says_what_a_method_is(tmp_path, source):
    (tmp_path / "mine.py").write_text(SOURCES[source][0])
    plugin = Registry([tmp_path / "mine.py"]).find("methods", "mine")
    assert glance(plugin) == SOURCES[source][1]


def test_it_is_what_the_class_says():
    for name, plugin in Registry().plugins("methods").items():
        shown, method_class = glance(plugin), plugin.load()
        assert issubclass(method_class, HashMethod)
        assert shown.reads_labels == (method_class.supervision == "supervised"), name
        assert shown.year in method_class.paper, name
        assert (shown.family == "deep") == issubclass(method_class, DeepMethod), name
        asked = {"views"} & set(method_class().wants())
        assert shown.needs == ("views" if asked else "features"), name


def test_groups_are_made_of_it(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCES["supervised"][0])
    registry = Registry([tmp_path / "mine.py"])
    members = {name: with_groups(name, registry).split(",") for name in BY_GLANCE}
    assert sorted(members["supervised"] + members["unsupervised"]) == registry.names("methods")
    assert "mine" in members["supervised"]
    assert {"itq", "agh", "sign"} <= set(members["classics"]) < set(members["unsupervised"])
    assert {"cibhash", "greedyhash"} <= set(members["deep"])
    assert set(FIXED["quick"].split(",")) <= set(members["classics"])
    assert with_groups("quick,cibhash[epochs=2]", registry) == f"{FIXED['quick']},cibhash[epochs=2]"


def test_a_plugin_named_like_a_group_is_itself(tmp_path):
    (tmp_path / "deep.py").write_text(SOURCES["plain"][0])
    assert with_groups("deep", Registry([tmp_path / "deep.py"])) == "deep"


def test_list_shows_it_and_chooses_by_it(tmp_path, cli):
    (tmp_path / "mine.py").write_text(SOURCES["supervised"][0])
    rows = {}
    for option in ("--supervised", "--unsupervised"):
        done = cli("list", option, "--plugin", tmp_path / "mine.py")
        assert done.returncode == 0, done.stderr
        first, *lines = done.stdout.splitlines()
        assert first.split() == ["methods", "needs", "labels", "kind", "year"]
        rows[option] = {line.split()[0]: line.split()[1:5] for line in lines}
    assert rows["--supervised"]["mine"] == ["features", "yes", "other", "2012"]
    assert rows["--unsupervised"]["cibhash"] == ["views", "no", "deep", "2021"]
    assert not set(rows["--supervised"]) & set(rows["--unsupervised"])
    one_clear_line(cli("list", "--supervised", "--unsupervised"), "give one of them")
