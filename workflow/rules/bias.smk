"""Votes against the model and the truth."""


rule bias:
    """Rank likely label errors, and measure what the bar fraction depends on beyond the truth."""
    input:
        parameters=frozen("bias"),
        evaluation=paths.EVALUATION_TABLE,
        people=[paths.VOLUNTEER_VOTES_TABLE] if plan.voted else [],
        people_stamps=[paths.VOLUNTEER_VOTES] if plan.voted else [],
        sources=per_shard(paths.SOURCES, plan.voted),
        models=cards("morphology") if plan.voted else [],
        agreement=[paths.AGREEMENT] if plan.voted else [],
    output:
        summary=paths.VOTE_BIAS,
        table=paths.LABEL_ERRORS,
    log:
        log_of("bias", "bias"),
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    params:
        people=lambda wildcards, input: (
            f"--people {input.people} --sources {input.sources} --models {input.models}"
            f" --agreement {input.agreement}"
            if input.people
            else ""
        ),
    shell:
        "python $scripts/bias.py --parameters {input.parameters} --evaluation-table {input.evaluation}"
        " {params.people}"
        " --output {output.summary} --table {output.table} --log {log}"
