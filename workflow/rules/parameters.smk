"""Frozen stage parameters."""


localrules:
    parameters,


rule parameters:
    """Freeze the parameters and the source hash of one stage: the only way by which a setting reaches a job."""
    input:
        force_outdated,
    output:
        # Not removed before the job, and put back after one that failed: it says how the existing results were made.
        update(paths.PARAMETERS),
    log:
        paths.LOG.format(stage="parameters", item="{stage}"),
    conda:
        "../../envs/core.yaml"
    params:
        # Snakemake does not compare a parameter that depends on the output with its records; see force_outdated.
        token=lambda wildcards, output: plan.tokens[wildcards.stage],
    shell:
        "{{ printf '%s\\n' {params.token:q} > {output:q}.new && mv {output:q}.new {output:q}; }} 2> {log:q}"
