"""Figures from made-up records: all kinds, all formats, hostile names, bad input."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import one_clear_line
from made_records import made_record

from hashbench.errors import InputError
from hashbench.evaluation.curves import rank_grid
from hashbench.records.store import Store, open_results
from hashbench.reports import figures as plots
from hashbench.reports.figure_style import FORMATS, wrapped
from hashbench.reports.grids import one_parameter_grids

OPENINGS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def add(store, label, n_bits, seed, params=None, level=0.5, training=(), dataset="toy", metrics=("mAP@all",), **values):
    level += 0.01 * (seed or 0) + 0.001 * n_bits
    ranks = rank_grid(500)
    arrays = {
        "ranks": ranks,
        "rank_precision": level / (1 + ranks / 300),
        "rank_recall": np.linspace(0.01, 1, len(ranks)),
    }
    scores = dict.fromkeys(metrics, level)
    record = made_record(label, n_bits, seed, params, dataset, metrics=scores, training=list(training), **values)
    store.write(record, arrays)
    return record


def grids_of(store):
    return list(one_parameter_grids(list(store), lambda record: record.config))


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "run")
    store.open_for_writing()
    return store


def stems(paths):
    return {path.name.rpartition(".")[0] for path in paths}


@pytest.mark.slow
def test_every_kind_of_figure_in_every_format(store, tmp_path):
    log = [{"epoch": e, "loss": 3 / e, "contrastive": 2 / e, "kl": float(e)} for e in range(1, 6)]
    for n_bits in (16, 32):
        for seed in (0, 1, 2):
            for beta in (0.0, 0.001, 0.1):
                params = {"beta": beta, "batch_size": 64}
                add(store, f"cibhash[beta={beta}]", n_bits, seed, params, training=log, metrics=("mAP@10", "mAP@all"))
            for size in (32, 128):
                params = {"beta": 0.001, "batch_size": size}
                add(store, f"cibhash[batch_size={size}]", n_bits, seed, params, training=log)
        add(store, "pcah", n_bits, None)
    written = plots.plot(store, tmp_path / "figures", ("png", "svg", "pdf"))
    assert len(written) == len(set(written))
    for path in written:
        content = path.read_bytes()
        assert content.startswith(OPENINGS[path.suffix[1:]])
        assert len(content) > 2000
    assert stems(written) == {
        "pr_curve_16bits",
        "pr_curve_32bits",
        "precision_at_n_16bits",
        "precision_at_n_32bits",
        "mAP_10_by_bits",
        "mAP_all_by_bits",
        *(f"training_cibhash_beta_{beta}" for beta in (0.0, 0.001, 0.1)),
        *(f"training_cibhash_batch_size_{size}" for size in (32, 128)),
        "mAP_10_by_beta_cibhash",
        "mAP_all_by_beta_cibhash",
        "mAP_all_by_batch_size_cibhash",
    }


def test_means_bands_and_axes(store):
    for beta in (0.0, 0.001, 0.01, 0.1):
        for seed in (0, 1, 2):
            add(store, "m", 16, seed, {"beta": beta})
    records = list(store)
    figure = plots._parameter_figure(records, "beta", "mAP@all", "m")
    (axes,) = figure.axes
    assert axes.get_xscale() == "symlog"
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0, 0.001, 0.01, 0.1])
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 0.5 + 0.016 + 0.01)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "0.001", "0.01", "0.1"]
    low, high = axes.get_xlim()
    assert low < 0 < high
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([band.min(), band.max()], [0.516, 0.536])


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([32, 64, 128], "log"),
        ([0.1, 1.0, 30.0], "log"),
        ([0.1, 0.2, 0.3], "linear"),
        ([0, 1, 2], "linear"),
        ([-1.0, 1.0, 100.0], "linear"),
        ([0.0, 0.01, 1.0], "symlog"),
        (["sign", "bernoulli"], "linear"),
        ([None, 20], "linear"),
        ([False, True], "linear"),
    ],
)
def test_scale_of_a_parameter(store, values, scale):
    for value in values:
        add(store, "m", 16, None, {"p": value})
    (grid,) = grids_of(store)
    assert grid[:3] == ("m", "p", "")
    (axes,) = plots._parameter_figure(grid[3], "p", "mAP@all", "m").axes
    assert axes.get_xscale() == scale
    assert len(axes.lines[0].get_xdata()) == len(values)


def test_a_grid_over_two_parameters_gives_figures_with_the_other_fixed(store):
    for beta in (0.0, 0.1):
        for size in (32, 64):
            add(store, f"m[{beta},{size}]", 16, 0, {"beta": beta, "size": size})
    found = {(parameter, fixed): len(group) for _, parameter, fixed, group in grids_of(store)}
    assert found == {
        ("beta", "size=32"): 2,
        ("beta", "size=64"): 2,
        ("size", "beta=0.0"): 2,
        ("size", "beta=0.1"): 2,
    }


@pytest.mark.filterwarnings("error")
def test_names_are_text_and_nothing_else(store, tmp_path):
    for number, name in enumerate((r"$\frac{1$", "_hidden", "<b>&amp;", "../../escape", "a" * 300, "100% $x$")):
        for n_bits in (16, 32):
            params = {name: number}
            training = [{"epoch": 1, r"lo$$": 1.0}, {"epoch": 2, r"lo$$": 0.5}]
            add(store, name, n_bits, 0, params, training=training, features={"backbone": r"da$ta"})
    add(store, r"$\frac{1$", 16, 0, {r"$\frac{1$": r"$\bad{$"}, features={"backbone": r"da$ta"})
    out = tmp_path / "figures"
    written = plots.plot(store, out, ("png", "svg"))
    assert all(path.parent == out and path.is_file() for path in written)
    assert {path.name for path in out.iterdir()} == {path.name for path in written}
    assert len(stems(written)) == 2 * 2 + 1 + 6 + 1


def test_legend_names_every_series_with_looks_of_its_own(store):
    for number in range(20):
        add(store, f"_method{number:02}", 16, 0, {"number": number})
    series = plots._series(list(store))
    curves = [(one, [plots._curves(store, record) for record in one.records]) for one in series]
    figure = plots._pr_figure(curves, "toy")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [f"_method{n:02}" for n in range(20)]
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 20


def test_long_names_break_at_commas_and_lose_nothing():
    name = "cibhash[beta=0.001,epochs=200,batch_size=128,temperature=0.3,lr=0.0005]"
    lines = wrapped(name, 46).split("\n")
    assert "".join(lines) == name
    assert all(len(line) <= 48 for line in lines)
    assert lines[0].endswith(",")
    assert wrapped("toy, 16 bits", 46) == "toy, 16 bits"


def test_data_sets_and_edited_plugins_are_kept_apart(store, tmp_path):
    for dataset in ("toy", "other"):
        add(store, "m", 16, 0, dataset=dataset)
    names = stems(plots.plot(store, tmp_path / "figures"))
    assert len(names) == 4
    assert all(name.startswith(("toy_", "other_")) for name in names)
    add(store, "m", 16, 0, source="beef" * 16)
    same = [one for one in store if one.config["dataset"] == "toy"]
    assert sorted(one.name for one in plots._series(same)) == ["m (5eed5ee)", "m (beefbee)"]


def test_the_same_records_give_the_same_files(store, tmp_path):
    add(store, "m", 16, 0)
    first, second = (plots.plot(store, tmp_path / name, FORMATS) for name in "ab")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_drawing_needs_no_pyplot():
    code = "import sys, hashbench.reports.figures; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_user_style_does_not_leak_in_or_out(store, tmp_path):
    import matplotlib

    add(store, "m", 16, 0)
    with matplotlib.rc_context({"text.usetex": True, "savefig.dpi": 20}):
        plots.plot(store, tmp_path / "figures")
        assert matplotlib.rcParams["text.usetex"]
        assert matplotlib.rcParams["savefig.dpi"] == 20


def test_command(store, cli, tmp_path):
    add(store, "m", 16, 0)
    done = cli("plot", store.directory, "--format", "svg,pdf")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (store.directory / "plots").iterdir()) == [
        "pr_curve_16bits.pdf",
        "pr_curve_16bits.svg",
        "precision_at_n_16bits.pdf",
        "precision_at_n_16bits.svg",
    ]
    assert done.stdout.count("\n") == 4
    one_clear_line(cli("plot", store.directory, "--format", "png,bmp"), "--format bmp", "png, svg, pdf")
    one_clear_line(cli("plot", tmp_path / "nowhere"), "nowhere", "holds no records that can be used")
    one_clear_line(cli("plot", tmp_path), "holds no records that can be used")
    (tmp_path / "file").write_text("")
    one_clear_line(cli("plot", store.directory, "--to", tmp_path / "file"), "--to", "cannot be written")


def test_nothing_to_plot_is_refused(store, tmp_path):
    add(store, "m", 16, 0)
    for path in store.folder.iterdir():
        path.unlink()
    store.write(made_record("m", status="failed", error="out of luck"))
    with pytest.raises(InputError, match="nothing to plot"):
        plots.plot(open_results(store.directory), tmp_path)
    with pytest.raises(InputError, match="--format"):
        plots.plot(store, tmp_path, ())
