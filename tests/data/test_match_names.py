"""Two ways of writing a name are one name: of files in lists and tables, and of what a line is about."""

import unicodedata
from pathlib import Path

import pytest

from hashbench import InputError
from hashbench.data.readers.match_names import RowsByName, column_of, located, normal, refuse_repeated, text_lines
from hashbench.data.readers.published_lists import read_lists


@pytest.mark.parametrize(
    "written",
    ["images\\1.png", "./images/1.png", "images//1.png", ".\\images/./1.png", " images/1.png ", "images/./1.png"],
)
def test_ways_of_writing_a_path_are_one(written, tmp_path):
    assert normal(written) == "images/1.png"
    assert located(tmp_path, written, "a list")[0] == "images/1.png"
    with pytest.raises(InputError, match=r"a list: number 3 is number 1 again"):
        refuse_repeated(["images/1.png", "images/2.png", written], "a list")


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_list", ["NFC", "NFD"])
def test_accented_letters_are_one_in_both_of_their_forms(on_disk, in_list, tmp_path):
    file = tmp_path / unicodedata.normalize(on_disk, "café.png")
    file.touch()
    name, found = located(tmp_path, unicodedata.normalize(in_list, "café.png"), "a list")
    assert (name, found) == (unicodedata.normalize("NFC", "café.png"), file)


def test_an_absolute_path_is_taken_where_it_leads_below_the_folder(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path / "data", tmp_path / "link"):
        assert located(folder, f"{tmp_path}/data//cat/1.png", "a list") == ("cat/1.png", folder / "cat" / "1.png")
    assert located(Path("data"), f"{tmp_path}/data/1.png", "a list")[0] == "1.png"
    for name in (
        f"{tmp_path}/database/1.png",
        "/etc/passwd",
        "C:\\cat\\1.png",
        f"{tmp_path}/data/../x.png",
        "",
        "a/..",
    ):
        with pytest.raises(InputError, match=r"a list: .* is absolute, empty or has"):
            located(tmp_path / "data", name, "a list")


def test_lines_are_those_of_any_system(tmp_path):
    (tmp_path / "list.txt").write_bytes("\ufeffa.png\r\n\r\n  \nb c.png \x0b\n\tä.png".encode())
    assert list(text_lines(tmp_path / "list.txt")) == [(1, "a.png"), (4, "b c.png"), (5, "ä.png")]


NAMES = ["cat/000.png", "cat/000.png copy.png", "my dogs/1 2.png", "owl/9.png"]


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("cat/000.png", 0),
        ("cat/000.png 0 1 0", 0),
        ("cat/000.png copy.png", 1),
        ("cat/000.png copy.png 0 1 0", 1),
        ("./cat\\000.png\tcopies", 0),
        ("my dogs/1 2.png 1 0", 2),
        ("/home/me/my photos/cat/000.png copy.png 1 0 0", 1),
        ("D:\\photos\\my dogs\\1 2.png", 2),
        ("1 2.png", 2),
        ("elsewhere/9.png 0", 3),
        ("owl/9.png owl/8.png", 3),
        ("owl/9.png cat/000.png", 3),
        ("copy.png", None),
        ("dogs/1", None),
    ],
)
def test_a_line_is_about_the_longest_name_that_it_begins_with(line, row):
    assert RowsByName(NAMES).find(line) == row


def test_bare_names_count_only_where_all_are_different():
    assert RowsByName(["a/1.png", "b/1.png", "b/2.png"]).find("2.png") is None
    assert RowsByName(["a/1.png", "b/1.png", "b/2.png"]).find("/data/b/1.png") == 1


def test_published_lists_of_names_with_spaces(tmp_path):
    (tmp_path / "query.txt").write_text("cat/000.png copy.png 0 1\nmy dogs/1 2.png 1 0\n")
    (tmp_path / "train.txt").write_text("cat/000.png 1 1\n\nowl/9.png 1 0\n")
    split, _ = read_lists(tmp_path, NAMES, 4)
    assert (split.query.tolist(), split.train.tolist()) == ([1, 2], [0, 3])
    (tmp_path / "train.txt").write_text("cat/000.png 1 1\ncat\\000.png 0 1\n")
    with pytest.raises(InputError, match=r"train\.txt line 2: .* is on line 1 already"):
        read_lists(tmp_path, NAMES, 4)


def test_columns_have_names_whatever_their_case():
    words = ("path", "file_name")
    assert column_of(["Label", " File_Name"], words, "x.csv", "the path") == " File_Name"
    assert column_of(["file_name", "path"], words, "x.csv", "the path") == "path"
    assert column_of(["label"], words, "x.csv", "the path") is None
    with pytest.raises(InputError, match=r"x\.csv has the columns Path and path: which is the path\?"):
        column_of(["Path", "path"], words, "x.csv", "the path")
