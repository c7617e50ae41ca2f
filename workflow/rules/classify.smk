"""Vote fractions."""


rule classify:
    """Correct the votes that the networks expect for every source, and derive its class."""
    input:
        parameters=frozen("classify"),
        answers=paths.ANSWERS,
        masks=paths.BAR_MASKS,
        calibration=paths.VOTE_CALIBRATION,
    output:
        paths.MORPHOLOGY,
    log:
        log_of("classify"),
    benchmark:
        benchmark_of("classify")
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/classify.py --parameters {input.parameters}"
        " --answers {input.answers} --masks {input.masks}"
        " --calibration {input.calibration} --output {output} --log {log}"
