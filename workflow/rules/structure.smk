"""Profile parameters."""


rule structure:
    """Fit a profile to every source, starting from the networks' answer, and combine both."""
    input:
        parameters=frozen("structure"),
        stamps=paths.STAMPS_TABLE,
        pixels=paths.STAMPS,
        answers=paths.STRUCTURE_ANSWERS,
        calibration=paths.STRUCTURE_CALIBRATION,
    output:
        paths.STRUCTURE,
    log:
        log_of("structure"),
    benchmark:
        benchmark_of("structure")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/structure.py --parameters {input.parameters}"
        " --stamps {input.stamps} --pixels {input.pixels} --answers {input.answers}"
        " --calibration {input.calibration} --output {output} --log {log}"
