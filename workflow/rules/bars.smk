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
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/saliency.py --parameters {input.parameters} --stamps {input.stamps} --pixels {input.pixels}"
        " --models {input.models} --output {output.maps} --table {output.table} --log {log}"


rule bars:
    """Measure bars on the maps, by networks and in the light, and combine them; a change here never recomputes a map."""
    input:
        parameters=frozen("bars"),
        sources=paths.SOURCES,
        stamps=paths.STAMPS_TABLE,
        pixels=paths.STAMPS,
        saliency=paths.SALIENCY_TABLE,
        maps=paths.SALIENCY,
        morphology=paths.MORPHOLOGY,
        structure=paths.STRUCTURE,
        models=cards("morphology"),
        evaluation=paths.EVALUATION,
    output:
        paths.BARS,
    log:
        log_of("bars"),
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/bars.py --parameters {input.parameters} --sources {input.sources} --stamps {input.stamps}"
        " --saliency {input.saliency} --morphology {input.morphology} --structure {input.structure}"
        " --models {input.models} --evaluation {input.evaluation} --output {output} --log {log}"
