"""What losses that read labels share: pairs, marks, the memory of outputs, targets."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hashbench import Unsupported
from hashbench.learning.losses.memory import OutputMemory
from hashbench.learning.losses.pairs import balanced_mean, marks, share_label
from hashbench.learning.losses.targets import Targets

CLASSES = torch.tensor([0, 2, 2, 1])
MARKS = torch.tensor([[1, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=torch.bool)


def trainer(labels, n_bits=4):
    network = torch.nn.Linear(3, n_bits)
    data = SimpleNamespace(labels=labels.numpy(), n_items=len(labels))
    fabric = SimpleNamespace(device=torch.device("cpu"))
    return SimpleNamespace(network=network, data=data, fabric=fabric, rng=np.random.default_rng(0))


def test_classes_are_similar_where_they_are_equal():
    assert share_label(CLASSES, CLASSES[:2]).tolist() == [[True, False], [False, True], [False, True], [False, False]]


def test_marks_are_similar_where_one_is_common_and_an_item_without_a_label_to_none():
    similar = share_label(MARKS, MARKS)
    assert similar.int().tolist() == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]


def test_classes_become_marks():
    assert marks(CLASSES, 4).tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 1, 0, 0]]
    assert (marks(MARKS, 3) == MARKS).all()


@pytest.mark.parametrize(("similar", "expected"), [([1, 0, 0, 0], 1 + 3), ([1, 1, 1, 1], 2.5), ([0, 0, 0, 0], 2.5)])
def test_both_kinds_of_pairs_count_the_same(similar, expected):
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert balanced_mean(values, torch.tensor(similar, dtype=torch.bool).reshape(2, 2)) == expected


@pytest.mark.parametrize("labels", [CLASSES, MARKS], ids=["classes", "marks"])
def test_the_memory_knows_the_rows_that_it_has_seen(labels):
    given = trainer(labels)
    memory = OutputMemory(given, 4)
    outputs = torch.arange(8.0, requires_grad=True).reshape(2, 4)
    assert not memory.similar(labels[:2]).any()
    memory.update(torch.tensor([1, 3]), outputs)
    assert (memory.outputs[[1, 3]] == outputs).all()
    assert not memory.outputs.requires_grad
    assert not memory.outputs[[0, 2]].any()
    expected = share_label(labels, labels)
    expected[:, [0, 2]] = False
    assert (memory.similar(labels) == expected).all()
    assert {"memory", "seen"} <= set(given.network.state_dict())  # so checkpoints hold it


def test_a_classs_target_is_its_centre():
    given = trainer(CLASSES)
    targets = Targets(given, 3, 4, "hadamard")
    assert targets.codes(CLASSES).tolist() == [[1, 1, 1, 1], [1, 1, -1, -1], [1, 1, -1, -1], [1, -1, 1, -1]]
    assert {"centres", "ties"} <= set(given.network.state_dict())


def test_several_labels_vote_and_one_code_decides_ties():
    targets = Targets(trainer(MARKS, 16), 3, 16, "bernoulli")
    codes, centres = targets.codes(MARKS), targets.centres
    assert (codes[0] == centres[0]).all()
    agreed = centres[1] == centres[2]
    assert agreed.any()
    assert (codes[1][agreed] == centres[1][agreed]).all()
    assert (codes[1][~agreed] == codes[3][~agreed]).all()  # item 3 has no label: a tie in every bit
    assert (codes.abs() == 1).all()


def test_more_classes_than_codes_are_refused():
    with pytest.raises(Unsupported, match="n_bits=2: only 2 balanced codes, 3 classes need as many"):
        Targets(trainer(CLASSES), 3, 2, "balanced")
