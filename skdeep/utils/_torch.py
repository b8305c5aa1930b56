"""Devices, private random generators, and modules built from them."""

import contextlib
import copy
import threading

import torch
from torch import nn

from skdeep.exceptions import InvalidParameterError

# held while a constructor of the user draws from torch's global generator
_GLOBAL_GENERATOR = threading.Lock()


def resolve_device(device):
    """Turn the `device` parameter of an estimator into the name of a usable device.

    Parameters
    ----------
    device : str
        "auto" for the first of cuda, xpu, mps and cpu that is there, or a torch name
        such as "cuda:1".

    Returns
    -------
    device : str
        Name that torch accepts.

    Raises
    ------
    InvalidParameterError
        If torch does not know the name or the machine lacks the device.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if device == "auto":
        return "cpu" if accelerator is None else accelerator.type
    present = ["cpu"] if accelerator is None else ["cpu", accelerator.type]
    try:
        asked = torch.device(device)
    except RuntimeError:
        asked = None
    count = 0
    if asked is not None and asked.type in present:
        count = 1 if asked.type == "cpu" else torch.accelerator.device_count()
    if asked is None or (asked.index or 0) >= count:
        raise InvalidParameterError(
            f"The 'device' parameter must be 'auto' or a device that is there, one of "
            f"{present}. Got {device!r} instead."
        )
    return str(asked)


@contextlib.contextmanager
def private_mode():
    """Torch as training needs it, whatever modes and defaults the caller has set."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


def make_generator(rng, device="cpu"):
    """Create a torch generator seeded from a numpy ``RandomState``."""
    return torch.Generator(device).manual_seed(int(rng.randint(2**31 - 1)))


def build(make, *, generator):
    """Construct a module of ours with weights drawn from `generator` alone.

    The constructors of torch draw from its global generator, which belongs to the
    caller and is shared by all threads. On the meta device they draw nothing, so the
    weights are allocated and drawn afterwards.

    Parameters
    ----------
    make : callable
        Returns the module. Layers with parameters or buffers of their own need a
        method ``init_weights(generator)`` unless they are Linear, Conv, batch norm,
        layer norm, Embedding or recurrent layers of torch.

    generator : torch.Generator
        Source of the weights, on the CPU.

    Returns
    -------
    module : torch.nn.Module
        On the CPU, in float32.
    """
    with torch.device("meta"):
        module = make()
    module.to_empty(device="cpu").float()
    for part in module.modules():
        if hasattr(part, "init_weights"):
            part.init_weights(generator)
        else:
            _init_layer(part, generator)
    return module


def _init_layer(layer, generator):
    """Draw the weights of a torch layer from the distribution torch itself uses."""
    if isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd)):
        nn.init.kaiming_uniform_(layer.weight, a=5**0.5, generator=generator)
        if layer.bias is not None:
            bound = layer.weight[0].numel() ** -0.5
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    elif isinstance(layer, nn.Embedding):
        nn.init.normal_(layer.weight, generator=generator)
        if layer.padding_idx is not None:
            layer.weight.data[layer.padding_idx] = 0
    elif isinstance(layer, nn.RNNBase):
        bound = layer.hidden_size**-0.5
        for weight in layer.parameters():
            nn.init.uniform_(weight, -bound, bound, generator=generator)
    elif isinstance(layer, (nn.modules.batchnorm._NormBase, nn.LayerNorm)):
        layer.reset_parameters()  # ones and zeros: nothing is drawn
    elif next(layer.parameters(recurse=False), None) is not None or (
        next(layer.buffers(recurse=False), None) is not None
    ):
        raise TypeError(
            f"{type(layer).__name__} holds parameters or buffers that nobody fills; "
            "give it a method init_weights(generator)."
        )


def build_foreign(make, *, generator, name="module"):
    """Call a constructor that is not ours with torch's global generator on loan.

    Its draws are repeatable from `generator`, and the global state is put back. Other
    fits wait meanwhile.
    """
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        module = make()
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"`{name}` must be or return a torch.nn.Module, but it returned "
            f"{type(module).__name__}."
        )
    # a generator that has lent its state must not repeat itself for the next one
    generator.manual_seed(int(torch.randint(2**31 - 1, (1,), generator=generator)))
    return module.float()


def copy_module(module):
    """Copy a module given by the user, on the CPU and in float32, weights included."""
    return copy.deepcopy(module).to("cpu").float()
