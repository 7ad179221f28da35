#!/bin/sh
# Runs a command, shows what it prints and keeps it in a file; ends as the command does: timed.sh LOG COMMAND...
# If the command fails, all failures are shown once more at the end, where they are found first.
log=$1
shift
mkdir -p "$(dirname "$log")"
{
    "$@" 2>&1
    echo $? >"$log.status"
} | tee "$log"
status=$(cat "$log.status")
if [ "$status" -ne 0 ]; then
    echo
    echo "== What failed =="
    # Rust: the tests' names, what they printed, and processes that died. Node: tests that are not ok.
    awk '
        /^test .* FAILED/ { print; next }
        /^---- .* ----$/ || /^Caused by:/ || /^ *not ok / { left = 12 }
        left > 0 { print; left-- }
    ' "$log" | tail -n 150
fi
exit "$status"
