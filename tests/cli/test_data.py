"""The command hashbench data: what is in the cache is verified by name."""

from conftest import one_clear_line


def test_a_flipped_bit_in_cached_views_is_noticed(tmp_path, cli):
    done = cli(
        "run", "--methods", "cibhash[epochs=1,n_views=2]", "--bits", 8, "--out", tmp_path, "--cache-dir", tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "ok" in cli("data", "verify", "features", "--cache-dir", tmp_path).stdout
    (views,) = (tmp_path / "views").glob("*/data.bin")
    content = bytearray(views.read_bytes())
    content[1000] ^= 1
    views.write_bytes(content)
    done = cli("data", "verify", "features", "--cache-dir", tmp_path)
    one_clear_line(done, "1 entries", "damaged")
    assert str(views.parent) in done.stdout
