"""Galaxies put into the images, and the selection function of barred galaxies that comes out."""


rule inject:
    """Put simulated barred galaxies into the images of one shard, cut their stamps and measure them."""
    input:
        parameters=frozen("inject"),
        tiles=paths.TILES,
        models=cards("morphology"),
        votes=paths.VOTE_CALIBRATION,
        bars=paths.BAR_CALIBRATION,
    output:
        paths.INJECTED,
    log:
        log_of("inject"),
    benchmark:
        benchmark_of("inject")
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(4000),
    params:
        plan=paths.PLAN,
    shell:
        "python $scripts/inject.py --parameters {input.parameters}"
        " --shard {wildcards.shard} --tiles {input.tiles} --models {input.models}"
        " --votes {input.votes} --bars {input.bars} --plan {params.plan} --output {output} --log {log}"


rule selection_function:
    """Join the injected galaxies, and measure how many are found, and how well, against what makes bars hard to see."""
    input:
        parameters=frozen("selection_function"),
        shards=per_shard(paths.INJECTED, plan.injected),
    output:
        galaxies=paths.SELECTION,
        function=paths.SELECTION_FUNCTION,
    log:
        log_of("selection_function", "selection"),
    benchmark:
        benchmark_of("selection_function", "selection")
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
    shell:
        "python $scripts/selection_function.py --parameters {input.parameters}"
        " --shards {input.shards}"
        " --output {output.galaxies} --table {output.function} --log {log}"
