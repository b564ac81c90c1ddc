#!/bin/sh
# Installs Debian's Chromium, in which the website is tested, where that is possible; otherwise says what is missing.
# Never fails for want of it: the tests that need a browser skip, and are counted as skipped.
set -eu

works() {
    command -v chromium >/dev/null 2>&1 && chromium --version >/dev/null 2>&1
}

if works; then
    exit 0
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Chromium"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium >/dev/null
    works || { echo "Chromium was installed, but does not start." >&2; exit 1; }
else
    echo "SKIPPED Chromium: it is not here; as root: apt-get install chromium"
fi
