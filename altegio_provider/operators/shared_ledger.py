"""Checks that all tasks of this Airflow use the same ledger file.

A ledger file works for one host only. The configuration does not show whether there is only one: two schedulers with
the LocalExecutor run tasks on two hosts, and a container without a volume starts with an empty folder. So the first
import stores the id of its ledger in a Variable of Airflow, and later imports compare.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from altegio_provider.compat import Variable
from altegio_provider.imports.ledger.ledger import Ledger, LedgerError
from altegio_provider.operators.ledger_url import HOW_TO_SHARE

__all__ = ["VARIABLE", "check_ledger_is_shared"]

#: The name of Airflow's Variable.
VARIABLE = "altegio_ledger"
_DESCRIPTION = (
    "The ledger file of one host that bulk imports into Altegio use. Delete this Variable to use another ledger."
)


def check_ledger_is_shared(ledger: Ledger, log: Any) -> None:
    """Compare the ledger with the one that earlier imports of this Airflow used.

    :param ledger: the default ledger file of this host.
    :param log: the logger. It gets a warning if earlier imports used another file on the same host, or if Airflow's
        Variables cannot be read.
    :raises LedgerError: earlier imports used a ledger on another host.
    """
    mine = {"host": socket.gethostname(), "id": ledger.identity}
    try:
        known = json.loads(Variable.get(VARIABLE, None) or "{}")
        if known and known["host"] != mine["host"] and known["id"] != mine["id"]:
            raise LedgerError(
                f"this import would use a ledger on {mine['host']}, but an earlier import of this Airflow used one on "
                f"{known['host']}: rows that are booked there would be booked again. {HOW_TO_SHARE} Copy "
                "altegio_ledger.db from that host first, "
                f"or delete the Variable {VARIABLE} if that ledger has no rows."
            )
        if known and known["id"] != mine["id"]:
            log.warning(
                "An earlier import used another ledger on this host: AIRFLOW_HOME has changed, or altegio_ledger.db "
                "was deleted. Rows that only the other ledger has would be booked again."
            )
        if known != mine:
            Variable.set(VARIABLE, json.dumps(mine), _DESCRIPTION)
    except LedgerError:
        raise
    except Exception as error:  # a Variable can hold anything, and reading it can fail in any way
        log.warning("Cannot check whether other workers use the same ledger: %s", type(error).__name__)
