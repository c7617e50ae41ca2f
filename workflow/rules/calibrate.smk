"""What validation galaxies teach the recipes: small typed files, which the stages read."""


rule calibrate_votes:
    """Learn from the votes on validation galaxies how to correct predicted votes."""
    input:
        parameters=frozen("calibrate_votes"),
        training=training_set,
        held_out=held_out(paths.HELD_OUT),
        held_out_masks=held_out(paths.HELD_OUT_MASKS),
        volunteers=voted(paths.VOLUNTEER_VOTES_TABLE),
        volunteers_held_out=voted(paths.HELD_OUT.format(galaxies="volunteers")),
        volunteers_masks=voted(paths.HELD_OUT_MASKS.format(galaxies="volunteers")),
    output:
        paths.VOTE_CALIBRATION,
    log:
        log_of("calibrate_votes", "votes"),
    benchmark:
        benchmark_of("calibrate_votes", "votes")
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(3000),
    params:
        volunteers=lambda wildcards, input: (
            f"--volunteers {input.volunteers} --volunteers-held-out {input.volunteers_held_out}"
            f" --volunteers-masks {input.volunteers_masks}"
            if input.volunteers
            else ""
        ),
    shell:
        "python $scripts/calibrate_votes.py --parameters {input.parameters}"
        " --training {input.training} --held-out {input.held_out} --held-out-masks {input.held_out_masks}"
        " {params.volunteers} --output {output} --log {log}"


rule calibrate_structure:
    """Learn from validation galaxies how to weight network and fit, and how large the errors are."""
    input:
        parameters=frozen("calibrate_structure"),
        training=training_set,
        training_stamps=training_stamps,
        held_out=paths.HELD_OUT_STRUCTURE,
    output:
        paths.STRUCTURE_CALIBRATION,
    log:
        log_of("calibrate_structure", "structure"),
    benchmark:
        benchmark_of("calibrate_structure", "structure")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/calibrate_structure.py --parameters {input.parameters}"
        " --training {input.training} --training-pixels {input.training_stamps}"
        " --held-out {input.held_out} --output {output} --log {log}"


rule calibrate_bars:
    """Learn from validation galaxies with a bar how to calibrate and combine the estimators of its length."""
    input:
        parameters=frozen("calibrate_bars"),
        training=training_set,
        training_stamps=training_stamps,
        held_out=held_out(paths.HELD_OUT),
        held_out_masks=held_out(paths.HELD_OUT_MASKS),
        models=cards("morphology"),
    output:
        calibration=paths.BAR_CALIBRATION,
        table=paths.BAR_CALIBRATION_TABLE,
    log:
        log_of("calibrate_bars", "bars"),
    benchmark:
        benchmark_of("calibrate_bars", "bars")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/calibrate_bars.py --parameters {input.parameters}"
        " --training {input.training} --training-pixels {input.training_stamps}"
        " --held-out {input.held_out} --held-out-masks {input.held_out_masks} --models {input.models}"
        " --output {output.calibration} --table {output.table} --log {log}"


rule calibrate_features:
    """Learn from validation galaxies how to calibrate the fractions of bulge and spiral arms."""
    input:
        parameters=frozen("calibrate_features"),
        training=training_set,
        training_stamps=training_stamps,
        held_out=held_out(paths.HELD_OUT),
        held_out_masks=held_out(paths.HELD_OUT_MASKS),
        models=cards("morphology"),
        votes=paths.VOTE_CALIBRATION,
    output:
        calibration=paths.FEATURE_CALIBRATION,
        table=paths.FEATURE_CALIBRATION_TABLE,
    log:
        log_of("calibrate_features", "features"),
    benchmark:
        benchmark_of("calibrate_features", "features")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/calibrate_features.py --parameters {input.parameters}"
        " --training {input.training} --training-pixels {input.training_stamps}"
        " --held-out {input.held_out} --held-out-masks {input.held_out_masks} --models {input.models} --votes {input.votes}"
        " --output {output.calibration} --table {output.table} --log {log}"
