"""What codes look like: different codes, constant and duplicate bits, balance, correlation."""

import numpy as np
import pytest

from hashbench.evaluation import code_facts as module
from hashbench.evaluation.code_facts import code_facts, code_lines


def random_bits(n=400, n_bits=13):
    return np.random.default_rng(0).random((n, n_bits)) < np.linspace(0.2, 0.7, n_bits)


def facts_of(bits):
    return code_facts(np.packbits(bits, axis=1), bits.shape[1])


def test_planted_bits_are_found():
    bits = random_bits()
    bits[:, 2], bits[:, 5], bits[:, 7], bits[:, 9] = True, False, bits[:, 1], ~bits[:, 4]
    facts = facts_of(bits)
    assert facts.constant.tolist() == [2, 5]
    assert facts.duplicates.tolist() == [[1, 7], [4, 9]]
    lines = facts.lines("queries")
    assert "queries: 2 of 13 bits are constant: 2, 5" in lines
    assert "queries: 2 of 78 pairs of bits are equal or inverse in every code, bits 1 and 7 the first" in lines
    assert lines[-1].endswith("by 1.000 at most (bits 1 and 7)")


@pytest.mark.parametrize("block", [7, 2**16])
def test_numbers_are_numpys(monkeypatch, block):
    monkeypatch.setattr(module, "BLOCK", block)
    bits = random_bits()
    facts = facts_of(bits)
    assert facts.ones == pytest.approx(bits.mean(axis=0))
    assert facts.correlation == pytest.approx(np.corrcoef(bits.T.astype(float)))
    assert facts.n_codes == len(np.unique(bits, axis=0)) < 400
    assert not len(facts.constant)
    assert not len(facts.duplicates)
    assert len(facts.lines()) == 3


def test_codes_that_are_all_the_same():
    facts = facts_of(np.tile(np.array([True, False, True]), (20, 1)))
    assert facts.n_codes == 1
    assert facts.lines()[0] == "database: 20 codes of 3 bits, all of them the same: every distance is 0"
    assert facts.lines()[1] == "database: 3 of 3 bits are constant: 0, 1, 2"


def test_one_bit_has_no_pair():
    assert facts_of(np.array([[True], [False]])).lines()[1:] == [
        "database: ones are 50.0% to 50.0% of a bit's values, 0.0% off one half in the mean"
    ]


@pytest.mark.parametrize("n_bits", [5, 16, 24, 48, 63, 64, 65, 96, 128, 200])
def test_codes_of_every_length_are_counted(n_bits):
    bits = random_bits(60, n_bits)
    bits[:20] = bits[20:40]
    bits[40:, :-1], bits[40:, -1] = bits[40, :-1], np.arange(20) % 2 == 0  # they differ in the last bit alone
    assert facts_of(bits).n_codes == len(np.unique(bits, axis=0)) <= 22


def test_a_line_can_say_all_that_is_not_odd():
    bits = random_bits()
    bits[:, 2] = True
    packed = np.packbits(bits, axis=1)
    (brief, odd), full = code_lines(packed[:1], packed, 13, brief=True), code_lines(packed[:1], packed, 13)
    assert odd == "database: 1 of 13 bits are constant: 2"
    assert odd in full
    facts = code_facts(packed, 13)
    most = np.abs(np.corrcoef(np.delete(bits, 2, axis=1).T.astype(float)) - np.eye(12)).max()
    assert brief == (
        f"{facts.n_codes} different, ones are {bits.mean(axis=0).min():.1%} to 100.0% of a bit's values, two bits "
        f"correlate by {most:.3f} at most"
    )
    assert facts_of(np.array([[True], [False]])).brief == "2 different, ones are 50.0% to 50.0% of a bit's values"
