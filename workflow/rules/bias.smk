"""Votes against the model and the truth."""


rule bias:
    """Rank likely label errors, and measure what the bar fraction depends on beyond the truth."""
    input:
        parameters=frozen("bias"),
        evaluation=paths.EVALUATION_TABLE,
    output:
        summary=paths.VOTE_BIAS,
        table=paths.LABEL_ERRORS,
    log:
        log_of("bias", "bias"),
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
    shell:
        "python $scripts/bias.py --parameters {input.parameters} --evaluation-table {input.evaluation}"
        " --output {output.summary} --table {output.table} --log {log}"
