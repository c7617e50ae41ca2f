"""Bars: where the network sees them, and how long they are."""


rule saliency:
    """Map the pixels on which the bar answer of every source depends (SmoothGrad), one map per network."""
    input:
        parameters=frozen("saliency"),
        stamps=paths.STAMPS_TABLE,
        pixels=paths.STAMPS,
        models=cards("morphology"),
    output:
        maps=temp(paths.SALIENCY),
        table=temp(paths.SALIENCY_TABLE),
    log:
        log_of("saliency"),
    benchmark:
        benchmark_of("saliency")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/saliency.py --parameters {input.parameters} --stamps {input.stamps} --pixels {input.pixels}"
        " --models {input.models} --output {output.maps} --table {output.table} --log {log}"


rule bars:
    """Measure bars on masks, maps and light, and combine them; a change here never recomputes a map."""
    input:
        parameters=frozen("bars"),
        sources=paths.SOURCES,
        stamps=paths.STAMPS_TABLE,
        pixels=paths.STAMPS,
        answers=paths.ANSWERS,
        masks=paths.BAR_MASKS,
        saliency=paths.SALIENCY_TABLE,
        maps=paths.SALIENCY,
        morphology=paths.MORPHOLOGY,
        structure=paths.STRUCTURE,
        calibration=paths.BAR_CALIBRATION,
    output:
        paths.BARS,
    log:
        log_of("bars"),
    benchmark:
        benchmark_of("bars")
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/bars.py --parameters {input.parameters}"
        " --sources {input.sources} --stamps {input.stamps} --pixels {input.pixels}"
        " --answers {input.answers} --masks {input.masks} --saliency {input.saliency} --maps {input.maps}"
        " --morphology {input.morphology} --structure {input.structure}"
        " --calibration {input.calibration} --output {output} --log {log}"
