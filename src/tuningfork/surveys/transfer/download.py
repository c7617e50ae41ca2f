"""One file over HTTP, continued where the last attempt, or a job that was killed, has left it."""

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
"""Largest file that is accepted."""
PROGRESS_BYTES = 2**20
"""New bytes that make an attempt a success in part."""
DISK_FULL_ERRORS = {errno.ENOSPC, errno.EDQUOT}
MIN_FREE_BYTES = 2**20
"""Free bytes below which a library's failure to write is taken for a full disk, if it does not say why it failed."""


def fetch(session: requests.Session, url: str, partial: Partial, timeout: float) -> None:
    """Make one attempt to bring what is missing of a file.

    Parameters
    ----------
    session : requests.Session
    url : str
    partial : Partial
        What has come so far, and is whole when this returns; its content has not been verified.
    timeout : float
        Longest silence of the service (s).

    Raises
    ------
    AttemptError
        It is not whole; what has come is kept for the next attempt.
    OSError
        The disk is full; nothing is kept.
    """
    origin = partial.origin(url)
    have = partial.size if origin else 0
    if origin and have == origin.length:
        return
    # Files are kept as they come: some services call a file that is packed itself an encoded one.
    headers = {"Accept-Encoding": "identity"}
    if origin and origin.validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": origin.validator}
    with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
        try:
            _receive(response, url, partial, have, origin, timeout)
        except OSError as error:
            full = full_disk(error, partial.path.parent)
            if full:
                partial.discard()
            raise full or error from None


def _receive(
    response: requests.Response, url: str, partial: Partial, have: int, origin: Origin | None, timeout: float
) -> None:
    """Write what an answer tells of the file, from its byte `have` on or from the beginning."""
    if response.status_code == 416:
        partial.discard()
        raise AttemptError("the file is no longer the one of which a part has come (HTTP 416)")
    check_status(response)
    if response.status_code == 206:
        length = _length_of_continuation(response, have, origin, partial)
    elif response.status_code == 200:
        have, length = 0, _length(response)
        partial.begin(Origin(url, _validator(response), length))
    else:
        raise AttemptError(f"HTTP {response.status_code} where a file was expected")
    _check_room(length, have, partial.path.parent)
    _write(response, partial, have, length, timeout)


def full_disk(error: OSError, folder: Path) -> OSError | None:
    """Return the error of a full disk that names `folder`, if that is what `error` is about."""
    full = error.errno in DISK_FULL_ERRORS or (error.errno is None and shutil.disk_usage(folder).free < MIN_FREE_BYTES)
    code = error.errno or errno.ENOSPC
    return OSError(code, os.strerror(code), str(folder)) if full else None


def _length(response: requests.Response) -> int | None:
    """Return the length of the file that an answer tells whole, None if it does not say."""
    promised = response.headers.get("Content-Length", "")
    return int(promised) if promised.isdigit() else None


def _length_of_continuation(
    response: requests.Response, have: int, origin: Origin | None, partial: Partial
) -> int | None:
    """Return the length of the whole file of which an answer tells the rest."""
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
    total = int(match[3]) if match and match[3] != "*" else None
    if not match or not origin or int(match[1]) != have or origin.length not in {None, total}:
        partial.discard()
        raise AttemptError("the service continued the file at another place, or continued another file")
    return total


def _validator(response: requests.Response) -> str | None:
    """Return what identifies this version of the file; a weak entity tag does not (RFC 9110, section 13.1.5)."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _check_room(length: int | None, have: int, folder: Path) -> None:
    if length is None:
        return
    if length > MAX_FILE_BYTES:
        raise AttemptError(f"{length} bytes are more than the limit of {MAX_FILE_BYTES}", final=True)
    if length - have > shutil.disk_usage(folder).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write(response: requests.Response, partial: Partial, have: int, length: int | None, timeout: float) -> None:
    began = have
    with partial.path.open("r+b") as file:
        file.seek(have)
        try:
            for piece in pieces(response, timeout):
                have += len(piece)
                if have > MAX_FILE_BYTES:
                    raise AttemptError(f"more bytes than the limit of {MAX_FILE_BYTES}", final=True)
                file.write(piece)
        except AttemptError as fault:
            fault.progress = have - began >= PROGRESS_BYTES
            raise
    if length is not None and have != length:
        raise AttemptError(f"{have} of {length} bytes came", progress=have - began >= PROGRESS_BYTES)
