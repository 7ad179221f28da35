#!/bin/sh
# Prints the path of an nginx for the tests behind a proxy. Without one, Debian's is unpacked into .deps: an
# installed package would start a web server of its own.
set -u
cd "$(dirname "$0")/.." || exit 1
unpacked=$PWD/.deps/nginx
find_one() {
    for name in "${NGINX:-}" nginx /usr/sbin/nginx /usr/local/sbin/nginx "$unpacked/usr/sbin/nginx"; do
        [ -n "$name" ] && "$name" -v >/dev/null 2>&1 && command -v "$name" && return 0
    done
    return 1
}
unpack() {
    mkdir -p "$unpacked" && cd "$unpacked" &&
        { apt-get download nginx || { [ "$(id -u)" = 0 ] && apt-get update && apt-get download nginx; }; } &&
        dpkg-deb -x nginx_*.deb .
}
find_one && exit 0
if command -v apt-get >/dev/null 2>&1; then
    (unpack) >&2
    find_one && exit 0
fi
echo "make: the tests behind a proxy need nginx; install it (Debian: apt-get install nginx) or set NGINX to its path" >&2
exit 1
