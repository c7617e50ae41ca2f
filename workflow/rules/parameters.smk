"""Frozen stage parameters."""


localrules:
    parameters,


def force_outdated(wildcards):
    """Have Snakemake write frozen parameters anew that differ from the present ones; return no input.

    The file itself says so, because Snakemake's own records, in .snakemake, can be gone.
    """
    file = frozen(wildcards.stage)
    if file in outdated:
        workflow.dag.forcefiles.add(file)
    return []


rule parameters:
    """Freeze the parameters and the source hash of one stage: the only way by which a setting reaches a job."""
    input:
        force_outdated,
    output:
        paths.PARAMETERS,
    log:
        paths.LOG.format(stage="parameters", item="{stage}"),
    conda:
        "../../envs/core.yaml"
    params:
        # Snakemake does not compare a parameter that depends on the output with its records; see force_outdated.
        token=lambda wildcards, output: plan.tokens[wildcards.stage],
    shell:
        "printf '%s\\n' {params.token:q} > {output:q} 2> {log:q}"
