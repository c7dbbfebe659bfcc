#!/usr/bin/env bash
# Before the first start of Airflow's components: its tables, the DAGs' pools, and the password of the user `admin`.
set -euo pipefail
airflow db migrate
airflow pools set altegio 4 "Requests to Altegio"
airflow pools set altegio_backfill 2 "Altegio's past"
python - <<'END'
import json, os, pathlib
file = pathlib.Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
file.touch(mode=0o600)
file.write_text(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}) + "\n")
END
