"""Vote fractions."""


rule classify:
    """Predict the vote fractions of every source of a shard, with their uncertainty."""
    input:
        parameters=frozen("classify"),
        stamps=paths.STAMPS_TABLE,
        pixels=paths.STAMPS,
        models=cards("morphology"),
        agreement=paths.AGREEMENT,
    output:
        paths.MORPHOLOGY,
    log:
        log_of("classify"),
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/classify.py --parameters {input.parameters} --stamps {input.stamps}"
        " --models {input.models} --agreement {input.agreement} --output {output} --log {log}"
