"""How good the measurements are: figures that people read, and that no stage but the report depends on."""


rule evaluate_structure:
    """Measure the profiles of the test galaxies with the calibrated recipe, and compare them with the truth."""
    input:
        parameters=frozen("evaluate_structure"),
        training=training_set,
        training_stamps=training_stamps,
        held_out=paths.HELD_OUT_STRUCTURE,
        calibration=paths.STRUCTURE_CALIBRATION,
    output:
        summary=paths.STRUCTURE_EVALUATION,
        table=paths.STRUCTURE_EVALUATION_TABLE,
    log:
        log_of("evaluate_structure", "structure"),
    benchmark:
        benchmark_of("evaluate_structure", "structure")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/evaluate_structure.py --parameters {input.parameters}"
        " --training {input.training} --training-pixels {input.training_stamps}"
        " --held-out {input.held_out} --calibration {input.calibration}"
        " --output {output.summary} --table {output.table} --log {log}"


rule evaluate:
    """Measure the test galaxies with the calibrated recipes, and compare votes, bars, bulges and arms with the truth."""
    input:
        parameters=frozen("evaluate"),
        training=training_set,
        training_stamps=training_stamps,
        held_out=held_out(paths.HELD_OUT),
        held_out_masks=held_out(paths.HELD_OUT_MASKS),
        models=cards("morphology"),
        votes=paths.VOTE_CALIBRATION,
        bars=paths.BAR_CALIBRATION,
        bars_table=paths.BAR_CALIBRATION_TABLE,
        features=paths.FEATURE_CALIBRATION,
        features_table=paths.FEATURE_CALIBRATION_TABLE,
        structure=paths.STRUCTURE_EVALUATION,
        structure_table=paths.STRUCTURE_EVALUATION_TABLE,
        volunteers=voted(paths.VOLUNTEER_VOTES_TABLE),
        volunteers_held_out=voted(paths.HELD_OUT.format(galaxies="volunteers")),
        volunteers_masks=voted(paths.HELD_OUT_MASKS.format(galaxies="volunteers")),
    output:
        summary=paths.EVALUATION,
        table=paths.EVALUATION_TABLE,
    log:
        log_of("evaluate", "summary"),
    benchmark:
        benchmark_of("evaluate", "summary")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(4000),
    params:
        volunteers=lambda wildcards, input: (
            f"--volunteers {input.volunteers} --volunteers-held-out {input.volunteers_held_out}"
            f" --volunteers-masks {input.volunteers_masks}"
            if input.volunteers
            else ""
        ),
    shell:
        "python $scripts/evaluate.py --parameters {input.parameters}"
        " --training {input.training} --training-pixels {input.training_stamps}"
        " --held-out {input.held_out} --held-out-masks {input.held_out_masks} --models {input.models}"
        " --votes {input.votes} --bars {input.bars} --bars-table {input.bars_table}"
        " --features {input.features} --features-table {input.features_table}"
        " --structure {input.structure} --structure-table {input.structure_table}"
        " {params.volunteers} --output {output.summary} --table {output.table} --log {log}"


rule audit_votes:
    """Rank votes that are likely wrong, and measure what the bar fraction depends on beyond the truth."""
    input:
        parameters=frozen("audit_votes"),
        galaxies=paths.EVALUATION_TABLE,
        volunteers=voted(paths.VOLUNTEER_VOTES_TABLE),
        volunteers_held_out=voted(paths.HELD_OUT.format(galaxies="volunteers")),
        volunteers_masks=voted(paths.HELD_OUT_MASKS.format(galaxies="volunteers")),
        sources=per_shard(paths.SOURCES, plan.voted),
        calibration=voted(paths.VOTE_CALIBRATION),
    output:
        summary=paths.VOTE_BIAS,
        table=paths.LABEL_ERRORS,
    log:
        log_of("audit_votes", "votes"),
    benchmark:
        benchmark_of("audit_votes", "votes")
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(3000),
    params:
        volunteers=lambda wildcards, input: (
            f"--volunteers {input.volunteers} --volunteers-held-out {input.volunteers_held_out}"
            f" --volunteers-masks {input.volunteers_masks} --sources {input.sources} --calibration {input.calibration}"
            if input.volunteers
            else ""
        ),
    shell:
        "python $scripts/audit_votes.py --parameters {input.parameters}"
        " --galaxies {input.galaxies} {params.volunteers}"
        " --output {output.summary} --table {output.table} --log {log}"
