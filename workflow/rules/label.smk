"""What to label."""


rule label:
    """Queue the sources from whose labels the networks would learn most."""
    input:
        parameters=frozen("label"),
        morphology=per_shard(paths.MORPHOLOGY, plan.sample),
        stamps=per_shard(paths.STAMPS_TABLE, plan.sample),
        catalogue=paths.CATALOGUE_FILE,
    output:
        paths.QUEUE,
    log:
        log_of("label", "queue"),
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
    shell:
        "python $scripts/label.py --parameters {input.parameters} --morphology {input.morphology}"
        " --stamps {input.stamps} --catalogue {input.catalogue} --output {output} --log {log}"
