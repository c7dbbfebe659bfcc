#!/usr/bin/env bash
# Runs the tests with every supported Airflow, on the oldest and the newest supported Python. Each cell has an
# environment of its own under .matrix. A Python that this machine lacks is not downloaded: its cells are skipped.
# usage: scripts/matrix.sh [CELLS ...] [PYTEST ARGUMENTS ...]
#   CELLS: all of a line (`lowest`, `3.1`, `3.2`, `3.3`, `newest`), all of a Python (`py3.13`), or one (`3.1-py3.13`);
#          without any, the whole matrix. The first other word and all after it go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/uv_settings.sh
lines="lowest 3.1 3.2 3.3 newest"
pythons="3.11 3.13"
cache=.matrix
mkdir -p "$cache"
tell_uv_what_pip_knows .venv/bin/python
uv() { .venv/bin/python -m uv "$@"; }

chosen=
while [ $# -gt 0 ]; do
    case " $lines " in *" ${1%-py*} "*) known=yes ;; *) known= ;; esac
    case "$1" in py3.*) known=yes ;; esac
    [ "$known" ] || break
    chosen="$chosen $1 "
    shift
done
is_chosen() { case "${chosen:-" $1 "}" in *" $1 "* | *" ${1%-py*} "* | *" py${1#*-py} "*) ;; *) return 1 ;; esac }

found_python() {  # one that runs and can make environments; a shim of pyenv may do neither
    local candidate
    for candidate in "${PYTHON:-python3}" $(type -ap "python$1") "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$candidate" -c "import sys, ensurepip, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null
        then echo "$candidate"; return; fi
    done
    return 1
}
constraints_of() {  # the file of a cell's versions; all but the lowest are resolved anew at each run
    local line=$1 python=$2 file=$cache/$1-py$2.txt wanted
    if [ "$line" = lowest ]; then echo constraints-lowest.txt; return; fi
    case "$line" in newest) wanted= ;; *) wanted="apache-airflow==$line.*" ;; esac
    # Airflow 3.2.2 does not limit these two, and its execution API fails with the newest of each: a model without a
    # discriminator, an application without `svcs_registry`. When 3.2 is dropped, this goes.
    [ "$line" != 3.2 ] || wanted="$wanted fastapi<0.137 svcs<26"
    printf '%s\n' 'setuptools>=77' uv $wanted |
        uv pip compile --quiet --upgrade --python-version "$python" --extra dev --no-header --no-annotate \
            --output-file "$file" setup.cfg - >/dev/null
    rm -rf airflow_provider_altegio.egg-info  # uv leaves it, and Airflow would find every entry point twice
    echo "$file"
}

summary=
failed=
note() { summary="$summary$(printf '%-14s %-18s %8s  %s' "$@")"$'\n'; }
for line in $lines; do
    for python in $pythons; do
        cell=$line-py$python
        is_chosen "$cell" || continue
        if ! interpreter=$(found_python "$python"); then
            note "$cell" "" "" "skipped: this machine has no Python $python"
            continue
        fi
        echo "== $cell"
        started=$SECONDS
        constraints=$(constraints_of "$line" "$python")
        twin=$cache/3.3-py$python
        if [ "$line" = newest ] && is_chosen "3.3-py$python" && cmp -s "$constraints" "$twin.txt"; then
            note "$cell" "" "" "the same versions as 3.3-py$python"
            continue
        fi
        PYTHON=$interpreter VENV=$cache/$cell CONSTRAINTS=$constraints scripts/install.sh dev
        airflow=$("$cache/$cell/bin/python" -c 'from importlib.metadata import version; print(version("apache-airflow"))')
        # The tests read which versions they are to find, as this script has installed them.
        CONSTRAINTS=$constraints "$cache/$cell/bin/python" -m pytest --numprocesses 2 --dist worksteal \
            --ignore tests/browser "$@" 2>&1 | tee "$cache/$cell.log" || failed="$failed $cell"
        note "$cell" "Airflow $airflow" "$((SECONDS - started)) s" "$(tail -n 1 "$cache/$cell.log")"
    done
done
printf '\n%s' "$summary"
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
