"""The table of subcommands."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tuningfork import cli
from tuningfork.cli import COMMANDS, ROOT, main
from tuningfork.core.errors import InputError
from tuningfork.core.stage.parameters import canonical, read_frozen
from tuningfork.plan import plan_run


def test_every_subcommand_is_listed_with_its_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for command in COMMANDS:
        assert f"{command.name} {command.help}" in shown


def test_an_unknown_option_is_refused_by_all_but_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["flags", "33", "--forcerun", "bars"])
    assert end.value.code == 2
    assert "unrecognized arguments: --forcerun bars" in capsys.readouterr().err


def test_accept_keeps_the_results_of_older_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    token = plan_run({}, ROOT).tokens["report"]
    path = tmp_path / "results" / "params" / "report.json"
    path.parent.mkdir(parents=True)
    path.write_text(token)
    path.write_text(canonical(read_frozen(path) | {"source": "0" * 64}))
    (tmp_path / "results" / "report.html").write_text("a report")
    main(["accept", "report"])
    assert capsys.readouterr().out == "report: its results are kept\n"
    main(["accept", "report"])
    assert capsys.readouterr().out == "report: its code has not changed\n"
    with pytest.raises(SystemExit, match="'no-stage' is no stage"):
        main(["accept", "no-stage"])


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.json"), "no disk space left for a.json; free some"),
        (OSError(errno.EROFS, "Read-only file system", "a.json"), "a.json cannot be written (Read-only file system)"),
        (OSError(errno.EIO, "Input/output error", "a.json"), "OSError: [Errno 5] Input/output error: 'a.json'"),
        (InputError("a.json:\n bad;\n delete it"), "a.json: bad; delete it"),
    ],
)
def test_faults_of_files_end_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, text: str
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "write_text", fails)
    with pytest.raises(SystemExit) as end:
        main(["columns", "--write", str(tmp_path)])
    assert str(end.value.code).startswith(f"tuningfork: {text}")
    assert "\n" not in str(end.value.code)


def test_a_reader_that_goes_away_is_no_fault() -> None:
    code = f"{sys.executable} -m tuningfork.cli columns; echo $? >&2"
    done = subprocess.run(["bash", "-c", f"{{ {code}; }} | true"], capture_output=True, text=True, timeout=60)
    assert done.stderr in (f"{128 + signal.SIGPIPE}\n", "0\n")


def test_unknown_bits_of_flags_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    main(["flags", str((1 << 60) + 32)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"unknown bits: {1 << 60}; this version has no flag for them"
    assert lines[1].startswith("PADDED: ")
    main(["flags", str(1 << 60)])
    assert "no flag is set" not in capsys.readouterr().out
    main(["flags", "0"])
    assert capsys.readouterr().out == "no flag is set\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--bandwidth", "nan"], "--bandwidth nan: expected MB/s above zero"),
        (["--bandwidth", "inf"], "--bandwidth inf: expected MB/s above zero"),
        (["--bandwidth", "0"], "--bandwidth 0: expected MB/s above zero"),
        (["--cores", "0"], "--cores 0: expected one or more"),
    ],
)
def test_a_plan_says_which_number_is_wrong(options: list[str], text: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["plan", *options])
    assert end.value.code == f"tuningfork: {text}"


@pytest.mark.parametrize("option", ["--out", "--gallery"])
def test_pictures_are_not_measured_if_the_result_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str
) -> None:
    monkeypatch.setattr("tuningfork.pictures.measure.measure_files", lambda *_: pytest.fail("it was measured"))
    (tmp_path / "file").touch()
    bad = {"--out": "a.csv", "--gallery": "a.png"} | {option: f"file/a.{'csv' if option == '--out' else 'png'}"}
    with pytest.raises(SystemExit) as end:
        main(
            [
                "measure-folder",
                str(tmp_path),
                *(part for key, name in bad.items() for part in (key, str(tmp_path / name))),
            ]
        )
    assert f"{tmp_path}/file/a" in str(end.value.code)
    assert str(end.value.code).endswith("choose another name")
