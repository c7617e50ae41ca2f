"""Measured galaxies of the survey."""


rule match_measurements:
    """Match the galaxies that the user has measured with their stamps."""
    input:
        parameters=frozen("match_measurements"),
        sources=per_shard(paths.SOURCES, plan.measured),
        stamps=per_shard(paths.STAMPS_TABLE, plan.measured),
        pixels=per_shard(paths.STAMPS, plan.measured),
    output:
        stamps=paths.MEASUREMENTS,
        table=paths.MEASUREMENTS_TABLE,
        rows=paths.MEASUREMENTS_ROWS,
    log:
        log_of("match_measurements", "measurements"),
    benchmark:
        benchmark_of("match_measurements", "measurements")
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/match_measurements.py --parameters {input.parameters} --sources {input.sources}"
        " --stamps {input.stamps} --pixels {input.pixels} --output {output.stamps} --table {output.table} --rows {output.rows} --log {log}"
