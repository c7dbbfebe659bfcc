#!/usr/bin/env bash
# Writes the two files of pinned versions, for all supported Pythons together: constraints.txt with today's newest
# versions of every extra, constraints-lowest.txt with the lower bounds of all that the tests install.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/uv_settings.sh
tell_uv_what_pip_knows .venv/bin/python
lock() {  # further requirements come on standard input
    .venv/bin/python -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest \
        --no-header --no-annotate "$@" setup.cfg -
}
# What installs: it is needed in both, and no lower bound of the package.
tools='setuptools>=77
uv>=0.8'
lock --all-extras --output-file constraints.txt <<<"$tools"
# Airflow 3.1.0 does not limit these, and fails with what came later: its structlog lost a name in 25.5, its routes lost
# theirs in FastAPI 0.118, pyjwt refuses its tokens without an issuer since 2.11, and its ObjectStoragePath is made for
# the 0.2 line of universal-pathlib. The newest joserfc, which Airflow brings, would raise the lowest cryptography above
# our own bound.
lock --extra dev --resolution lowest-direct --output-file constraints-lowest.txt --constraint <(cat <<'END'
structlog<25.5
fastapi<0.118
pyjwt<2.11
universal-pathlib<0.3
cryptography<45
END
) <<<"$tools"
rm -rf airflow_provider_altegio.egg-info  # uv leaves it, and Airflow would find every entry point twice
