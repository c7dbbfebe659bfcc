# Airflow with this provider, at the versions of constraints.txt, installed by the script that `make setup` runs.
FROM python:3.11.14-slim-bookworm

ENV AIRFLOW_HOME=/opt/airflow VENV=/opt/airflow/venv PATH=/opt/airflow/venv/bin:$PATH
RUN useradd --uid 50000 --create-home airflow \
    && install -d -o airflow -g airflow /opt/airflow /opt/airflow/logs /opt/airflow/data /opt/airflow/auth

WORKDIR /opt/altegio
COPY setup.cfg setup.py pyproject.toml constraints.txt README.md LICENSE ./
COPY scripts/install.sh scripts/uv_settings.sh scripts/compose_init.sh scripts/
COPY altegio_provider altegio_provider
# The user of the running container may not write here, so the bytecode is compiled now.
RUN UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 PIP_NO_CACHE_DIR=1 scripts/install.sh compose

USER airflow
WORKDIR /opt/airflow
CMD ["airflow", "version"]
