"""Frozen stage parameters."""


localrules:
    parameters,


rule parameters:
    """Freeze the parameters and the source hash of one stage: the only way by which a setting reaches a job."""
    output:
        paths.PARAMETERS,
    log:
        paths.LOG.format(stage="parameters", item="{stage}"),
    conda:
        "../../envs/core.yaml"
    params:
        # Snakemake compares no parameter that depends on the output: the Snakefile compares the file itself.
        token=lambda wildcards, output: plan.tokens[wildcards.stage],
    shell:
        "printf '%s\\n' {params.token:q} > {output:q} 2> {log:q}"
