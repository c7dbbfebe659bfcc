"""The only file that looks at Airflow's version; everything that Airflow moved between 2.11 and 3.3 comes from here.

Names are looked up when they are first asked for, so that importing this module costs no more than ``import airflow``.
"""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow import __version__ as _airflow_version

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowPlugin,
        AirflowSkipException,
        Asset,
        BaseHook,
        BaseOperator,
        BaseOperatorLink,
        BaseSensorOperator,
        Connection,
        Context,
        ObjectStoragePath,
        PokeReturnValue,
        TaskDeferred,
        conf,
        dag,
        get_hook_lineage_collector,
        task,
        task_group,
    )
    from airflow.providers.standard.operators.hitl import ApprovalOperator
    from airflow.sdk import AssetWatcher, CronDataIntervalTimetable
    from airflow.sdk.definitions.retry_policy import RetryPolicy
    from airflow.sdk.log import mask_secret
    from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

__all__ = [
    "AIRFLOW_V_3_0_PLUS",
    "AIRFLOW_V_3_1_PLUS",
    "AIRFLOW_V_3_2_PLUS",
    "AIRFLOW_V_3_3_PLUS",
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowPlugin",
    "AirflowSkipException",
    "ApprovalOperator",
    "Asset",
    "AssetWatcher",
    "BaseEventTrigger",
    "BaseHook",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "BaseTrigger",
    "Connection",
    "Context",
    "CronDataIntervalTimetable",
    "ObjectStoragePath",
    "PokeReturnValue",
    "TaskDeferred",
    "TriggerEvent",
    "conf",
    "dag",
    "get_hook_lineage_collector",
    "mask_secret",
    "retry_policy",
    "task",
    "task_group",
]

_VERSION = tuple(int(part) for part in _airflow_version.split(".")[:2])
#: The task SDK, assets (datasets before), the execution API.
AIRFLOW_V_3_0_PLUS = _VERSION >= (3, 0)
#: Questions to a person (``ApprovalOperator``); before, importing them raises an error of its own kind.
AIRFLOW_V_3_1_PLUS = _VERSION >= (3, 1)
#: Connection forms as data (``conn-fields``); before, the hook's two form methods are asked.
AIRFLOW_V_3_2_PLUS = _VERSION >= (3, 2)
#: Retry policies by exception, state stores.
AIRFLOW_V_3_3_PLUS = _VERSION >= (3, 3)

_TRIGGERS = ("airflow.triggers.base",)
_APPROVAL = ("airflow.providers.standard.operators.hitl",) if AIRFLOW_V_3_1_PLUS else ()
_ELSEWHERE: dict[str, tuple[str, ...]] = {
    # Where nobody can be asked, a stand-in fails when it is asked to ask; DAGs parse all the same.
    "ApprovalOperator": (*_APPROVAL, "altegio_provider.operators._no_approval"),
    # The compat provider has no triggers, and assets are not watched before Airflow 3.
    "AssetWatcher": ("airflow.sdk",),
    "BaseEventTrigger": _TRIGGERS,
    "BaseTrigger": _TRIGGERS,
    "TriggerEvent": _TRIGGERS,
    # The SDK has it since 3.2, core always had it.
    "CronDataIntervalTimetable": ("airflow.sdk", "airflow.timetables.interval"),
    # The compat provider has it only since 1.22, which is much newer than what we otherwise need of it.
    "mask_secret": (
        "airflow.sdk.log",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    ),
}

_ERRORS = "altegio_provider.api.errors."


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Airflow 2 has no triggers that start DAGs; there the class is an ordinary trigger, which nobody starts.
    sought = "BaseTrigger" if name == "BaseEventTrigger" and not AIRFLOW_V_3_0_PLUS else name
    value = _find(sought, _ELSEWHERE.get(name, ("airflow.providers.common.compat.sdk",)))
    globals()[name] = value
    return value


def _find(name: str, modules: tuple[str, ...]) -> Any:
    for module in modules:
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"{name} is in none of {', '.join(modules)}, with Airflow {_airflow_version}")


def retry_policy(*, rate_limit_delay: timedelta = timedelta(minutes=1)) -> RetryPolicy | None:
    """Return the retry policy that fits this provider's errors, or ``None`` before Airflow 3.3, which has none.

    What a retry cannot mend fails at once, whatever ``retries`` says: wrong tokens, an unknown id, invalid fields,
    a conflict, and a write whose answer was lost, because the API would do it twice. What may pass is retried. Any
    other exception is left to the task's own settings. Give it in ``default_args``, where Airflow 2 ignores it::

        DAG(..., default_args={"retries": 3, "retry_policy": retry_policy()})

    :param rate_limit_delay: how long to wait before the retry when the API's limit is used up by others.
    """
    if not AIRFLOW_V_3_3_PLUS:
        return None
    from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

    # The first rule that matches decides, and a lost write is at the same time a server or connection error.
    return ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception=_ERRORS + "AltegioOutcomeUnknownError",
                action=RetryAction.FAIL,
                reason="it may have taken effect; a retry could do it twice",
            ),
            RetryRule(
                exception=[
                    _ERRORS + "AltegioAuthError",
                    _ERRORS + "AltegioConflictError",
                    _ERRORS + "AltegioNotFoundError",
                    _ERRORS + "AltegioValidationError",
                ],
                action=RetryAction.FAIL,
                reason="the same request would be refused again",
            ),
            RetryRule(
                exception=_ERRORS + "AltegioRateLimitError",
                action=RetryAction.RETRY,
                retry_delay=rate_limit_delay,
                reason="the API's limit for this IP address is used up",
            ),
            RetryRule(
                exception=[
                    _ERRORS + "AltegioConnectionError",
                    _ERRORS + "AltegioResponseError",
                    _ERRORS + "AltegioServerError",
                ],
                action=RetryAction.RETRY,
                reason="the fault may pass",
            ),
        ]
    )
