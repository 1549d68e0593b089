"""Model files with any damage at all: codes or one clear line."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import damaged, gives_codes_or_one_line


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_no_damage_gives_anything_but_codes_or_one_line(model, cli, data):
    content = data.draw(damaged(model))
    items = np.ones((2, 64), np.float32) if data.draw(st.booleans()) else np.ones((2, 8, 8, 1), np.uint8)
    gives_codes_or_one_line(cli, content, items)
