"""The sources of a shard."""


rule sources:
    """List the galaxies of one shard: from the survey's catalogue, or from the user's own table or images.

    Any number of these jobs may run at once: they share the limits of each host in the section transfer.
    """
    input:
        parameters=frozen("sources"),
    output:
        paths.SOURCES,
    log:
        log_of("sources"),
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
    params:
        plan=paths.PLAN,
    shell:
        "python $scripts/sources.py --parameters {input.parameters} --shard {wildcards.shard} --plan {params.plan}"
        " --output {output} --log {log}"
