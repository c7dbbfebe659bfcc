"""Programs that read rows from the API, some to a Parquet file: this provider at three levels, and alternatives.

Each is a function of one :class:`Job`, which is run in its own process and imports what it needs.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from benchmarks.job import HEADERS, LOCATION_ID, PAGE, PATH, TIMEZONE, Job

__all__ = ["CONTENDERS", "Contender"]

GROUP_ROWS = 32_768
DLT_FILES = "out/studio/activities/*.parquet"


@dataclass(frozen=True)
class Contender:
    """One program to measure.

    :param run: does the job, and returns the ids of the rows unless it writes Parquet files.
    :param loaded: a module to import before the measurement, as a worker does before it starts a task.
    :param share: read only this part of the rows (one in ``share``), for slow programs.
    :param files: the pattern of its Parquet files in the folder.
    """

    run: Callable[[Job], list[int] | None]
    loaded: str | None = None
    share: int = 1
    files: str = "**/*.parquet"


def client(job: Job) -> list[int]:
    from altegio_provider.api import AltegioClient

    with AltegioClient(
        job.url, "sandbox-partner", "sandbox-user", timezone=TIMEZONE, requests_per_second=0, requests_per_minute=0
    ) as api:
        return [row["id"] for row in api.list_activities(LOCATION_ID, *job.range)]


def hook(job: Job) -> list[int]:
    from altegio_provider.hooks.altegio import AltegioHook

    frames = AltegioHook().get_activities_df_by_chunks(LOCATION_ID, *job.range)
    return list(chain.from_iterable(frame["id"].tolist() for frame in frames))


def operator(job: Job) -> None:
    from altegio_provider.transfers.altegio_to_parquet import AltegioActivitiesToParquetOperator

    date_from, date_to = job.range
    AltegioActivitiesToParquetOperator(
        task_id="extract", location_id=LOCATION_ID, output_path=str(job.folder), date_from=date_from, date_to=date_to
    ).execute({})


def _plain_pages(job: Job) -> Iterator[Any]:
    import orjson
    import requests

    with requests.Session() as session:
        session.headers.update(HEADERS)
        for offset in range(0, job.rows, PAGE):
            query = {**job.query, "limit": str(PAGE), "offset": str(offset)}
            answer = session.get(job.url + PATH, params=query, timeout=30)
            answer.raise_for_status()
            yield orjson.loads(answer.content)["data"]


def _schema() -> Any:
    """Return the schema of the API's rows, so that Arrow does not have to infer it."""
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    position = pa.struct([("id", number), ("title", text)])
    category = pa.struct([("id", number), ("category_id", number), ("title", text)])
    staff = [("id", number), ("name", text), ("company_id", number), ("specialization", text)]
    staff += [("rating", pa.float64()), ("position", position), ("avatar", text)]
    service = [("id", number), ("title", text), ("category_id", number), ("price_min", pa.float64())]
    service += [("price_max", pa.float64()), ("comment", text), ("image_url", text), ("prepaid", text)]
    label = [("id", number), ("title", text), ("color", text), ("icon", text), ("font_color", text)]
    resource = [("id", number), ("title", text), ("resource_id", number)]
    numbers = ("id", "company_id", "service_id", "staff_id", "timestamp", "length", "capacity", "records_count")
    texts = ("name", "date", "datetime", "created_at", "color", "font_color", "instructions", "stream_link")
    return pa.schema(
        [
            *((name, number) for name in numbers),
            *((name, text) for name in (*texts, "comment", "prepaid")),
            ("notified", pa.bool_()),
            ("service", pa.struct([*service, ("category", category)])),
            ("staff", pa.struct(staff)),
            ("labels", pa.list_(pa.struct(label))),
            ("resource_instances", pa.list_(pa.struct(resource))),
        ]
    )


def floor(job: Job) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema()
    with pq.ParquetWriter(job.folder / "floor.parquet", schema, compression="zstd") as writer:
        held: list[Any] = []
        for page in _plain_pages(job):
            held.append(pa.RecordBatch.from_pylist(page, schema=schema))
            if len(held) * PAGE >= GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(held))
                held = []
        if held:
            writer.write_table(pa.Table.from_batches(held))


class _Absent:
    """Makes an import fail as if the package were not installed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, *_: Any) -> None:
        if name == self._name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def floor_without_pandas(job: Job) -> None:
    sys.meta_path.insert(0, _Absent("pandas"))
    floor(job)


def normalize(job: Job) -> None:
    import pandas as pd

    frame = pd.json_normalize(list(chain.from_iterable(_plain_pages(job))))
    frame.to_parquet(job.folder / "frame.parquet")


def _dlt_source(job: Job) -> Any:
    from dlt.sources.rest_api import rest_api_source

    endpoint = {
        "path": PATH.removeprefix("/"),
        "params": job.query,
        "data_selector": "data",
        "paginator": {"type": "offset", "limit": PAGE, "total_path": "meta.pagination.total"},
    }
    return rest_api_source(
        {
            "client": {"base_url": job.url + "/", "headers": HEADERS},
            "resources": [{"name": "activities", "endpoint": endpoint}],
        }
    )


def _dlt_run(job: Job, source: Any) -> None:
    import dlt

    pipeline = dlt.pipeline(
        "activities",
        pipelines_dir=str(job.folder / "pipelines"),
        destination=dlt.destinations.filesystem(str(job.folder / "out")),
        dataset_name="studio",
    )
    pipeline.run(source, loader_file_format="parquet").raise_on_failed_jobs()


def dlt_default(job: Job) -> None:
    _dlt_run(job, _dlt_source(job))


def dlt_arrow(job: Job) -> None:
    import pyarrow as pa

    source, schema = _dlt_source(job), _schema()
    source.activities.add_step(lambda page: pa.Table.from_pylist(page, schema=schema))
    _dlt_run(job, source)


def http_operator(job: Job) -> None:
    """Run the DAG of ``benchmarks/dags`` as ``airflow dags test`` does, with its XCom in a database."""
    from benchmarks.dags.activities_by_http import activities_by_http_dag

    os.environ["AIRFLOW_CONN_HTTP_DEFAULT"] = json.dumps({"conn_type": "http", "host": job.url})
    first, behind = job.query.values()
    path = str(job.folder / "frame.parquet")
    run = activities_by_http_dag.test(
        run_conf={"endpoint": PATH, "first": first, "behind": behind, "headers": HEADERS, "path": path}
    )
    assert run.state == "success", "the DAG failed"


CONTENDERS = {
    "client": Contender(client),
    "hook": Contender(hook, loaded="airflow.sdk"),
    "operator": Contender(operator, loaded="airflow.sdk"),
    "floor": Contender(floor),
    "floor, no pandas": Contender(floor_without_pandas),
    "json_normalize": Contender(normalize),
    "dlt": Contender(dlt_default, files=DLT_FILES),
    "dlt, Arrow": Contender(dlt_arrow, files=DLT_FILES),
    "HttpOperator": Contender(http_operator, loaded="airflow.sdk", share=10),
}
