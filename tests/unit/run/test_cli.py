"""The table of subcommands."""

from pathlib import Path

import pytest

from tuningfork.cli import COMMANDS, ROOT, main
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
    main(["accept", "report"])
    assert capsys.readouterr().out == "report: its results are kept\n"
    main(["accept", "report"])
    assert capsys.readouterr().out == "report: its code has not changed\n"
    with pytest.raises(SystemExit, match="'no-stage' is no stage"):
        main(["accept", "no-stage"])
