"""The report."""


rule report:
    """Write the report: what ran, how good it is, and the galaxies themselves."""
    input:
        parameters=frozen("report"),
        sources=per_shard(paths.SOURCES, plan.sample),
        stamps=per_shard(paths.STAMPS_TABLE, plan.sample),
        pixels=per_shard(paths.STAMPS, plan.sample),
        saliency=per_shard(paths.SALIENCY_TABLE, plan.sample),
        maps=per_shard(paths.SALIENCY, plan.sample),
        features=per_shard(paths.FEATURES, plan.sample),
        arm_masks=per_shard(paths.ARM_MASKS, plan.sample),
        catalogue=paths.CATALOGUE_FILE,
        accounting=paths.ACCOUNTING,
        evaluation=paths.EVALUATION,
        evaluation_table=paths.EVALUATION_TABLE,
        vote_bias=paths.VOTE_BIAS,
        label_errors=paths.LABEL_ERRORS,
        selection=selection_function,
        models=all_cards,
        explanations=paths.EXPLANATIONS,
        explanation_maps=paths.EXPLANATION_MAPS,
    output:
        paths.REPORT,
    log:
        log_of("report", "report"),
    conda:
        "../../envs/core.yaml"
    resources:
        mem_mb=memory(3000),
    params:
        selection=lambda wildcards, input: "--selection" if input.selection else "",
        # Times are shown, but a new time alone is no reason to write the report anew.
        benchmarks=paths.BENCHMARKS,
    shell:
        "python $scripts/report.py --parameters {input.parameters} --sources {input.sources}"
        " --stamps {input.stamps} --pixels {input.pixels} --saliency {input.saliency} --saliency-maps {input.maps}"
        " --features {input.features} --arm-masks {input.arm_masks} --catalogue {input.catalogue}"
        " --accounting {input.accounting} --evaluation {input.evaluation}"
        " --evaluation-table {input.evaluation_table} --vote-bias {input.vote_bias}"
        " --label-errors {input.label_errors} {params.selection} {input.selection} --models {input.models}"
        " --explanations {input.explanations} --explanation-maps {input.explanation_maps}"
        " --benchmarks {params.benchmarks} --output {output} --log {log}"
