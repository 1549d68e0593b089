"""What the training loop promises to every deep method."""

import subprocess
import sys
from typing import Literal

import numpy as np
import pytest
import torch
from interrupted import goes_on_bit_for_bit
from sklearn.base import clone
from torch import nn

from hashbench import InputError, Unsupported, load_method
from hashbench.features.hardware import precision
from hashbench.learning.deep import PRECISIONS, DeepMethod
from hashbench.learning.view_pairs import ViewPairMethod


class Autoencoder(DeepMethod):
    """A linear autoencoder with dropout in front.

    Parameters
    ----------
    kind, dropout
    """

    kind: Literal["plain", "noisy"] = "plain"
    dropout: float = 0.0
    lr: float = 1e-2

    def network(self, n_features):
        return nn.Sequential(nn.Dropout(self.dropout), nn.Linear(n_features, self.n_bits))

    def loss(self, outputs, batch):
        noise = torch.rand(outputs.shape, generator=batch.noise) if self.kind == "noisy" else 0
        target = batch.features[:, : self.n_bits]
        return {"loss": (outputs + noise - target).square().mean(), "size": outputs.abs().mean()}


def fit(X, method, **extras):
    curve = []
    method.fit(X, log=lambda **values: curve.append(values), **extras)
    return method, curve


def make(**params):
    return Autoencoder(**{"n_bits": 8, "epochs": 4, "random_state": 0, **params})


def test_parameters_are_the_annotated_attributes():
    method = make(kind="noisy")
    assert method.get_params()["kind"] == "noisy"
    assert method.get_params()["lr"] == 1e-2
    assert clone(method).get_params() == method.get_params()
    assert Autoencoder(24).n_bits == 24
    with pytest.raises(TypeError):
        Autoencoder(8, "noisy")


def test_importing_a_deep_method_imports_no_torch():
    code = (
        "import sys; from hashbench.plugins.registry import Registry\n"
        "[Registry().find('methods', name).load()(8) for name in ('cibhash', 'greedyhash')]\n"
        "assert 'torch' not in sys.modules and 'lightning_fabric' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("params", [{}, {"kind": "noisy"}, {"dropout": 0.5}], ids=str)
def test_an_interrupted_training_goes_on_bit_for_bit(data, tmp_path, params):
    goes_on_bit_for_bit(lambda **extras: make(**params).fit(data, **extras), tmp_path, 2)


def test_torchs_generator_is_restored(data):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    make(dropout=0.5).fit(data)
    assert (torch.rand(4) == expected).all()


@pytest.mark.parametrize(
    ("change", "differs"),
    [({"lr": 0.5}, "parameters"), ({"epochs": 5}, "parameters"), ("rows", "data"), ("one row", "data")],
    ids=str,
)
def test_a_checkpoint_of_another_training_is_refused_and_kept(data, tmp_path, change, differs):
    make().fit(data, workdir=tmp_path)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    rows = {"rows": data[::-1], "one row": np.concatenate([data[:1], data[2:3], data[2:]])}
    method, X = (make(), rows[change]) if isinstance(change, str) else (make(**change), data)
    with pytest.raises(InputError, match=rf"holds a checkpoint of another training \(other {differs}\): remove it"):
        method.fit(X, workdir=tmp_path)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept
    make().fit(data, workdir=tmp_path)


def test_labels_and_views_tell_trainings_apart(data, tmp_path):
    class Supervised(Autoencoder):
        """Reads labels."""

        supervision = "supervised"

    labels = np.arange(len(data)) % 7
    Supervised(8, epochs=1).fit(data, labels, workdir=tmp_path / "labels")
    with pytest.raises(InputError, match=r"another training \(other labels\)"):
        Supervised(8, epochs=1).fit(data, labels[::-1], workdir=tmp_path / "labels")

    views = np.stack([data, data + 1], axis=1).astype(np.float16)
    other = views.copy()
    other[700, 1, 3] += 1
    cibhash = load_method("cibhash")(8, epochs=1, n_views=2)
    cibhash.fit(data, views=views, workdir=tmp_path / "views")
    assert cibhash.fit(data, views=views, workdir=str(tmp_path / "views")).resumed_s_ > 0
    with pytest.raises(InputError, match=r"another training \(other views\)"):
        cibhash.fit(data, views=other, workdir=tmp_path / "views")


def test_a_checkpoint_of_other_code_is_refused(data, tmp_path):
    plugin = tmp_path / "theirs.py"
    source = """
from torch import nn
from hashbench.learning.deep import DeepMethod

class Theirs(DeepMethod):
    def network(self, n_features):
        return nn.Linear(n_features, self.n_bits)

    def loss(self, outputs, batch):
        return {"loss": outputs.square().mean()}
"""

    def trained(code):
        plugin.write_text(code)
        method_class = load_method("theirs", plugins=(plugin,))
        return method_class(8, epochs=1, random_state=0).fit(data, workdir=tmp_path / "work")

    trained(source)
    assert trained(source + "# a note decides nothing\n").resumed_s_ > 0
    with pytest.raises(InputError, match=r"another training \(other code\)"):
        trained(source.replace("square()", "abs()"))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"batch_size": 1}, "batch_size=1: expected 2 to the 1200 training rows"),
        ({"batch_size": 1201}, "batch_size=1201: expected 2 to the 1200 training rows"),
        ({"epochs": 0}, "epochs=0: expected at least 1"),
        ({"lr": 0.0}, "lr=0.0: expected above 0"),
        ({"lr": -1.0}, "lr=-1.0: expected above 0"),
        ({"lr": float("nan")}, "lr=nan: expected above 0"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0: expected at least 0"),
        ({"precision": "8"}, "precision='8': expected one of 32-true"),
        ({"precision": "16-mixed"}, "precision='16-mixed': expected another on a CPU"),
    ],
    ids=str,
)
def test_parameters_out_of_range(data, params, message):
    with pytest.raises(Unsupported, match=message):
        make(**params).fit(data)


@pytest.mark.parametrize(
    ("precision", "remedy"),
    [("32-true", r"try a smaller lr than 1e\+30$"), ("bf16-mixed", r"than 1e\+30 or precision=32-true$")],
)
def test_a_loss_that_explodes_stops_with_epoch_values_and_a_remedy(data, precision, remedy):
    with pytest.raises(FloatingPointError, match=rf"not finite in epoch \d: \{{'loss': (inf|nan).*{remedy}"):
        make(lr=1e30, precision=precision).fit(data)


def test_the_remedy_names_no_parameter_that_cannot_be_set(data):
    method = load_method("uhbdnn")(8, quantization=1e38, epochs=1, random_state=0)
    with pytest.raises(FloatingPointError, match=r"; try parameters nearer to their defaults$"):
        method.fit(data)


def test_an_epochs_loss_is_the_mean_over_its_rows(data):
    class Halves(Autoencoder):
        """Does not learn: its loss is the batch's number of rows."""

        def loss(self, outputs, batch):
            return {"loss": outputs.sum() * 0 + len(batch)}

    _, curve = fit(data, Halves(8, epochs=1, batch_size=len(data) - 3, random_state=0))
    assert curve[0]["loss"] == pytest.approx(((len(data) - 3) ** 2 + 9) / len(data))


@pytest.mark.parametrize(("left", "expected"), [(1, 1), (2, 2)])
def test_batch_normalisation_never_gets_a_single_row(data, left, expected):
    sizes = []

    class Counted(Normalised):
        """Notes how many rows its batches have."""

        def loss(self, outputs, batch):
            sizes.append(len(batch))
            return super().loss(outputs, batch)

    Counted(8, epochs=1, batch_size=len(data) - left, random_state=0).fit(data)
    assert len(sizes) == expected


@pytest.mark.parametrize(("full", "sizes", "epochs"), [(False, [400, 400, 200], 1667), (True, [400, 400], 2500)])
def test_smaller_batches_are_used_or_left_out(full, sizes, epochs):
    seen = []

    class Whole(Autoencoder):
        """Notes how many rows its batches have."""

        full_batches = full

        def loss(self, outputs, batch):
            seen.append(len(batch))
            return super().loss(outputs, batch)

    X = np.random.default_rng(0).standard_normal((1000, 9)).astype(np.float32)
    method = Whole(8, epochs=1, batch_size=400, random_state=0).fit(X)
    assert seen == sizes
    assert method.default_epochs(1000) == epochs  # 5,000 steps


def test_the_default_keeps_steps_rather_than_epochs():
    assert Autoencoder(batch_size=64).default_epochs(5000) == 64  # 79 steps an epoch, 5,000 in all
    assert Autoencoder(batch_size=64).default_epochs(64) == 5000
    assert Autoencoder(batch_size=50).default_epochs(10**7) == 1


def test_labels_reach_supervised_methods_only(data):
    seen = []

    class Unsupervised(Autoencoder):
        """Looks for labels."""

        def loss(self, outputs, batch):
            seen.append((batch.rows, batch.labels))
            return super().loss(outputs, batch)

    class Supervised(Unsupervised):
        """Reads labels."""

        supervision = "supervised"

    labels = np.arange(len(data)) % 7
    Unsupervised(8, epochs=1).fit(data, labels)
    assert all(labels is None for _, labels in seen)
    seen.clear()
    Supervised(8, epochs=1).fit(data, labels)
    assert all((labels[rows] == given.numpy()).all() for rows, given in seen)
    assert sorted(torch.cat([rows for rows, _ in seen]).tolist()) == list(range(len(data)))


def test_labels_reach_supervised_methods_of_views(data):
    seen = []

    class Supervised(ViewPairMethod):
        """Reads labels."""

        supervision = "supervised"

        def network(self, n_features):
            return nn.Linear(n_features, self.n_bits)

        def loss(self, outputs, batch):
            seen.append((batch.rows, batch.labels))
            return {"loss": outputs.square().mean()}

    labels = np.arange(len(data)) % 7
    views = np.stack([data, data + 1], axis=1).astype(np.float16)
    Supervised(8, epochs=1, n_views=2, random_state=0).fit(data, labels, views=views)
    assert all((labels[rows] == given.numpy()).all() for rows, given in seen)
    assert len(torch.cat([rows for rows, _ in seen])) == len(data)


def test_hooks(data):
    """Constants, two optimisers in turn, schedules and left-out batches."""
    rates, sizes = [], []

    class Adversarial(Autoencoder):
        """Two optimisers."""

        def begin(self, trainer):
            trainer.constants["squares"] = torch.from_numpy((data**2).sum(axis=1))
            nn.init.zeros_(trainer.network[1].weight)

        def optimizers(self, network):
            layer = network[1]
            return [torch.optim.SGD([layer.weight], lr=0.1), torch.optim.SGD([layer.bias], lr=0.01)]

        def start_epoch(self, trainer, epoch):
            trainer.scale_rates(0.5**epoch)
            rates.append([optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers])

        def step(self, trainer, batch):
            sizes.append(len(batch))
            assert torch.allclose(batch.constants["squares"][batch.rows], batch.features.square().sum(dim=1))
            bias = trainer.network[1].bias.clone()
            trainer.minimise(self.loss(trainer.forward(batch), batch)["loss"], which=0)
            assert (trainer.network[1].bias == bias).all()
            return super().step(trainer, batch)

        def rows_used(self, n_rows):
            return n_rows if n_rows == self.batch_size else 0

    method = Adversarial(8, epochs=2, batch_size=500, random_state=0).fit(data)
    assert rates == [[0.05, 0.005], [0.025, 0.0025]]
    assert sizes == [500, 500, 500, 500]
    assert (method.bias1_ != 0).all()


def test_views_of_scaled_features(data):
    seen = []

    class Paired(ViewPairMethod):
        """Keeps two views together."""

        def network(self, n_features):
            return nn.Linear(n_features, self.n_bits)

        def scaling(self, X):
            return X.mean(axis=0), 2.0

        def loss(self, outputs, batch):
            seen.append(batch.features)
            assert outputs.shape == (2 * len(batch), self.n_bits)
            one, other = outputs.chunk(2)
            return {"loss": (one - other).square().mean()}

    views = np.stack([data, data + 1], axis=1).astype(np.float16)
    Paired(8, epochs=1, n_views=2, batch_size=1200, random_state=0).fit(data, views=views)
    one, other = seen[0].chunk(2)
    assert torch.allclose((one - other).abs(), torch.tensor(0.5), atol=0.01)
    assert one.add(other).mean() / 2 == pytest.approx(0.25, abs=0.01)


class Normalised(Autoencoder):
    """Has a layer that sees whole batches."""

    def network(self, n_features):
        return nn.Sequential(nn.Linear(n_features, self.n_bits), nn.BatchNorm1d(self.n_bits))


@pytest.mark.slow
@pytest.mark.usefixtures("forked_processes")
def test_batch_normalisation_trains_on_one_device(data):
    method = Normalised(8, epochs=1, random_state=0).fit(data)
    assert method.activations_ == ["identity"]
    with pytest.raises(Unsupported, match="normalises whole batches: it trains on one device"):
        method.fit(data, devices=2)


def test_a_second_fit_forgets_the_first(data):
    method = make().fit(data)
    method.weights9_ = np.ones(3)
    method.fit(data)
    assert not hasattr(method, "weights9_")


def test_methods_and_backbones_have_the_same_precisions():
    assert set(PRECISIONS) == set(precision.PRECISIONS.values())
