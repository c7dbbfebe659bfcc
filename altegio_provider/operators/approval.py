"""A person's yes before something is sent, where it is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from altegio_provider.compat import ApprovalOperator

if TYPE_CHECKING:
    from altegio_provider.compat import Context

__all__ = ["AltegioApprovalOperator"]


class AltegioApprovalOperator(ApprovalOperator):
    """Wait until a person approves, if ``is_wanted`` says so; else go on at once.

    The question shows in Airflow under "Required Actions". *Approve* goes on; *Reject* skips what comes next.

    :param is_wanted: whether to ask. Templated.
    :param subject: the question. Templated.
    :param body: what a person must know to answer it, in Markdown. Templated.
    :returns: what the person chose, as Airflow's ``ApprovalOperator`` gives it; ``None`` if nobody was asked.
    :raises AirflowFailException: it is wanted, and this Airflow (before 3.1) cannot ask.
    """

    template_fields: Sequence[str] = (*ApprovalOperator.template_fields, "is_wanted")

    def __init__(self, *, is_wanted: bool | str = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.is_wanted = is_wanted

    def execute(self, context: Context) -> Any:
        """Ask, or go on; see the class."""
        if str(self.is_wanted).strip().lower() not in ("true", "1", "yes"):
            self.log.info("No approval is wanted")
            return None
        return super().execute(context)
