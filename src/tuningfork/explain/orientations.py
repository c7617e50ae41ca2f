"""An image in several orientations, in the layout in which networks are shown it.

Networks are shown cells: blocks of pixels that have become channels in the order of torch's pixel_unshuffle, channels
last. From image to cells, and from one orientation to another, values are only permuted; the permutations are computed
once.
"""

from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from tuningfork.networks.inputs import dihedral


class Orientations:
    """The permutations between an image and its cells in several orientations.

    Parameters
    ----------
    shape : tuple of int
        (B, S, S) of the image.
    cell : int
        Width of a cell (px); a divisor of S.
    rotations : int
        Number of orientations, from 1 to 8, as :func:`~tuningfork.networks.inputs.dihedral` counts them.
    device : torch.device
    """

    def __init__(self, shape: tuple[int, ...], cell: int, rotations: int, device: torch.device) -> None:
        bands, size, _ = shape
        self.shape, self.cells = shape, (size // cell, size // cell, bands * cell**2)
        places = torch.arange(bands * size * size, dtype=torch.float64).reshape(shape)
        turned = torch.stack([dihedral(places, turn) for turn in range(rotations)])
        sources = functional.pixel_unshuffle(turned, cell).permute(0, 2, 3, 1).flatten(1).long()
        self.sources, self.places = sources.int().to(device), sources.argsort(1).int().to(device)
        # The two copies of a pair are shown in successive orientations.
        firsts = range(0, 2 * rotations, 2)
        self.steps = [self.places[first % rotations][self.sources[(first + 1) % rotations].long()] for first in firsts]
        ends = [0, *(k for k, (a, b) in enumerate(pairwise(self.steps), 1) if not torch.equal(a, b)), rotations]
        self.runs = list(pairwise(ends))

    def turned(self, image: Tensor) -> Tensor:
        """Return the cells of an image in every orientation.

        Parameters
        ----------
        image : Tensor
            (B, S, S)

        Returns
        -------
        Tensor
            (rotations, S / cell, S / cell, B x cell^2)
        """
        return _taken(image.flatten()[None], self.sources.flatten()).reshape(-1, *self.cells)

    def turned_back(self, cells: Tensor) -> Tensor:
        """Turn cells back and sum over the orientations.

        Parameters
        ----------
        cells : Tensor
            (M, rotations, S / cell, S / cell, B x cell^2)

        Returns
        -------
        Tensor
            (M, B, S, S)
        """
        parts = zip(cells.unbind(1), self.places, strict=True)
        total = torch.stack([_taken(part.flatten(1), place) for part, place in parts]).sum(0)
        return total.unflatten(1, self.shape)

    def partners(self, cells: Tensor) -> Tensor:
        """Turn cells from the orientation of the first copy of a pair into that of the second.

        Parameters
        ----------
        cells : Tensor
            (K, values), of the first copy of each pair.

        Returns
        -------
        Tensor
            (K, values)
        """
        number = len(self.steps)
        turned = torch.empty_like(cells)
        for start in range(0, len(cells), number):
            for first, last in self.runs:
                part = slice(start + first, min(start + last, len(cells)))
                if part.start < len(cells):
                    torch.index_select(cells[part], 1, self.steps[first], out=turned[part])
        return turned


def _taken(rows: Tensor, order: Tensor) -> Tensor:
    """Return values of each row in another order; several times faster than by indexing."""
    return rows.index_select(1, order)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def orientations(shape: tuple[int, ...], cell: int, rotations: int, device: torch.device) -> Orientations:
    """Return the orientations of images of a shape, computed once.

    Parameters
    ----------
    shape : tuple of int
    cell, rotations : int
    device : torch.device
        See :class:`Orientations`.

    Returns
    -------
    Orientations
    """
    return Orientations(shape, cell, rotations, device)
