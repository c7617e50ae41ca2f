"""From the imaging of a sky survey to catalogues of galaxy morphology."""

import sys

from snakemake.utils import min_version

from tuningfork.core.errors import TuningforkError
from tuningfork.core.stage import paths
from tuningfork.plan import plan_files, read_plan, write_plan

min_version("9.27")

# Files are read here once more: Snakemake's own reader takes 010 for 8 and 3:30 for 210, and keeps the second of two equal
# keys. A file named by --configfile is the whole configuration: what it leaves out has its default.
files = workflow.overwrite_configfiles
if not files and not workflow.config_settings.replace_workflow_config:
    files = [f"{workflow.basedir}/config/config.yaml"]


try:
    if workflow.is_main_process:
        from tuningfork.core.stage.outdated import (
            outdated_parameters,
            restore_parameters,
        )

        plan = plan_files(
            files, workflow.config_settings.config_args or (), Path(workflow.basedir)
        )
        restore_parameters(plan.tokens)
        outdated = outdated_parameters(plan.tokens)
    else:
        plan, outdated = read_plan(), set()
except (TuningforkError, OSError) as error:
    sys.exit(f"tuningfork: {error}")


onstart:
    # Not earlier: a dry run, or one that finds the folder locked, must not touch the plan of a running workflow.
    try:
        write_plan(plan)
    except TuningforkError as error:
        sys.exit(f"tuningfork: {error}")


wildcard_constraints:
    shard=r"\d+-\d+",
    part=r"\d+",
    task="morphology|structure",
    member=r"\d+",
    galaxies="morphology|volunteers",


include: "workflow/rules/common.smk"
include: "workflow/rules/parameters.smk"
include: "workflow/rules/sources.smk"
include: "workflow/rules/tiles.smk"
include: "workflow/rules/stamps.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/match_measurements.smk"
include: "workflow/rules/match_votes.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/infer.smk"
include: "workflow/rules/calibrate.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/classify.smk"
include: "workflow/rules/structure.smk"
include: "workflow/rules/bars.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/injection.smk"
include: "workflow/rules/catalogue.smk"
include: "workflow/rules/explain.smk"
include: "workflow/rules/queue_labels.smk"
include: "workflow/rules/report.smk"


rule all:
    """The catalogue, its report and the queue of sources to label."""
    default_target: True
    input:
        paths.CATALOGUE,
        paths.CATALOGUE_FILE,
        paths.ACCOUNTING,
        paths.REPORT,
        paths.QUEUE,


rule models:
    """The networks, and their test where there are both tasks, without any image of the survey."""
    input:
        all_cards,
        evaluations,


rule training_set:
    """The simulated training set alone."""
    input:
        training_set,
        training_stamps,
