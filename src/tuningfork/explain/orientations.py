"""An image in several orientations of the square, in the layout in which networks are shown it.

What a network is shown are cells: blocks of pixels that have become channels in the order of torch's pixel_unshuffle,
channels last. From image to cells, and from one orientation to another, numbers only change places; where each comes
from is found once.
"""

from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from tuningfork.networks.inputs import dihedral


class Orientations:
    """Where the pixels of an image are in its cells.

    Parameters
    ----------
    shape : tuple of int
        (B, S, S) of the image.
    cell : int
        Width of a cell (px); a divisor of S.
    rotations : int
        Orientations, from 1 to 8, as :func:`~tuningfork.networks.inputs.dihedral` counts them.
    device : torch.device
    """

    def __init__(self, shape: tuple[int, ...], cell: int, rotations: int, device: torch.device) -> None:
        bands, size, _ = shape
        self.shape, self.cells = shape, (size // cell, size // cell, bands * cell**2)
        places = torch.arange(bands * size * size, dtype=torch.float64).reshape(shape)
        turned = torch.stack([dihedral(places, turn) for turn in range(rotations)])
        sources = functional.pixel_unshuffle(turned, cell).permute(0, 2, 3, 1).flatten(1).long()
        self.sources, self.places = sources.int().to(device), sources.argsort(1).int().to(device)
        # A pair is shown in two successive orientations.
        firsts = range(0, 2 * rotations, 2)
        self.steps = [self.places[first % rotations][self.sources[(first + 1) % rotations].long()] for first in firsts]
        ends = [0, *(k for k, (a, b) in enumerate(pairwise(self.steps), 1) if not torch.equal(a, b)), rotations]
        self.runs = list(pairwise(ends))

    def turned(self, image: Tensor) -> Tensor:
        """Return the cells (rotations, S / cell, S / cell, B x cell^2) of an image (B, S, S) in every orientation."""
        return _taken(image.flatten()[None], self.sources.flatten()).reshape(-1, *self.cells)

    def turned_back(self, cells: Tensor) -> Tensor:
        """Return the sum (M, B, S, S) of cells (M, rotations, ...) over the orientations, each turned back."""
        parts = zip(cells.unbind(1), self.places, strict=True)
        total = torch.stack([_taken(part.flatten(1), place) for part, place in parts]).sum(0)
        return total.unflatten(1, self.shape)

    def partners(self, cells: Tensor) -> Tensor:
        """Turn cells (K, numbers), each of the first copy of a pair, into the orientation of the second."""
        number = len(self.steps)
        found = torch.empty_like(cells)
        for start in range(0, len(cells), number):
            for first, last in self.runs:
                part = slice(start + first, min(start + last, len(cells)))
                if part.start < len(cells):
                    torch.index_select(cells[part], 1, self.steps[first], out=found[part])
        return found


def _taken(rows: Tensor, order: Tensor) -> Tensor:
    """Return numbers of each row; several times faster than by indexing."""
    return rows.index_select(1, order)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def orientations(shape: tuple[int, ...], cell: int, rotations: int, device: torch.device) -> Orientations:
    """Return the orientations of images of a shape, made once."""
    return Orientations(shape, cell, rotations, device)
