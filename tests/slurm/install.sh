#!/usr/bin/env bash
# Install and start a Slurm of two nodes on this one machine: cpu1 in the partition cpu, gpu1 (with a simulated GPU) in
# the partition gpu. For Debian 12, as root, with or without systemd. Running it again starts only what is not running.
# It never touches a Slurm that it did not set up itself.
set -euo pipefail

conf=/etc/slurm/slurm.conf
mark="# Written by tuningfork's tests/slurm/install.sh"
logs=/var/log/slurm
host=$(hostname -s)

if [ "$(id -u)" != 0 ]; then
    echo "tests/slurm/install.sh: needs root" >&2
    exit 77
fi
if ! command -v apt-get >/dev/null; then
    echo "tests/slurm/install.sh: needs apt-get (Debian)" >&2
    exit 77
fi
if [ -e "$conf" ] && ! grep -qF "$mark" "$conf"; then
    echo "tests/slurm/install.sh: $conf belongs to another Slurm, which is left alone" >&2
    exit 77
fi

install_packages() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=300 slurm-wlm munge
}

if ! { command -v slurmctld && command -v slurmd && command -v munged; } >/dev/null; then
    install_packages || { apt-get update -qq && install_packages; }
fi

mkdir -p /etc/slurm "$logs" /var/spool/slurm/ctld /var/spool/slurm/d
# Sizes are what the tests ask for, not what the machine has: config_overrides makes Slurm believe them.
cat >"$conf" <<END
$mark
ClusterName=tuningfork
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=/var/spool/slurm/ctld
SlurmdSpoolDir=/var/spool/slurm/d/%n
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd-%n.pid
SlurmctldLogFile=$logs/slurmctld.log
SlurmdLogFile=$logs/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MinJobAge=900
GresTypes=gpu
TaskProlog=/etc/slurm/tuningfork-prolog.sh
NodeName=cpu1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17001 CPUs=4 RealMemory=16000
NodeName=gpu1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17002 CPUs=4 RealMemory=16000 Gres=gpu:2
PartitionName=cpu Nodes=cpu1 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=gpu1 MaxTime=INFINITE State=UP
END
# Any character device may stand for a GPU; jobs see it in CUDA_VISIBLE_DEVICES.
cat >/etc/slurm/gres.conf <<END
$mark
NodeName=gpu1 Name=gpu File=/dev/null
NodeName=gpu1 Name=gpu File=/dev/zero
END

# What a job sees of the GPUs stands in its Slurm log.
cat >/etc/slurm/tuningfork-prolog.sh <<'END'
#!/bin/sh
echo "print CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES"
END
chmod 755 /etc/slurm/tuningfork-prolog.sh

if ! munge -n >/dev/null 2>&1; then
    install -d -o munge -g munge -m 0755 /run/munge
    [ -e /etc/munge/munge.key ] || runuser -u munge -- mungekey -c
    # Not through an init script: containers forbid those to start anything.
    runuser -u munge -- munged --force >>"$logs/munged.log" 2>&1
fi

if ! scontrol ping 2>/dev/null | grep -q "is UP"; then
    slurmctld >>"$logs/start.log" 2>&1
else
    scontrol reconfigure
fi
for node in cpu1 gpu1; do
    # The number in a stale file may have passed to another process.
    if ! grep -qs "^slurmd" "/proc/$(cat "/run/slurmd-$node.pid" 2>/dev/null || echo none)/comm"; then
        slurmd -N "$node" >>"$logs/start.log" 2>&1
    fi
done

for _ in $(seq 60); do
    if [ "$(sinfo -h -N -o '%N %t' 2>/dev/null | grep -Ec ' (idle|mix|alloc)$')" = 2 ]; then
        exit 0
    fi
    # A node that a crash has left "down" comes back by itself; one that was drained does not.
    scontrol update NodeName=cpu1,gpu1 State=RESUME 2>/dev/null || true
    sleep 0.5
done
echo "tests/slurm/install.sh: the nodes did not come up; see $logs" >&2
sinfo -N -l >&2 || true
exit 1
