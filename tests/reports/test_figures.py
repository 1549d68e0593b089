"""Figures as files: all kinds and formats, looks, keys and scales, hostile names, bad input."""

import re

import numpy as np
import pytest
from boards import edit_record
from conftest import one_clear_line
from made_records import made_record
from made_runs import HOSTILE, made_run
from PIL import Image

from hashbench.errors import InputError
from hashbench.files.hashing import canonical_hash
from hashbench.records.store import Store
from hashbench.reports.one_parameter_grids import one_parameter_grids
from hashbench.reports.page.figures.all_figures import figures_of
from hashbench.reports.page.figures.files import WRITERS, plot
from hashbench.reports.page.figures.key import LINE, apart, wrapped
from hashbench.reports.page.figures.looks import PAPER, looks_of, numbered_looks
from hashbench.reports.page.figures.scores import scale_for
from hashbench.reports.page.from_run import settings_of_run

TRAINING = [{"epoch": 1, "lo$$": 2.0}, {"epoch": 2, "lo$$": 1.0}]
OPENINGS = {"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_run(tmp_path_factory.mktemp("figures") / "run", HOSTILE, method="m", training=TRAINING)


@pytest.fixture(scope="module")
def written(run, tmp_path_factory):
    return plot(run.directory, tmp_path_factory.mktemp("written"), ("png", "svg", "pdf"))


def figure_named(store, title):
    (figure,) = (one for one in figures_of(settings_of_run(store.directory), codes=False)[0] if one.title == title)
    return figure


def key_of(figure):
    return {row["name"]: row for row in figure.spec["datasets"]["key"]}


def test_every_kind_of_figure_in_every_format(written):
    assert len(written) == len(set(written))
    for path in written:
        assert path.read_bytes().startswith(OPENINGS[path.suffix[1:]])
    stems = {path.stem for path in written}
    assert {
        "precision_and_recall_8_bits",
        "precision_N_16_bits",
        "mAP_all_by_code_length",
        "mAP_all_against_training_on_features_seconds",
    } < stems
    assert any("lo_by_epoch" in stem for stem in stems)
    assert any("mAP_all_by_text" in stem for stem in stems)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", path.name) for path in written)


def test_a_figure_has_the_width_of_a_column_and_its_fonts_in_it(written):
    for path in written:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.width / image.info["dpi"][0] == pytest.approx(3.3, abs=0.01)
                assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        if path.suffix == ".pdf":
            content = path.read_bytes()
            (box,) = re.findall(rb"/MediaBox ?\[0 0 ([\d.]+)", content)
            assert float(box) == pytest.approx(3.3 * 72, abs=0.01)
            assert b"/FontFile2" in content
            assert b"/Type3" not in content


def test_names_are_text(written):
    drawn = next(path for path in written if path.name == "mAP_all_by_code_length.svg").read_text("utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in drawn
    assert "<script" not in drawn


def test_the_same_records_give_the_same_files(run, written, tmp_path):
    again = plot(run.directory, tmp_path, tuple(WRITERS))
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


def test_a_method_looks_the_same_in_all_settings(tmp_path):
    made_run(tmp_path / "run", {"b": (0.5, {}), "c": (0.4, {})}, bits=(8,))
    store = made_run(tmp_path / "run", {"a": (0.5, {}), "c": (0.4, {})}, bits=(8,), dataset="other")
    looks = looks_of(settings_of_run(store.directory))
    assert list(map(looks.get, "abc")) == list(numbered_looks("abc").values())
    for figures in figures_of(settings_of_run(store.directory)):
        (one,) = (figure for figure in figures if figure.panel == "pr")
        scale = one.spec["layer"][-2]["encoding"]["shape"]["scale"]
        assert dict(zip(scale["domain"], scale["range"], strict=True))["c"] == looks["c"].shape


def test_drawn_lines_have_the_dashes_of_their_looks(tmp_path):
    store = made_run(tmp_path / "run", {name: (0.5, {}) for name in "abcd"}, bits=(8, 16), seeds=(0,))
    (path,) = (path for path in plot(store.directory, tmp_path / "figures", ["svg"]) if "all_by_code" in path.name)
    drawn = dict(
        re.findall(r'stroke="(#\w+)" stroke-width="1.7" stroke-dasharray="([\d.,]+)"', path.read_text("utf-8"))
    )
    expected = {look.color: ",".join(f"{length:g}" for length in look.dash) for look in numbered_looks("abcd").values()}
    assert drawn == expected


def test_marks_differ_without_their_colours():
    looks = numbered_looks(map(str, range(252)))
    assert len({(look.color, look.shape, *look.dash, look.fill == PAPER) for look in looks.values()}) == 252
    first = list(looks.values())[:18]
    assert len({(look.shape, look.fill == PAPER) for look in first}) == 18


def test_real_valued_queries_differ_from_hamming_distances_by_the_fill_alone(tmp_path):
    store = Store(tmp_path)
    store.open_for_writing()
    for n_bits in (32, 64):
        for distance in (None, "asymmetric"):
            record = made_record("itq", n_bits, metrics={"recall@10": 0.5, "recall10@40": 0.8}, protocol="toy/1+bytes")
            record.config |= {"distance": distance} if distance else {}
            record.id = canonical_hash(record.config)
            store.write(record, {f"per_query:{name}": np.full(9, value) for name, value in record.metrics.items()})
    (setting,) = settings_of_run(tmp_path)
    looks = looks_of([setting])
    hamming, real = looks["itq"], looks["itq asymmetric"]
    assert (hamming.color, hamming.shape, hamming.dash) == (real.color, real.shape, real.dash)
    assert [hamming.fill, real.fill] == [hamming.color, PAPER]
    plain, again = (one for one in figures_of([setting], codes=False)[0] if one.panel == "bytes")
    assert plain.data["x"].tolist() == [4, 4, 8, 8]
    assert set(plain.data["y"]) == {0.5}
    assert set(again.data["y"]) == {0.8}


def test_means_and_bands(tmp_path):
    store = made_run(tmp_path / "run", {"m": (0.5, {})}, bits=(8,), seeds=(0, 1, 2))
    data = figure_named(store, "precision@N, 8 bits").data
    curves = [store.arrays(record.id)["rank_precision"] for record in store]
    np.testing.assert_allclose(data["y"], np.mean(curves, axis=0), atol=1e-5)
    np.testing.assert_allclose(data["low"], np.min(curves, axis=0), atol=1e-5)
    np.testing.assert_allclose(data["high"], np.max(curves, axis=0), atol=1e-5)


def test_labels_are_near_their_lines_and_do_not_overlap():
    places = apart(np.array([50.0, 52, 300, 0]), np.full(4, 20.0), 300)
    np.testing.assert_allclose(places, [41, 61, 290, 10])
    np.testing.assert_allclose(apart(np.full(3, 10.0), np.array([10.0, 20, 10]), 40), [5, 20, 35])


def test_a_key_names_every_line_and_makes_room(tmp_path):
    names = [f"_method{number:02}[depth=2,width=128,rate=0.001]" for number in range(20)]
    store = made_run(tmp_path / "run", {name: (0.5, {}) for name in names}, bits=(8, 16), seeds=(0,))
    figure = figure_named(store, "mAP@all by code length")
    key = key_of(figure)
    assert set(key) == set(names)
    assert all(row["text"].replace("\n", "") == name for name, row in key.items())
    assert figure.spec["height"] == sum(LINE * (row["text"].count("\n") + 1) for row in key.values())
    last = figure.data[figure.data["x"] == 16].set_index("name")["y"]
    assert {name: row["y"] for name, row in key.items()} == last.to_dict()


def test_long_names_break_at_commas_and_lose_nothing():
    name = "cibhash[beta=0.001,epochs=200,batch_size=128,temperature=0.3,lr=0.0005]"
    lines = wrapped(name, 46).split("\n")
    assert "".join(lines) == name
    assert all(len(line) <= 48 for line in lines)
    assert lines[0].endswith(",")
    assert wrapped("toy, 16 bits", 46) == "toy, 16 bits"


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([32, 64, 128], {"type": "log", "base": 2}),
        ([0.1, 1.0, 30.0], {"type": "log"}),
        ([0.1, 0.2, 0.3], {"zero": False}),
        ([0, 1, 2], {"zero": False}),
        ([-1.0, 1.0, 100.0], {"zero": False}),
        ([0.0, 0.01, 1.0], {"type": "symlog", "constant": 0.01}),
    ],
)
def test_scale_of_a_parameter(values, scale):
    assert scale_for(values) == scale


@pytest.mark.parametrize("values", [("sign", "bernoulli"), (None, 20), (False, True)])
def test_values_that_are_no_numbers_are_names(tmp_path, values):
    methods = {f"m[{value}]": (0.5, {"p": value}) for value in values}
    figure = figure_named(made_run(tmp_path / "run", methods, method="m"), "m: mAP@all by p")
    assert figure.spec["layer"][-3]["encoding"]["x"]["sort"] == sorted(map(str, values))


def test_a_grid_over_two_parameters_gives_figures_with_the_other_fixed(tmp_path):
    methods = {f"m[{beta},{size}]": (0.5, {"beta": beta, "size": size}) for beta in (0.0, 0.1) for size in (32, 64)}
    store = made_run(tmp_path / "run", methods, method="m", bits=(8,), seeds=(0,))
    grids = one_parameter_grids(list(store), lambda record: record.config)
    assert {(parameter, fixed): len(group) for _, parameter, fixed, group in grids} == {
        ("beta", "size=32"): 2,
        ("beta", "size=64"): 2,
        ("size", "beta=0.0"): 2,
        ("size", "beta=0.1"): 2,
    }


def test_data_sets_have_different_names(tmp_path):
    for dataset in ("toy", "other"):
        store = made_run(tmp_path / "run", {"m": (0.5, {})}, bits=(8,), seeds=(0,), dataset=dataset)
    edit_record(store, next(iter(store)), lambda values: values.update(provenance="made-up"))
    names = [path.name for path in plot(store.directory, tmp_path / "figures", ["svg"])]
    assert len(names) == 4
    assert all(name.startswith(("toy_", "other_")) for name in names)
    assert sum(", made-up:" in (tmp_path / "figures" / name).read_text("utf-8") for name in names) == 2


def test_command(tmp_path, cli):
    store = made_run(tmp_path / "run", {"m": (0.5, {})}, bits=(8,), seeds=(0,))
    done = cli("plot", store.directory, "--format", "svg,pdf")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (store.directory / "plots").iterdir()) == [
        "precision_N_8_bits.pdf",
        "precision_N_8_bits.svg",
        "precision_and_recall_8_bits.pdf",
        "precision_and_recall_8_bits.svg",
    ]
    assert done.stdout.count("\n") == 4
    one_clear_line(cli("plot", store.directory, "--format", "png,bmp"), "--format bmp", "png, svg, pdf")
    one_clear_line(cli("plot", tmp_path / "nowhere"), "nowhere", "holds no records that can be used")
    (tmp_path / "file").write_text("")
    one_clear_line(cli("plot", store.directory, "--to", tmp_path / "file"), "--to", "cannot be written")


def test_nothing_to_plot_is_refused(run, tmp_path):
    store = Store(tmp_path / "failed")
    store.open_for_writing()
    store.write(made_record("m", status="failed", error="out of luck"))
    with pytest.raises(InputError, match="no record that ended well"):
        plot(store.directory, tmp_path)
    with pytest.raises(InputError, match="--format"):
        plot(run.directory, tmp_path, ())
