"""Runs ``airflow`` commands as ``scripts/airflow_commands.py`` does, while a person answers what Airflow asks.

The person approves what is said to be approved in its text, and rejects everything else. They answer as everybody does
who clicks in Airflow's pages: by the function behind ``PATCH .../hitlDetails``.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from scripts import airflow_commands


def let_a_person_answer() -> None:
    # Here, before there are two threads: two that import Airflow at once can wait for each other for ever.
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
    from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session
    from sqlalchemy import select

    # `dags test` writes the state of a task once more when it is done with it: a click before that would be lost.
    reads_it_first = timedelta(seconds=1)
    person = SimpleAuthManagerUser(username="person", role="admin")

    def answer_for_ever() -> None:
        while True:
            time.sleep(0.2)  # Airflow is watched from outside
            long_there = HITLDetail.created_at < datetime.now(UTC) - reads_it_first
            with create_session() as session:
                questions = select(HITLDetail).where(HITLDetail.responded_at.is_(None), long_there)
                for question in session.scalars(questions).unique():
                    asks = question.task_instance
                    choice = "Approve" if "/approved.csv/" in question.body else "Reject"
                    update_hitl_detail(
                        asks.dag_id,
                        asks.run_id,
                        asks.task_id,
                        UpdateHITLDetailPayload(chosen_options=[choice]),
                        person,
                        session,
                        asks.map_index,
                    )

    threading.Thread(target=answer_for_ever, daemon=True).start()


if __name__ == "__main__":
    airflow_commands.main(let_a_person_answer)
