#!/bin/sh
# Prints the path of a Chromium for the browser tests; installs Debian's when root.
set -u
find_one() {
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
        [ -n "$name" ] && command -v "$name" && return 0
    done
    return 1
}
find_one && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    {
        export DEBIAN_FRONTEND=noninteractive
        apt-get install -y --no-install-recommends chromium fonts-dejavu-core ||
            { apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core; }
    } >&2
    find_one && exit 0
fi
echo "make: the browser tests need Chromium; install it (Debian: apt-get install chromium) or set CHROMIUM to its path" >&2
exit 1
