"""From a ledger's URL to a driver, with whatever SQLAlchemy and whatever drivers are installed."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from altegio_provider.imports.ledger.database import driver_of, open_engine
from altegio_provider.imports.ledger.ledger import Intent, Ledger, LedgerError
from tests.services import LEDGERS, empty_database


@pytest.mark.parametrize(
    ("backend", "sqlalchemy_version", "installed", "driver"),
    [
        ("postgresql", 2, {"psycopg", "psycopg2"}, "psycopg"),
        ("postgresql", 2, {"psycopg2"}, "psycopg2"),
        ("postgresql", 2, {"psycopg"}, "psycopg"),
        ("postgresql", 1, {"psycopg", "psycopg2"}, "psycopg2"),
        ("mysql", 2, {"pymysql", "MySQLdb"}, "pymysql"),
        ("mysql", 1, {"pymysql"}, "pymysql"),
        ("mysql", 2, {"MySQLdb"}, "mysqldb"),
        ("mariadb", 2, {"pymysql"}, "pymysql"),
    ],
)
def test_the_driver_is_one_that_is_installed_and_known(backend, sqlalchemy_version, installed, driver):
    assert driver_of(backend, sqlalchemy_version, installed.__contains__) == driver


@pytest.mark.parametrize(
    ("backend", "sqlalchemy_version", "installed", "told"),
    [
        ("postgresql", 2, set(), r"psycopg or psycopg2 is not installed: pip install '.*\[postgres\]'"),
        ("postgresql", 1, {"psycopg"}, "psycopg2 is not installed"),
        ("mysql", 2, {"psycopg"}, r"pymysql or MySQLdb is not installed: pip install '.*\[mysql\]'"),
    ],
)
def test_without_one_the_error_says_what_to_install(backend, sqlalchemy_version, installed, told):
    with pytest.raises(LedgerError, match=told) as failure:
        driver_of(backend, sqlalchemy_version, installed.__contains__)
    assert not failure.value.retryable


@pytest.mark.parametrize("kind", LEDGERS[1:])
def test_a_url_that_names_no_driver_reaches_the_database(kind, tmp_path):
    with empty_database(kind, tmp_path) as url:
        plain = sa.make_url(url).set(drivername=kind.partition("+")[0]).render_as_string(hide_password=False)
        assert "+" not in plain.partition("://")[0]
        with Ledger(plain, 7, "booking") as ledger:
            claims = ledger.transact(lambda session: session.claim({"a": Intent(5, "a")}))
        assert claims["a"].state == "mine"


def test_postgres_is_a_name_of_postgresql_and_a_named_driver_stays():
    assert open_engine("postgres://u@h/d").dialect.name == "postgresql"
    assert open_engine("postgresql+psycopg://u@h/d").dialect.driver == "psycopg"
    assert open_engine("mariadb+pymysql://u@h/d").dialect.driver == "pymysql"
