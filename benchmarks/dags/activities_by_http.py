"""The DAG without this provider: HttpOperator reads page by page, and a second task writes the XCom to Parquet."""

from __future__ import annotations

import json
from itertools import chain
from typing import Any

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import dag, task

PAGE = 100


def next_page(response: Any) -> dict[str, Any] | None:
    """Return the query of the next page, ``None`` after the last one."""
    pagination = response.json()["meta"]["pagination"]
    offset = pagination["offset"] + PAGE
    return {"data": {"offset": str(offset)}} if offset < pagination["total"] else None


@task
def write(pages: list[str], params: dict[str, Any]) -> None:
    """Write all pages to one Parquet file."""
    import pandas as pd

    rows = chain.from_iterable(json.loads(page)["data"] for page in pages)
    pd.json_normalize(list(rows)).to_parquet(params["path"])


@dag(schedule=None, params={"endpoint": "", "first": "", "behind": "", "headers": {}, "path": ""})
def activities_by_http() -> None:
    """All activities of a range."""
    range_ = {"filter[from]": "{{ params.first }}", "filter[to]": "{{ params.behind }}"}
    read = HttpOperator(
        task_id="read",
        method="GET",
        endpoint="{{ params.endpoint }}",
        data={**range_, "limit": str(PAGE), "offset": "0"},
        headers={"Accept": "{{ params.headers.Accept }}", "Authorization": "{{ params.headers.Authorization }}"},
        pagination_function=next_page,
    )
    write(read.output)


activities_by_http_dag = activities_by_http()
