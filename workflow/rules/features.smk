"""Bulges and spiral arms."""


rule feature_maps:
    """Map where the answers about bulge and spiral arms of every source come from."""
    input:
        parameters=frozen("feature_maps"),
        stamps=paths.STAMPS_TABLE,
        pixels=paths.STAMPS,
        models=cards("morphology"),
    output:
        maps=temp(paths.FEATURE_MAPS),
        table=temp(paths.FEATURE_MAPS_TABLE),
    log:
        log_of("feature_maps"),
    benchmark:
        benchmark_of("feature_maps")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/feature_maps.py --parameters {input.parameters}"
        " --stamps {input.stamps} --pixels {input.pixels} --models {input.models}"
        " --output {output.maps} --table {output.table} --log {log}"


rule features:
    """Measure bulge and spiral arms in the light that the maps mark; a change here never recomputes a map."""
    input:
        parameters=frozen("features"),
        stamps=paths.STAMPS_TABLE,
        pixels=paths.STAMPS,
        morphology=paths.MORPHOLOGY,
        map_table=paths.FEATURE_MAPS_TABLE,
        maps=paths.FEATURE_MAPS,
        calibration=paths.FEATURE_CALIBRATION,
    output:
        table=paths.FEATURES,
        masks=paths.ARM_MASKS,
    log:
        log_of("features"),
    benchmark:
        benchmark_of("features")
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/features.py --parameters {input.parameters}"
        " --stamps {input.stamps} --pixels {input.pixels} --morphology {input.morphology}"
        " --map-table {input.map_table} --maps {input.maps} --calibration {input.calibration}"
        " --output {output.masks} --table {output.table} --log {log}"
