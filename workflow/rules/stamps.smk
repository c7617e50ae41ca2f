"""The stamps of a shard."""


rule stamps:
    """Cut a stamp in all bands around every source of a shard, and pad where there is no image."""
    input:
        parameters=frozen("stamps"),
        sources=paths.SOURCES,
        tiles=paths.TILES,
    output:
        pixels=temp(paths.STAMPS),
        table=temp(paths.STAMPS_TABLE),
    log:
        log_of("stamps"),
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(4000),
    params:
        plan=paths.PLAN,
    shell:
        "python $scripts/stamps.py --parameters {input.parameters} --shard {wildcards.shard}"
        " --sources {input.sources} --tiles {input.tiles} --plan {params.plan}"
        " --pixels {output.pixels} --table {output.table} --log {log}"
