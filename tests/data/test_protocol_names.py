"""Names of protocols as records keep them, taken apart."""

from dataclasses import replace

import pytest

from hashbench import load_dataset
from hashbench.data.dataset import hold_out_validation
from hashbench.data.protocol import ASYMMETRIC, BY_BYTES, NameParts


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("toy/1", NameParts("toy/1")),
        ("toy/1[queries=20,validation=0.1]", NameParts("toy/1[queries=20,validation=0.1]")),
        ("toy/1[scale=1e+16]+asymmetric", NameParts("toy/1[scale=1e+16]", ranking=ASYMMETRIC)),
        ("toy/1+bytes", NameParts("toy/1", ranking=BY_BYTES)),
        ("toy/1+validation", NameParts("toy/1", held_out=True)),
        ("toy/1+lists:0a1b2c3d+validation+asymmetric", NameParts("toy/1", "0a1b2c3d", True, ASYMMETRIC)),
        ("toy/1+asymmetric+validation", NameParts("toy/1+asymmetric", held_out=True)),
        ("", NameParts("")),
    ],
)
def test_parts(name, parts):
    assert NameParts.of(name) == parts


def test_parts_are_those_that_made_the_name(digits, tmp_path):
    (tmp_path / "query.txt").write_text("3\n1\n2\n5\n")
    (tmp_path / "train.txt").write_text("10 0 1\n12 1 0\n")
    listed = hold_out_validation(load_dataset("digits", splits=tmp_path))[0].protocol
    for protocol in (digits.protocol, listed):
        for made in (protocol, protocol.ranked_by("asymmetric"), protocol.by_bytes()):
            parts = NameParts.of(made.name)
            assert (parts.choice, bool(parts.lists), parts.held_out) == ("digits/1", *[protocol is listed] * 2)
            assert parts.ranked(protocol) == made
            assert replace(parts, ranking="") == NameParts.of(protocol.name)
