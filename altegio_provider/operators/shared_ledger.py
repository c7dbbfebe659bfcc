"""Checks that the ledger file on this host is the one that the other tasks of this Airflow use.

A file as a ledger is for one host. The configuration cannot tell whether there is one host only: two schedulers with
the LocalExecutor run tasks on two, and a container without a volume begins with an empty folder. So the first import
writes into a Variable of Airflow which ledger it used, and the later ones compare.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from altegio_provider.compat import Variable
from altegio_provider.imports.ledger.ledger import Ledger, LedgerError
from altegio_provider.operators.ledger_url import HOW_TO_SHARE

__all__ = ["VARIABLE", "check_ledger_is_shared"]

#: The Variable of Airflow.
VARIABLE = "altegio_ledger"
_DESCRIPTION = (
    "The file of one host that bulk imports into Altegio use as their ledger. Delete this to use another one."
)


def check_ledger_is_shared(ledger: Ledger, log: Any) -> None:
    """Compare the ledger with the one that earlier imports of this Airflow used.

    :param ledger: a file of this host, which nobody asked for.
    :param log: is told where another file of the same host was used, or where Airflow's Variables cannot be reached.
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
                f"or delete the Variable {VARIABLE} if no rows are booked there."
            )
        if known and known["id"] != mine["id"]:
            log.warning(
                "An earlier import used another ledger on this host: AIRFLOW_HOME has changed, or its "
                "altegio_ledger.db was deleted. Rows that only that ledger has would be booked again."
            )
        if known != mine:
            Variable.set(VARIABLE, json.dumps(mine), _DESCRIPTION)
    except LedgerError:
        raise
    except Exception as error:  # a Variable may hold anything, and its store may be anywhere
        log.warning("Cannot check whether other workers use the same ledger: %s", type(error).__name__)
