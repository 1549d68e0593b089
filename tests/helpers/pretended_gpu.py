"""A GPU that is not there: tensors of the CPU that Python takes for CUDA's, so that device faults show without a GPU.

C++ sees tensors of the CPU, so autograd and all kernels work. Python reads ``cuda:0`` from them. A dispatch mode sees
every operation: it raises where CUDA would, because of tensors or generators of different devices, and counts copies,
waits and operations. It shows neither CUDA's rounding, nor its speed, nor its memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from unittest import mock

import torch
import torch._dynamo  # imported late, it would see the replaced Generator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
GPU, HOST = torch.device("cuda", 0), torch.device("cpu")

COUNTS: Counter[str] = Counter()
"""Of the pretended GPU in use: ``operations``, ``uploads``, ``pageable uploads``, ``downloads``, ``waits``."""

_WAITS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default}
_INDEXING = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
_PINNED: dict[int, torch.Tensor] = {}
"""Tensors in pinned memory by their address, kept so that no other tensor gets it."""
_ON_GPU: dict[int, torch.Generator] = {}
"""Generators of the pretended GPU; C++ hands back another object of the same address."""
_TorchGenerator = torch.Generator
_TorchAutocast = torch.autocast


class GpuTensor(torch.Tensor):
    """A tensor of the pretended GPU around the tensor that holds its values."""

    values: torch.Tensor

    @staticmethod
    def __new__(cls, values: torch.Tensor) -> GpuTensor:
        layout = {"dtype": values.dtype, "layout": values.layout, "device": HOST}
        made = torch.Tensor._make_wrapper_subclass(
            cls, values.size(), strides=values.stride(), storage_offset=values.storage_offset(), **layout
        )
        made.values = values
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _dispatch(func, args, kwargs or {})

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def get_device(self):
        return GPU.index

    def __repr__(self, *, tensor_contents=None):
        return f"GpuTensor({self.values!r})"

    def __reduce_ex__(self, protocol):
        return self.values.detach().__reduce_ex__(protocol)

    def cpu(self, *unused, **unused_too):
        COUNTS.update(("downloads", "waits"))
        return self.values.detach().clone()

    def cuda(self, *unused, **unused_too):
        return self

    def to(self, *args, **kwargs):
        if args and isinstance(args[0], torch.Tensor):
            args = (args[0].device, args[0].dtype)
        device, dtype, _, memory_format = torch._C._nn._parse_to(
            *args, **{name: value for name, value in kwargs.items() if name != "copy"}
        )
        moved = self.cpu() if device is not None and device.type == "cpu" else self
        wanted = {"dtype": dtype, "memory_format": memory_format}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return torch.Tensor.to(moved, **wanted) if wanted else moved

    def tolist(self):
        COUNTS.update(("downloads", "waits"))
        return self.values.tolist()

    def numpy(self, *unused, **unused_too):
        raise TypeError("a tensor of the pretended GPU has no numpy array: copy it to the CPU first")

    def __array__(self, *unused, **unused_too):
        return self.numpy()


def _host(value):
    return value.values if isinstance(value, GpuTensor) else value


def _device_of(tensor: torch.Tensor) -> str:
    return "cuda" if isinstance(tensor, GpuTensor) else "cpu"


def _upload(source: torch.Tensor) -> None:
    COUNTS["uploads"] += 1
    if source.dim() and source.untyped_storage().data_ptr() not in _PINNED:
        COUNTS["pageable uploads"] += 1


def _dispatch(func, args, kwargs):
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    wanted = kwargs.get("device")
    wanted = None if wanted is None else torch.device(wanted).type
    kwargs = {**kwargs, "device": HOST} if wanted else kwargs
    if func is aten._to_copy.default:
        return _copied(func, args, kwargs, wanted)
    if func is aten.copy_.default:
        return _copied_into(func, args)
    devices = {_device_of(one) for one in tensors if isinstance(one, GpuTensor) or one.dim()}
    if len(devices) > 1:
        _refuse_mixed(func, args, tensors)
    on_gpu = "cuda" in devices or wanted == "cuda"
    _refuse_generators(args, kwargs, on_gpu)
    drawn = on_gpu and torch.Tag.nondeterministic_seeded in func.tags and not _generators(args, kwargs)
    with _GLOBAL.in_place_of_the_cpus() if drawn else nullcontext():
        result = func(*tree_map(_host, args), **tree_map(_host, kwargs))
    if not on_gpu:
        return result
    COUNTS["operations"] += 1
    masked = func in _INDEXING and any(one is not None and one.dtype == torch.bool for one in args[1])
    COUNTS["waits"] += func in _WAITS or masked
    known = {id(one.values): one for one in tensors if isinstance(one, GpuTensor)}

    def claimed(one):
        if not isinstance(one, torch.Tensor):
            return one
        return known[id(one)] if id(one) in known else GpuTensor(one)

    return tree_map(claimed, result)


def _copied(func, args, kwargs, wanted):
    source = _device_of(args[0])
    target = wanted or source
    if source == "cuda":
        COUNTS["operations"] += 1
        target = "cuda"  # C++ takes a tensor of the pretended GPU for one of the CPU; `GpuTensor.to` brings it there
    elif target == "cuda":
        _upload(args[0])
    kwargs = {name: value for name, value in kwargs.items() if name != "non_blocking"}
    result = func(_host(args[0]), *args[1:], **kwargs)
    return GpuTensor(result) if target == "cuda" else result


def _copied_into(func, args):
    target, source = args[:2]
    match _device_of(target), _device_of(source):
        case "cuda", "cpu":
            _upload(source)
        case "cpu", "cuda":
            COUNTS.update(("downloads", "waits"))
        case "cuda", "cuda":
            COUNTS["operations"] += 1
    func(_host(target), _host(source))
    return target


def _refuse_mixed(func, args, tensors) -> None:
    """Raise as CUDA does, which takes indices from the CPU and nothing else."""
    if func in _INDEXING and isinstance(args[0], GpuTensor) and all(isinstance(one, GpuTensor) for one in args[2:3]):
        COUNTS.update(("uploads", "pageable uploads"))
        return
    shapes = ", ".join(f"{_device_of(one)} {tuple(one.shape)}" for one in tensors)
    raise RuntimeError(f"Expected all tensors to be on the same device, but got cuda:0 and cpu: {func} of {shapes}")


def _generators(args, kwargs) -> list[torch.Generator]:
    return [one for one in tree_leaves((args, kwargs)) if isinstance(one, _TorchGenerator)]


def _refuse_generators(args, kwargs, on_gpu: bool) -> None:
    for one in _generators(args, kwargs):
        if (one._cdata in _ON_GPU) != on_gpu:
            expected = "cuda" if on_gpu else "cpu"
            raise RuntimeError(f"Expected a '{expected}' device type for generator")


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return _dispatch(func, args, kwargs or {})


class _Generator(_TorchGenerator):
    """A generator of either device; the GPU's gives other numbers, and its state has another size, as CUDA's."""

    def __new__(cls, device="cpu"):
        made = _TorchGenerator.__new__(cls, "cpu")
        if torch.device(device).type == "cuda":
            _ON_GPU[made._cdata] = made
        return made

    def manual_seed(self, seed):
        return super().manual_seed(_other(seed) if self._cdata in _ON_GPU else seed)

    def get_state(self):
        state = super().get_state()
        return state[:16] if self._cdata in _ON_GPU else state


def _other(seed: int) -> int:
    return (seed + 1) % 2**63


class _GlobalGenerator:
    """What operations on the GPU draw from where they are given no generator."""

    def __init__(self):
        self.states = {0: _TorchGenerator().get_state()}

    def state(self, *device):
        """Return a token of 16 bytes that stands for the state."""
        self.states[len(self.states)] = self.states[0]
        return torch.tensor([len(self.states) - 1, 0]).view(torch.uint8)

    def set_state(self, token, *device):
        if token.shape != (16,):
            raise RuntimeError("RNG state is wrong size")
        self.states[0] = self.states[int(token.view(torch.int64)[0])]

    def seed(self, seed):
        self.states[0] = _TorchGenerator().manual_seed(_other(seed)).get_state()

    @contextmanager
    def in_place_of_the_cpus(self):
        of_cpu = torch.get_rng_state()
        torch.set_rng_state(self.states[0])
        yield
        self.states[0] = torch.get_rng_state()
        torch.set_rng_state(of_cpu)


_GLOBAL = _GlobalGenerator()


class _Autocast(_TorchAutocast):
    def __init__(self, device_type, *args, **kwargs):
        super().__init__("cpu", *args, **kwargs)


def _pin(tensor, *unused):
    pinned = tensor.clone()
    _PINNED[pinned.untyped_storage().data_ptr()] = pinned
    return pinned


def _cuda(major: int, count: int) -> dict[str, object]:
    properties = SimpleNamespace(
        major=major, minor=0, total_memory=80 * 2**30, name="Pretended", multi_processor_count=1
    )
    return {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "_lazy_init": lambda: None,
        "device_count": lambda: count,
        "current_device": lambda: 0,
        "set_device": lambda device: None,
        "get_device_properties": lambda *device: properties,
        "get_device_capability": lambda *device: (major, 0),
        "get_device_name": lambda *device: "Pretended",
        "get_arch_list": lambda: [f"sm_{major}0"],
        "init": lambda: None,
        "get_rng_state": _GLOBAL.state,
        "set_rng_state": _GLOBAL.set_state,
        "manual_seed": _GLOBAL.seed,
        "manual_seed_all": _GLOBAL.seed,
        "synchronize": lambda *device: COUNTS.update(["waits"]),
        "empty_cache": lambda: None,
        "max_memory_allocated": lambda *device: 0,
        "reset_peak_memory_stats": lambda *device: None,
    }


@contextmanager
def pretended_gpu(major: int = 9, count: int = 1) -> Iterator[Counter[str]]:
    """Let torch see GPUs that are not there; yields what is counted.

    Parameters
    ----------
    major : int
        Their compute capability: 7 has no bfloat16, 8 and later have.
    count : int
        How many there are.
    """
    COUNTS.clear()
    _PINNED.clear()
    _ON_GPU.clear()
    with ExitStack() as stack:
        for name, value in _cuda(major, count).items():
            stack.enter_context(mock.patch(f"torch.cuda.{name}", value))
        idle = SimpleNamespace(is_capturing=lambda: False)
        stack.enter_context(mock.patch("torch.accelerator.current_stream", return_value=idle))
        stack.enter_context(mock.patch("torch.Generator", _Generator))
        stack.enter_context(mock.patch("torch.autocast", _Autocast))
        stack.enter_context(mock.patch.object(torch.Tensor, "pin_memory", _pin))
        lifted = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device="cuda") is made here, then copied
        stack.callback(torch._C._set_only_lift_cpu_tensors, lifted)
        swapped = torch.__future__.get_swap_module_params_on_conversion()
        torch.__future__.set_swap_module_params_on_conversion(True)  # a module's parameters change their type
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swapped)
        stack.enter_context(_Mode())
        try:
            yield COUNTS
        finally:
            _PINNED.clear()
