"""CIBHash's objective against its definition, and the training's promises."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import one_clear_line
from hashbench.methods.cibhash import symmetric_kl
from interrupted import Killed
from lightning_fabric import Fabric

from hashbench import InputError, Unsupported, load_method
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.features.backbones.opening import open_backbone
from hashbench.features.tunable import Tunable
from hashbench.learning.contrastive import nt_xent
from hashbench.learning.layers import binarize
from hashbench.learning.training.launch import train
from hashbench.learning.training.view_batches import TunedBackbone, ViewPool
from hashbench.records.store import Store


def test_nt_xent_by_definition():
    rng = np.random.default_rng(0)
    first, second = np.sign(rng.standard_normal((2, 5, 16)))
    codes = np.concatenate([first, second])
    norms = np.linalg.norm(codes, axis=1)
    similarity = codes @ codes.T / np.outer(norms, norms)
    terms = []
    for i in range(10):
        partner = (i + 5) % 10
        others = [np.exp(similarity[i, j] / 0.3) for j in range(10) if j != i]
        terms.append(-np.log(np.exp(similarity[i, partner] / 0.3) / sum(others)))
    found = nt_xent(torch.tensor(codes), 0.3)
    assert float(found) == pytest.approx(np.mean(terms), abs=1e-12)


def test_the_gradient_of_the_cosine():
    # The gradient of a cosine is orthogonal to its vector; a plain scaled product's is not.
    codes = torch.sign(torch.randn(8, 32, dtype=torch.float64)).requires_grad_()
    nt_xent(codes, 0.3).backward()
    assert torch.allclose((codes * codes.grad).sum(dim=1), torch.zeros(8, dtype=torch.float64), atol=1e-12)
    assert codes.grad.abs().max() > 1e-3


def test_symmetric_kl_by_definition():
    rng = np.random.default_rng(1)
    p, q = rng.uniform(0.05, 0.95, (2, 7, 12))

    def kl(a, b):
        return (a * np.log(a / b) + (1 - a) * np.log((1 - a) / (1 - b))).sum(axis=1).mean()

    found = symmetric_kl(torch.tensor(np.concatenate([p, q])))
    assert float(found) == pytest.approx((kl(p, q) + kl(q, p)) / 2, abs=1e-5)


def test_each_direction_of_the_kl_holds_its_target_constant():
    p = torch.tensor([[0.3], [0.6]], dtype=torch.float64, requires_grad=True)
    symmetric_kl(p).backward()
    # d/dp KL(p‖q) / 2 alone: the other direction's p is detached.
    expected = [[np.log(0.3 / 0.6) - np.log(0.7 / 0.4)], [np.log(0.6 / 0.3) - np.log(0.4 / 0.7)]]
    assert np.allclose(p.grad, np.array(expected) / 2, atol=1e-6)


def test_codes_are_never_zero_and_pass_the_gradient_on():
    p = torch.tensor([[0.2, 0.5, 0.9]], requires_grad=True)
    codes = binarize(p, 0.5)
    assert codes.tolist() == [[-1.0, -1.0, 1.0]]
    codes.sum().backward()
    assert p.grad.tolist() == [[1.0, 1.0, 1.0]]


@pytest.fixture(scope="module")
def pool():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 20)).astype(np.float32)
    views = (X[:, None] + 0.3 * rng.standard_normal((90, 6, 20))).astype(np.float16)
    return X, views


def fit(pool, extras=None, **params):
    X, views = pool
    curve = []
    method = load_method("cibhash")(**{"n_bits": 8, "n_views": 6, "epochs": 2, "random_state": 0, **params})
    return method.fit(X, **{"views": views, "log": lambda **values: curve.append(values), **(extras or {})}), curve


def test_training_learns_and_repeats_itself(pool):
    one, curve = fit(pool, epochs=15)
    two, _ = fit(pool, epochs=15)
    assert (one.encode(pool[0]) == two.encode(pool[0])).all()
    assert curve[-1]["contrastive"] < curve[0]["contrastive"] - 0.1
    assert [entry["epoch"] for entry in curve] == list(range(1, 16))
    other, _ = fit(pool, epochs=15, random_state=1)
    assert (one.encode(pool[0]) != other.encode(pool[0])).any()
    for entry in curve:
        assert entry["loss"] == pytest.approx(entry["contrastive"] + 0.001 * entry["kl"], rel=1e-5)


def test_the_numpy_head_equals_torchs(pool):
    method, _ = fit(pool)
    X = torch.from_numpy(pool[0])
    hidden = torch.relu(X @ torch.from_numpy(method.weights1_) + torch.from_numpy(method.bias1_))
    expected = hidden @ torch.from_numpy(method.weights2_) + torch.from_numpy(method.bias2_)
    assert np.allclose(method.project(pool[0]), expected.numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("n_bits", "n_images", "expected"),
    [(16, 5000, 80), (32, 5000, 60), (64, 50_000, 60), (32, 1497, 100), (16, 64, 2400)],
)
def test_the_authors_schedule(n_bits, n_images, expected):
    assert load_method("cibhash")(n_bits).default_epochs(n_images) == expected


@pytest.mark.slow
def test_the_schedule_is_the_default():
    views = np.random.default_rng(0).standard_normal((96, 2, 4)).astype(np.float16)
    X = views[:, 0].astype(np.float32)
    _, curve = fit((X, views), epochs=None, n_views=2, batch_size=2, hidden=2)
    assert len(curve) == 60


@pytest.mark.parametrize(
    "params",
    [{"sampling": "bernoulli"}, {"sampling": "zero_one"}, {"sampling": "continuous"}, {"similarity": "dot"}],
    ids=str,
)
def test_every_variant_learns_something_else(pool, params):
    one, curve = fit(pool, epochs=15, **params)
    assert curve[-1]["contrastive"] < curve[0]["contrastive"] - 0.05
    assert (one.encode(pool[0]) != fit(pool, epochs=15)[0].encode(pool[0])).any()


def test_codes_of_zero_and_one():
    p = torch.tensor([[0.2, 0.5, 0.9]])
    assert binarize(p, torch.tensor([[0.1, 0.6, 0.4]]), 0.0).tolist() == [[1.0, 0.0, 1.0]]


def test_the_dot_product_has_the_cosines_value_on_signs_and_another_gradient():
    codes = torch.sign(torch.randn(8, 32, dtype=torch.float64)).requires_grad_()
    losses = [nt_xent(codes, 0.3, similarity) for similarity in ("cosine", "dot")]
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-12)
    cosine, dot = (torch.autograd.grad(loss, codes)[0] for loss in losses)
    assert (cosine - dot).abs().max() > 1e-3


def test_fresh_views_are_used_in_order_and_once(pool):
    X, views = pool
    method, curve = fit(pool, n_views="fresh", epochs=3)
    assert method.n_pool_views(90) == 6
    with pytest.raises(ValueError, match=r"views has shape \(90, 6, 20\), expected \(90, 4, d\)"):
        fit(pool, n_views="fresh", epochs=2)
    # The third epoch sees the last two views and no others.
    changed = views.copy()
    changed[:, 4:] = changed[:, 4:][:, ::-1]
    assert fit((X, changed), n_views="fresh", epochs=3)[1][:2] == curve[:2]
    assert fit((X, changed), n_views="fresh", epochs=3)[1][2] != curve[2]
    assert load_method("cibhash")(16, n_views="fresh").n_pool_views(5000) == 160


@pytest.mark.parametrize("params", [{}, {"sampling": "bernoulli"}], ids=str)
def test_an_interrupted_training_goes_on_bit_for_bit(pool, tmp_path, params):
    whole, curve = fit(pool, epochs=6, **params)
    before = []

    def kill(**values):
        before.append(values)
        if values["epoch"] == 4:
            raise Killed

    with pytest.raises(Killed):
        fit(pool, {"workdir": tmp_path, "log": kill}, epochs=6, **params)
    resumed, again = fit(pool, {"workdir": tmp_path}, epochs=6, **params)
    for name in ("weights1_", "bias1_", "weights2_", "bias2_"):
        assert (getattr(resumed, name) == getattr(whole, name)).all()
    assert again == curve
    assert before == curve[:4]
    assert resumed.resumed_s_ > 0
    assert whole.resumed_s_ == 0


def test_a_checkpoint_of_another_training_is_refused_and_kept(pool, tmp_path):
    fit(pool, {"workdir": tmp_path})
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(InputError, match=r"holds a checkpoint of another training \(other parameters\)"):
        fit(pool, {"workdir": tmp_path}, beta=0.5)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_a_damaged_checkpoint_is_no_checkpoint(pool, tmp_path):
    whole, _ = fit(pool, {"workdir": tmp_path})
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(file.read_bytes()[:-100])
    again, _ = fit(pool, {"workdir": tmp_path})
    assert (again.weights1_ == whole.weights1_).all()


def test_validation_chooses_the_epoch(pool):
    scores = iter([0.5, 0.9, 0.1])
    seen = []

    def validation(method):
        seen.append(method.encode(pool[0]))
        return next(scores)

    chosen, curve = fit(pool, {"validation": validation}, select="validation", epochs=45)
    assert [entry["epoch"] for entry in curve if "validation" in entry] == [20, 40, 45]
    assert (chosen.encode(pool[0]) == seen[1]).all()
    assert (chosen.weights1_ == fit(pool, epochs=40)[0].weights1_).all()
    assert "validation" in chosen.wants()
    assert "validation" not in load_method("cibhash")().wants()


@pytest.mark.slow
@pytest.mark.parametrize(("sampling", "processes"), [("sign", "spawned"), ("bernoulli", "forked")])
def test_two_processes_equal_one(pool, sampling, processes, request):
    if processes == "forked":
        request.getfixturevalue("forked_processes")
    # The last batch, of 25 images, does not split evenly.
    views = pool[1][:89]
    method = load_method("cibhash")(8, n_views=6, epochs=2, batch_size=32, sampling=sampling, random_state=0)
    one, two = (train(method, ViewPool(views), devices=devices) for devices in (1, 2))
    assert one.learned.keys() == two.learned.keys()
    for name in ("weights1_", "bias1_", "weights2_", "bias2_"):
        assert np.abs(one.learned[name] - two.learned[name]).max() < 1e-5
    assert len(two.progress.curve) == 2


def test_a_pool_in_a_file_is_sent_as_its_name(pool, tmp_path):
    np.ascontiguousarray(pool[1].swapaxes(0, 1)).tofile(tmp_path / "data.bin")
    views = np.memmap(tmp_path / "data.bin", np.float16, "r", shape=(6, 90, 20)).swapaxes(0, 1)
    for sent, in_file in [(views, True), (views[3:], True), (views[:, 1:5:2], True), (np.array(views), False)]:
        content = pickle.dumps(ViewPool(sent))
        assert (pickle.loads(content).views == sent).all()
        assert (len(content) < 1000) == in_file


@pytest.fixture
def tunable(digits):
    """Return a small network and 24 digits as colour images to train it on."""
    backbone = open_backbone("tf_efficientnet_lite0", image_size=32, device="cpu", precision="fp32")
    images = np.repeat(digits.images[:30], 3, axis=3)
    return Tunable(images, np.arange(3, 27), PHOTO_VIEWS, backbone.key, backbone.weights)


TUNING = {"finetune": 1e-4, "epochs": 2, "batch_size": 10, "hidden": 16}


def tune(tunable, extras=None, **params):
    return fit((np.zeros((24, 1280)), None), {"tunable": tunable, **(extras or {})}, **{**TUNING, **params})


def test_the_backbone_is_trained_with_a_separate_rate(tunable, tmp_path):
    backbone = tunable.open(Fabric(accelerator="cpu", devices=1))
    published = backbone.parameters(backbone.network())
    method, _ = tune(tunable)
    moved = np.abs(method.backbone_weights_ - published)
    assert 1e-6 < moved.max() < 20 * 6 * 1e-4
    slower, _ = tune(tunable, finetune=1e-6)
    assert np.abs(slower.backbone_weights_ - published).max() < moved.max() / 10
    tuned = backbone.with_parameters(method.backbone_weights_)
    assert (tuned.parameters(tuned.network()) == method.backbone_weights_).all()
    assert tuned.key["tuned"] != backbone.with_parameters(published).key["tuned"]
    images = tunable.images[:4]
    before, after = (one.extract(one.load(images)) for one in (backbone, tuned))
    assert not torch.allclose(before, after, atol=1e-3)
    same = backbone.with_parameters(published)
    assert torch.equal(same.extract(same.load(images)), before)
    with pytest.raises(InputError, match="parameters, not 7"):
        backbone.with_parameters(np.zeros(7, np.float32)).network()
    assert method.wants() >= {"tunable"}
    assert "views" not in method.wants()


@pytest.mark.slow
def test_interrupted_tuning_goes_on_bit_for_bit(tunable, tmp_path):
    whole, curve = tune(tunable)

    def kill(**values):
        raise Killed

    with pytest.raises(Killed):
        tune(tunable, {"workdir": tmp_path, "log": kill})
    resumed, again = tune(tunable, {"workdir": tmp_path})
    assert again == curve
    assert (resumed.backbone_weights_ == whole.backbone_weights_).all()


@pytest.mark.slow
@pytest.mark.usefixtures("forked_processes")
def test_two_processes_tune_like_one(tunable):
    method = load_method("cibhash")(8, random_state=0, **{**TUNING, "epochs": 1})
    one, two = (train(method, TunedBackbone(tunable, 1280, 0, 1e-4), devices=devices) for devices in (1, 2))
    assert two.progress.curve[0]["loss"] == pytest.approx(one.progress.curve[0]["loss"], abs=1e-6)
    assert np.abs(one.learned["backbone_weights_"] - two.learned["backbone_weights_"]).max() < 1e-5


@pytest.mark.slow
def test_a_run_tunes_and_its_model_encodes(tmp_path, cli, photos_plugin):
    arguments = ("--plugin", photos_plugin, "--dataset", "photos", "--bits", 16, "--out", tmp_path / "out")
    spec = "cibhash[finetune=0.0001,epochs=1,hidden=16,batch_size=20],itq[n_iter=5]"
    done = cli("run", *arguments, "--methods", spec, "--save-models", "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "out")
    record = next(record for record in store if record.config["method"] == "cibhash")
    assert record.config["views"]["recipe"]["name"] == "cibhash-photo/1"
    assert "n_views" not in record.config["views"]
    images = photos_plugin.parent / "images.npy"
    done = cli("encode", store.model_path(record), images, "-o", tmp_path / "codes.npy")
    assert done.returncode == 0, done.stderr
    codes = np.load(tmp_path / "codes.npy")
    assert (codes[10:] == store.arrays(record.id)["database_codes"]).all()
    assert not list((tmp_path / "out" / "work").glob("*"))
    done = cli("run", "--methods", "cibhash[finetune=0.1]", "--bits", 16, "--out", tmp_path / "digits")
    one_clear_line(done, "no cell could run", "no backbone to train")


@pytest.mark.slow
@pytest.mark.usefixtures("forked_processes")
def test_a_process_s_refusal_keeps_its_kind(pool):
    views = np.full((90, 6, 20), np.inf, np.float16)
    method = load_method("cibhash")(8, n_views=6, epochs=1, random_state=0)
    with pytest.raises(FloatingPointError, match="the loss is not finite in epoch 1"):
        train(method, ViewPool(views), devices=2)


def test_a_frozen_training_after_a_tuned_one_forgets_the_backbone(pool, tunable):
    method, _ = tune(tunable)
    method.set_params(finetune=0.0, n_views=6).fit(np.zeros((90, 20)), views=pool[1])
    assert method.backbone_weights_ is None


def test_images_in_files_are_sent_as_names(tunable, tmp_path):
    np.save(tmp_path / "images.npy", np.repeat(tunable.images, 40, axis=0))
    large = replace(tunable, images=np.load(tmp_path / "images.npy", mmap_mode="r"))
    content = pickle.dumps(large)
    assert len(content) < 5000
    assert (pickle.loads(content).images == large.images).all()


def test_what_fit_lacks_is_named(pool):
    with pytest.raises(ValueError, match="fit needs validation="):
        fit(pool, select="validation")
    with pytest.raises(ValueError, match="fit needs tunable="):
        fit(pool, finetune=0.1)
    with pytest.raises(ValueError, match="fit needs views="):
        fit(pool, {"views": None})


def test_training_in_bfloat16(pool):
    _, curve = fit(pool, epochs=15, precision="bf16-mixed")
    _, exact = fit(pool, epochs=15)
    assert curve != exact
    assert curve[-1]["contrastive"] == pytest.approx(exact[-1]["contrastive"], abs=0.05)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"temperature": 0}, "temperature=0: expected above 0"),
        ({"batch_size": 1}, "batch_size=1: expected 2 to the 90 training images"),
        ({"batch_size": 91}, "batch_size=91"),
        ({"epochs": 0}, "epochs=0"),
        ({"beta": -1.0}, "beta=-1.0"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"sampling": "both"}, "sampling='both'"),
        ({"n_views": 1}, "n_views=1"),
        ({"similarity": "angle"}, "similarity='angle': expected 'cosine' or 'dot'"),
        ({"select": "best"}, "select='best'"),
        ({"finetune": -1.0}, "finetune=-1.0"),
        ({"finetune": 0.1, "select": "validation"}, "finetune=0.1"),
        ({"precision": "8"}, "precision='8'"),
        ({"precision": "16-mixed"}, "precision='16-mixed': expected another on a CPU"),
    ],
)
def test_parameters_out_of_range(pool, params, message):
    with pytest.raises(Unsupported, match=message):
        fit(pool, **params)


def test_an_exploding_loss_stops_with_epoch_and_values(pool):
    X, views = pool
    with pytest.raises(FloatingPointError, match=r"epoch 1: \{'loss': nan"):
        fit((X, np.full_like(views, np.inf)))
