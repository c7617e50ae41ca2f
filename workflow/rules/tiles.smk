"""The tiles of a shard."""


rule tiles:
    """Fetch the tiles that a shard needs into the cache; a tile that cannot be fetched becomes a row with a reason.

    Any number of these jobs may run at once: they share the limits of each host in the section transfer.
    """
    input:
        parameters=frozen("tiles"),
        sources=paths.SOURCES,
    output:
        paths.TILES,
    log:
        log_of("tiles"),
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(3000),
    params:
        plan=paths.PLAN,
    shell:
        "python $scripts/tiles.py --parameters {input.parameters} --shard {wildcards.shard}"
        " --sources {input.sources} --plan {params.plan} --output {output} --log {log}"
