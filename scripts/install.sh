#!/usr/bin/env bash
# Makes .venv with the package and its extras, at the versions of constraints.txt. `make setup`, `make test-matrix` and
# the Dockerfile run this same script. It does nothing when nothing changed since its last run.
# usage: scripts/install.sh [EXTRAS, default: dev]
# environment: PYTHON (default python3), VENV (default .venv), CONSTRAINTS (default constraints.txt)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/uv_settings.sh
extras=${1:-dev}
venv=${VENV:-.venv}
python=${PYTHON:-python3}
constraints=${CONSTRAINTS:-constraints.txt}
stamp=$venv/.installed

stop() { echo "setup: $*" >&2; exit 1; }

command -v "$python" >/dev/null || stop "'$python' was not found. Install Python 3.11 or newer, or name one: make setup PYTHON=/path/to/python3.12"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    stop "$("$python" --version 2>&1) is too old: 3.11 or newer is needed. Name another one: make setup PYTHON=python3.12"

# By content and place, not by time: a fresh checkout or a moved folder must not be taken for what was installed.
state=$(echo "$PWD $extras $("$python" -c 'import sys; print(sys.version, sys.base_prefix)')"
        cat setup.cfg pyproject.toml "$constraints" scripts/install.sh scripts/uv_settings.sh)
state=$(cksum <<<"$state")
if [ -x "$venv/bin/python" ] && [ "$state" = "$(cat "$stamp" 2>/dev/null)" ]; then exit 0; fi

echo "setup: installing into $venv (once; the first time takes a minute or two)"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    stop "this Python lacks its modules venv and ensurepip (on Debian and Ubuntu: apt install python3-venv)"
rm -rf "$venv"
"$python" -m venv "$venv"
inside() { "$venv/bin/python" -m "$@"; }

# uv is quick; where it does not do, pip itself installs the same versions, more slowly.
with_uv() {
    inside pip install --quiet --disable-pip-version-check --constraint "$constraints" uv || return 1
    tell_uv_what_pip_knows "$venv/bin/python"
    inside uv pip install --quiet --python "$venv/bin/python" \
        --constraint "$constraints" --build-constraint "$constraints" --editable ".[$extras]"
}
with_pip() {
    echo "setup: uv could not install; trying pip, which takes some minutes"
    # The two names are of old and new pip for one thing: the constraints of the build environment.
    PIP_CONSTRAINT=$constraints PIP_BUILD_CONSTRAINT=$constraints \
        inside pip install --quiet --disable-pip-version-check --editable ".[$extras]"
}
with_uv || with_pip || stop "the packages could not be installed; the lines above say why"
# The build leaves it beside the sources, and Airflow run from here would find every entry point twice.
rm -rf airflow_provider_altegio.egg-info
echo "$state" >"$stamp"
