"""The encoder: small, smooth and without aliasing, so that its derivatives can be read as maps.

Every activation is SiLU (swish), as in Bhambra+ (2022), because the derivative of ReLU is a step. Layers that halve
the image convolve the learned 3x3 kernel with a fixed binomial one before they take every second pixel (Zhang 2019);
a plain strided layer leaves a grid in the derivatives.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUT_SCALE = 0.3
"""Scales arcsinh(flux / noise), which reaches 9, to about unity."""
SILU_GAIN = 1.7
"""Keeps the variance of a signal that passes through SiLU and a standardised kernel (Brock+ 2021)."""


def standardised(weight: Tensor, gain: Tensor) -> Tensor:
    """Return kernels of zero mean and norm `gain` x SILU_GAIN.

    Weight standardisation (Qiao+ 2019) speeds up training like batch normalisation, but a stamp's features do not
    depend on the other stamps of its batch.

    Parameters
    ----------
    weight : Tensor
        (outputs, inputs, height, width)
    gain : Tensor
        (outputs, 1, 1, 1)

    Returns
    -------
    Tensor
        (outputs, inputs, height, width)
    """
    number = weight[0].numel()
    variance, mean = torch.var_mean(weight, (1, 2, 3), keepdim=True)
    return (weight - mean) * (gain * SILU_GAIN * torch.rsqrt(variance * number + 1e-6))


class SmoothDown(nn.Module):
    """A convolution that halves the image; its kernel is a learned 3x3 one convolved with a binomial one.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    blur : int
        Length of the binomial kernel: 2 (box) or 4 (1 3 3 1). It is even so that mirror images stay mirror images.
    standardise : bool
        Whether the kernel is standardised. That of the first layer is not, because it must see the brightness.
    """

    spread: Tensor

    def __init__(self, inputs: int, outputs: int, blur: int = 2, standardise: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = nn.Parameter(torch.ones(outputs, 1, 1, 1)) if standardise else None
        self.size = blur + 2
        nn.init.kaiming_normal_(self.weight)
        self.register_buffer("spread", _spread(blur), persistent=False)

    def kernel(self) -> Tensor:
        """Return the kernel of the convolution.

        Returns
        -------
        Tensor
            (outputs, inputs, size, size)
        """
        with torch.autocast(self.weight.device.type, enabled=False):
            weight = self.weight if self.gain is None else standardised(self.weight, self.gain)
            kernel = (weight.flatten(2) @ self.spread).unflatten(2, (self.size, self.size))
        return kernel.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve and halve.

        Parameters
        ----------
        x : Tensor
            (N, inputs, H, W)

        Returns
        -------
        Tensor
            (N, outputs, H / 2, W / 2)
        """
        return functional.conv2d(x, self.kernel(), self.bias, stride=2, padding=self.size // 2 - 1)


def _spread(blur: int) -> Tensor:
    """Return the matrix (9, (blur + 2)^2) that turns a 3x3 kernel into its convolution with the binomial one."""
    line = torch.tensor({2: [1.0, 1.0], 4: [1.0, 3.0, 3.0, 1.0]}[blur])
    binomial = torch.outer(line, line)[None, None] / line.sum() ** 2
    # A unit at each of the nine pixels, convolved (conv2d correlates, but the binomial is symmetric).
    units = torch.eye(9).reshape(9, 1, 3, 3)
    return functional.conv2d(units, binomial, padding=blur - 1).flatten(1)


class StandardisedConv(nn.Module):
    """A 3x3 convolution with a standardised kernel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.gain = nn.Parameter(torch.ones(channels, 1, 1, 1))
        nn.init.kaiming_normal_(self.weight)

    def kernel(self) -> Tensor:
        """Return the kernel of the convolution.

        Returns
        -------
        Tensor
            (channels, channels, 3, 3)
        """
        with torch.autocast(self.weight.device.type, enabled=False):
            return standardised(self.weight, self.gain).contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve.

        Parameters
        ----------
        x : Tensor
            (N, channels, H, W)

        Returns
        -------
        Tensor
            Of the same shape.
        """
        return functional.conv2d(x, self.kernel(), self.bias, padding=1)


class Residual(nn.Module):
    """x + gain * conv(silu(conv(silu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = StandardisedConv(channels)
        self.second = StandardisedConv(channels)
        self.gain = nn.Parameter(torch.tensor(0.2))

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual.

        Parameters
        ----------
        x : Tensor
            (N, channels, H, W)

        Returns
        -------
        Tensor
            Of the same shape.
        """
        return x + self.gain * self.second(functional.silu(self.first(functional.silu(x))))


class Encoder(nn.Module):
    """Feature maps of an image at a quarter, an eighth and a sixteenth of its resolution.

    Parameters
    ----------
    bands : int
    width : int
        Channels of the first layer; the three maps have 2, 4 and 8 times as many. Multiples of 16 are fast.
    """

    def __init__(self, bands: int, width: int) -> None:
        super().__init__()
        self.bands, self.width, self.input_scale = bands, width, INPUT_SCALE
        self.stem = SmoothDown(bands, width, blur=4, standardise=False)
        self.quarter = nn.Sequential(SmoothDown(width, 2 * width), Residual(2 * width))
        self.eighth = nn.Sequential(SmoothDown(2 * width, 4 * width), Residual(4 * width))
        self.sixteenth = nn.Sequential(SmoothDown(4 * width, 8 * width), Residual(8 * width))

    @property
    def channels(self) -> tuple[int, int, int]:
        """Channels of the three maps."""
        return 2 * self.width, 4 * self.width, 8 * self.width

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the features.

        Parameters
        ----------
        inputs : Tensor
            (N, B, S, S), from :func:`tuningfork.networks.inputs.prepare`.

        Returns
        -------
        tuple of Tensor
            Activated features (N, C, S / 4, S / 4), (N, 2 C, S / 8, S / 8) and (N, 4 C, S / 16, S / 16).
        """
        x = inputs if self.input_scale == 1 else self.input_scale * inputs
        x = x.contiguous(memory_format=torch.channels_last)
        quarter = functional.silu(self.quarter(functional.silu(self.stem(x))))
        eighth = functional.silu(self.eighth(quarter))
        return quarter, eighth, functional.silu(self.sixteenth(eighth))
