#!/usr/bin/env bash
# Stop the Slurm that install.sh has started, and wait for its end; the packages stay. Its slurm.conf goes: Snakemake's
# Slurm plugin asks the controller that it names at every start, and waits ten seconds if there is none.
set -euo pipefail

grep -qsF "tuningfork's tests/slurm/install.sh" /etc/slurm/slurm.conf || exit 0
for file in /run/slurmd-cpu1.pid /run/slurmd-gpu1.pid /run/slurmctld.pid /run/munge/munged.pid; do
    [ -e "$file" ] || continue
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
done
rm -f /etc/slurm/slurm.conf
