#!/bin/sh
# Installs Debian's Slurm for the tests on a real cluster, if that can be done here; without it they are skipped.
# Nothing of it is started: no service, only its programs are wanted.
set -u
packages="slurmctld slurmd slurm-client slurmrestd slurm-wlm-jwt-plugin munge iproute2"
ready() {
    for name in slurmctld slurmd sbatch slurmrestd munged ip nsenter; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$name" >/dev/null 2>&1 || return 1
    done
}
install() {
    # shellcheck disable=SC2086 # These are several words.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
}
ready && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    { install || { apt-get update && install; }; } >/dev/null 2>&1
    ready && exit 0
fi
echo "make: the tests on a real Slurm cluster are skipped; they need root and Debian's packages $packages" >&2
