"""The search spaces of the project's methods and quantizers: who has one, and what is in none."""

import pytest

from hashbench import load_method, load_quantizer
from hashbench.contract.search_space import search_space
from hashbench.plugins.glance import glance
from hashbench.plugins.registry import Registry

WITHOUT = {"faiss_itq", "lsh", "pcah", "rr", "sh", "sign"}
QUANTIZERS_WITH = {"mecoq", "opq"}
KEPT = {"precision", "select", "n_views", "views_seed", "finetune"}
"""Parameters of devices, backbones and views, and of what labels are used for."""


def test_every_method_with_parameters_to_tune_has_a_space():
    spaces = {name: search_space(load_method(name)) for name in Registry().names("methods")}
    assert {name for name, space in spaces.items() if not space} == WITHOUT
    families = {name: glance(plugin).family for name, plugin in Registry().plugins("methods").items()}
    assert {families[name] for name in WITHOUT} <= {"linear", "graph"}


def test_quantizers_tune_nothing_that_changes_the_size_of_a_code():
    spaces = {name: search_space(load_quantizer(name)) for name in Registry().names("quantizers")}
    assert {name for name, space in spaces.items() if space} == QUANTIZERS_WITH


@pytest.mark.parametrize("name", sorted(set(Registry().names("methods")) - WITHOUT))
def test_a_space_is_small_and_changes_only_the_method(name):
    space = search_space(load_method(name))
    assert len(space) <= 6
    assert not KEPT & space.keys()
