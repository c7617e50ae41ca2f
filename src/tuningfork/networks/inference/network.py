"""Networks that only answer: the same outputs and derivatives by the input, at less cost.

A network in training makes its standardised and blurred kernels anew in every pass, because its weights change, and
keeps what the derivatives by the weights need. Here kernels are made once, and layers know derivatives by their input
alone; images and features stay in the layout and the precision of the convolutions.
"""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from tuningfork.networks.encoder import Encoder
from tuningfork.networks.inference.decoder import FixedDecoder, FixedMask
from tuningfork.networks.inference.encoder import FixedEncoder
from tuningfork.networks.inference.layers import FixedLinear
from tuningfork.networks.inference.pools import FixedPools
from tuningfork.networks.morphology import BarMask, Decoder
from tuningfork.networks.trunk import Pools, Trunk

FIXED: dict[type[nn.Module], type[nn.Module]] = {
    Encoder: FixedEncoder,
    Decoder: FixedDecoder,
    BarMask: FixedMask,
    Pools: FixedPools,
}
"""Parts of the networks, and what answers as they do."""


def frozen(model: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Return a network that answers as `model` does and shares its weights, but for those that are kept in `dtype`.

    Parameters
    ----------
    model : Module
        Any network; parts that are none of `FIXED` stay as they are.
    dtype : torch.dtype
        In which kernels and features are kept: that of the autocast in which the network will be called.

    Returns
    -------
    Module
        In evaluation mode; derivatives are by its inputs, and once. Weights that change afterwards leave it as it is:
        make it again.
    """
    fixed = FIXED.get(type(model))
    if fixed is not None:
        return fixed(model, dtype)
    twin = copy.copy(model)
    twin._modules = {name: child and frozen(child, dtype) for name, child in model._modules.items()}
    if isinstance(twin, Trunk) and isinstance(model, Trunk):
        twin.join = FixedLinear(model.join, dtype)  # type: ignore[assignment]
    twin.training = False
    return twin


def cell_width(models: Sequence[nn.Module], size: int) -> int:
    """Return the width (px) of the cells of an image of `size` x `size` px that the models can be given in its stead.

    See :class:`~tuningfork.networks.inference.encoder.FixedStart`. 1 where one of them was not made by :func:`frozen` from
    a network with an encoder, or pixels would be left over.
    """
    encoders = [getattr(getattr(model, "trunk", None), "encoder", None) for model in models]
    return 2 if size % 2 == 0 and all(isinstance(encoder, FixedEncoder) for encoder in encoders) else 1
