"""The command `tuningfork run`: Snakemake with one line per job, and a summary of what was made."""
