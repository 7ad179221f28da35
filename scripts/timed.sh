#!/bin/sh
# Runs a command, shows what it prints and keeps it in a file; ends as the command does: timed.sh LOG COMMAND...
log=$1
shift
mkdir -p "$(dirname "$log")"
{
    "$@" 2>&1
    echo $? >"$log.status"
} | tee "$log"
exit "$(cat "$log.status")"
