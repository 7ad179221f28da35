#!/bin/sh
# Stops with one sentence if a tool is missing: need.sh TOOL... names each and how to get it.
for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 && continue
    case "$tool" in
        cargo) how="install Rust with rustup (https://rustup.rs)" ;;
        python3) how="install Python 3.11 (Debian: apt-get install python3 python3-pip)" ;;
        node | npm) how="install Node.js 20 or newer (Debian 12 has 18; see https://nodejs.org)" ;;
        c++) how="install a C++ compiler (Debian: apt-get install g++)" ;;
        *) how="install it with your system's packages" ;;
    esac
    echo "make: $tool is missing; $how" >&2
    exit 1
done
case " $* " in
    *" python3 "*)
        python3 -m pip --version >/dev/null 2>&1 || {
            echo "make: pip is missing; install it (Debian: apt-get install python3-pip)" >&2
            exit 1
        }
        ;;
esac
