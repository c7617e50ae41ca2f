"""A copy of the workflow whose programs only create their outputs, so that its plan can be tested in seconds.

The rules, the plan, the frozen parameters and Snakemake are the real ones; the programs keep their imports, from
which their source hash follows.
"""

import ast
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

STUB = """
import sys
from pathlib import Path

if Path("fail-" + Path(sys.argv[0]).stem).exists():
    sys.exit(1)
# Inputs exist, and Snakemake has removed old outputs: what is missing is to be made.
for path in map(Path, sys.argv[1:]):
    if path.parts[:1] == ("results",) and path.suffix != ".log" and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(sys.argv)) if path.suffix else path.mkdir()
sys.exit()
"""
TINY = {
    "sky": {"footprint": {"kind": "box", "ra_min": 210.1, "ra_max": 210.12, "dec_min": 0.1, "dec_max": 0.12}},
    "simulate": {"size": 200, "galaxies_per_part": 100},
    "train": {"morphology": {"start": "pretrained"}},
    "selection": {"galaxies": 5},
}


@dataclass
class StubWorkflow:
    """A copy of the repository in `root`, run in `directory`."""

    root: Path
    directory: Path

    @classmethod
    def make(cls, repository: Path, folder: Path) -> "StubWorkflow":
        """Copy what a run needs and replace the programs' work by the creation of their outputs."""
        root, directory = folder / "clone", folder / "run"
        directory.mkdir(parents=True)
        for name in ("workflow", "profiles", "config", "src", "scripts", "envs"):
            shutil.copytree(repository / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(repository / "Snakefile", root)
        (root / "scripts" / "_stub.py").write_text(STUB)
        for script in (root / "scripts").glob("[a-z]*.py"):
            lines = script.read_text().splitlines()
            docstring_end = ast.parse(script.read_text()).body[0].end_lineno or 0
            script.write_text("\n".join([*lines[:docstring_end], "import _stub", *lines[docstring_end:]]) + "\n")
        workflow = cls(root, directory)
        workflow.configure({})
        return workflow

    def configure(self, changes: dict[str, Any]) -> None:
        """Write the configuration: the tiny one with `changes`, a mapping of dotted keys to values."""
        self.write_configuration(nested(TINY, changes))

    def write_configuration(self, values: dict[str, Any]) -> None:
        (self.directory / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))

    def snakemake(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake, which finds the triggers in profiles/default; a file `fail-NAME` makes a program fail."""
        command = [
            sys.executable, "-m", "snakemake", "--snakefile", str(self.root / "Snakefile"), "--configfile", "config.yaml",
            "--notemp", "--cores", "2", *options,
        ]  # fmt: skip
        return self.call(command)

    def tuningfork(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command `tuningfork` of the copy."""
        return self.call([sys.executable, "-c", "from tuningfork.cli import main; main()", *arguments])

    def call(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder of the run, with the package of the copy."""
        environment = {"PYTHONPATH": str(self.root / "src"), "PATH": "/usr/bin:/bin", "HOME": str(self.directory)}
        return subprocess.run(command, cwd=self.directory, env=environment, capture_output=True, text=True, timeout=300)

    def run(self) -> None:
        """Run all jobs."""
        done = self.snakemake()
        assert done.returncode == 0, done.stderr[-3000:]

    def jobs_to_run(self, *options: str) -> dict[str, int]:
        """Return how many jobs of each rule a dry run announces.

        Left out are `all`, and `publish`, which moves what `catalogue` has built: it runs if and only if that does.
        """
        plan = self.snakemake("--dry-run", *options)
        assert plan.returncode == 0, plan.stderr[-3000:] + plan.stdout[-3000:]
        table = re.search(r"Job stats:\n.*?\n[- ]+\n(.*?)\ntotal", plan.stdout + plan.stderr, re.DOTALL)
        rows = [line.split() for line in table[1].splitlines()] if table else []
        jobs = {rule: int(number) for rule, number in rows}
        assert jobs.pop("publish", 0) == jobs.get("catalogue", 0)
        return {rule: number for rule, number in jobs.items() if rule != "all"}


def nested(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with dotted keys changed."""
    result = yaml.safe_load(yaml.safe_dump(base))
    for key, value in changes.items():
        branch = result
        *above, last = key.split(".")
        for part in above:
            branch = branch.setdefault(part, {})
        branch[last] = value
    return result
