#!/usr/bin/env bash
# Before the first start of Airflow's components: its tables, and the password of the user `admin`.
set -euo pipefail
airflow db migrate
python - <<'END'
import json, os, pathlib
file = pathlib.Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
file.touch(mode=0o600)
file.write_text(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}) + "\n")
END
