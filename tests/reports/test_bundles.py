"""Bundles: made the same each time, scored again, and believed in nothing: other archives, bombs and odd names."""

import io
import json
import stat
import struct
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from boards import part_of, snapshot
from bundles import MANIFEST, arrays_in, as_npz, contents_of, edit_records, write
from conftest import one_clear_line
from made_records import made_record

from hashbench.records.store import Store
from hashbench.reports.bundles.archive import MOST_FILES
from hashbench.reports.bundles.pack import bundle
from hashbench.reports.bundles.recompute import recompute

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "tests" / "bundles" / "digits-classics.zip"
"""Of ``hashbench run --methods itq,lsh,pcah,sh --bits 16 --seeds 0,1,2,3,4``."""


@pytest.fixture(scope="module")
def run(board_run, tmp_path_factory):
    """Return the store of a run of PCAH at two lengths."""
    return part_of(board_run, tmp_path_factory.mktemp("part") / "run", lambda record: record.label == "pcah")


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    """Return the bundle of the run."""
    path = tmp_path_factory.mktemp("whole") / "results.zip"
    bundle(run, path)
    return path


def test_the_committed_bundle_gives_the_committed_rows(cli):
    assert COMMITTED.stat().st_size < 300_000
    done = cli("validate", ROOT / "leaderboards" / "digits.csv", "--recompute", COMMITTED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rows compared" in done.stdout


def test_equal_runs_give_equal_bytes(run, whole, tmp_path, cli):
    out = tmp_path / "again.zip"
    done = cli("bundle", run.directory, "-o", out)
    assert (done.returncode, done.stdout) == (0, f"{out}: 2 records\n")
    assert out.read_bytes() == whole.read_bytes()


def test_a_bundle_holds_records_codes_and_the_labels_checksums(run, whole, tmp_path):
    contents = contents_of(whole)
    ids = {record.id for record in run}
    assert set(contents) == {MANIFEST, *(f"records/{id}.{ending}" for id in ids for ending in ("json", "npz"))}
    (facts,) = json.loads(contents[MANIFEST])["labels"].values()
    assert (facts["dataset"], facts["protocol"], len(facts["sha256"])) == ("digits", "digits/1", 64)
    bundle(run, tmp_path / "labels.zip", with_labels=True)
    assert sum(name.startswith("labels/") for name in contents_of(tmp_path / "labels.zip")) == 1


def of_theirs(run, path, with_labels):
    """Write a bundle of records whose data set is not here."""
    bundle(run, path, with_labels)
    contents = contents_of(path)
    edit_records(contents, lambda values: values["config"].update(dataset="theirs", protocol="theirs/1"))
    write(path, contents)


def test_without_the_data_only_labels_in_the_bundle_are_used(run, tmp_path, cli):
    of_theirs(run, tmp_path / "without.zip", with_labels=False)
    one_clear_line(
        cli("validate", "--recompute", tmp_path / "without.zip"),
        "no labels of theirs",
        "unknown dataset",
        "--with-labels",
    )
    of_theirs(run, tmp_path / "with.zip", with_labels=True)
    done = recompute(tmp_path / "with.zip")
    assert (done.n_records, done.problems) == (2, [])
    assert "theirs: the labels are the bundle's own, as the data is not here" in done.notes[0]


def test_published_lists_are_scored_by_labels_in_the_bundle(run, tmp_path, cli):
    for with_labels in (False, True):
        path = tmp_path / f"{with_labels}.zip"
        bundle(run, path, with_labels)
        contents = contents_of(path)
        edit_records(contents, lambda values: values["config"].update(protocol="digits/1+lists:0a1b2c3d"))
        write(path, contents)
    words = ("no labels of digits", "of published lists, SHA-256 0a1b2c3d", "--with-labels")
    one_clear_line(cli("validate", "--recompute", tmp_path / "False.zip"), *words)
    (note,) = recompute(tmp_path / "True.zip").notes
    assert note.startswith("digits: the labels are the bundle's own, as the data is not here (its split is of")


def test_missing_code_is_reported(run, tmp_path):
    bundle(run, tmp_path / "other.zip")
    contents = contents_of(tmp_path / "other.zip")
    edit_records(contents, lambda values: values["config"].update(source="0" * 64))
    write(tmp_path / "other.zip", contents)
    assert recompute(tmp_path / "other.zip").notes == ["pcah is of other code than is here"]


def packed_again(path, name_of=lambda name: name, folders=(), more=(), compression=zipfile.ZIP_DEFLATED):
    """Pack a bundle's files as another program does: last first, with entries of folders, under other names."""
    contents = contents_of(path)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for folder in folders:
            archive.mkdir(folder)
        for name in sorted(contents, reverse=True):
            member = zipfile.ZipInfo("x")
            member.filename, member.compress_type = name_of(name), compression
            archive.writestr(member, contents[name])
        for name in more:
            archive.writestr(name, b"left by a file manager")


@pytest.mark.parametrize(
    "changes",
    [
        {"folders": ("records", "labels")},
        {"name_of": lambda name: f"./{name}"},
        {"name_of": lambda name: name.replace("/", "\\")},
        {"more": ("__MACOSX/records/._x", "__MACOSX/._manifest.json", ".DS_Store", "records/Thumbs.db")},
        {"compression": zipfile.ZIP_STORED},
    ],
    ids=["folders", "dots", "backslashes", "file managers", "stored"],
)
def test_a_bundle_that_was_unpacked_and_packed_again_is_scored(run, tmp_path, changes):
    bundle(run, tmp_path / "again.zip")
    packed_again(tmp_path / "again.zip", **changes)
    done = recompute(tmp_path / "again.zip")
    assert (done.n_records, done.problems) == (2, [])


def test_a_bundle_that_was_packed_with_its_folder_is_refused_with_the_cause(run, tmp_path, cli):
    bundle(run, tmp_path / "again.zip")
    packed_again(tmp_path / "again.zip", lambda name: f"mine/{name}", ("mine", "mine/records"))
    done = cli("validate", "--recompute", tmp_path / "again.zip")
    one_clear_line(done, "all of it is in a folder, 'mine'; pack what the folder holds")


def test_a_directory_instead_of_a_bundle_is_reported(run, tmp_path, cli):
    (tmp_path / "unpacked").mkdir()
    done = cli("validate", "--recompute", tmp_path / "unpacked")
    one_clear_line(done, "unpacked is a directory", "hashbench bundle", "pack again what it holds")


def with_member(name, content=b"x", mode=stat.S_IFREG | 0o644, compression=zipfile.ZIP_STORED):
    def change(path):
        with zipfile.ZipFile(path, "a") as archive:
            member = zipfile.ZipInfo(name)
            member.external_attr, member.compress_type = mode << 16, compression
            archive.writestr(member, content)

    return change


def with_arrays(content):
    """Put other bytes in the place of a record's arrays, with true checksums."""

    def change(path):
        contents = contents_of(path)
        name = max(name for name in contents if name.endswith(".npz"))
        contents[name] = content(contents[name]) if callable(content) else content
        write(path, contents)

    return change


def shrunk(content):
    return as_npz(arrays_in(content), np.savez_compressed)


def lying_header(content):
    """Return arrays of which one says to have far more rows than it has."""
    arrays = arrays_in(content)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 2)})
    stream = io.BytesIO(as_npz(arrays))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("radius_x.npy", header.getvalue())
    return stream.getvalue()


def with_header(text):
    """Return a change that adds an array whose header is any text."""
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text

    def change(content):
        stream = io.BytesIO(content)
        with zipfile.ZipFile(stream, "a") as archive:
            archive.writestr("radius_x.npy", header)
        return stream.getvalue()

    return with_arrays(change)


def encrypted(content):
    """Say in the archive's directory that the arrays are encrypted."""
    content = bytearray(content)
    at = content.index(b"PK\x01\x02")
    content[at + 8] |= 1
    return bytes(content)


def of_type(descr):
    return with_header(b"{'descr': %s, 'fortran_order': False, 'shape': (1,)}" % descr)


def understate(path):
    """Say in the archive's directory that a file has 5 bytes."""
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 5)
    path.write_bytes(content)


def of_format(number):
    def change(path):
        contents = contents_of(path)
        contents[MANIFEST] = json.dumps({**json.loads(contents[MANIFEST]), "format": number}).encode()
        write(path, contents)

    return change


def manifest(content):
    return lambda path: write(path, {**contents_of(path), MANIFEST: content}, true_checksums=False)


def as_tar(path):
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../x"))


SHRUNK = {"compression": zipfile.ZIP_DEFLATED}
RECORD = f"records/{'0' * 64}"
ODD = {
    "a path that leads out": (with_member("../evil.json"), "it holds '../evil.json'"),
    "a path that leads out from within": (with_member("records/../../evil.json"), "it holds 'records/../"),
    "an absolute path": (with_member("/tmp/evil.json"), "it holds '/tmp/evil.json'"),
    "a drive": (with_member("C:\\evil.json"), "it holds"),
    "a file that no bundle has": (with_member("run.py"), "it holds 'run.py'"),
    "a link": (with_member(f"{RECORD}.json", b"/etc/passwd", stat.S_IFLNK | 0o777), "is no plain file"),
    "a file that the manifest lacks": (with_member(f"{RECORD}.json"), "is in one of them only"),
    "a name twice": (with_member(MANIFEST), "holds a name twice"),
    "another compression": (with_member(f"{RECORD}.json", compression=zipfile.ZIP_BZIP2), "compressed in a way"),
    "a bomb": (with_member(f"{RECORD}.npz", bytes(80_000_000), **SHRUNK), "more than 100 times its size"),
    "a record that is too large": (with_member(f"{RECORD}.json", bytes(2**26 + 1), **SHRUNK), "67,108,865 bytes"),
    "a size that is not true": (understate, "no bundle that can be used"),
    "a bomb inside": (with_arrays(shrunk), "compressed arrays"),
    "a header that lies": (with_arrays(lying_header), "whose size is not that of its header"),
    "objects of Python": (
        with_arrays(as_npz({"query_codes": np.array([{}], dtype=object)})), "Python objects"
    ),
    "encrypted arrays": (with_arrays(encrypted), "encrypted arrays"),
    "a header without an end": (with_header(b"{'descr': ("), "a header that cannot be read: TokenError"),
    "a header with a key that is none": (with_header(b"{[]:1}"), "a header that cannot be read: TypeError"),
    "an empty type": (of_type(b"()"), "a header that cannot be read: IndexError"),
    "a type that is a comma": (of_type(b"','"), "a header that cannot be read: SyntaxError"),
    "arrays that are none": (with_arrays(b"none"), "holds no arrays"),
    "a newer format": (of_format(99), "it has format 99"),
    "no manifest": (manifest(b""), "is none of a bundle"),
    "a manifest that is none": (manifest(b"[]"), "is none of a bundle"),
    "a manifest nested deep": (manifest(b"[" * 99_999), "is none of a bundle"),
    "a manifest without files": (manifest(b'{"format": 1, "labels": {}}'), "missing required field `files`"),
    "another archive": (as_tar, "is not a zip file"),
    "half an archive": (lambda path: path.write_bytes(path.read_bytes()[:-99]), "is not a zip file"),
    "no archive": (lambda path: path.write_bytes(b""), "is not a zip file"),
    "no file": (Path.unlink, "No such file"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("change", "words"), ODD.values(), ids=ODD)
def test_what_is_no_bundle_is_refused_and_nothing_is_written(whole, tmp_path, monkeypatch, cli, change, words):
    inside = tmp_path / "a" / "b" / "c"
    inside.mkdir(parents=True)
    path = inside / "results.zip"
    path.write_bytes(whole.read_bytes())
    change(path)
    monkeypatch.setattr(tempfile, "tempdir", str(inside))
    before = snapshot(tmp_path)
    one_clear_line(cli("validate", "--recompute", path), "results.zip is no bundle that can be used", words)
    assert snapshot(tmp_path) == before


def test_very_many_files(whole, tmp_path, cli):
    write(tmp_path / "many.zip", {**contents_of(whole), **{f"records/{n:064x}.json": b"" for n in range(MOST_FILES)}})
    one_clear_line(cli("validate", "--recompute", tmp_path / "many.zip"), "at most 20,000 are read")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["RUN", "-o", "x.tar"], "ends in .zip"),
        (["RUN", "-o", "nowhere/x.zip"], "there is no directory nowhere"),
        (["RUN", "-o", "folder.zip"], "is a directory"),
        (["empty", "-o", "x.zip"], "holds no records"),
        (["failed", "-o", "x.zip"], "no codes to bundle"),
        (["RUN", "-o", "x.zip", "--to", "s3:bucket"], "expected hf:OWNER/NAME"),
    ],
)
def test_a_bundle_that_cannot_be_made(run, tmp_path, monkeypatch, cli, arguments, words):
    monkeypatch.chdir(tmp_path)
    for name in ("folder.zip", "empty"):
        Path(name).mkdir()
    Path("x.zip").write_bytes(b"old")
    failed = Store(tmp_path / "failed")
    failed.open_for_writing()
    failed.write(made_record("itq", status="failed", error="it broke"))
    one_clear_line(cli("bundle", *(run.directory if one == "RUN" else one for one in arguments)), words)
    assert Path("x.zip").read_bytes() == b"old"


def test_validate_compares_with_one_leaderboard(whole, cli):
    board = ROOT / "leaderboards" / "digits.csv"
    one_clear_line(cli("validate"), "name leaderboard files, or a bundle with --recompute")
    one_clear_line(cli("validate", board, board, "--recompute", whole), "one leaderboard, 2 are named")
