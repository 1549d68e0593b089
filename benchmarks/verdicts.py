"""How often equal methods are called different, how often different ones are, and whether intervals cover.

Run with ``python benchmarks/verdicts.py`` for simulated values (some minutes), with ``--real`` for groups of
seeds of one method on the digits, which no test should tell apart: ``--real --methods lsh,itq``.

A simulated value is the query's effect (standard deviation 1), plus the effect of the query on the method (0.3),
of the seed, and of the seed on the query (0.3). Seed effects are in units of the standard error that the queries'
effect on a method gives to its mean; those of several methods take a case's effects in turn.
"""

import argparse
import tempfile
from itertools import cycle
from pathlib import Path

import numpy as np
from scipy.stats import ttest_ind, ttest_rel

import hashbench
from hashbench.evaluation.statistics import compare
from hashbench.runs.records.store import Store

N_QUERIES = 200
QUERY_ON_METHOD, SEED_ON_QUERY = 0.3, 0.3
EFFECTS = {"none": [0.0], "small": [0.3], "equal": [1.0], "large": [5.0], "unequal": [10.0, 1.0]}
SEEDS = {"1": [1], "2": [2], "3": [3], "5": [5], "10": [10], "2 and 10": [2, 10], "0 and 3": [None, 3], "0": [None]}
"""Numbers of seeds, taken in turn by the methods; None is deterministic."""
N_METHODS = (2, 5, 10)
METRIC, N_BITS, PAIRS = "mAP@all", 32, 60


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


def false_marks(rng, repetitions, n_seeds, effects, **noise):
    """Return the share of comparisons of equal methods with any mark, and of means that their intervals miss."""
    marks, missed = 0, []
    for _ in range(repetitions):
        result = compare(simulated(rng, n_seeds, effects, **noise)).values()
        marks += any(one.separable for one in result)
        missed += [not one.interval[0] <= 0 <= one.interval[1] for one in result if np.isfinite(one.interval[0])]
    return marks / repetitions, np.mean(missed) if missed else np.nan


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
    print(f"{'seeds':>9} {'effect':>7}" + "".join(f" {n:>5} methods" for n in N_METHODS) + "  outside")
    for label, pattern in SEEDS.items():
        for name, effects in EFFECTS.items():
            if pattern == [None] and any(effects):
                continue
            rng = np.random.default_rng(0)
            rates = [false_marks(rng, repetitions, (pattern * 10)[:n], effects) for n in N_METHODS]
            marks = "".join(f" {100 * rate:13.1f}" for rate, _ in rates)
            print(f"{label:>9} {name:>7}{marks} {100 * np.mean([missed for _, missed in rates]):8.1f}", flush=True)


def print_power(repetitions):
    """Print the power of both tests, beside their rates of false marks in the same case."""
    print("\ntwo methods: pairs called different, in %, by compare and by a plain t test (Welch over seed means;")
    print("0 seeds: paired over queries); methods that are equal, and that differ by 3 standard errors")
    print(f"{'seeds':>5} {'effect':>7} {'query on method':>16} {'equal':>15} {'differ':>15}")
    for n in (None, 2, 3, 5, 10):
        for name, effects in EFFECTS.items():
            for query_on_method in (0.0, QUERY_ON_METHOD):
                if n is None and (any(effects) or not query_on_method):
                    continue
                noise = {"query_on_method": query_on_method}
                rng = np.random.default_rng(1)
                error = standard_error(n, effects, query_on_method)
                rates = [power(rng, repetitions, n, effects, shift, **noise) for shift in (0, 3 * error)]
                shown = "".join(f" {100 * ours:7.1f} {100 * plain:7.1f}" for ours, plain in rates)
                print(f"{n or 0:>5} {name:>7} {query_on_method:>16}{shown}", flush=True)


def standard_error(n_seeds, effects, query_on_method):
    """Return the true standard error of the difference of two simulated methods' means."""
    variance = query_on_method**2
    if n_seeds is not None:
        variance += (np.mean(np.square(effects)) * QUERY_ON_METHOD**2 + SEED_ON_QUERY**2) / n_seeds
    return np.sqrt(2 * variance / N_QUERIES)


def real_values(method, n_seeds, out):
    """Run a method on the digits with many seeds and return their values, shape (n_seeds, n_queries)."""
    hashbench.run(methods=method, dataset="digits", bits=[N_BITS], seeds=list(range(n_seeds)), out=out)
    store = Store(Path(out))
    return np.stack([store.arrays(record.id)[f"per_query:{METRIC}"] for record in store])


def disjoint_groups(rng, n_pool, n_seeds, n_pairs):
    """Return pairs of groups of seeds, shape (n_pairs, 2, n_seeds); no seed returns before all were drawn."""
    at_once = n_pool // (2 * n_seeds)
    draws = [rng.permutation(n_pool)[: at_once * 2 * n_seeds] for _ in range(-(-n_pairs // at_once))]
    return np.concatenate(draws).reshape(-1, 2, n_seeds)[:n_pairs]


def print_real(methods, pool):
    """Print the share of pairs of groups of the same method's seeds that are called different."""
    print(f"digits, {N_BITS} bits, {METRIC}: of {PAIRS} pairs of groups of the same method's seeds, called different")
    for method in methods.split(","):
        with tempfile.TemporaryDirectory() as out:
            values = real_values(method, pool, out)
        by_seed = values.mean(axis=1)
        print(f"{method}: {len(values)} seeds, mean {by_seed.mean():.4f}, standard deviation {by_seed.std(ddof=1):.4f}")
        for n in (1, 2, 3, 5):
            pairs = disjoint_groups(np.random.default_rng(2), len(values), n, PAIRS)
            marks = [any(one.separable for one in compare({"a": values[a], "b": values[b]}).values()) for a, b in pairs]
            welch = [ttest_ind(by_seed[a], by_seed[b], equal_var=False).pvalue <= 0.05 for a, b in pairs if n > 1]
            beside = f", by Welch's test {sum(welch)}" if welch else ""
            print(f"  {n} seeds: {sum(marks)} ({100 * np.mean(marks):.1f}%){beside}", flush=True)


def main():
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--real", action="store_true", help="real codes instead of simulated values")
    parser.add_argument("--methods", default="lsh,itq", help="for --real; each must have seeds")
    parser.add_argument("--pool", type=int, default=600, help="how many seeds of each method --real runs")
    options = parser.parse_args()
    if options.real:
        print_real(options.methods, options.pool)
    else:
        print_false_marks(options.repetitions)
        print_power(options.repetitions)


if __name__ == "__main__":
    main()
