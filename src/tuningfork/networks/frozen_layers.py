"""What the parts of a network that only answers have in common."""

import torch
from torch import Tensor, nn
from torch.nn import functional

silu_backward = torch.ops.aten.silu_backward.grad_input


class Fixed(nn.Module):
    """Tensors that do not change, by name."""

    def __init__(self, dtype: torch.dtype, **tensors: Tensor) -> None:
        super().__init__()
        self.training = False
        for name, tensor in tensors.items():
            tensor = tensor.detach().to(dtype)
            self.register_buffer(name, channels_last(tensor) if tensor.ndim == 4 else tensor, persistent=False)

    def tensors(self) -> list[Tensor]:
        """Return the tensors in the order in which they were given."""
        return list(self.buffers(recurse=False))


class FixedLinear(Fixed):
    """A linear layer from and to float32."""

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__(dtype, weight=layer.weight, bias=layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs)."""
        return functional.linear(x.to(self.weight.dtype), self.weight, self.bias).float()


def channels_last(x: Tensor) -> Tensor:
    """Return images in the layout in which convolutions are fast."""
    return x.contiguous(memory_format=torch.channels_last)


def mirrored(kernel: Tensor) -> Tensor:
    """Return the kernel whose convolution is the derivative of that with `kernel`, of odd size and without stride."""
    return kernel.flip(2, 3).transpose(0, 1)


def flattened(x: Tensor) -> Tensor:
    """Return a view (N, H x W, C) of (N, C, H, W) in the layout of :func:`channels_last`."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def unflattened(x: Tensor, height: int, width: int) -> Tensor:
    """Undo :func:`flattened`."""
    return x.unflatten(1, (height, width)).permute(0, 3, 1, 2)


def through_silu(slope: Tensor, x: Tensor) -> Tensor:
    """Turn slopes by silu(x), which are overwritten, into those by x."""
    return silu_backward(slope, x, grad_input=slope)


def halved_back(slope: Tensor, kernel: Tensor, height: int, width: int) -> Tensor:
    """Return slopes by the input (N, C, height, width) of a convolution of stride 2 with a kernel of size 4."""
    odd = height % 2, width % 2
    return functional.conv_transpose2d(slope, kernel, stride=2, padding=1, output_padding=odd)
