#!/usr/bin/env bash
# Stop the Slurm that install.sh has started, and wait for its end; packages and settings stay.
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
