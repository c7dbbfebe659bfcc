"""The warehouse: a load of the dataset, and a query."""

from __future__ import annotations

from scripts.demo.airflow import Airflow
from scripts.demo.output import print_line, show_bars, show_table, step
from scripts.demo.paths import WAREHOUSE

_QUESTION = """
  SELECT service_title AS class, sum(classes) AS classes, sum(seats) AS seats,
         sum(booked_seats) AS booked, round(100 * sum(booked_seats) / sum(seats)) AS percent
  FROM altegio_occupancy GROUP BY service_title ORDER BY percent DESC, class
"""


def load_the_warehouse(airflow: Airflow) -> None:
    """Run the DAG that loads what the extract wrote."""
    step("Airflow: the DAG altegio_warehouse_load, which starts after the daily one")
    airflow.run("dags", "test", "altegio_warehouse_load")


def ask_the_warehouse() -> None:
    """Run the query, and print the result as a table and as bars of its last column."""
    import duckdb

    step("The warehouse: which classes are full?")
    print_line(_QUESTION.strip("\n"))
    with duckdb.connect(str(WAREHOUSE), read_only=True) as warehouse:
        answer = warehouse.execute(_QUESTION)
        headings = [column[0] for column in answer.description or ()]
        rows = answer.fetchall()
    show_table(headings, ([value if isinstance(value, str) else str(int(value)) for value in row] for row in rows))
    show_bars((name, percent * 0.4, f"{percent:.0f} %") for name, *_, percent in rows)
