"""Plugins of installed packages, found by their entry points."""

import pytest
from plugin_source import PLUGIN

from hashbench.errors import InputError
from hashbench.plugins.registry import Registry


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package with entry points, and perhaps a module."""
    monkeypatch.syspath_prepend(tmp_path / "site")

    def installed(package, entry_points, source=None):
        folder = tmp_path / "site" / f"{package}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(entry_points)
        if source is not None:
            (tmp_path / "site" / f"{package}.py").write_text(source)

    return installed


def test_an_entry_point_is_found_without_being_loaded(install):
    install("theirs_package", "[hashbench.methods]\ntheirs = package_that_is_not_there:Method\n")
    plugin = Registry().find("methods", "theirs")
    assert plugin.origin == "package theirs_package (package_that_is_not_there:Method)"
    with pytest.raises(InputError, match=r"'theirs'.*cannot be imported: ModuleNotFoundError"):
        plugin.load()


@pytest.mark.parametrize(
    ("entry_points", "note"),
    [
        ("[hashbench.methods]\njust a line\n", "package odd_one: its entry_points.txt cannot be read"),
        ("[hashbench.methods]\nodd = not a module\n", "method 'odd' names 'not a module', expected module:Class"),
        ("[hashbench.datasets]\nodd =\n", "dataset 'odd' names '', expected module:Class"),
        ("[hashbench.methods]\n../odd = odd:Odd\n", "method '../odd' has a name that no plugin can have"),
        ("[hashbench.methods]\n" + "a" * 5000 + " = odd:Odd\n", "aaa…' has a name that no plugin can have"),
        ("[hashbench.methods]\nitq = odd:Odd\n", "package odd_one (odd:Odd): method 'itq' has the name of "),
    ],
)
def test_unusable_entry_points_are_skipped_and_reported(install, cli, entry_points, note):
    install("odd_one", entry_points)
    install("sound", "[hashbench.methods]\nsound_one = sound:Mine\n", PLUGIN)
    listed = cli("list")
    assert listed.returncode == 0, listed.stderr
    (line,) = [line for line in listed.stdout.splitlines() if line.startswith("passed over: ")]
    assert "odd_one" in line
    assert note in line
    assert len(line) < 300
    assert "sound_one" in listed.stdout
    assert cli("info", "itq").returncode == 0
    assert Registry().find("methods", "sound_one").load().__name__ == "Mine"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("thing = 5", "is of type int, expected a HashMethod subclass"),
        ("def thing(): pass", "is of type function, expected a HashMethod subclass"),
        ("class thing: pass", "is the class thing, expected a HashMethod subclass"),
        ("raise SystemExit(0)", "cannot be imported: SystemExit: 0"),
    ],
)
def test_an_entry_point_that_is_no_method_is_broken(install, cli, source, what):
    name = f"package_{abs(hash(source))}"
    install(name, f"[hashbench.methods]\nthing = {name}:thing\n", source)
    with pytest.raises(InputError, match=rf"method 'thing' \(package {name} .*{what}"):
        Registry().find("methods", "thing").load()
    done = cli("check", "thing")
    assert done.returncode == 1
    assert what in done.stdout
