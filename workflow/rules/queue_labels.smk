"""The queue of sources that an astronomer should label."""


rule queue_labels:
    """Queue the sources from whose labels the networks would learn most."""
    input:
        parameters=frozen("queue_labels"),
        morphology=per_shard(paths.MORPHOLOGY, plan.sample),
        stamps=per_shard(paths.STAMPS_TABLE, plan.sample),
        catalogue=paths.CATALOGUE_FILE,
    output:
        paths.QUEUE,
    log:
        log_of("queue_labels", "queue"),
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
    shell:
        "python $scripts/queue_labels.py --parameters {input.parameters} --morphology {input.morphology}"
        " --stamps {input.stamps} --catalogue {input.catalogue} --output {output} --log {log}"
