"""Macros in this installation's own time zone: drop this file into Airflow's plugins folder.

The package itself already gives ``macros.altegio``, where a template names the zone. This gives
``macros.altegio_local``, where ``ALTEGIO_TIMEZONE`` (an environment variable of the workers, UTC where it is not
set) names it once for all::

    date_from="{{ macros.altegio_local.day_start(ds) }}"
    date_to="{{ macros.altegio_local.day_end(ds) }}"
"""

from __future__ import annotations

import os

from altegio_provider.compat import AirflowPlugin
from altegio_provider.plugin import macros_in

# The package's plugin class is not imported by name on purpose: Airflow takes every plugin class that it finds in
# this file for one of the file's own, and reports two plugins of one name as an error.


class AltegioLocalPlugin(AirflowPlugin):
    """``macros.altegio_local``: the bounds of a day or a month, in the time zone of ``ALTEGIO_TIMEZONE``."""

    name = "altegio_local"
    macros = macros_in(os.environ.get("ALTEGIO_TIMEZONE") or "UTC")
