"""The only file that looks at Airflow's version; everything that Airflow moved between 3.1 and 3.3 comes from here.

Each branch has its reason, and the version with which it goes (``docs/support.md``).

Names are looked up when they are first asked for, so that importing this module costs no more than ``import airflow``.
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
    "get_hook_lineage_collector",
    "mask_secret",
    "retry_policy",
    "task",
    "task_group",
    "with_connection_form",
]

_VERSION = tuple(int(part) for part in _airflow_version.split(".")[:2])
#: Connection forms as data (``conn-fields``). Airflow 3.1 asks the hook's form methods: :func:`with_connection_form`.
AIRFLOW_V_3_2_PLUS = _VERSION >= (3, 2)
#: Retry policies by exception, and the state stores of tasks and assets.
AIRFLOW_V_3_3_PLUS = _VERSION >= (3, 3)

_TRIGGERS = "airflow.triggers.base"
#: Where a name is when the compat provider does not have it.
_ELSEWHERE = {
    "ApprovalOperator": "airflow.providers.standard.operators.hitl",
    "AssetWatcher": "airflow.sdk",
    "XComArg": "airflow.sdk",
    "BaseEventTrigger": _TRIGGERS,
    "BaseTrigger": _TRIGGERS,
    "TriggerEvent": _TRIGGERS,
    # The task SDK has it since 3.2. When 3.1 is dropped: always "airflow.sdk".
    "CronDataIntervalTimetable": "airflow.sdk" if AIRFLOW_V_3_2_PLUS else "airflow.timetables.interval",
    # The compat provider has it only since 1.22, which is much newer than what is otherwise needed of it.
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


def with_connection_form(hook: type[_Hook]) -> type[_Hook]:
    """Give a hook class the two form methods that Airflow 3.1 asks for the connection's form, made of the same data.

    Later versions read the form from the provider's data, and warn of these methods. When 3.1 is dropped, this goes.
    """
    if AIRFLOW_V_3_2_PLUS:
        return hook
    from altegio_provider.get_provider_info import get_provider_info

    form = get_provider_info()["connection-types"][0]

    def get_ui_field_behaviour(_: type[_Hook]) -> dict[str, Any]:
        return {key.replace("-", "_"): value for key, value in form["ui-field-behaviour"].items()}

    def get_connection_form_widgets(_: type[_Hook]) -> dict[str, Any]:
        # The API server of 3.1 puts stand-ins in the place of wtforms where it is not installed.
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
    """Return the retry policy that fits this provider's errors, or ``None`` before Airflow 3.3, which has none.

    What a retry cannot mend fails at once, whatever ``retries`` says: wrong tokens, an unknown id, invalid fields,
    a conflict, and a write whose answer was lost, because the API would do it twice. What may pass is retried. Any
    other exception is left to the task's own settings. Give it in ``default_args``; ``None`` changes nothing there::

        DAG(..., default_args={"retries": 3, "retry_policy": retry_policy()})

    :param rate_limit_delay: how long to wait before the retry when the API's limit is used up by others.
    """
    if not AIRFLOW_V_3_3_PLUS:  # When 3.2 is dropped, this goes, and the policy is never None.
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
