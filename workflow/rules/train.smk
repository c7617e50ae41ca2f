"""The networks."""


rule pretrain:
    """Train the encoder without labels, by restoring noisy, masked stamps."""
    input:
        parameters=frozen("pretrain"),
        training=training_set,
        training_stamps=training_stamps,
        stamps=per_shard(paths.STAMPS_TABLE, plan.pretraining),
        pixels=per_shard(paths.STAMPS, plan.pretraining),
    output:
        weights=paths.ENCODER,
        card=paths.ENCODER_CARD,
    log:
        log_of("pretrain", "encoder"),
    benchmark:
        benchmark_of("pretrain", "encoder")
    conda:
        "../../envs/gpu.yaml"
    threads: plan.threads["pretrain"]
    resources:
        mem_mb=memory(4000),
    shell:
        "python $scripts/pretrain.py --parameters {input.parameters} --training {input.training}"
        " --training-pixels {input.training_stamps} --stamps {input.stamps} --pixels {input.pixels}"
        " --output {output.weights} --card {output.card} --log {log}"


rule train:
    """Train one member of the ensemble of one task; a killed job continues from its last checkpoint."""
    input:
        parameters=frozen("train-{task}"),
        training=training_set,
        training_stamps=training_stamps,
        encoder=encoder,
        encoder_weights=encoder_weights,
        expert_labels=expert_labels,
        volunteer_votes=volunteer_votes,
        measurements=measurements,
    output:
        weights=paths.MODEL,
        card=paths.MODEL_CARD,
    log:
        log_of("train", "{task}-{member}"),
    benchmark:
        benchmark_of("train", "{task}-{member}")
    conda:
        "../../envs/gpu.yaml"
    threads: lambda wildcards: plan.threads[wildcards.task]
    resources:
        mem_mb=memory(4000),
    params:
        checkpoint=paths.CHECKPOINT,
        encoder=lambda wildcards, input: optional("--encoder", input.encoder),
        expert_labels=lambda wildcards, input: optional(
            "--expert-labels", input.expert_labels
        ),
        volunteer_votes=lambda wildcards, input: optional(
            "--volunteer-votes", input.volunteer_votes
        ),
        measurements=lambda wildcards, input: optional(
            "--measurements", input.measurements
        ),
    shell:
        "python $scripts/train.py --parameters {input.parameters} --task {wildcards.task} --member {wildcards.member}"
        " --training {input.training} --training-pixels {input.training_stamps} {params.encoder}"
        " {params.expert_labels} {params.volunteer_votes} {params.measurements}"
        " --checkpoint {params.checkpoint} --output {output.weights} --card {output.card} --log {log}"
