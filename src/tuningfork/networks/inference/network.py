"""Inference networks: the same outputs and derivatives with respect to the input, at lower cost.

A network in training computes its standardised and blurred kernels in every pass, because its weights change, and
stores what the derivatives with respect to the weights need. An inference network computes its kernels once, and its
layers have derivatives with respect to their input alone; images and features stay in the layout and the precision of
the convolutions. docs/development/inference-networks.md compares the speed with that of torch.compile and
torch.jit.freeze.
"""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from tuningfork.networks.encoder import Encoder
from tuningfork.networks.inference.decoder import InferenceDecoder, InferenceMask
from tuningfork.networks.inference.encoder import InferenceEncoder
from tuningfork.networks.inference.layers import InferenceLinear
from tuningfork.networks.inference.pools import InferencePools
from tuningfork.networks.morphology import BarMask, Decoder
from tuningfork.networks.trunk import Pools, Trunk

INFERENCE_PARTS: dict[type[nn.Module], type[nn.Module]] = {
    Encoder: InferenceEncoder,
    Decoder: InferenceDecoder,
    BarMask: InferenceMask,
    Pools: InferencePools,
}
"""Parts of the networks, and the inference parts that replace them."""


def inference_network(model: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return the inference network of a network. The two share the weights that are not stored in another precision.

    Parameters
    ----------
    model : Module
        Any network; parts without an entry in `INFERENCE_PARTS` stay as they are.
    dtype : torch.dtype
        Precision of kernels and features: that of the autocast in which the network will be called.

    Returns
    -------
    Module
        In evaluation mode, with first derivatives with respect to its inputs alone. It does not follow later changes
        of the weights.
    """
    part = INFERENCE_PARTS.get(type(model))
    if part is not None:
        return part(model, dtype)
    twin = copy.copy(model)
    twin._modules = {name: child and inference_network(child, dtype) for name, child in model._modules.items()}
    if isinstance(twin, Trunk) and isinstance(model, Trunk):
        twin.join = InferenceLinear(model.join, dtype)  # type: ignore[assignment]
    twin.training = False
    return twin


def cell_width(models: Sequence[nn.Module], size: int) -> int:
    """Return the width (px) of the cells that networks accept in place of the pixels of a `size` x `size` image.

    See :class:`~tuningfork.networks.inference.encoder.InferenceStart`. It is 1 if one of the networks is not the
    inference network of a network with an encoder, or if the cells would not cover the image exactly.
    """
    encoders = [getattr(getattr(model, "trunk", None), "encoder", None) for model in models]
    return 2 if size % 2 == 0 and all(isinstance(encoder, InferenceEncoder) for encoder in encoders) else 1
