"""The catalogue."""


rule catalogue:
    """Join the tables of all shards, account for every source, and publish."""
    input:
        parameters=frozen("catalogue"),
        sources=per_shard(paths.SOURCES),
        tiles=per_shard(paths.TILES),
        stamps=per_shard(paths.STAMPS_TABLE),
        morphology=per_shard(paths.MORPHOLOGY),
        structure=per_shard(paths.STRUCTURE),
        bars=per_shard(paths.BARS),
        features=per_shard(paths.FEATURES),
        models=all_cards,
    output:
        catalogue=directory(paths.CATALOGUE),
        table=paths.CATALOGUE_FILE,
        accounting=paths.ACCOUNTING,
    log:
        log_of("catalogue", "catalogue"),
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(4000),
    shell:
        "python $scripts/catalogue.py --parameters {input.parameters} --sources {input.sources}"
        " --tiles {input.tiles} --stamps {input.stamps} --morphology {input.morphology}"
        " --structure {input.structure} --bars {input.bars} --features {input.features} --models {input.models}"
        " --output {output.catalogue} --table {output.table} --accounting {output.accounting} --log {log}"
