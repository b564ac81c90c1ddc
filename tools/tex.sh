#!/bin/sh
# Installs the TeX that the cheat sheets are compiled with, where that is possible; otherwise says what is missing.
# Never fails for want of it: the tests that need TeX skip, and are counted as skipped.
set -eu
packages="texlive-latex-base texlive-latex-recommended lmodern"

complete() {
    command -v pdflatex >/dev/null 2>&1 && command -v kpsewhich >/dev/null 2>&1 || return 1
    for style in multicol.sty amsmath.sty amssymb.sty geometry.sty hyperref.sty booktabs.sty xcolor.sty lmodern.sty; do
        [ -n "$(kpsewhich "$style")" ] || return 1
    done
}

if complete; then
    exit 0
elif [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing TeX: $packages"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086  # one word per package
    apt-get install -y -qq --no-install-recommends $packages >/dev/null
    complete || { echo "TeX was installed, but pdflatex or a style is still missing." >&2; exit 1; }
else
    echo "SKIPPED TeX: pdflatex with lmodern is not here; as root: apt-get install $packages"
fi
