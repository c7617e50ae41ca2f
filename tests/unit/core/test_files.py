"""Files appear whole or not at all, and a full disk is reported as such."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tuningfork.core.errors import InputError
from tuningfork.core.files import new_array, open_array, replacing, require_writable, write_json


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(ValueError, match="stop"), replacing(path) as temporary:
        temporary.write_text("half")
        raise ValueError("stop")
    assert path.read_text() == '{\n  "x": 1\n}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_the_final_name_never_holds_part_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with new_array(path, (4, 3), np.float32) as array:
        array[:] = 1
        assert not path.exists()
    assert np.array_equal(open_array(path), np.ones((4, 3)))


@pytest.mark.parametrize("shape", [(0, 2, 3), (5, 2)])
def test_arrays_of_any_length_come_back(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with new_array(tmp_path / "a.npy", shape, np.float32) as array:
        array[:] = np.arange(array.size).reshape(shape)
    stored = open_array(tmp_path / "a.npy")
    assert stored.shape == shape
    assert stored.dtype == np.float32
    assert np.array_equal(stored.ravel(), np.arange(np.prod(shape)))


PROGRAM = """
import argparse, sys
from tuningfork.core.errors import InputError
from tuningfork.core.errors import InputError
from tuningfork.core.files import write_text
from tuningfork.core.stage.program import run
parser = argparse.ArgumentParser()
parser.add_argument("--fault")
parser.add_argument("--output")
def work(arguments):
    if arguments.fault == "input":
        raise InputError("catalogue.csv: no column\\n  ra; found x, y; rename one")
    if arguments.fault == "bug":
        raise KeyError("oops")
    write_text(arguments.output, "x" * 1_000_000)
run(parser, work)
"""


def run_program(folder: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a stage's program and return the process and the lines of its log."""
    program = folder / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), "--log", str(folder / "job.log"), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    return done, (folder / "job.log").read_text().splitlines()


def test_a_failed_job_ends_with_its_cause_and_the_command_that_repeats_it(tmp_path: Path) -> None:
    done, log = run_program(tmp_path, "--fault", "input")
    assert done.returncode == 1
    assert "failed: catalogue.csv: no column ra; found x, y; rename one | repeat with: " in log[-1]
    assert "--fault input" in log[-1]
    assert "Traceback" not in done.stderr + "".join(log)


def test_an_unforeseen_fault_keeps_its_traceback_in_the_log_alone(tmp_path: Path) -> None:
    done, log = run_program(tmp_path, "--fault", "bug")
    assert done.returncode == 1
    assert "KeyError: 'oops' | repeat with: " in log[-1]
    assert any("Traceback" in line for line in log)
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system can only be mounted by root")
def test_a_full_disk_is_reported_and_leaves_nothing_behind(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"no small file system here: {mounted.stderr.decode()}")
    try:
        done, log = run_program(tmp_path, "--output", str(disk / "out.txt"))
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert done.returncode == 1
    assert "no disk space left" in log[-1]
    assert "Traceback" not in "".join(log)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", b"PK\x03\x04", b"cut", b"archive", None])
def test_what_is_no_array_is_refused_in_one_line_with_the_name_of_the_file(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "a.npy"
    if content == b"archive":
        np.savez(tmp_path / "a.npz", np.ones(3))
        (tmp_path / "a.npz").rename(path)
    elif content == b"cut":
        np.save(path, np.ones((100, 100)))
        path.write_bytes(path.read_bytes()[:200])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_array(path)
    assert str(caught.value).startswith(f"{path}: cannot be read (")
    assert str(caught.value).endswith("; delete it and run again")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_written_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    require_writable(tmp_path / "new" / "folder" / "a.csv")
    require_writable(tmp_path / "file")
    assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match=r"a\.csv: cannot be written, since .*file is no folder"):
        require_writable(tmp_path / "file" / "a.csv")
    with pytest.raises(InputError, match=r"cannot be written, since it is a folder"):
        require_writable(tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"a\.csv: cannot be written, since .* is read-only"):
        require_writable(tmp_path / "a.csv")
