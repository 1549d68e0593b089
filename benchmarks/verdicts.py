"""How often equal methods are called different, how often different ones are, and whether intervals cover.

``python benchmarks/verdicts.py`` simulates values (an hour; ``--repetitions 100`` for a look), ``--real`` compares
groups of seeds of one method on the digits, which no test should tell apart (``--real --methods lsh,itq``),
``--boards`` estimates from the published boards what `hashbench.evaluation.seed_variances` assumes.

A simulated value is the query's effect (standard deviation 1), plus the effect of the query on the method (0.3),
of the seed, and of the seed on the query (0.3). Seed effects are in units of the standard error that the queries'
effect on a method gives to its mean; those of several methods take a case's effects in turn.
"""

import argparse
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import digamma, polygamma
from scipy.stats import ttest_ind, ttest_rel

import hashbench
from hashbench.evaluation.statistics import compare, compare_board
from hashbench.evaluation.variance import Sample
from hashbench.records.store import Store

N_QUERIES = 200
QUERY_ON_METHOD, SEED_ON_QUERY = 0.3, 0.3
EFFECTS = {
    "none": [0.0],
    "small": [0.3],
    "equal": [1.0],
    "large": [5.0],
    "tenfold": [15.0, 5.0],
    "unequal": [10.0, 1.0],
    "one wild": [150.0, *[5.0] * 19],
}
"""Of the methods in turn; "tenfold" is of the variances with what seeds do to queries, "one wild" a thousandfold."""
SEEDS = {"1": [1], "2": [2], "3": [3], "5": [5], "10": [10], "2 and 10": [2, 10], "0 and 3": [None, 3], "0": [None]}
"""Numbers of seeds, taken in turn by the methods; None is deterministic."""
N_METHODS = (2, 3, 5, 10, 20)
LENGTHS = (16, 32, 64, 128)
SHIFTS = (4, 6, 10)
"""Differences from the best, in standard deviations of a seed."""
FAR = 1e3
METRIC = "mAP@all"
BOARDS = Path(__file__).parents[1] / "leaderboards"


def simulated(rng, n_seeds, effects, query_on_method=QUERY_ON_METHOD, seed_on_query=SEED_ON_QUERY):
    """Return values of equal methods, one for each number of seeds."""
    easy = rng.normal(0, 1, N_QUERIES)
    values = {}
    for m, (n, effect) in enumerate(zip(n_seeds, cycle(effects))):
        seed_sd = effect * QUERY_ON_METHOD / np.sqrt(N_QUERIES)
        values[f"{m}"] = easy + rng.normal(0, query_on_method, N_QUERIES)
        if n is not None:
            seeds = rng.normal(0, seed_sd, (n, 1)) + rng.normal(0, seed_on_query, (n, N_QUERIES))
            values[f"{m}"] = values[f"{m}"] + seeds
    return values


def compared(rng, n_seeds, effects, lengths=(1,), best_by=0.0, n_equal=None, **noise):
    """Return comparisons of methods at each of the code lengths.

    The first is ahead of its equals by ``best_by`` standard deviations of a seed of its own; those after the first
    ``n_equal`` are far behind.
    """
    board = {}
    for n_bits in lengths:
        shorter = np.sqrt(lengths[0] / n_bits)
        values = simulated(rng, n_seeds, [effect * shorter for effect in effects], **noise)
        seed_sd = np.hypot(effects[0] * shorter * QUERY_ON_METHOD, SEED_ON_QUERY) / np.sqrt(N_QUERIES)
        values["0"] = values["0"] + best_by * seed_sd
        if n_equal is not None:
            values = {name: of if int(name) < n_equal else of - FAR for name, of in values.items()}
        board[n_bits] = {name: Sample.of(of) for name, of in values.items()}
    return [list(of.values()) for of in compare_board(board).values()]


def false_marks(rng, repetitions, n_seeds, effects, lengths=(1,), n_equal=None, **noise):
    """Return the share of comparisons of equal methods with any mark, and of means that their intervals miss.

    Where only the first ``n_equal`` are equal, only their marks are false.
    """
    marks, missed = [], []
    for _ in range(repetitions):
        for result in compared(rng, n_seeds, effects, lengths, n_equal=n_equal, **noise):
            result = result[:n_equal]
            marks.append(any(one.separable for one in result))
            missed += [not one.interval[0] <= 0 <= one.interval[1] for one in result if np.isfinite(one.interval[0])]
    return np.mean(marks), np.mean(missed) if missed else np.nan


def marked(rng, repetitions, n_seeds, effects, shift, lengths=(1,)):
    """Return the share of methods called worse than one that is ahead by ``shift`` standard deviations of a seed."""
    results = [
        result
        for _ in range(repetitions)
        for result in compared(rng, n_seeds, effects, lengths, best_by=shift, query_on_method=0.0)
    ]
    return np.mean([one.separable for result in results for one in result[1:]])


def power(rng, repetitions, n_seeds, effects, shift, **noise):
    """Return the shares of pairs called different: by `compare`, and by a plain t test.

    The plain test is Welch's over seed means, or the paired test over queries of deterministic methods.
    """
    ours, plain = 0, 0
    for _ in range(repetitions):
        values = simulated(rng, [n_seeds, n_seeds], effects, **noise)
        first, second = values["0"] + shift, values["1"]
        ours += any(one.separable for one in compare({"0": first, "1": second}).values())
        if n_seeds is None:
            test = ttest_rel(first, second)
        else:
            test = ttest_ind(first.mean(axis=1), second.mean(axis=1), equal_var=False)
        plain += test.pvalue <= 0.05
    return ours / repetitions, plain / repetitions


def print_false_marks(repetitions):
    """Print the rates of false marks, and of means missed by their intervals."""
    print(f"equal methods, comparisons with any mark, in %, and means outside of their interval; {repetitions} draws")
    print(
        f"{'seeds':>9} {'effect':>8} {'lengths':>7} equal"
        + "".join(f" {n:>3} methods" for n in N_METHODS)
        + "  outside"
    )
    for label, pattern in SEEDS.items():
        for name, effects in EFFECTS.items():
            if pattern == [None] and any(effects):
                continue
            for lengths, n_equal in (((LENGTHS[0],), None), (LENGTHS, None), ((LENGTHS[0],), 2), (LENGTHS, 2)):
                draws = -(-repetitions // len(lengths))
                rates = [
                    false_marks(np.random.default_rng(0), draws, (pattern * 20)[:n], effects, lengths, n_equal)
                    for n in N_METHODS
                ]
                marks = "".join(f" {100 * rate:11.1f}" for rate, _ in rates)
                outside = 100 * np.mean([missed for _, missed in rates])
                print(f"{label:>9} {name:>8} {len(lengths):>7} {n_equal or 'all':>5}{marks} {outside:8.1f}", flush=True)


def print_power_among_many(repetitions):
    """Print how many of several equal methods are separated from one that is ahead."""
    print("\nmethods called worse than the best, in %; all have three seeds, and effects of seeds alone")
    print(f"{'methods':>7} {'effect':>8} {'lengths':>7}" + "".join(f" {shift:>3} deviations" for shift in SHIFTS))
    for n_methods in (2, 5, 20):
        for name in ("equal", "large"):
            for lengths in ((LENGTHS[0],), LENGTHS):
                draws = -(-repetitions // (len(lengths) * n_methods))
                rates = [
                    marked(np.random.default_rng(1), draws, [3] * n_methods, EFFECTS[name], shift, lengths)
                    for shift in SHIFTS
                ]
                shown = "".join(f" {100 * rate:14.1f}" for rate in rates)
                print(f"{n_methods:>7} {name:>8} {len(lengths):>7}{shown}", flush=True)


def print_power(repetitions):
    """Print the power of both tests, with their rates of false marks in the same case."""
    print("\ntwo methods: pairs called different, in %, by compare and by a plain t test (Welch over seed means;")
    print("0 seeds: paired over queries); methods that are equal, and that differ by 3 standard errors")
    print(f"{'seeds':>5} {'effect':>8} {'query on method':>16} {'equal':>15} {'differ':>15}")
    for n in (None, 2, 3, 5, 10):
        for name, effects in EFFECTS.items():
            for query_on_method in (0.0, QUERY_ON_METHOD):
                if n is None and (any(effects) or not query_on_method):
                    continue
                noise = {"query_on_method": query_on_method}
                rng = np.random.default_rng(1)
                error = standard_error(n, effects[:2], query_on_method)
                rates = [power(rng, repetitions, n, effects, shift, **noise) for shift in (0, 3 * error)]
                shown = "".join(f" {100 * ours:7.1f} {100 * plain:7.1f}" for ours, plain in rates)
                print(f"{n or 0:>5} {name:>8} {query_on_method:>16}{shown}", flush=True)


def standard_error(n_seeds, effects, query_on_method):
    """Return the true standard error of the difference of two simulated methods' means."""
    variance = query_on_method**2
    if n_seeds is not None:
        variance += (np.mean(np.square(effects)) * QUERY_ON_METHOD**2 + SEED_ON_QUERY**2) / n_seeds
    return np.sqrt(2 * variance / N_QUERIES)


def real_values(method, bits, n_seeds, out):
    """Run a method on the digits with many seeds and return its values by code length, shape (n_seeds, n_queries)."""
    hashbench.run(methods=method, dataset="digits", bits=bits, seeds=list(range(n_seeds)), out=out)
    store = Store(Path(out))
    values = {}
    for record in sorted(store, key=lambda record: record.config["seed"] or 0):
        if record.label == method and record.config["n_bits"] in bits:
            of = values.setdefault(record.config["n_bits"], [])
            of.append(store.arrays(record.id)[f"per_query:{METRIC}"])
    return {n_bits: np.stack(of) for n_bits, of in values.items()}


def disjoint_groups(rng, n_pool, n_seeds, n_groups, n_draws):
    """Return groups of seeds, shape (n_draws, n_groups, n_seeds); no seed returns before all were drawn."""
    at_once = n_pool // (n_groups * n_seeds)
    size = at_once * n_groups * n_seeds
    draws = [rng.permutation(n_pool)[:size] for _ in range(-(-n_draws // at_once))]
    return np.concatenate(draws).reshape(-1, n_groups, n_seeds)[:n_draws]


def print_real(methods, bits, pool, n_draws, out):
    """Print the share of comparisons of groups of the same method's seeds in which any is called different."""
    print(f"digits, {METRIC}: of {n_draws} draws of groups of the same method's seeds, those with any mark")
    for method in methods:
        values = real_values(method, bits, pool, out)
        for n_bits, of in values.items():
            by_seed = of.mean(axis=1)
            print(f"{method}, {n_bits} bits: {len(of)} seeds, mean {by_seed.mean():.4f} ± {by_seed.std(ddof=1):.4f}")
        for n_groups in (2, 5):
            for n_seeds in (1, 2, 3, 5):
                groups = disjoint_groups(np.random.default_rng(2), pool, n_seeds, n_groups, n_draws)
                print(f"  {n_groups} groups of {n_seeds} seeds: {_real_marks(values, groups)}", flush=True)


def _real_marks(values, draws):
    """Return in words how many draws have a mark at each code length, all lengths being of one board."""
    marks = dict.fromkeys(values, 0)
    for groups in draws:
        board = {
            n_bits: {f"{g}": Sample.of(of[group]) for g, group in enumerate(groups)} for n_bits, of in values.items()
        }
        for n_bits, result in compare_board(board).items():
            marks[n_bits] += any(one.separable for one in result.values())
    shown = ", ".join(f"{n_bits} bits {n} ({100 * n / len(draws):.1f}%)" for n_bits, n in marks.items())
    return f"{len(draws)} draws: {shown}"


def print_boards():
    """Print what the published boards say of seeds' variances: of a method's lengths, and of different methods.

    The logarithm of an estimate with d degrees of freedom scatters with the variance ψ′(d/2) about the true one (Smyth,
    2004); what is left is the scatter of the true ones. A prior of D degrees of freedom scatters with ψ′(D/2).
    """
    print("log variances of seeds: slope over log bits; scatter among a method's lengths and among methods beyond that")
    print("of the estimates; degrees of freedom of a prior that scatters as the methods do")
    for path in sorted(BOARDS.glob("*.csv")):
        frame = pd.read_csv(path)
        for metric in (name[:-4] for name in frame.columns if name.endswith(" std")):
            rows = frame[frame[f"{metric} std"] > 0]
            slope, within, between, prior = scatter(rows, f"{metric} std")
            print(f"{path.stem:>14} {metric:>9}: {slope:6.2f} {within:6.2f} {between:6.2f} {prior:6.1f}")


def scatter(rows, column):
    """Return slope, scatter within and between methods, and the degrees of freedom of a prior."""
    half = (rows["n_seeds"] - 1) / 2
    noise = polygamma(1, half).mean()
    logs = 2 * np.log(rows[column]) - digamma(half) + np.log(half)
    lengths = np.log(rows["n_bits"])
    by_method = rows["method"]
    centred = [one - one.groupby(by_method).transform("mean") for one in (logs, lengths)]
    slope = (centred[0] * centred[1]).sum() / np.square(centred[1]).sum()
    rest = centred[0] - slope * centred[1]
    within = np.square(rest).sum() / (len(rows) - by_method.nunique() - 1)
    means = (logs - slope * lengths).groupby(by_method)
    between = means.mean().var() - within * (1 / means.size()).mean()
    halves = np.geomspace(0.05, 500, 20_000)
    return slope, within - noise, between, 2 * np.interp(-between, -polygamma(1, halves), halves)


def main():
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--real", action="store_true", help="real codes instead of simulated values")
    parser.add_argument("--boards", action="store_true", help="the published boards instead of simulated values")
    parser.add_argument("--methods", default="lsh,itq", help="for --real; each must have seeds")
    parser.add_argument("--bits", default="32", help="for --real")
    parser.add_argument("--pool", type=int, default=600, help="how many seeds of each method --real runs")
    parser.add_argument("--draws", type=int, default=60, help="for --real: how many groups of seeds are compared")
    parser.add_argument("--out", default="runs/verdicts", help="for --real: what is finished there is not run again")
    options = parser.parse_args()
    if options.boards:
        print_boards()
    elif options.real:
        bits = [int(n_bits) for n_bits in options.bits.split(",")]
        print_real(options.methods.split(","), bits, options.pool, options.draws, options.out)
    else:
        print_false_marks(options.repetitions)
        print_power_among_many(options.repetitions)
        print_power(options.repetitions)


if __name__ == "__main__":
    main()
