#!/usr/bin/env bash
# Writes constraints.txt: one version of every package of every extra, for all supported Pythons together.
set -euo pipefail
cd "$(dirname "$0")/.."
printf 'setuptools>=77\nuv\n' |
    .venv/bin/python -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest \
        --all-extras --no-header --no-annotate --output-file constraints.txt setup.cfg -
