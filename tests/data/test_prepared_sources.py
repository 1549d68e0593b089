"""Which prepared data belongs to which source files, and when data is prepared again."""

import os
import shutil

import numpy as np
import pytest
from conftest import one_clear_line
from toy_images import TOY, load_toy, noise

from hashbench import InputError, load_dataset
from hashbench.data.items import fingerprint_of
from hashbench.data.prepared import stamp as stamps
from hashbench.data.prepared.entries import entries


@pytest.mark.parametrize("small", [True, False])
def test_a_file_in_the_place_of_another_is_seen(tmp_path, cli, monkeypatch, small):
    """With the size and the time of the other, as cp -p and rsync -a leave them."""
    if not small:
        monkeypatch.setattr(stamps, "SMALL_BYTES", 0)
    one, other = np.random.default_rng(0).standard_normal((2, 300, 4)).astype(np.float32)
    place, cache = tmp_path / "x.npy", tmp_path / "cache"
    for rows in (one, other):
        np.save(tmp_path / "new.npy", rows)
        os.utime(tmp_path / "new.npy", (1.5e9, 1.5e9))
        shutil.copy2(tmp_path / "new.npy", place)
        found = load_dataset("vectors", data_dir=place, cache_dir=cache)
        assert (found.features == rows).all()
        assert found.data_fingerprint == fingerprint_of(rows)
        verified = cli("data", "verify", "vectors", "--cache-dir", cache)
        assert verified.returncode == 0, verified.stderr
    np.save(place, one)
    os.utime(place, (1.5e9, 1.5e9))
    one_clear_line(cli("data", "verify", "vectors", "--cache-dir", cache), "x.npy", "hashbench data remove")


def test_a_changed_file_is_read_again(toy, tmp_path, capsys):
    first = load_toy(toy, tmp_path, data_dir=toy[1])
    (toy[1] / ".hidden").write_text("nothing")
    assert load_toy(toy, tmp_path, data_dir=toy[1]).images.data.filename == first.images.data.filename
    assert "prepared anew" not in capsys.readouterr().err
    noise(40, 40, 99).save(toy[1] / "a00.png")
    second = load_toy(toy, tmp_path, data_dir=toy[1])
    assert second.data_fingerprint != first.data_fingerprint
    assert second.images.sizes[0].tolist() == [40, 40]
    assert "prepared anew" in capsys.readouterr().err
    toy[0].write_text(TOY + "\nEDITED = 1\n")
    third = load_toy(toy, tmp_path, data_dir=toy[1])
    assert third.images.data.filename != second.images.data.filename
    assert third.fingerprint == second.fingerprint


def test_only_files_of_the_plugin_are_looked_at(toy, tmp_path):
    toy[0].write_text(TOY.replace('licence = "none"', 'files = ("*.png",)'))
    load_toy(toy, tmp_path, data_dir=toy[1])
    (toy[1] / "notes.txt").write_text("of no concern")
    load_toy(toy, tmp_path, data_dir=toy[1])
    assert len(entries(tmp_path / "cache")) == 1


def test_a_cache_inside_of_the_data_is_not_data(toy, tmp_path):
    toy[0].write_text(TOY.replace('path.suffix != ".txt"', "path.suffix"))
    for _ in range(2):
        load_dataset("toy", plugins=(toy[0],), cache_dir=toy[1] / "cache", data_dir=toy[1])
    assert len(entries(toy[1] / "cache")) == 1


def test_data_that_a_plugin_finds_by_itself(toy, tmp_path, data_command):
    plugin, folder = toy
    own = TOY.replace("options.data_dir.iterdir()", f"(options.data_dir or Path({str(folder)!r})).iterdir()")
    plugin.write_text(own)
    first = load_toy(toy, tmp_path)
    assert "found by itself" in data_command("list").stdout
    with pytest.raises(InputError, match=r"toy\.py\): read failed: FileNotFoundError"):
        load_toy(toy, tmp_path, data_dir=tmp_path / "none")
    plugin.write_text(own + "\nEDITED = 1\n")
    assert load_toy(toy, tmp_path).fingerprint == first.fingerprint
    assert len(entries(tmp_path / "cache")) == 2


def test_downloaded_files_are_the_source(toy, tmp_path):
    plugin, folder = toy
    fetch = 'Path(options.cache_dir / "downloads" / "toy")'
    plugin.write_text(
        TOY.replace(
            "        files = sorted",
            f"        if not {fetch}.exists(): shutil.copytree({str(folder)!r}, {fetch})\n        files = sorted",
        )
        .replace("options.data_dir.iterdir()", f"{fetch}.iterdir()")
        .replace("import os\n", "import os\nimport shutil\n")
    )
    first = load_toy(toy, tmp_path, download=True)
    (entry,) = entries(tmp_path / "cache")
    assert entry.manifest["from"] == str(tmp_path / "cache" / "downloads" / "toy")
    assert load_toy(toy, tmp_path, download=True).fingerprint == load_toy(toy, tmp_path).fingerprint
    assert load_toy(toy, tmp_path, data_dir=entry.manifest["from"]).fingerprint == first.fingerprint
    assert len(entries(tmp_path / "cache")) == 1


def test_without_a_directory_the_newest_entry_serves(toy, tmp_path, capsys):
    first = load_toy(toy, tmp_path, data_dir=toy[1])
    noise(40, 40, 99).save(toy[1] / "a00.png")
    second = load_toy(toy, tmp_path, data_dir=toy[1])
    assert load_toy(toy, tmp_path).fingerprint == second.fingerprint != first.fingerprint
    toy[0].write_text(TOY + "\nEDITED = 1\n")
    assert load_toy(toy, tmp_path).fingerprint == second.fingerprint
    assert len(entries(tmp_path / "cache")) == 3
    toy[0].write_text(TOY + "\nEDITED = 2\n")
    toy[1].rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"another version of toy.*give --data-dir, or hashbench data prepare toy"):
        load_toy(toy, tmp_path)


def test_twins_in_two_places_are_two_entries(toy, tmp_path):
    twin = tmp_path / "twin"
    noise(20, 30, 50).save(toy[1] / "a99.bmp")
    shutil.copytree(toy[1], twin, copy_function=shutil.copy2)
    found = (twin / "a99.bmp").stat()
    noise(20, 30, 51).save(twin / "a99.bmp")
    os.utime(twin / "a99.bmp", ns=(found.st_atime_ns, found.st_mtime_ns))
    assert (twin / "a99.bmp").stat().st_size == found.st_size
    first, second = (load_toy(toy, tmp_path, data_dir=place) for place in (toy[1], twin))
    assert first.data_fingerprint != second.data_fingerprint
    with pytest.raises(InputError, match=r"toy is prepared from 2 places: .*twin.*name one with --data-dir"):
        load_toy(toy, tmp_path)


def test_data_that_lacks_images_must_be_asked_for(toy, tmp_path):
    for name in ("a99.png", "b99.png"):
        (toy[1] / name).write_text("no image")
    with pytest.raises(InputError, match=r"toy: 2 of \d+ images cannot be used: .*a99.*b99.*--skip-broken leaves"):
        load_toy(toy, tmp_path, data_dir=toy[1])
    kept = load_toy(toy, tmp_path, data_dir=toy[1], skip_broken=True)
    assert kept.n_left_out == 2
    assert load_toy(toy, tmp_path, skip_broken=True).fingerprint == kept.fingerprint
    with pytest.raises(
        InputError, match="read failed: AttributeError"
    ):  # nothing serves, and the toy finds no files by itself
        load_toy(toy, tmp_path)
    names = [path.name for path in sorted(toy[1].iterdir()) if path.suffix != ".txt"]
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "query.txt").write_text("\n".join(["elsewhere/a99.png", f"elsewhere/{names[0]}"]))
    (lists / "train.txt").write_text("\n".join(name for name in names[1:] if name != "a99.png"))
    listed = load_toy(toy, tmp_path, data_dir=toy[1], skip_broken=True, splits=lists)
    assert listed.split.query.tolist() == [0]
    assert len(listed.split.train) == len(listed) - 1
