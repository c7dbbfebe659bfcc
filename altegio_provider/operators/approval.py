"""A person's yes before something is sent, where it is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from altegio_provider.compat import AirflowSkipException, ApprovalOperator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from altegio_provider.compat import Context

__all__ = ["AltegioApprovalOperator"]


class AltegioApprovalOperator(ApprovalOperator):
    """Wait until a person approves, if ``is_wanted`` says so; else go on at once.

    The question shows in Airflow under "Required Actions". *Approve* goes on; *Reject* skips this task, and
    with it what comes next and asks for success (the trigger rule ``all_success``, the default).

    :param is_wanted: whether to ask. Templated.
    :param subject: the question. Templated.
    :param body: what a person must know to answer it, in Markdown. Templated.
    :returns: what the person chose, as Airflow's ``ApprovalOperator`` gives it; ``None`` if nobody was asked.
    """

    template_fields: Sequence[str] = (*ApprovalOperator.template_fields, "is_wanted")

    def __init__(self, *, is_wanted: bool | str = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.is_wanted = is_wanted

    def execute(self, context: Context) -> Any:
        """Ask, or go on; see the class."""
        from altegio_provider.api.arguments import checked_flag

        if not checked_flag("is_wanted", self.is_wanted, default=False):
            self.log.info("No approval is wanted")
            return None
        return super().execute(context)

    def skip(self, ti: Any, tasks: Iterable[Any]) -> None:  # noqa: ARG002 - Airflow's signature
        """Let the trigger rules do what the person's "no" means.

        Airflow's own way is to name the tasks to skip, and it forgets them where the tasks are in a mapped task group
        (3.3.2 asks for the XCom of an unmapped task there): what was rejected would be done.
        """
        ti.xcom_push(key="return_value", value={"chosen_options": [self.REJECT]})
        raise AirflowSkipException("the import was rejected by a person")
