"""What stands in for Airflow's ``ApprovalOperator`` where there is none: before Airflow 3.1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from altegio_provider.compat import AirflowFailException, BaseOperator

if TYPE_CHECKING:
    from altegio_provider.compat import Context

__all__ = ["ApprovalOperator"]


class ApprovalOperator(BaseOperator):
    """Takes the same arguments, and fails when it is asked to ask."""

    template_fields: Sequence[str] = ("subject", "body")

    def __init__(self, *, subject: str, body: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.subject = subject
        self.body = body

    def execute(self, context: Context) -> Any:  # noqa: ARG002 - Airflow's signature
        """Fail: nothing goes on without the approval that is wanted."""
        raise AirflowFailException(
            "an approval is wanted, and this Airflow cannot ask for one: take Airflow 3.1 or newer, "
            "or do without the approval"
        )
