"""Backbones on a CPU, run by ONNX Runtime: the same network and the same views, in two thirds of torch's time."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hashbench.errors import InputError, describe_error
from hashbench.features.backbones.backbone import Backbone
from hashbench.features.views import compiled
from hashbench.features.views.augment import ViewParameters

RUNTIME = "onnxruntime"
"""What a feature key calls it."""
TOLERANCE = 1e-3
"""Largest difference between its features and torch's, relative to the largest feature: rounding gives 1e-5."""


@dataclass
class OnnxBackbone(Backbone):
    """A frozen feature extractor whose network ONNX Runtime runs, in float32.

    Its features do not depend on the number of threads, nor on what else is in a batch.
    """

    _session: Any = None

    def session(self) -> Any:
        """Build the network, export it and prepare it for this processor, once."""
        if self._session is None:
            self._session = _prepared(_exported(self.network(), self.key["image_size"]))
            self._network = None
        return self._session

    def release(self) -> None:
        """Give the network's memory back; `session` builds it anew."""
        super().release()
        self._session = None

    def extract(self, images: Tensor, mask_seeds: np.ndarray | None = None) -> Tensor:
        """Return the features of a batch; see `Backbone.extract`. No network that runs here drops any."""
        mean, std = self._normaliser(images.device)
        pixels = images.sub(mean).div_(std).contiguous().numpy()
        return torch.from_numpy(self.session().run(None, {"images": pixels})[0])

    def with_parameters(self, vector: np.ndarray) -> Backbone:
        """Return this backbone with other parameters; see `Backbone.with_parameters`."""
        other = super().with_parameters(vector)
        assert isinstance(other, OnnxBackbone)
        return replace(other, _session=None)

    def view(self, uploaded: Tensor | list[Tensor], parameters: ViewParameters, size: int) -> Tensor:
        """Return one augmented view of each of some images; see `Backbone.view`."""
        return compiled.apply(self.originals(uploaded), parameters, size)

    def load(self, images: np.ndarray | list[np.ndarray]) -> Tensor:
        """Bring images to the network's size; those of a list may differ in theirs."""
        return super().load(images) if "crop_pct" in self.key else self.resize(self.originals(self.upload(images)))

    def resize(self, images: Tensor | Iterable[Tensor]) -> Tensor:
        """Resize to the network's input as Pillow's bilinear filter does."""
        assert self.size is not None
        return compiled.resize(images, self.size)


class _Features(torch.nn.Module):
    """A network without its head, as one function."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return features (n, d) of images (n, 3, size, size)."""
        return self.network.forward_head(self.network.forward_features(images), pre_logits=True).flatten(1)


def _exported(network: torch.nn.Module, size: int) -> bytes:
    """Return a network as an ONNX file for any number of images.

    By torch's older exporter: it takes half a second, the newer one eight.
    """
    network, file = _Features(network.to(memory_format=torch.contiguous_format)).eval(), io.BytesIO()
    any_number = {"images": {0: "n"}, "features": {0: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(2, 3, size, size),),
            file,
            input_names=["images"],
            output_names=["features"],
            dynamic_axes=any_number,
            dynamo=False,
        )
    return file.getvalue()


def _prepared(file: bytes) -> Any:
    """Return a session of ONNX Runtime, with as many threads as torch has."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    # Threads that spin while they wait take the time of those that read and augment images.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def problem_of(backbone: OnnxBackbone) -> str:
    """Return why ONNX Runtime does not run a backbone as torch does, or nothing.

    Raises
    ------
    InputError
        The weights do not fit the network.
    """
    assert backbone.size is not None
    try:
        images = torch.rand(1, 3, backbone.size, backbone.size, generator=torch.Generator().manual_seed(0))
        expected = Backbone.extract(backbone, images)  # of the network that is exported next
        found = backbone.extract(images)
    except InputError:
        raise
    except ImportError as error:
        return f"which is not installed ({describe_error(error)})"
    except Exception as error:  # exporters and runtimes fail in ways of their own
        return f"which cannot take it ({describe_error(error):.200})"
    finally:
        backbone.release()  # the process that plans a run never extracts
    difference = float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
    return "" if difference <= TOLERANCE else f"whose features differ by {difference:.0e} of the largest"
