"""Volunteer votes."""


rule match_votes:
    """Match volunteer votes, from a table such as Galaxy Zoo's, with the stamps of their galaxies."""
    input:
        parameters=frozen("match_votes"),
        sources=per_shard(paths.SOURCES, plan.voted),
        stamps=per_shard(paths.STAMPS_TABLE, plan.voted),
        pixels=per_shard(paths.STAMPS, plan.voted),
    output:
        stamps=paths.VOLUNTEER_VOTES,
        table=paths.VOLUNTEER_VOTES_TABLE,
        rows=paths.VOLUNTEER_VOTES_ROWS,
    log:
        log_of("match_votes", "votes"),
    benchmark:
        benchmark_of("match_votes", "votes")
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(3000),
    params:
        plan=paths.PLAN,
    shell:
        "python $scripts/match_votes.py --parameters {input.parameters} --plan {params.plan} --sources {input.sources}"
        " --stamps {input.stamps} --pixels {input.pixels} --output {output.stamps} --table {output.table} --rows {output.rows} --log {log}"
