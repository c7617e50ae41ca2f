"""Votes of people."""


rule votes:
    """Match the votes of people, from a table such as Galaxy Zoo's, with the stamps of their galaxies."""
    input:
        parameters=frozen("votes"),
        sources=per_shard(paths.SOURCES, plan.voted),
        stamps=per_shard(paths.STAMPS_TABLE, plan.voted),
        pixels=per_shard(paths.STAMPS, plan.voted),
    output:
        stamps=paths.PEOPLE,
        table=paths.PEOPLE_TABLE,
        rows=paths.PEOPLE_ROWS,
    log:
        log_of("votes", "votes"),
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(3000),
        network=1,
    params:
        plan=paths.PLAN,
    shell:
        "python $scripts/votes.py --parameters {input.parameters} --plan {params.plan} --sources {input.sources}"
        " --stamps {input.stamps} --output {output.stamps} --table {output.table} --rows {output.rows} --log {log}"
