"""Download of one file over HTTP, continued where the last attempt, or a job that was killed, left it."""

import errno
import os
import re
import shutil
from pathlib import Path

import requests

from tuningfork.surveys.transfer.attempts import AttemptError, check_status
from tuningfork.surveys.transfer.body import pieces
from tuningfork.surveys.transfer.partial import Origin, Partial

MAX_FILE_BYTES = 8 * 2**30
"""Size of the largest file that is accepted."""
PROGRESS_BYTES = 2**20
"""New bytes after which a failed attempt counts as progress."""
DISK_FULL_ERRORS = {errno.ENOSPC, errno.EDQUOT}
"""Error numbers of a full disk or an exhausted quota."""
MIN_FREE_BYTES = 2**20
"""Free space below which a library's failure to write is taken for a full disk, if it does not say why it failed."""


def fetch(session: requests.Session, url: str, partial: Partial, timeout: float) -> None:
    """Make one attempt to download the missing part of a file.

    Parameters
    ----------
    session : requests.Session
    url : str
    partial : Partial
        The part that has been received so far. It is complete when this function returns; its content is not verified.
    timeout : float
        Longest silence of the service (s).

    Raises
    ------
    AttemptError
        If the file is not complete; what has been received is kept for the next attempt.
    OSError
        If the disk is full; nothing is kept.
    """
    origin = partial.origin(url)
    received = partial.size if origin else 0
    if origin and received == origin.length:
        return
    # Content is stored as it arrives: some services declare a compressed file as an encoded response.
    headers = {"Accept-Encoding": "identity"}
    if origin and origin.validator:
        headers |= {"Range": f"bytes={received}-", "If-Range": origin.validator}
    with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
        try:
            _receive(response, url, partial, received, origin, timeout)
        except OSError as error:
            full = full_disk(error, partial.path.parent)
            if full:
                partial.discard()
            raise full or error from None


def _receive(
    response: requests.Response, url: str, partial: Partial, received: int, origin: Origin | None, timeout: float
) -> None:
    """Write the content of a response to the file, from byte `received` on or from the beginning."""
    if response.status_code == 416:
        partial.discard()
        raise AttemptError("the file has changed since part of it was received (HTTP 416)")
    check_status(response)
    if response.status_code == 206:
        length = _length_of_continuation(response, received, origin, partial)
    elif response.status_code == 200:
        received, length = 0, _length(response)
        partial.begin(Origin(url, _validator(response), length))
    else:
        raise AttemptError(f"HTTP {response.status_code} where a file was expected")
    _check_room(length, received, partial.path.parent)
    _write(response, partial, received, length, timeout)


def full_disk(error: OSError, folder: Path) -> OSError | None:
    """Return the error of a full disk that names `folder`, or None if `error` has another cause."""
    full = error.errno in DISK_FULL_ERRORS or (error.errno is None and shutil.disk_usage(folder).free < MIN_FREE_BYTES)
    code = error.errno or errno.ENOSPC
    return OSError(code, os.strerror(code), str(folder)) if full else None


def _length(response: requests.Response) -> int | None:
    """Return the length of a file that a response contains as a whole, or None if it is not stated."""
    promised = response.headers.get("Content-Length", "")
    return int(promised) if promised.isdigit() else None


def _length_of_continuation(
    response: requests.Response, received: int, origin: Origin | None, partial: Partial
) -> int | None:
    """Return the length of the whole file of which a response contains the rest."""
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
    total = int(match[3]) if match and match[3] != "*" else None
    if not match or not origin or int(match[1]) != received or origin.length not in {None, total}:
        partial.discard()
        raise AttemptError("the service continued the file at the wrong position, or continued another file")
    return total


def _validator(response: requests.Response) -> str | None:
    """Return what identifies this version of the file; a weak entity tag does not (RFC 9110, section 13.1.5)."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _check_room(length: int | None, received: int, folder: Path) -> None:
    if length is None:
        return
    if length > MAX_FILE_BYTES:
        raise AttemptError(f"the file has {length} bytes; the limit is {MAX_FILE_BYTES}", final=True)
    if length - received > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write(response: requests.Response, partial: Partial, received: int, length: int | None, timeout: float) -> None:
    received_before = received
    with partial.path.open("r+b") as file:
        file.seek(received)
        try:
            for piece in pieces(response, timeout):
                received += len(piece)
                if received > MAX_FILE_BYTES:
                    raise AttemptError(f"the file has more bytes than the limit of {MAX_FILE_BYTES}", final=True)
                file.write(piece)
        except AttemptError as fault:
            fault.progress = received - received_before >= PROGRESS_BYTES
            raise
    if length is not None and received != length:
        progress = received - received_before >= PROGRESS_BYTES
        raise AttemptError(f"{received} of {length} bytes were received", progress=progress)
