#!/usr/bin/env bash
# Changes the code in small ways, one at a time, and lists the changes that no test of the group fails for. All groups
# take hours; one takes 5 to 30 minutes. The copies, logs and lists of survivors are in .mutants/.
# usage: scripts/mutants.sh [GROUP...]
# environment: JOBS (tests side by side, default 2)
set -euo pipefail
cd "$(dirname "$0")/.."

# group: what is changed, and the tests that must see it
declare -A CODE=(
    [paging]="api/paging/*.py"
    [http]="api/http/transport.py api/http/pacing.py api/http/retry.py api/http/answers.py"
    [ratelimit]="api/ratelimit/*.py"
    [writes]="api/writes/*.py"
    [bodies]="api/bodies/*.py"
    [engine]="imports/engine/runner.py imports/engine/reconcile.py imports/engine/file_import.py imports/engine/row_store.py"
    [ledger]="imports/ledger/*.py"
    [matching]="imports/matching/*.py"
    [rows]="imports/rows/*.py"
    [dataset]="tables/dataset/*.py"
    [convert]="tables/convert/*.py"
)
declare -A TESTS=(
    [paging]="tests/unit/api/paging tests/property/test_paging.py tests/property/test_appointment_paging.py"
    [http]="tests/unit/api/http tests/unit/api/test_errors.py tests/property/test_answers.py"
    [ratelimit]="tests/unit/api/ratelimit tests/property/test_rate_limit.py"
    [writes]="tests/unit/api/writes tests/unit/imports/engine/test_booking_once.py tests/airflow/test_event_operators.py tests/airflow/test_appointment_operators.py"
    [bodies]="tests/unit/api/bodies tests/unit/api/test_replacement.py"
    [engine]="tests/unit/imports/engine"
    [ledger]="tests/unit/imports/ledger tests/property/test_ledger.py"
    [matching]="tests/unit/imports/matching tests/unit/imports/engine"
    [rows]="tests/unit/imports/rows tests/property/test_import_rows.py"
    [dataset]="tests/unit/tables/dataset tests/property/test_dataset.py"
    [convert]="tests/unit/tables tests/property/test_schema.py tests/property/test_json_text.py"
)

VENV=.venv-mutants scripts/install.sh
.venv-mutants/bin/python -m pip install --quiet --disable-pip-version-check "mutmut==3.8.1"
python=$PWD/.venv-mutants/bin/python

lines() { printf '    %s\n' "$@"; }

for group in ${*:-${!CODE[@]}}; do
    folder=.mutants/$group
    rm -rf "$folder" && mkdir -p "$folder"
    git ls-files -z | xargs -0 cp --parents -t "$folder"
    read -ra code <<<"${CODE[$group]}"
    read -ra tests <<<"${TESTS[$group]}"
    # Texts of errors and logs are not mutated.
    cat >>"$folder/setup.cfg" <<EOF

[mutmut]
source_paths = altegio_provider
only_mutate =
$(lines "${code[@]/#/altegio_provider/}")
also_copy =
$(lines README.md docs dags plugins scripts benchmarks Makefile CHANGELOG.md)
do_not_mutate_patterns =
    ^\s*raise\b
    \blog\.\w+
    ^\s*f?"
    \bhint=
    __all__
pytest_add_cli_args =
$(lines -p no:xdist -p no:cacheprovider --deselect tests/unit/api/ratelimit/test_rate_limit_processes.py)
pytest_add_cli_args_test_selection =
$(lines "${tests[@]}")
EOF
    (cd "$folder" && CI=true "$python" -m mutmut run --max-children "${JOBS:-2}" >run.log 2>&1) || true
    (cd "$folder" && "$python" -m mutmut results) >"$folder/survivors.txt"
    echo "$group: $(tr '\r' '\n' <"$folder/run.log" | grep -a "🎉" | tail -n 1)"
    grep -a "survived" "$folder/survivors.txt" || true
done
