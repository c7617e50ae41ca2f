"""The catalogue: built beside the published one, which it replaces at the end."""


localrules:
    publish,


rule catalogue:
    """Join the tables of all shards and account for every source."""

    # Snakemake deletes the outputs of a job before it starts and after it fails. The published catalogue is therefore
    # no output of this job, and outlives its failure.
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
        catalogue=temp(directory(paths.CATALOGUE_BUILD)),
        table=temp(paths.CATALOGUE_FILE_BUILD),
        accounting=temp(paths.ACCOUNTING_BUILD),
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


rule publish:
    """Put the new catalogue in the place of the old one."""
    input:
        catalogue=paths.CATALOGUE_BUILD,
        table=paths.CATALOGUE_FILE_BUILD,
        accounting=paths.ACCOUNTING_BUILD,
    output:
        catalogue=directory(paths.CATALOGUE),
        table=paths.CATALOGUE_FILE,
        accounting=paths.ACCOUNTING,
    log:
        log_of("catalogue", "publish"),
    conda:
        "../../envs/core.yaml"
    shell:
        # A renamed file keeps its time, but outputs must be newer than inputs.
        "{{ mv {input.catalogue:q} {output.catalogue:q}; mv {input.table:q} {output.table:q};"
        " mv {input.accounting:q} {output.accounting:q}; touch {output:q};"
        " rmdir $(dirname {input.table:q}) || true; }} > {log:q} 2>&1"
