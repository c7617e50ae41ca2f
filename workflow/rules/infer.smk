"""The answers of the networks: each network looks at a stamp once, and later stages read what it said."""


rule infer_morphology:
    """Ask the morphology networks about every source of a shard: votes, bar length, bar mask, feature vector."""
    input:
        parameters=frozen("infer_morphology"),
        stamps=paths.STAMPS_TABLE,
        pixels=paths.STAMPS,
        models=cards("morphology"),
    output:
        table=paths.ANSWERS,
        masks=temp(paths.BAR_MASKS),
    log:
        log_of("infer_morphology"),
    benchmark:
        benchmark_of("infer_morphology")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/infer_morphology.py --parameters {input.parameters}"
        " --stamps {input.stamps} --pixels {input.pixels} --models {input.models}"
        " --output {output.table} --masks {output.masks} --log {log}"


rule infer_structure:
    """Ask the structure networks about every source of a shard: the posterior of its profile parameters."""
    input:
        parameters=frozen("infer_structure"),
        stamps=paths.STAMPS_TABLE,
        pixels=paths.STAMPS,
        models=cards("structure"),
    output:
        paths.STRUCTURE_ANSWERS,
    log:
        log_of("infer_structure"),
    benchmark:
        benchmark_of("infer_structure")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/infer_structure.py --parameters {input.parameters}"
        " --stamps {input.stamps} --pixels {input.pixels} --models {input.models}"
        " --output {output} --log {log}"


rule infer_held_out:
    """Ask the morphology networks about the galaxies that they did not learn from: simulated ones, or volunteers'."""
    input:
        parameters=frozen("infer_held_out"),
        training=held_out_set,
        training_stamps=held_out_stamps,
        models=cards("morphology"),
    output:
        table=paths.HELD_OUT,
        masks=paths.HELD_OUT_MASKS,
    log:
        log_of("infer_held_out", "{galaxies}"),
    benchmark:
        benchmark_of("infer_held_out", "{galaxies}")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/infer_held_out.py --parameters {input.parameters}"
        " --training {input.training} --training-pixels {input.training_stamps} --models {input.models}"
        " --output {output.table} --masks {output.masks} --log {log}"


rule infer_held_out_structure:
    """Ask the structure networks about the simulated galaxies that they did not learn from."""
    input:
        parameters=frozen("infer_held_out_structure"),
        training=training_set,
        training_stamps=training_stamps,
        models=cards("structure"),
    output:
        paths.HELD_OUT_STRUCTURE,
    log:
        log_of("infer_held_out_structure", "structure"),
    benchmark:
        benchmark_of("infer_held_out_structure", "structure")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/infer_held_out_structure.py --parameters {input.parameters}"
        " --training {input.training} --training-pixels {input.training_stamps} --models {input.models}"
        " --output {output} --log {log}"
