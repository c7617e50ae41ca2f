"""What beside parameters and code decides about the numbers: packages and processor."""

import os
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

RECORDED_PACKAGES = ("tuningfork", "torch", "galsim", "numpy", "scipy", "astropy", "pyarrow", "snakemake")


@cache
def versions() -> dict[str, str]:
    """Return the versions of the packages that decide about the numbers, as far as they are there."""
    installed: dict[str, str] = {}
    for package in RECORDED_PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed


def processor() -> dict[str, Any]:
    """Return what a job computes on: `device`, cpu or the name of the GPU, and the number of its `threads`.

    Sums of floating-point numbers depend on both, so what a network learned does too.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return {"device": "cpu", "threads": int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {"device": device, "threads": int(torch.get_num_threads())}
