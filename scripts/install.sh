#!/usr/bin/env bash
# Makes .venv with the package and its extras, at the versions of constraints.txt. `make setup` and the Dockerfile run
# this same script. It does nothing when nothing changed since its last run.
# usage: scripts/install.sh [EXTRAS, default: dev]     environment: PYTHON (default python3), VENV (default .venv)
set -euo pipefail
cd "$(dirname "$0")/.."
extras=${1:-dev}
venv=${VENV:-.venv}
python=${PYTHON:-python3}
stamp=$venv/.installed

stop() { echo "setup: $*" >&2; exit 1; }

command -v "$python" >/dev/null || stop "'$python' was not found. Install Python 3.11 or newer, or name one: make setup PYTHON=/path/to/python3.12"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    stop "$("$python" --version 2>&1) is too old: 3.11 or newer is needed. Name another one: make setup PYTHON=python3.12"

# By content and place, not by time: a fresh checkout or a moved folder must not be taken for what was installed.
state=$(echo "$PWD $extras $("$python" -c 'import sys; print(sys.version, sys.base_prefix)')"
        cat setup.cfg pyproject.toml constraints.txt scripts/install.sh)
state=$(cksum <<<"$state")
if [ -x "$venv/bin/python" ] && [ "$state" = "$(cat "$stamp" 2>/dev/null)" ]; then exit 0; fi

echo "setup: installing into $venv (once; the first time takes a minute or two)"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    stop "this Python lacks its modules venv and ensurepip (on Debian and Ubuntu: apt install python3-venv)"
rm -rf "$venv"
"$python" -m venv "$venv"
inside() { "$venv/bin/python" -m "$@"; }

# uv is quick but does not read pip's configuration, so it is told what pip knows; where that does not do, pip itself
# installs the same versions, more slowly.
pip_setting() {  # in pip's own order: the environment, then the files' section for `install`, then for everything
    for section in :env: install global; do
        sed -n "s/^$section\.$1='\(.*\)'\$/\1/p" <<<"$pip_settings" | sed 's/\\n/ /g' | grep . && return
    done
}
tell_uv() {  # pip's name, uv's name
    local value
    if [ -z "${!2:-}" ] && value=$(pip_setting "$1"); then export "$2=$value"; fi
}
with_uv() {
    inside pip install --quiet --disable-pip-version-check --constraint constraints.txt uv || return 1
    pip_settings=$(inside pip config list)
    tell_uv index-url UV_DEFAULT_INDEX
    tell_uv extra-index-url UV_INDEX
    tell_uv find-links UV_FIND_LINKS
    tell_uv cert SSL_CERT_FILE
    tell_uv proxy ALL_PROXY
    tell_uv trusted-host UV_INSECURE_HOST
    UV_INDEX_STRATEGY=${UV_INDEX_STRATEGY:-unsafe-best-match} inside uv pip install --quiet \
        --python "$venv/bin/python" --constraint constraints.txt --build-constraint constraints.txt --editable ".[$extras]"
}
with_pip() {
    echo "setup: uv could not install; trying pip, which takes some minutes"
    # The two names are of old and new pip for one thing: the constraints of the build environment.
    PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
        inside pip install --quiet --disable-pip-version-check --editable ".[$extras]"
}
with_uv || with_pip || stop "the packages could not be installed; the lines above say why"
# The build leaves it beside the sources, and Airflow run from here would find every entry point twice.
rm -rf airflow_provider_altegio.egg-info
echo "$state" >"$stamp"
