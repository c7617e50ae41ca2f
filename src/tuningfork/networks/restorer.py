"""The pretraining network: an encoder and a light decoder that restore a stamp (the idea of Fu+ 2024)."""

from torch import Tensor, nn
from torch.nn import functional

from tuningfork.networks.encoder import Encoder

DECODER_SHRINK = 4
"""The decoder works at a quarter of the resolution and writes a block of DECODER_SHRINK x DECODER_SHRINK pixels at once."""


class Restorer(nn.Module):
    """Restores an image with noise and hidden patches, as a correction of a simple guess.

    Thanks to the guess, the encoder need not copy pixels and learns their surroundings instead.

    Parameters
    ----------
    bands, width : int
        Of the encoder.
    """

    def __init__(self, bands: int, width: int) -> None:
        super().__init__()
        self.encoder = Encoder(bands, width)
        channels = self.encoder.channels
        self.lateral = nn.ModuleList(nn.Conv2d(number, channels[0], 1) for number in channels)
        self.smooth = nn.Conv2d(channels[0], channels[0], 3, padding=1)
        self.write = nn.Conv2d(channels[0], bands * DECODER_SHRINK**2, 3, padding=1)
        nn.init.normal_(self.write.weight, std=0.01)

    def forward(self, inputs: Tensor, guess: Tensor) -> Tensor:
        """Return the restored images.

        Parameters
        ----------
        inputs : Tensor
            (N, B, S, S) in arcsinh units, S a multiple of 16.
        guess : Tensor
            (N, B, S, S), a restoration that needs no network.

        Returns
        -------
        Tensor
            (N, B, S, S), arcsinh units.
        """
        maps = [layer(x) for layer, x in zip(self.lateral, self.encoder(inputs), strict=True)]
        x = maps[2]
        for finer in (maps[1], maps[0]):
            x = finer + functional.interpolate(x, size=finer.shape[-2:], mode="nearest")
        x = self.write(functional.silu(self.smooth(functional.silu(x))))
        return guess + functional.pixel_shuffle(x.float(), DECODER_SHRINK)
