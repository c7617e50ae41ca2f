"""Bulges and spiral arms."""


rule features:
    """Measure bulge and spiral arms where the network looks when it answers for them; the maps are not kept."""
    input:
        parameters=frozen("features"),
        stamps=paths.STAMPS_TABLE,
        pixels=paths.STAMPS,
        morphology=paths.MORPHOLOGY,
        models=cards("morphology"),
        evaluation=paths.EVALUATION,
    output:
        table=paths.FEATURES,
        masks=paths.ARM_MASKS,
    log:
        log_of("features"),
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/features.py --parameters {input.parameters} --stamps {input.stamps}"
        " --morphology {input.morphology} --models {input.models} --evaluation {input.evaluation}"
        " --output {output.masks} --table {output.table} --log {log}"
