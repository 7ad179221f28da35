#!/bin/sh
# Prints the ten tests that took longest: slowest.sh LOG..., of `cargo test` with times and of `node --test` (TAP).
echo "The ten slowest tests:"
awk '
    /^test .* \.\.\. ok <[0-9.]+s>$/ {
        seconds = $NF; gsub(/[<>s]/, "", seconds)
        printf "%8.1f s  %s\n", seconds, $2
    }
    /^ *ok [0-9]+ - / { name = $0; sub(/^ *ok [0-9]+ - /, "", name); seconds = "" }
    /^ *duration_ms: / { seconds = $2 / 1000 }
    # A suite is the sum of its tests.
    /^ *type: .suite./ { name = "" }
    /^ *\.\.\.$/ {
        if (name != "" && seconds != "") printf "%8.1f s  %s\n", seconds, name
        name = ""; seconds = ""
    }
' "$@" | sort -rn | head -n 10
