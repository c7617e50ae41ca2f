"""What the rules of the workflow are, as Snakemake and their files say."""

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuningfork.core.errors import TuningforkError
from tuningfork.core.files import write_text
from tuningfork.run.command import RunOptions, snakemake_command

SMALL = """
sky: {footprint: {kind: box, ra_min: 210.1, ra_max: 210.12, dec_min: 0.1, dec_max: 0.12}}
"""
"""A small run of the stages that always have jobs."""
EVERY_STAGE = f"""{SMALL}
simulate: {{size: 200, galaxies_per_part: 100}}
train:
  morphology: {{start: pretrained, votes: {{table: votes.csv}}}}
  structure: {{start: pretrained, measurements: {{table: measured.csv}}}}
selection: {{galaxies: 5}}
"""
"""A small run in which every stage has a job."""
VOTES = (
    "ra,dec,t01_smooth_or_features_a01_smooth_count,t01_smooth_or_features_a02_features_or_disk_count,"
    "t01_smooth_or_features_a03_star_or_artifact_count\n210.11,0.11,20,15,1\n"
)
MEASURED = "ra,dec,mag\n210.11,0.11,16\n"
WITHOUT_WORK = {"parameters", "all"}


@dataclass(frozen=True)
class Rule:
    """A rule of the workflow.

    Attributes
    ----------
    name, docstring : str
    file : str
        Its file, relative to the root of the clone.
    environment : str
        Name of the conda environment of its jobs.
    inputs, outputs : tuple of str
        Paths with their wildcards, each once; frozen parameters are left out.
    after : frozenset of str
        The rules that make its inputs.
    optional : bool
        Whether it has jobs only where the configuration asks for them.
    """

    name: str
    docstring: str
    file: str
    environment: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    after: frozenset[str]
    optional: bool


def read_rules(root: Path) -> list[Rule]:
    """Return the rules of the workflow in the order in which the Snakefile includes them.

    Parameters
    ----------
    root : Path
        Root of the clone.

    Returns
    -------
    list of Rule

    Raises
    ------
    TuningforkError
        Snakemake cannot plan the workflow.
    """
    jobs = _planned_jobs(root, EVERY_STAGE)
    always = {job["rule_name"] for job in _planned_jobs(root, SMALL)}
    # A file may depend on a shard, a part or a member: all files of a kind are shown once.
    patterns = {path: _pattern(path, job) for job in jobs for path in job["output"]}
    makers = {path: job["rule_name"] for job in jobs for path in job["output"]}
    rules = []
    for name, (docstring, file, environment) in _declared(root).items():
        # Snakemake announces the jobs of a rule in an order that any edit of the code may change.
        own = sorted((job for job in jobs if job["rule_name"] == name), key=lambda job: job["output"])
        if name in WITHOUT_WORK or not own:
            continue
        inputs = [path for job in own for path in job["input"] if makers.get(path) != "parameters"]
        rules.append(
            Rule(
                name=name,
                docstring=docstring,
                file=file,
                environment=environment,
                inputs=tuple(dict.fromkeys(patterns.get(path, path) for path in inputs)),
                outputs=tuple(dict.fromkeys(patterns[path] for job in own for path in job["output"])),
                after=frozenset(makers[path] for path in inputs if path in makers),
                optional=name not in always,
            )
        )
    return rules


def _planned_jobs(root: Path, configuration: str) -> list[dict[str, Any]]:
    """Return the jobs that a dry run announces."""
    with tempfile.TemporaryDirectory(prefix="tuningfork-rules-") as name:
        folder = Path(name)
        for file, text in {"run.yaml": configuration, "votes.csv": VOTES, "measured.csv": MEASURED}.items():
            write_text(folder / file, text)
        rest = ("--dry-run", "--snakefile", str(root.resolve() / "Snakefile"))
        options = RunOptions(Path("run.yaml"), cores="2", profile=None, verbose=False, rest=rest)
        command = snakemake_command(options, root, folder / "events.jsonl")
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise TuningforkError(f"Snakemake cannot plan the workflow: {(done.stdout + done.stderr).strip()}")
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    return [event for event in events if event["event"] == "job_info"]


def _declared(root: Path) -> dict[str, tuple[str, str, str]]:
    """Return docstring, file and environment of each rule, in the order in which the Snakefile includes them."""
    declared = {}
    for file in re.findall(r'^include: "(.*)"', (root / "Snakefile").read_text(encoding="utf-8"), re.MULTILINE):
        text = (root / file).read_text(encoding="utf-8")
        for rule in re.split(r"^rule ", text, flags=re.MULTILINE)[1:]:
            docstring = re.search(r'"""(.*?)"""', rule, re.DOTALL)
            environment = re.search(r"envs/(\w+)\.yaml", rule)
            words = " ".join(docstring[1].split()) if docstring else ""
            declared[rule.split(":")[0]] = (words, file, environment[1] if environment else "")
    return declared


def _pattern(path: str, job: dict[str, Any]) -> str:
    """Return a path with the names of the wildcards in the place of their values."""
    for name, value in (job["wildcards"] or {}).items():
        path = re.sub(rf"(?<![\w.]){re.escape(str(value))}(?![\w])", f"{{{name}}}", path)
    return path
