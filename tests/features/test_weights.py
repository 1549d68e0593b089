"""Where weights come from: the hub's cache, the hub, a URL; and how it is when there is no network."""

import json
import types

import huggingface_hub
import numpy as np
import pytest
import torch
from conftest import one_clear_line
from huggingface_hub import constants
from safetensors.torch import save_file

from hashbench import InputError
from hashbench.features.backbones.opening import open_backbone
from hashbench.features.backbones.weights import find_model, find_weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Return the folder of an empty cache of the hub, which cannot be reached; downloads are written down."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "torch"))

    def unreachable(*arguments, **options):
        raise ConnectionError("there is no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    return tmp_path / "hub"


def publish(hub, revision="main", architecture="test_resnet", mean=0.5):
    """Put a model into the hub's cache, as timm publishes one, and return its weights' file."""
    import timm

    repository = hub / "models--someone--small"
    folder = repository / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / revision).write_text(COMMIT)
    config = {"mean": [mean] * 3, "std": [0.25] * 3, "input_size": [3, 96, 96]}
    (folder / "config.json").write_text(json.dumps({"architecture": architecture, "pretrained_cfg": config}))
    save_file(timm.create_model("test_resnet").state_dict(), folder / "model.safetensors")
    return folder / "model.safetensors"


@pytest.mark.parametrize("name", ["resnet18.a1_in1k", "gcvit_tiny.in1k"])
def test_weights_that_cannot_be_fetched(name, hub, cli, tmp_path, capfd):
    done = cli("run", "--backbone", name, "--out", tmp_path / "out")
    one_clear_line(done, name, "there is no network", "--weights FILE")
    assert "Retrying" not in capfd.readouterr().err + done.stderr


def test_a_model_of_the_hub_by_name_and_revision(hub):
    file = publish(hub, revision="v1", mean=0.4)
    backbone = open_backbone(
        "hf-hub:someone/small@v1", device="cpu", precision="fp32", image_size=32, normalization="model"
    )
    assert backbone.weights.samefile(file)
    assert backbone.key["backbone"] == "hf-hub:someone/small@v1"
    assert (backbone.key["architecture"], backbone.key["mean"]) == ("test_resnet", [0.4] * 3)
    features = backbone.features(np.zeros((2, 40, 40, 3), np.uint8))
    assert features.ndim == len(features) == 2
    assert find_model("hf-hub:someone/small@v1").input_size == 96
    with pytest.raises(InputError, match=r"hf-hub:someone/small: its config\.json"):
        open_backbone("hf-hub:someone/small", device="cpu")


@pytest.mark.parametrize("name", ["hf-hub:", "hf-hub:one/two/three", "hf-hub:someone/else", "hf-hub:../../x"])
def test_names_that_the_hub_does_not_have(name, hub):
    with pytest.raises(InputError, match=r"--backbone hf-hub:.*config\.json"):
        find_model(name)


@pytest.mark.parametrize("content", ["[]", "{", '{"architecture": "no such"}', '{"architecture": "test_resnet"}'])
def test_a_description_that_is_not_timms(content, hub):
    (publish(hub).parent / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"hf-hub:someone/small: its config\.json .* not timm's"):
        find_model("hf-hub:someone/small")


def test_the_hub_is_asked_once_what_it_has(hub, monkeypatch):
    asked, fetched = [], []
    sibling = types.SimpleNamespace(rfilename="pytorch_model.bin")

    def model_info(self, repository, **options):
        asked.append((repository, options["timeout"]))
        return types.SimpleNamespace(siblings=[sibling])

    def download(repository, name, revision=None, local_files_only=False):
        if local_files_only:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not cached")
        fetched.append(name)
        return str(hub / name)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    file = find_weights(find_model("resnet18.a1_in1k"), None)
    assert (file.name, fetched) == ("pytorch_model.bin", ["pytorch_model.bin"])
    assert [repository for repository, timeout in asked] == ["timm/resnet18.a1_in1k"]
    assert all(timeout <= 10 for _, timeout in asked)


def test_an_unknown_backbone_is_not_repeated_whole(hub):
    with pytest.raises(InputError, match="unknown backbone") as raised:
        find_model("x" * 5000)
    assert len(str(raised.value)) < 300


def features_with(state, tmp_path, backbone="test_resnet"):
    """Return the features of two images with these weights."""
    torch.save(state, tmp_path / "weights.pth")
    opened = open_backbone(backbone, weights=tmp_path / "weights.pth", image_size=32, device="cpu", precision="fp32")
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    return opened.features(images)


@pytest.mark.parametrize(
    ("backbone", "head"),
    [("test_resnet", "fc."), ("test_efficientnet", "classifier."), ("test_convnext", "head.fc.")],
)
def test_a_head_of_other_classes_or_none_changes_no_feature(backbone, head, tmp_path):
    import timm

    torch.manual_seed(0)
    whole = timm.create_model(backbone).state_dict()
    assert [name for name in whole if name.startswith(head)]
    expected = features_with(whole, tmp_path, backbone)
    own = {name: value[:10] if name.startswith(head) else value for name, value in whole.items()}
    headless = {name: value for name, value in whole.items() if not name.startswith(head)}
    for state in (own, headless):
        renamed = {f"module.{name}": value for name, value in state.items()}  # then they are taken by their order
        for one in (state, renamed, {"state_dict": state}):
            np.testing.assert_array_equal(features_with(one, tmp_path, backbone), expected)


def test_all_but_the_head_must_be_there(tmp_path):
    import timm

    whole = timm.create_model("test_resnet").state_dict()
    first = next(iter(whole))
    without = {name: value for name, value in whole.items() if name != first}
    narrower = {**whole, first: whole[first][:3]}
    for state in (without, narrower):
        with pytest.raises(InputError, match=f"1 of 90 tensors are missing or have another shape, first '{first}'"):
            features_with(state, tmp_path)
