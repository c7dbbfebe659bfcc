"""Differences between the supported versions of Airflow. Only this module checks Airflow's version.

Names that Airflow moved between 3.1 and 3.3 are imported from here. Each branch has a comment with its reason and the
version with which it can be removed (``docs/support.md``).

A name is imported on first use, so importing this module costs no more than ``import airflow``.
"""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

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
        Variable,
        XComArg,
        conf,
        dag,
        get_hook_lineage_collector,
        task,
        task_group,
    )
    from airflow.providers.standard.operators.hitl import ApprovalOperator
    from airflow.sdk import AssetWatcher
    from airflow.sdk.definitions.retry_policy import RetryPolicy
    from airflow.sdk.log import mask_secret
    from airflow.timetables.interval import CronDataIntervalTimetable
    from airflow.triggers.base import BaseEventTrigger, BaseTrigger, TriggerEvent

__all__ = [
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
    "Variable",
    "XComArg",
    "conf",
    "dag",
    "get_connection",
    "get_hook_lineage_collector",
    "mask_secret",
    "retry_policy",
    "task",
    "task_group",
    "with_connection_form",
]

_VERSION = tuple(int(part) for part in _airflow_version.split(".")[:2])
#: Airflow reads connection forms from data (``conn-fields``). 3.1 calls the hook: :func:`with_connection_form`.
AIRFLOW_V_3_2_PLUS = _VERSION >= (3, 2)
#: Retry policies by exception, and the state stores of tasks and assets.
AIRFLOW_V_3_3_PLUS = _VERSION >= (3, 3)

_TRIGGERS = "airflow.triggers.base"
#: The modules of names that the compat provider does not have.
_ELSEWHERE = {
    "ApprovalOperator": "airflow.providers.standard.operators.hitl",
    "AssetWatcher": "airflow.sdk",
    "XComArg": "airflow.sdk",
    "BaseEventTrigger": _TRIGGERS,
    "BaseTrigger": _TRIGGERS,
    "TriggerEvent": _TRIGGERS,
    # The task SDK has it since 3.2. Use "airflow.sdk" when support for 3.1 ends.
    "CronDataIntervalTimetable": "airflow.sdk" if AIRFLOW_V_3_2_PLUS else "airflow.timetables.interval",
    # The compat provider has it since 1.22, which is much newer than the required version.
    "mask_secret": "airflow.sdk.log",
}

_ERRORS = "altegio_provider.api.errors."
_Hook = TypeVar("_Hook")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _ELSEWHERE.get(name, "airflow.providers.common.compat.sdk")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def get_connection(conn_id: str) -> Connection:
    """Return an Airflow connection.

    Where there is none, Airflow 3.1.0 fails outside of a task with an ``ImportError``. When 3.1 is dropped, this is
    ``BaseHook.get_connection``.

    :param conn_id: its id.
    :returns: the connection.
    :raises AirflowNotFoundException: there is no such connection.
    """
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

    try:
        return BaseHook.get_connection(conn_id)
    except ImportError as error:
        if error.name != "airflow.sdk.execution_time.task_runner":
            raise
    raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")


def with_connection_form(hook: type[_Hook]) -> type[_Hook]:
    """Class decorator: add the two methods from which Airflow 3.1 makes the connection's form.

    The form is the one of ``get_provider_info``, which later versions read directly; they warn about these methods.
    Remove this when support for 3.1 ends.

    :param hook: the hook's class.
    """
    if AIRFLOW_V_3_2_PLUS:
        return hook
    from altegio_provider.get_provider_info import get_provider_info

    form = get_provider_info()["connection-types"][0]

    def get_ui_field_behaviour(_: type[_Hook]) -> dict[str, Any]:
        return {key.replace("-", "_"): value for key, value in form["ui-field-behaviour"].items()}

    def get_connection_form_widgets(_: type[_Hook]) -> dict[str, Any]:
        # If wtforms is not installed, the API server of 3.1 replaces it by stubs.
        wtforms, validators = import_module("wtforms"), import_module("wtforms.validators")
        fields = {}
        for name, field in form["conn-fields"].items():
            schema = field["schema"]
            kind, default = "StringField", schema.get("default")
            if schema["type"] == "boolean":
                kind = "BooleanField"
            elif "integer" in schema["type"]:
                kind = "IntegerField"
            elif schema.get("format") == "password":
                kind = "PasswordField"
            elif default is not None:
                default = str(default)
            checks = [validators.any_of(schema["enum"])] if "enum" in schema else []
            options = {"description": field["description"], "default": default, "validators": checks}
            fields[name] = getattr(wtforms, kind)(field["label"], **options)
        return fields

    for method in (get_ui_field_behaviour, get_connection_form_widgets):
        setattr(hook, method.__name__, classmethod(method))
    return hook


def retry_policy(*, rate_limit_delay: timedelta = timedelta(minutes=1)) -> RetryPolicy | None:
    """Return the retry policy for this provider's errors, ``None`` before Airflow 3.3, which has no retry policies.

    Errors that a retry cannot correct fail the task at once, whatever ``retries`` is: wrong tokens, an unknown id,
    invalid fields, a conflict, and a write whose outcome is unknown, because a retry could repeat it. Transient errors
    are retried. The task's own settings apply to all other exceptions. Use it in ``default_args``; ``None`` has no
    effect there::

        DAG(..., default_args={"retries": 3, "retry_policy": retry_policy()})

    :param rate_limit_delay: how long to wait before a retry when other programs have used up the API's limit.
    """
    if not AIRFLOW_V_3_3_PLUS:  # Remove this when support for 3.2 ends.
        return None
    from airflow.sdk.definitions.retry_policy import ExceptionRetryPolicy, RetryAction, RetryRule

    # The first matching rule applies. An unknown outcome is also a server or connection error, so its rule is first.
    return ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception=_ERRORS + "AltegioOutcomeUnknownError",
                action=RetryAction.FAIL,
                reason="the write may have taken effect, and a retry could repeat it",
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
                reason="the error may be transient",
            ),
        ]
    )
