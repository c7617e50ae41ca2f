"""Layers that the parts of inference networks share."""

import torch
from torch import Tensor, nn
from torch.nn import functional

silu_backward = torch.ops.aten.silu_backward.grad_input


class InferenceConv:
    """A convolution with a constant kernel, without derivatives with respect to it.

    Parameters
    ----------
    kernel : Tensor
        (outputs, inputs, size, size)
    bias : Tensor, optional
        (outputs,)
    stride : int
    dtype : torch.dtype
        Of images and kernel.
    """

    def __init__(self, dtype: torch.dtype, kernel: Tensor, bias: Tensor | None = None, stride: int = 1) -> None:
        self.kernel = channels_last(kernel.detach().to(dtype))
        self.bias = None if bias is None else bias.detach().to(dtype)
        self.stride, self.padding = stride, (kernel.shape[-1] - 1) // 2

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve (N, inputs, H, W)."""
        return functional.conv2d(x, self.kernel, self.bias, self.stride, self.padding)

    def back(self) -> "InferenceConv":
        """Return the convolution that turns derivatives by the output into those by the input (odd size, stride 1)."""
        return InferenceConv(self.kernel.dtype, self.kernel.flip(2, 3).transpose(0, 1))


class InferenceLinear(nn.Module):
    """A linear layer with constant weights, from and to float32."""

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer.

        Parameters
        ----------
        x : Tensor
            (..., inputs)

        Returns
        -------
        Tensor
            float32 (..., outputs)
        """
        return functional.linear(x.to(self.weight.dtype), self.weight, self.bias).float()


def channels_last(x: Tensor) -> Tensor:
    """Return images in the memory layout in which convolutions are fast.

    Parameters
    ----------
    x : Tensor
        (N, C, H, W)

    Returns
    -------
    Tensor
        (N, C, H, W)
    """
    return x.contiguous(memory_format=torch.channels_last)


def flattened(x: Tensor) -> Tensor:
    """Return images as matrices, without a copy.

    Parameters
    ----------
    x : Tensor
        (N, C, H, W), in the layout of :func:`channels_last`.

    Returns
    -------
    Tensor
        (N, H x W, C)
    """
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def unflattened(x: Tensor, height: int, width: int) -> Tensor:
    """Undo :func:`flattened`.

    Parameters
    ----------
    x : Tensor
        (N, H x W, C)
    height, width : int

    Returns
    -------
    Tensor
        (N, C, H, W)
    """
    return x.unflatten(1, (height, width)).permute(0, 3, 1, 2)


def through_silu(slope: Tensor, x: Tensor) -> Tensor:
    """Turn derivatives by silu(x) into those by x.

    Parameters
    ----------
    slope : Tensor
        Overwritten.
    x : Tensor
        Of the same shape.

    Returns
    -------
    Tensor
        Of the same shape.
    """
    return silu_backward(slope, x, grad_input=slope)
