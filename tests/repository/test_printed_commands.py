"""The commands of README, CONTRIBUTING and docs, executed as printed in a copy of the repository.

Long ones are executed as far as they are quick, with Snakemake's or make's dry run; what remains is in `NOT_RUN`.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from helpers.labelling import labelled_run
from helpers.printed_commands import pages, printed_commands
from helpers.worked_examples import copy_repository
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PAGES = [str(page.relative_to(ROOT)) for page in pages(ROOT) if printed_commands(page)]
ACTIVATE = "source .venv/bin/activate"
NOT_RUN = {
    r"git clone|cd tuningfork": "the copy of the repository stands for the clone",
    r"ssh ": "needs another machine",
    r"\S*python3? -m (venv|pip)|(\S*/)?pip install": "installs the environment, which `make` does before the tests",
    r"tuningfork accept STAGE": "STAGE stands for a stage with results of an older version; tests/unit/core does it",
    r"tuningfork picture-votes": "needs pictures that people have voted on; tests/unit/pictures does it",
    r"pytest tests/dag": "takes minutes, and `make test` runs it",
}
"""Command -> why it is not executed."""
SHORTENED = {
    r"make run CONFIG=(\S+)": r"make --dry-run run CONFIG=\1 > make.log && .venv/bin/tuningfork check \1",
    r"make (\w+)": r"make --dry-run \1 > make.log",
    r"(snakemake|tuningfork run)\b(?!.*--dry-run)([^#\n]*)": r"\1\2 --dry-run ",
    # With the shipped network and few galaxies.
    r"tuningfork calibrate-pictures( --models \S+)? (.*)": r"tuningfork calibrate-pictures --galaxies 10 \2",
    # It serves until it is interrupted.
    r"tuningfork label": "timeout 20 tuningfork label || [ $? = 124 ]",
}
"""Command -> what is executed for a long one."""
SMALL = {"sky": {"footprint": {"kind": "box", "ra_min": 210.1, "ra_max": 210.12, "dec_min": 0.1, "dec_max": 0.12}}}


def executed(command: str) -> str | None:
    """Return what is executed for a printed command."""
    if any(re.match(pattern, command) for pattern in NOT_RUN):
        return None
    for pattern, shorter in SHORTENED.items():
        if re.match(pattern, command):
            return re.sub(pattern, shorter, command, count=1)
    return command


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with an environment, a configuration, pictures, and the results of a run."""
    folder = copy_repository(ROOT, tmp_path_factory.mktemp("fresh") / "clone")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "mine.yaml").write_text(yaml.safe_dump(SMALL))
    (folder / "IMAGES").mkdir()
    Image.radial_gradient("L").resize((96, 96)).point(lambda value: 255 - value).save(folder / "IMAGES" / "galaxy.png")
    (folder / "results").mkdir()
    labelled_run(folder / "results")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work_as_printed(clone: Path, page: str) -> None:
    printed = printed_commands(ROOT / page)
    commands = [command for command in map(executed, printed) if command]
    if ACTIVATE not in printed:
        commands.insert(0, ACTIVATE)
    script = "set -euo pipefail\n" + "\n".join(f"echo '+ {k}' >&2\n{command}" for k, command in enumerate(commands))
    # The environment is that of the tests: nothing may be installed into it.
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(clone), "PYTHONPATH": str(clone / "src"), "PIP_DRY_RUN": "1"}
    environment |= {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ}
    done = subprocess.run(
        ["bash", "-c", script], cwd=clone, env=environment, capture_output=True, text=True, timeout=900
    )
    last = re.findall(r"^\+ (\d+)$", done.stderr, re.MULTILINE)
    assert done.returncode == 0, (
        f"{commands[int(last[-1])] if last else script}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    )


def test_every_exception_is_still_printed_somewhere() -> None:
    printed = [command for page in PAGES for command in printed_commands(ROOT / page)]
    for pattern in (*NOT_RUN, *SHORTENED):
        assert any(re.match(pattern, command) for command in printed), f"no page prints {pattern} any more"
