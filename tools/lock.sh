#!/bin/sh
# Renews the pins in requirements/ from pyproject.toml; `make lock` calls it with a Python that has uv.
# The run-time and oracle pins follow the development pins, so that no two files disagree.
set -eu
python=$1

pins() {
    "$python" -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate \
        --custom-compile-command 'make lock' "$@" pyproject.toml
}

pins --group dev --extra site --extra anki --extra typst --output-file requirements/dev.txt
pins --group build --constraint requirements/dev.txt --output-file requirements/run.txt
pins --extra site --constraint requirements/dev.txt --output-file requirements/site.txt
pins --group readers --constraint requirements/dev.txt --output-file requirements/readers.txt
pins --group browser --constraint requirements/dev.txt --output-file requirements/browser.txt
pins --group oracles --constraint requirements/dev.txt --output-file requirements/oracles.txt

# Packages for graphics cards are PyTorch's own affair: pip adds them where the build of torch it finds asks for them.
grep -Ev '^(cuda|nvidia|triton)' requirements/oracles.txt >requirements/oracles.txt.new
mv requirements/oracles.txt.new requirements/oracles.txt
