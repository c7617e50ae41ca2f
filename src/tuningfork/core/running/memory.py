"""How the C library deals with memory that is freed."""

import ctypes
from functools import cache

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
"""Names of the settings in glibc's malloc.h."""
LARGEST = 32 * 2**20
"""The most that glibc takes for MMAP_THRESHOLD on 64 bits (bytes)."""
KEPT = 2**30
"""Free memory that the process keeps (bytes)."""


@cache
def keep_freed_memory() -> None:
    """Have the process keep memory that it frees, for the next use; without glibc, do nothing.

    The layers of a network on a CPU allocate and free the same few megabytes over and over. By default glibc returns
    them to the system each time, which then hands them out again page by page; a fifth of the time goes into that.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for name, value in ((MMAP_THRESHOLD, LARGEST), (TRIM_THRESHOLD, KEPT), (TOP_PAD, 2 * LARGEST)):
            mallopt(name, value)
