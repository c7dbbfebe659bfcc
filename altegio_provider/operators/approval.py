"""An operator that waits for a person's approval before something is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from altegio_provider.compat import AirflowSkipException, ApprovalOperator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from altegio_provider.compat import Context

__all__ = ["AltegioApprovalOperator"]


class AltegioApprovalOperator(ApprovalOperator):
    """Wait until a person approves, if ``is_wanted`` is true. Use it before a task that sends something.

    Airflow shows the question under "Required Actions". *Approve* continues the run. *Reject* skips this task and the
    following tasks whose trigger rule is ``all_success``, the default.

    :param is_wanted: whether to ask. Templated.
    :param kwargs: arguments of Airflow's ``ApprovalOperator``, among them ``subject``, the question, and ``body``, its
        details in Markdown. Both are templated.
    """

    template_fields: Sequence[str] = (*ApprovalOperator.template_fields, "is_wanted")

    def __init__(self, *, is_wanted: bool | str = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.is_wanted = is_wanted

    def execute(self, context: Context) -> Any:
        """Ask a person, or continue.

        :param context: Airflow's context of the task.
        :returns: the answer as Airflow's ``ApprovalOperator`` gives it; ``None`` if nobody was asked.
        """
        from altegio_provider.api.arguments import checked_flag

        if not checked_flag("is_wanted", self.is_wanted, default=False):
            self.log.info("No approval needed: is_wanted is false")
            return None
        return super().execute(context)

    def skip(self, ti: Any, tasks: Iterable[Any]) -> None:  # noqa: ARG002 - Airflow's signature
        """Skip this task, so that the trigger rules skip the following tasks.

        Airflow itself names the tasks to skip. In a mapped task group it loses those names (3.3.2 reads the XCom of an
        unmapped task there), so the rejected tasks would run.

        :param ti: the task instance.
        :param tasks: the tasks to skip, as Airflow names them; not used.
        :raises AirflowSkipException: always.
        """
        ti.xcom_push(key="return_value", value={"chosen_options": [self.REJECT]})
        raise AirflowSkipException("a person rejected the import")
