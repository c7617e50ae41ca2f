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
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
    shell:
        "python $scripts/pretrain.py --parameters {input.parameters} --training {input.training}"
        " --stamps {input.stamps} --output {output.weights} --card {output.card} --log {log}"


rule train:
    """Train one member of the ensemble of one task; a killed job goes on from its last checkpoint."""
    input:
        parameters=frozen("train-{task}"),
        training=training_set,
        training_stamps=training_stamps,
        encoder=encoder,
        encoder_weights=encoder_weights,
        labels=labels,
        people=people,
        people_stamps=people_stamps,
        measurements=measurements,
        measured_stamps=measured_stamps,
    output:
        weights=paths.MODEL,
        card=paths.MODEL_CARD,
    log:
        log_of("train", "{task}-{member}"),
    conda:
        "../../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
    params:
        checkpoint=paths.CHECKPOINT,
        encoder=lambda wildcards, input: "--encoder" if input.encoder else "",
        labels=lambda wildcards, input: "--labels" if input.labels else "",
        people=lambda wildcards, input: "--people" if input.people else "",
        measurements=lambda wildcards, input: (
            "--measurements" if input.measurements else ""
        ),
    shell:
        "python $scripts/train.py --parameters {input.parameters} --task {wildcards.task} --member {wildcards.member}"
        " --training {input.training} {params.encoder} {input.encoder} {params.labels} {input.labels}"
        " {params.people} {input.people} {params.measurements} {input.measurements}"
        " --checkpoint {params.checkpoint} --output {output.weights} --card {output.card} --log {log}"
