"""Explanations."""


rule explain:
    """Explain what the networks look at, for a sample of the sources."""
    input:
        parameters=frozen("explain"),
        stamps=per_shard(paths.STAMPS_TABLE, plan.sample),
        pixels=per_shard(paths.STAMPS, plan.sample),
        morphology=per_shard(paths.MORPHOLOGY, plan.sample),
        models=cards("morphology"),
    output:
        table=paths.EXPLANATIONS,
        maps=paths.EXPLANATION_MAPS,
    log:
        log_of("explain", "sample"),
    benchmark:
        benchmark_of("explain", "sample")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/explain.py --parameters {input.parameters} --stamps {input.stamps} --pixels {input.pixels}"
        " --morphology {input.morphology} --models {input.models}"
        " --output {output.table} --maps {output.maps} --log {log}"
