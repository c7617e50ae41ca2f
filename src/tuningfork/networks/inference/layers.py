"""What the parts of a network that only answers have in common."""

import torch
from torch import Tensor, nn
from torch.nn import functional

silu_backward = torch.ops.aten.silu_backward.grad_input


class FixedConv:
    """A convolution without derivatives by its kernel, which does not change.

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

    def back(self) -> "FixedConv":
        """Return the convolution that turns slopes by the output into those by the input, of odd size and stride 1."""
        return FixedConv(self.kernel.dtype, self.kernel.flip(2, 3).transpose(0, 1))


class FixedLinear(nn.Module):
    """A linear layer from and to float32 that does not change."""

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return functional.linear(x.to(self.weight.dtype), self.weight, self.bias).float()


def channels_last(x: Tensor) -> Tensor:
    """Return images in the layout in which convolutions are fast."""
    return x.contiguous(memory_format=torch.channels_last)


def flattened(x: Tensor) -> Tensor:
    """Return a view (N, H x W, C) of (N, C, H, W) in the layout of :func:`channels_last`."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def unflattened(x: Tensor, height: int, width: int) -> Tensor:
    """Undo :func:`flattened`."""
    return x.unflatten(1, (height, width)).permute(0, 3, 1, 2)


def through_silu(slope: Tensor, x: Tensor) -> Tensor:
    """Turn slopes by silu(x), which are overwritten, into those by x."""
    return silu_backward(slope, x, grad_input=slope)
