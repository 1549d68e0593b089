"""The commands on prepared data: list, verify and remove, and what they find damaged."""

import os
import shutil

import pytest
from conftest import one_clear_line
from toy_images import load_toy, noise

from hashbench import InputError
from hashbench.data.prepared.entries import entries, remove


def test_verify_looks_at_the_sources(toy, data_command):
    folder = toy[1]
    assert data_command("prepare", "toy", "--from", folder, "--plugin", toy[0]).returncode == 0
    assert data_command("verify", "toy").returncode == 0
    file = folder / "a00.png"
    found = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    one_clear_line(data_command("verify", "toy"), str(folder), "has changed since it was prepared", "data remove toy-")
    shutil.rmtree(folder)  # sources may go
    assert data_command("verify", "toy").returncode == 0


def test_the_commands(toy, tmp_path, data_command):
    plugin, folder = toy
    done = data_command("prepare", "toy", "--from", folder, "--plugin", plugin)
    assert "12 items" in done.stdout
    assert "was there already" in data_command("prepare", "toy", "--from", folder, "--plugin", plugin).stdout
    (entry,) = entries(tmp_path / "cache")
    manifest = entry.manifest
    assert (manifest["n_items"], manifest["label_range"], manifest["licence"]) == (12, [0, 2], "none")
    assert manifest["from"] == str(folder)
    listed = data_command("list").stdout.splitlines()
    assert len(listed) == 2
    for word in (entry.folder.name, "12", "toy", str(folder), manifest["date"][:10]):
        assert word in listed[1]
    assert f"{entry.folder.name}: ok" in data_command("verify", "toy").stdout
    assert f"{entry.folder.name}: ok" in data_command("verify", entry.folder.name).stdout
    assert f"removed {entry.folder}" in data_command("remove", entry.folder.name).stdout
    assert entries(tmp_path / "cache") == []
    assert "nothing is prepared" in data_command("list").stdout
    for command in ("verify", "remove"):
        one_clear_line(data_command(command, "toy"), "toy is not prepared")
        one_clear_line(data_command(command, "../photos"), "../photos is not prepared")
    one_clear_line(data_command("prepare", "toy", "--from", tmp_path / "none", "--plugin", plugin), "--from", "no such")
    assert len(list(folder.iterdir())) == 12


def test_remove_takes_all_entries_of_a_name(toy, tmp_path, data_command):
    for row in range(2):
        noise(9, 9, row).save(toy[1] / f"a{row}.png")
        assert data_command("prepare", "toy", "--from", toy[1], "--plugin", toy[0]).returncode == 0
    assert len(entries(tmp_path / "cache")) == 2
    assert len(remove(tmp_path / "cache", "toy")) == 2
    assert [path.name for path in (tmp_path / "cache" / "datasets").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("file", ["data.bin", "labels.bin", "part-1.bin", "names.json"])
def test_verify_finds_a_flipped_byte(file, toy, tmp_path, data_command):
    data_command("prepare", "toy", "--from", toy[1], "--plugin", toy[0])
    (entry,) = entries(tmp_path / "cache")
    content = bytearray((entry.folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (entry.folder / file).write_bytes(content)
    one_clear_line(data_command("verify", "toy"), f"{file} has changed", f"hashbench data remove {entry.folder.name}")


def test_a_cut_or_missing_file_is_named(toy, tmp_path, data_command):
    data_command("prepare", "toy", "--from", toy[1], "--plugin", toy[0])
    (entry,) = entries(tmp_path / "cache")
    (entry.folder / "data.bin").write_bytes((entry.folder / "data.bin").read_bytes()[:-1])
    with pytest.raises(InputError, match=r"data\.bin is not as it was: .* hashbench data remove"):
        load_toy(toy, tmp_path, data_dir=toy[1])
    (entry.folder / "data.bin").unlink()
    one_clear_line(data_command("verify", "toy"), "data.bin cannot be read", "No such file")
    manifest = entry.folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"shape"', '"form"'))
    one_clear_line(data_command("verify", "toy"), "manifest.json is damaged", "hashbench data remove")
    manifest.write_text("{")
    assert len(load_toy(toy, tmp_path, data_dir=toy[1])) == 12


@pytest.mark.parametrize("content", ["junk", '{"format": 1}', "[]"])
def test_a_damaged_manifest_hides_nothing_and_can_be_removed(toy, tmp_path, cli, content):
    load_toy(toy, tmp_path, data_dir=toy[1])
    (entry,) = entries(tmp_path / "cache")
    (entry.folder / "manifest.json").write_text(content)
    cache = ("--cache-dir", tmp_path / "cache")
    assert "nothing is prepared" in cli("data", "list", *cache).stdout
    one_clear_line(cli("data", "verify", "toy", *cache), "toy is not prepared")
    assert cli("data", "remove", "toy", *cache).returncode == 0
    assert not entry.folder.exists()
