"""The project's quantizers: the conformance suite, and what each paper or library says of its own."""

import hashlib

import numpy as np
import pytest
from scipy import stats

from hashbench.checks import parametrize_with_checks
from hashbench.errors import Unsupported
from hashbench.learning.deep import DeepMethod
from hashbench.plugins.registry import Registry

CLASSES = {name: plugin.load() for name, plugin in Registry().plugins("quantizers").items()}
NETWORKS = [one for one in CLASSES.values() if issubclass(one, DeepMethod)]


@parametrize_with_checks([one for one in CLASSES.values() if one not in NETWORKS])
def test_conformance(quantizer_class, check):
    check(quantizer_class)


@pytest.mark.slow
@parametrize_with_checks(NETWORKS)
def test_conformance_of_networks(quantizer_class, check):
    check(quantizer_class)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((600, 48)) * np.geomspace(2, 0.5, 48) + 1).astype(np.float32)


def test_int8_is_that_of_sentence_transformers():
    # SHA-256 of what sentence-transformers 6.2.0 gave for these rows, the first 1,000 for calibration, one constant.
    X = np.random.default_rng(0).standard_normal((3000, 24)).astype(np.float32)
    X[:, 5] = 2
    codes = CLASSES["int8"]().fit(X[:1000]).encode(X[1000:])
    assert (
        hashlib.sha256(codes.tobytes()).hexdigest()
        == "eb905edd5be93418c1ce5174ba5fa8b932758b5969543adf28ad059527bf777f"
    )


def test_float32_gives_true_distances(rows):
    quantizer = CLASSES["float32"]().fit(rows)
    distances = quantizer.distances(rows[:9], quantizer.encode(rows))
    true = np.square(rows[:9, None].astype(float) - rows).sum(axis=2)
    np.testing.assert_allclose(distances, true, rtol=1e-9, atol=0)


def hard_rows(kind):
    """Return vectors whose distances are small beside their lengths."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((900, 24))
    if kind == "one large dimension":
        X[:, 5] = 1e5 * (100 + X[:, 5])
    elif kind == "offset":
        X += 1e4
    elif kind == "two far clusters":
        X = X * 1e-3 + 1e3 * rng.choice([-1, 1], (900, 1))
    elif kind == "places on the earth":
        X = np.column_stack([52.5 + 1e-4 * X[:, 0], 13.4 + 1e-4 * X[:, 1], 1.7e9 + X[:, 2:]])
    return X.astype(np.float32)


@pytest.mark.parametrize("kind", ["one large dimension", "offset", "two far clusters", "places on the earth"])
@pytest.mark.parametrize("name", ["float32", "float16", "int8"])
def test_distances_and_neighbours_of_decoded_vectors_do_not_cancel(kind, name):
    X = hard_rows(kind)
    if name == "float16":
        X = X * np.float32(60000 / np.abs(X).max())
    quantizer = CLASSES[name]().fit(X)
    codes = quantizer.encode(X[40:])
    if name == "int8":
        levels = codes.view(np.int8).astype(float) + 128.5
        decoded = quantizer.starts_.astype(float) + levels * quantizer.steps_
    else:
        decoded = np.ascontiguousarray(codes).view({"float32": "<f4", "float16": "<f2"}[name]).astype(float)
    true = np.square(X[:40, None].astype(float) - decoded).sum(axis=2)
    np.testing.assert_allclose(quantizer.distances(X[:40], codes), true, rtol=1e-5, atol=0)
    rows = quantizer.searcher(codes)(X[:40], 10)
    found = np.take_along_axis(true, rows, axis=1)
    np.testing.assert_allclose(found, np.sort(true, axis=1)[:, :10], rtol=1e-5, atol=0)


def test_a_query_that_is_in_the_database_is_at_distance_zero():
    X = hard_rows("offset")
    quantizer = CLASSES["float32"]().fit(X)
    assert (np.diagonal(quantizer.distances(X[:50], quantizer.encode(X[:50]))) == 0).all()


@pytest.fixture(scope="module")
def estimates():
    """Return RaBitQ's estimates of one unit vector's product with another over 3,000 rotations, and what they need."""
    d, n = 32, 3000
    rng = np.random.default_rng(1)
    o, q = rng.standard_normal((2, d))
    o, q = (one / np.linalg.norm(one) for one in (o, q))
    q = (0.6 * o + 0.8 * (q - (q @ o) * o) / np.linalg.norm(q - (q @ o) * o)).astype(np.float32)
    quantizer = CLASSES["rabitq"](random_state=0).fit(np.stack([o, -o]).astype(np.float32))  # whose mean is 0
    products, cosines = np.empty(n), np.empty(n)
    for seed in range(n):
        gaussian = np.random.default_rng([2, seed]).standard_normal((d, d))
        Q, R = np.linalg.qr(gaussian)
        quantizer.rotation_ = (Q * np.sign(np.diag(R))).astype(np.float32)
        code = quantizer.encode(o[None])
        # ‖o‖² − 2 ⟨o, q⟩ by the estimate
        products[seed] = (1 - quantizer.distances(q[None], code)[0, 0]) / 2
        cosines[seed] = np.abs(o @ quantizer.rotation_).sum() / np.sqrt(d)
    return products, cosines, float(o @ q), d


def test_rabitq_is_unbiased(estimates):
    products, _, true, _ = estimates
    assert true == pytest.approx(0.6, abs=1e-6)
    error = products.std(ddof=1) / np.sqrt(len(products))
    assert abs(products.mean() - true) < 4 * error
    assert error < 0.005  # so that the line above says something


@pytest.mark.parametrize("epsilon", [1.0, 1.9, 3.0])
def test_rabitq_errs_within_the_bound_of_the_paper(estimates, epsilon):
    """Theorem 3.2: the part of q beside o errs by a coordinate of a random unit vector of d − 1 dimensions."""
    products, cosines, true, d = estimates
    bound = np.sqrt(1 - cosines**2) / cosines * epsilon / np.sqrt(d - 1)
    beyond = np.abs(products - true) > bound * np.sqrt(1 - true**2)
    chance = stats.beta(0.5, (d - 2) / 2).sf(epsilon**2 / (d - 1))  # of a squared coordinate
    assert chance <= 2 * np.exp(-(epsilon**2) / 2)
    assert beyond.sum() <= stats.binom(len(products), chance).ppf(0.9999)
    assert (np.abs(products - true) > bound).mean() <= beyond.mean()


def test_rabitq_is_that_of_faiss_under_one_rotation(rows):
    faiss = pytest.importorskip("faiss")
    theirs = CLASSES["faiss_rabitq"](random_state=3).fit(rows)
    ours = CLASSES["rabitq"](random_state=0).fit(rows)
    rotation = faiss.downcast_VectorTransform(theirs.index_.chain.at(0))
    ours.rotation_ = faiss.vector_to_array(rotation.A).reshape(48, 48).T.copy()
    queries = rows[:20] + 0.1
    mine = ours.distances(queries, ours.encode(rows)) + np.square(queries - ours.center_).sum(axis=1)[:, None]
    mine = mine.clip(0)  # as faiss does with estimates below 0
    np.testing.assert_allclose(mine, theirs.distances(queries, theirs.encode(rows)), rtol=1e-3, atol=1e-2)
    assert theirs.n_bytes(48) == ours.n_bytes(48) == 6 + 8


def test_more_bits_of_faiss_come_nearer(rows):
    true = np.square(rows[:9, None] - rows).sum(axis=2)
    errors = []
    for bits in (1, 2, 4):
        quantizer = CLASSES["faiss_rabitq"](bits=bits, random_state=0).fit(rows)
        errors.append(np.abs(quantizer.distances(rows[:9], quantizer.encode(rows)) - true).mean())
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < errors[0] / 3


def test_bbq_gives_distances_to_the_ends_of_its_intervals(rows):
    quantizer = CLASSES["bbq"](query_bits=0).fit(rows)
    codes = quantizer.encode(rows)
    a, b, squared = np.ascontiguousarray(codes[:, 6:18]).view("<f4").T.astype(float)
    ones = np.ascontiguousarray(codes[:, 18:]).view("<u2")[:, 0]
    bits = np.unpackbits(codes[:, :6], axis=1)
    assert (bits.sum(axis=1) == ones).all()
    centred = rows.astype(float) - rows.mean(axis=0, dtype=float)
    np.testing.assert_allclose(squared, np.square(centred).sum(axis=1), rtol=1e-4)
    decoded = a[:, None] + (b - a)[:, None] * bits
    np.testing.assert_allclose(
        quantizer.distances(rows[:9], codes), squared - 2 * centred[:9] @ decoded.T, rtol=1e-3, atol=1e-2
    )
    spread = 0.798 * centred.std(axis=1, keepdims=True)
    middle = centred.mean(axis=1, keepdims=True)
    start = np.where(centred > middle, middle + spread, middle - spread)
    assert (anisotropic_loss(centred, decoded) <= anisotropic_loss(centred, start) * (1 + 1e-5)).all()


def anisotropic_loss(rows, decoded):
    errors = rows - decoded
    along = np.square((rows * errors).sum(axis=1)) / np.square(rows).sum(axis=1)
    return 0.1 * np.square(errors).sum(axis=1) + 0.9 * along


def test_four_bits_of_a_query_change_little(rows):
    real, rounded = (CLASSES["bbq"](query_bits=bits).fit(rows) for bits in (0, 4))
    codes = real.encode(rows)
    one, other = real.distances(rows[:9], codes), rounded.distances(rows[:9], codes)
    assert 0 < np.abs(one - other).mean() < 0.1 * one.std()


@pytest.mark.parametrize(
    ("name", "params", "n_rows", "words"),
    [
        ("int8", {}, 1, ("n_samples=1", "int8")),
        ("pq", {"n_bits": 56}, 600, ("48 features", "divided by 7")),
        ("pq", {"n_bits": 12}, 600, ("multiple of 8",)),
        ("pq", {"n_bits": 64}, 200, ("n_samples=200", "256 centroids")),
        ("opq", {"n_bits": 64}, 200, ("n_samples=200", "256 centroids")),
        ("opq", {"n_bits": 64, "n_iter": 0}, 600, ("n_iter=0",)),
        ("faiss_rabitq", {"bits": 10}, 600, ("bits=10", "1 to 9")),
        ("bbq", {"query_bits": 3}, 600, ("query_bits=3",)),
    ],
)
def test_data_that_cannot_be_learned_is_reported(rows, name, params, n_rows, words):
    with pytest.raises(Unsupported) as told:
        CLASSES[name](**params).fit(rows[:n_rows])
    assert "\n" not in str(told.value)
    for word in words:
        assert word in str(told.value)


def test_int8_needs_calibration_rows_that_differ(rows):
    with pytest.raises(Unsupported, match="calibration rows are the same"):
        CLASSES["int8"]().fit(np.ones_like(rows))


@pytest.mark.parametrize(
    ("name", "scale", "words"),
    [
        ("float16", 1e5, ("65504", "divide")),
        ("float16", 1e-6, ("0.0001", "multiply")),
        *[(name, scale, ("divide",)) for name in ("pq", "opq") for scale in (1e15, 1e30)],
        ("faiss_rabitq", 1e-5, ("multiply",)),
        *[(name, 2.0**70, ("divide",)) for name in ("float32", "int8", "rabitq", "bbq")],
        *[(name, 2.0**-80, ("multiply",)) for name in ("float32", "int8", "rabitq", "bbq", "pq", "opq")],
    ],
)
def test_vectors_beyond_single_precision_are_refused(rows, name, scale, words):
    params = {"n_bits": 64} if name in ("pq", "opq") else {}
    with pytest.raises(Unsupported, match="largest absolute value of X") as refused:
        CLASSES[name](**params).fit((rows * scale).astype(np.float32))
    for word in (name, *words):
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("name", "powers"),
    [("float32", (-40, 40)), ("int8", (-40, 40)), ("rabitq", (-40, 40)), ("bbq", (-16, 14)), ("float16", (-8, 8)),
     ("pq", (-25, 25)), ("faiss_rabitq", (-6, 25))],
)  # fmt: skip
def test_a_power_of_two_changes_no_neighbour(rows, name, powers):
    def nearest(X):
        seeded = {"random_state": 0} if "random_state" in CLASSES[name]().get_params() else {}
        quantizer = CLASSES[name](**({"n_bits": 64} if name == "pq" else {}), **seeded).fit(X)
        return quantizer.searcher(quantizer.encode(X[20:]))(X[:20], 10)

    expected = nearest(rows)
    for power in powers:
        found = nearest(np.ldexp(rows, power))
        assert np.mean([len(set(one) & set(other)) / 10 for one, other in zip(found, expected, strict=True)]) > 0.97
