"""The training set."""


rule simulate:
    """Draw one part of the training set with GalSim: stamps, true parameters and simulated votes."""
    input:
        parameters=frozen("simulate"),
    output:
        pixels=paths.TRAINING,
        table=paths.TRAINING_TABLE,
    log:
        log_of("simulate", "part-{part}"),
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/simulate.py --parameters {input.parameters} --part {wildcards.part}"
        " --pixels {output.pixels} --table {output.table} --log {log}"
