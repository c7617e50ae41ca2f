"""The threads that a training computes with.

The sums behind a gradient, and so the trained weights, depend on the number of threads. It is therefore part of the
configuration and never follows the machine, the cores that Snakemake gives to a job, or OMP_NUM_THREADS.
"""

from typing import Any

import torch


def compute_with(threads: int) -> None:
    """Let torch compute with this many threads, whatever the environment says."""
    torch.set_num_threads(threads)


def hardware(device: torch.device) -> dict[str, Any]:
    """Return what a model card says about the hardware: type of the device and threads."""
    return {"device": device.type, "threads": torch.get_num_threads()}
