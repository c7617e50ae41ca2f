"""What the rules share: where the programs are, and which files a stage takes."""

from pathlib import Path

from snakemake.settings.types import DeploymentMethod


def _prefix():
    """Let jobs find the package, the programs and, without conda, the Python that runs Snakemake."""
    lines = [
        "set -euo pipefail",
        f"scripts={workflow.basedir}/scripts",
        f"export PYTHONPATH={workflow.basedir}/src",
    ]
    if DeploymentMethod.CONDA not in workflow.deployment_settings.deployment_method:
        lines.append(f"export PATH={Path(sys.executable).parent}:$PATH")
    return "; ".join(lines) + "; "


shell.prefix(_prefix())


def frozen(stage):
    """Return the frozen parameters of a stage."""
    return paths.PARAMETERS.format(stage=stage)


def force_outdated(wildcards):
    """Have Snakemake write frozen parameters anew that differ from the present ones; return no input.

    The file itself says so, or the results if it is missing: Snakemake's own records, in .snakemake, can be gone, and it
    makes no missing file whose results are there.
    """
    file = frozen(wildcards.stage)
    if file in outdated:
        workflow.dag.forcefiles.add(file)
    return []


def log_of(stage, item="{shard}"):
    """Return the log of a job."""
    return paths.LOG.format(stage=stage, item=item)


def benchmark_of(stage, item="{shard}"):
    """Return the file with the time and the memory that a job took."""
    return paths.BENCHMARK.format(stage=stage, item=item)


def per_shard(path, shards=None):
    """Return an input function: the file of every shard, or of some."""
    return lambda wildcards: [
        path.format(shard=shard)
        for shard in (plan.shards if shards is None else shards)
    ]


def training_set(wildcards):
    """Return the tables of all parts of the training set."""
    return [paths.TRAINING_TABLE.format(part=part) for part in plan.parts]


def training_stamps(wildcards):
    """Return the stamps of all parts of the training set."""
    return [paths.TRAINING.format(part=part) for part in plan.parts]


def cards(task):
    """Return an input function: the model cards of a task's ensemble, of which there must be one."""

    def find(wildcards):
        if not plan.members[task]:
            sys.exit(
                f"tuningfork: train.{task}.members is 0, which serves the targets models and training_set alone; a catalogue"
                " needs at least one network"
            )
        return _cards(task)

    return find


def _cards(task):
    return [
        paths.MODEL_CARD.format(task=task, member=member)
        for member in plan.members[task]
    ]


def all_cards(wildcards):
    """Return the model cards of every ensemble."""
    return [card for task in plan.members for card in _cards(task)]


def evaluations(wildcards):
    """Return the tests of the networks: that of the profiles, and of all if every task has a network."""
    return [
        paths.STRUCTURE_EVALUATION,
        *([paths.EVALUATION] if all(plan.members.values()) else []),
    ]


def held_out(path):
    """Return a file about the simulated galaxies that the morphology networks did not learn from."""
    return path.format(galaxies="morphology")


def held_out_set(wildcards):
    """Return the tables of the parts whose held-out galaxies the morphology networks are asked about."""
    simulated = wildcards.galaxies == "morphology"
    return training_set(wildcards) if simulated else [paths.VOLUNTEER_VOTES_TABLE]


def held_out_stamps(wildcards):
    """Return the stamps of these parts."""
    simulated = wildcards.galaxies == "morphology"
    return training_stamps(wildcards) if simulated else [paths.VOLUNTEER_VOTES]


def voted(path):
    """Return a file that exists only if volunteers have voted on galaxies of the survey."""
    return [path] if plan.voted else []


def encoder(wildcards):
    """Return the card of the pretrained encoder, if the task starts from it."""
    return [paths.ENCODER_CARD] if wildcards.task in plan.from_encoder else []


def encoder_weights(wildcards):
    """Return the weights of the pretrained encoder, likewise."""
    return [paths.ENCODER] if encoder(wildcards) else []


def expert_labels(wildcards):
    """Return table and stamps of the labels of astronomers, if there are any and the task learns from them.

    Their times do not count: labels can be saved while a network learns, or copied with an old time. The frozen
    parameters have a hash of the table, which has the checksums of the stamps.
    """
    if not plan.labels or wildcards.task != "morphology":
        return []
    return [ancient(paths.VOTES), ancient(paths.VOTES_STAMPS)]


def volunteer_votes(wildcards):
    """Return table and stamps of the volunteer votes, if there are any and the task learns from them."""
    learns = plan.voted and wildcards.task == "morphology"
    return [paths.VOLUNTEER_VOTES_TABLE, paths.VOLUNTEER_VOTES] if learns else []


def measurements(wildcards):
    """Return table and stamps of the measured galaxies, if there are any and the task learns from them."""
    learns = plan.measured and wildcards.task == "structure"
    return [paths.MEASUREMENTS_TABLE, paths.MEASUREMENTS] if learns else []


def optional(option, files):
    """Return an option of a program with its files, or nothing without files."""
    files = [files] if isinstance(files, str) else list(files)
    return " ".join([option, *files]) if files else ""


def selection_function(wildcards):
    """Return the selection function, if galaxies are put into any shard."""
    return [paths.SELECTION_FUNCTION] if plan.injected else []


def memory(megabytes):
    """Return a resource function: more memory after each failed attempt."""
    return lambda wildcards, attempt: megabytes * attempt
