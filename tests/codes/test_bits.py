"""Codes of every form become the same packed bits."""

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hashbench import score
from hashbench.codes.bits import as_codes
from hashbench.codes.reading import read_codes
from hashbench.errors import InputError

BITS = np.random.default_rng(0).random((40, 24)) < 0.5
SIGNS = np.where(BITS, 1, -1)
PACKED = np.packbits(BITS, axis=1)
OUTPUTS = SIGNS * np.random.default_rng(1).uniform(0.1, 2, BITS.shape)

FORMS = {
    "bool": BITS,
    "packed": PACKED,
    **{
        f"signs {kind}": SIGNS.astype(kind) for kind in ("int8", "int64", "float16", "float32", "float64", ">i4", ">f8")
    },
    **{f"bits {kind}": BITS.astype(kind) for kind in ("uint8", "int8", "int32", "uint64", "float32")},
    "outputs": OUTPUTS.astype(np.float32),
    "signs cast to uint8": SIGNS.astype(np.uint8),
    "columns in memory": np.asfortranarray(SIGNS.astype(float)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_bits(form):
    codes = as_codes(FORMS[form], "codes")
    assert codes.n_bits == 24
    np.testing.assert_array_equal(codes.packed, PACKED)


@settings(max_examples=30)
@given(st.integers(1, 70), st.integers(1, 9), st.randoms(use_true_random=False))
def test_any_width_survives(width, n, random):
    bits = np.array([[random.random() < 0.5 for _ in range(width)] for _ in range(n)])
    for form in (bits, np.where(bits, 1, -1).astype(np.int8)):
        codes = as_codes(form, "codes")
        np.testing.assert_array_equal(np.unpackbits(codes.packed, axis=1, count=width), bits)
    packed = as_codes(np.packbits(bits, axis=1), "codes", n_bits=width)
    np.testing.assert_array_equal(np.unpackbits(packed.packed, axis=1, count=width), bits)


def save(path):
    if path.suffix == ".npy":
        np.save(path, SIGNS)
    elif path.suffix == ".npz":
        np.savez_compressed(path, codes=SIGNS)
    elif path.suffix in (".pt", ".pth"):
        torch.save(torch.from_numpy(SIGNS).to(torch.bfloat16), path)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("codes", data=SIGNS, compression="gzip")
    elif path.suffix == ".csv":
        np.savetxt(path, SIGNS, delimiter=",", fmt="%d")
    elif path.name == "bits.txt":
        path.write_text("".join("".join(map(str, row)) + "\n" for row in BITS.astype(int)))
    elif path.suffix == ".txt":
        np.savetxt(path, SIGNS)
    elif path.name == "wide.parquet":
        pd.DataFrame(SIGNS, columns=[f"b{bit}" for bit in range(24)]).to_parquet(path)
    else:
        pd.DataFrame({"id": range(40), "code": list(SIGNS.astype(np.int8))}).to_parquet(path)


@pytest.mark.parametrize(
    "name", ["c.npy", "c.npz", "c.pt", "c.pth", "c.h5", "c.csv", "c.txt", "bits.txt", "wide.parquet", "lists.parquet"]
)
def test_every_kind_of_file_is_read(name, tmp_path):
    save(tmp_path / name)
    codes = read_codes(tmp_path / name)
    np.testing.assert_array_equal(codes.packed, PACKED)


def test_files_before_torch_1_6_are_read(tmp_path):
    torch.save(torch.from_numpy(SIGNS), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    np.testing.assert_array_equal(read_codes(tmp_path / "old.pt").packed, PACKED)


@pytest.mark.parametrize(
    "codes", [torch.from_numpy(SIGNS), pd.DataFrame(SIGNS), SIGNS.tolist()], ids=lambda c: type(c).__name__
)
def test_what_python_holds_is_scored(codes):
    labels = pd.Series(["cat", "dog"] * 20)
    found = score(query_codes=codes, database_codes=codes, query_labels=labels, database_labels=labels.tolist())
    exact = score(
        query_codes=BITS, database_codes=BITS, query_labels=[0, 1] * 20, database_labels=np.array([0, 1] * 20)
    )
    assert dict(found) == dict(exact)


def test_zeros_of_outputs_are_counted():
    outputs = OUTPUTS.copy()
    outputs[3, 4:6] = 0
    codes = as_codes(outputs, "codes")
    assert codes.notes == [
        "codes: real values, of which the sign is the bit; 2 of 960 values are exactly 0, which is read as -1"
    ]
    assert not np.unpackbits(codes.packed, axis=1)[3, 4:6].any()


def test_a_query_that_could_be_packed_either_way_follows_the_database():
    rng = np.random.default_rng(0)
    bits = rng.random((40, 12)) < 0.5
    few = np.zeros((2, 12), bool)
    few[:, 0] = True
    pair = {"query_labels": [0, 1], "database_labels": [0, 1] * 20}
    little = (np.packbits(few, axis=1, bitorder="little"), np.packbits(bits, axis=1, bitorder="little"))
    found = score(query_codes=little[0], database_codes=little[1], bits=12, metrics="mAP@all", **pair)
    assert dict(found) == dict(score(query_codes=few, database_codes=bits, metrics="mAP@all", **pair))


@pytest.mark.parametrize(
    ("array", "line"),
    [
        (SIGNS.ravel(), "expected a matrix of codes, a row for each item"),
        (np.where(OUTPUTS > 1.9, np.nan, OUTPUTS), "holds nan in row"),
        (np.where(OUTPUTS > 1.9, np.inf, OUTPUTS), "holds inf in row"),
        (np.where(np.arange(24) < 2, 0, SIGNS), "holds -1, 0 and 1, 80 zeros among 960 values"),
        (SIGNS + 1 + (OUTPUTS > 1), "holds 3 different values, 0, 2, 3"),
        (np.where(BITS, 255, 0).astype(np.uint8), "holds 2 different values, 0, 255"),
        (np.abs(OUTPUTS), "all of one sign: give the bits, such as x > 0.5"),
        (PACKED.astype(np.int64), "for packed bytes say --bits, such as --bits 24"),
        (np.array([["a", "b"]]), "expected numbers"),
        (SIGNS.astype(complex), "expected numbers"),
    ],
)
def test_what_is_no_code_is_refused(array, line):
    with pytest.raises(InputError, match="codes") as refused:
        as_codes(array, "codes")
    assert line in str(refused.value)


def test_padding_is_not_guessed():
    twelve = np.packbits(BITS[:, :12], axis=1)
    with pytest.raises(InputError, match="say --bits 12 if they are padding, --bits 16 if they are bits of the code"):
        as_codes(twelve, "codes")
    assert as_codes(twelve, "codes", 12).n_bits == 12
    assert as_codes(twelve, "codes", 16).n_bits == 16
    np.testing.assert_array_equal(as_codes(twelve.astype(float), "codes", 12).packed, twelve)
    with pytest.raises(InputError, match="--bits 20 needs 20, a value for each bit, or 3, packed bytes"):
        as_codes(twelve, "codes", 20)
    with pytest.raises(InputError, match="give the right --bits"):
        as_codes(PACKED, "codes", 20)


def test_arrays_are_given_by_keyword():
    with pytest.raises(InputError, match="ndarray is no path: give arrays by keyword, as query_codes="):
        score(SIGNS, SIGNS)
    with pytest.raises(InputError, match="query_codes has shape"):
        score(query_codes=SIGNS[0], database_codes=SIGNS, neighbors=[[0]])
