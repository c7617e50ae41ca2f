"""Profile parameters."""


rule structure:
    """Measure magnitude, half-light radius, Sersic index, axis ratio, position angle and bulge of every source."""
    input:
        parameters=frozen("structure"),
        stamps=paths.STAMPS_TABLE,
        pixels=paths.STAMPS,
        models=cards("structure"),
        profiles=paths.PROFILES,
    output:
        paths.STRUCTURE,
    log:
        log_of("structure"),
    conda:
        "../../envs/gpu.yaml"
    resources:
        mem_mb=memory(3000),
    shell:
        "python $scripts/structure.py --parameters {input.parameters} --stamps {input.stamps}"
        " --models {input.models} --profiles {input.profiles} --output {output} --log {log}"
