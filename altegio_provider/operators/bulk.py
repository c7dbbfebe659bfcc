"""The base class of the operators that import a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from altegio_provider.api.secrets import Secret, clear_variables_on_error
from altegio_provider.compat import AirflowFailException, mask_secret
from altegio_provider.hooks.altegio import AltegioHook
from altegio_provider.operators.passwords import passwords_in, without_password
from altegio_provider.operators.personal import OperatorWithPersonalFields, PersonalField, unwrap_personal

if TYPE_CHECKING:
    from altegio_provider.compat import Context
    from altegio_provider.imports.engine.file_import import FileImport
    from altegio_provider.imports.engine.stop_flag import StopFlag

__all__ = ["BulkOperator"]

_STORED_BY_MAPPING = (
    "ledger_url contains a password, and Airflow stores the arguments of partial() and expand() in its database. "
    "Create an Airflow connection and use ledger_conn_id=, or set the environment variable ALTEGIO_LEDGER."
)


_FINGERPRINT_DIGITS = 64


class BulkOperator(OperatorWithPersonalFields):
    """Base class of operators that import the rows of a table, each exactly once.

    ``AltegioCreateAppointmentsOperator`` documents the arguments.
    """

    template_fields: Sequence[str] = (
        "altegio_conn_id",
        "location_id",
        "source",
        "sql",
        "report_path",
        "ledger_url",
        "ledger_conn_id",
        "is_dry_run",
        "max_rejected",
        "resend_in_doubt",
        "timezone",
        "source_fingerprint",
    )
    ui_color = "#e8f3ec"
    #: A path or URL is shown; rows and DataFrames are personal data.
    source = PersonalField(texts_are_personal=False)

    def __init__(
        self,
        *,
        source: Any = None,
        location_id: int | str | None = None,
        column_mapping: Mapping[str, str | None] | None = None,
        defaults: Mapping[str, Any] | None = None,
        report_path: str | None = None,
        ledger_url: str | None = None,
        ledger_conn_id: str | None = None,
        dry_run: bool | str = False,
        max_rejected: int | float | str = 0,
        on_duplicate: Literal["skip", "send", "reject"] = "skip",
        resend_in_doubt: bool | str = False,
        timezone: str | None = None,
        sql: str | None = None,
        sql_conn_id: str | None = None,
        source_format: str | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        settle_seconds: float = 20.0,
        concurrency: int = 4,
        file_mode: int | str | None = None,
        source_fingerprint: str | None = None,
        altegio_conn_id: str = AltegioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.location_id = location_id
        self.column_mapping = column_mapping
        self.defaults = defaults
        self.report_path = report_path
        # Airflow stores and shows this field, so it must not contain a password.
        self._ledger_url = Secret(ledger_url) if isinstance(ledger_url, str) else None
        self.ledger_url = without_password(ledger_url)
        self.ledger_conn_id = ledger_conn_id
        # Airflow has stored the arguments of a mapped task before it calls this.
        if getattr(self, "_BaseOperator__from_mapped", False) and self.ledger_url != ledger_url:
            raise AirflowFailException(_STORED_BY_MAPPING)
        # Airflow's operators have a method of the argument's name.
        self.is_dry_run = dry_run
        self.max_rejected = max_rejected
        self.on_duplicate = on_duplicate
        self.resend_in_doubt = resend_in_doubt
        self.timezone = timezone
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.source_format = source_format
        self.delimiter = delimiter
        self.encoding = encoding
        self.settle_seconds = settle_seconds
        self.concurrency = concurrency
        self.file_mode = file_mode
        self.source_fingerprint = source_fingerprint
        self.altegio_conn_id = altegio_conn_id
        self._stop: StopFlag | None = None

    @clear_variables_on_error
    def execute(self, context: Context) -> dict[str, Any]:
        """Read, check and send the rows, and write the report.

        :param context: Airflow's context of the task.
        :returns: the summary, see ``AltegioCreateAppointmentsOperator``.
        :raises AirflowFailException: the import failed, and a retry cannot help.
        :raises AirflowException: the import failed, and a retry continues it.
        """
        from altegio_provider.api.errors import AltegioError
        from altegio_provider.imports.ledger.ledger import LedgerError
        from altegio_provider.imports.model import ImportFileError
        from altegio_provider.operators import bulk_run

        hook = AltegioHook(self.altegio_conn_id)
        try:
            summary, halt, counts = self._import(hook, is_in_task=bool(context and "ti" in context))
        except (ImportFileError, LedgerError, AltegioError) as error:
            if getattr(error, "retryable", False) or getattr(error, "transient", False):
                raise
            raise AirflowFailException(str(error)) from error
        finally:
            hook.close()
        self.log.info("Import of %d rows: %s", summary["rows"], bulk_run.describe_counts(counts))
        if context and "ti" in context:
            context["ti"].xcom_push(key="return_value", value=summary)
        bulk_run.raise_if_halted(halt, counts, summary["report"])
        return summary

    def _do_render_template_fields(self, parent: Any, *arguments: Any, **named: Any) -> None:
        """Render the fields and hide passwords in them, because Airflow stores and shows them afterwards."""
        if parent is self and self._ledger_url is not None:
            self.ledger_url = self._ledger_url.reveal()
            # Airflow logs a template that it cannot render.
            for password in passwords_in(self.ledger_url):
                mask_secret(password)
        super()._do_render_template_fields(parent, *arguments, **named)
        if parent is self:
            self._ledger_url = Secret(self.ledger_url) if isinstance(self.ledger_url, str) else None
            self.ledger_url = without_password(self.ledger_url)

    def on_kill(self) -> None:
        """Stop sending. Requests under way are finished and recorded."""
        if self._stop is not None:
            self._stop.set()

    def _kind(self) -> type[FileImport]:
        """Return the class that imports this kind of rows."""
        raise NotImplementedError

    def _own_options(self) -> dict[str, Any]:
        """Return the options that only this operator has."""
        return {}

    def _import(self, hook: AltegioHook, *, is_in_task: bool) -> tuple[dict[str, Any], Any, Any]:
        from contextlib import suppress

        from altegio_provider.common.location_time import load_zone
        from altegio_provider.imports.engine.report import check_report_path, write_report
        from altegio_provider.imports.engine.row_store import RowStore
        from altegio_provider.imports.engine.stop_flag import StopFlag
        from altegio_provider.imports.ledger.ledger import Ledger
        from altegio_provider.imports.model import ImportFileError
        from altegio_provider.operators import bulk_run
        from altegio_provider.operators.arguments import PRIVATE, mode_of, storage_path
        from altegio_provider.operators.ledger_url import is_given, ledger_url_of
        from altegio_provider.operators.shared_ledger import check_ledger_is_shared

        self._stop = StopFlag()
        kind = self._kind()
        location_id = hook.location_id(self.location_id)
        try:
            zone = load_zone(self.timezone or hook.settings.timezone)
        except ValueError as error:
            raise ImportFileError(str(error)) from None
        options = self._options()
        mode = mode_of(self.file_mode, PRIVATE) or PRIVATE
        folder = storage_path(self.report_path, "report_path") if self.report_path else None
        if folder is not None:
            check_report_path(folder)
        given_url = self._ledger_url.reveal() if self._ledger_url is not None else None
        ledger_url = ledger_url_of(given_url, self.ledger_conn_id)
        report: dict[str, str] = {}
        with (
            self._source() as source,
            Ledger(ledger_url, location_id, kind.kind) as ledger,
            RowStore() as store,
        ):
            if is_in_task and not is_given(given_url, self.ledger_conn_id):
                check_ledger_is_shared(ledger, self.log)
            self.log.info("Reading %s (%s)", source.name, source.how)
            fingerprint = None if source.digest is None else hook.settings.keyed_hash(source.digest)
            self._check_fingerprint(source.name, fingerprint)
            file_import = kind(
                hook.get_conn(),
                location_id,
                zone,
                store,
                ledger,
                options,
                stop=self._stop,
                on_progress=bulk_run.ProgressLog(self.log).report,
            )
            try:
                halt = file_import.run(source)
            except BaseException:
                if folder is not None:
                    # A row store that failed fails again here. No report is better than a wrong one.
                    with suppress(Exception):
                        write_report(store, source.columns, folder, kind.partition_column, mode=mode)
                raise
            if folder is not None:
                # If the report cannot be written, the log still has the result.
                self.log.info("Writing the report of %s", bulk_run.describe_counts(store.counts()))
                report = write_report(store, source.columns, folder, kind.partition_column, mode=mode)
            counts = store.counts()
        summary = {
            "location_id": location_id,
            "rows": sum(counts.values()),
            **{str(status): count for status, count in counts.items()},
            "dry_run": options.dry_run,
            "requests": hook.get_conn().stats.requests,
            "report": report,
            "source_fingerprint": fingerprint,
        }
        return summary, halt, counts

    def _check_fingerprint(self, name: str, fingerprint: str | None) -> None:
        """Check that the source has the fingerprint that the argument demands, if it demands one.

        :raises ImportFileError: the fingerprint differs. Nothing was sent.
        """
        from altegio_provider.imports.model import ImportFileError

        wanted = self.source_fingerprint
        if wanted is None or wanted == fingerprint:
            return
        if not isinstance(wanted, str) or len(wanted) != _FINGERPRINT_DIGITS:
            raise ImportFileError(
                "source_fingerprint is invalid: give the `source_fingerprint` that a dry run returned."
            )
        raise ImportFileError(
            f"{name} is not the file that was checked: its content or the connection's tokens have changed. "
            "Nothing was sent. Run the check (dry_run=True) again."
        )

    def _source(self) -> Any:
        from altegio_provider.imports.model import ImportFileError
        from altegio_provider.operators import bulk_run

        if self.sql and self.sql_conn_id:
            return bulk_run.open_query(self.sql, self.sql_conn_id)
        source = unwrap_personal(self.source)
        if self.sql or source is None:
            raise ImportFileError("the source is missing: give `source`, or `sql` with `sql_conn_id`.")
        return bulk_run.open_source_argument(
            source, format=self.source_format, delimiter=self.delimiter, encoding=self.encoding
        )

    def _options(self) -> Any:
        from altegio_provider.api.arguments import checked_concurrency, checked_flag, checked_mapping, checked_seconds
        from altegio_provider.imports.engine.file_import import ImportOptions
        from altegio_provider.operators.arguments import checked_choice, checked_share

        return ImportOptions(
            column_mapping=checked_mapping("column_mapping", self.column_mapping),
            defaults=checked_mapping("defaults", self.defaults),
            dry_run=checked_flag("dry_run", self.is_dry_run, default=False),
            max_rejected=checked_share("max_rejected", self.max_rejected),
            on_duplicate=checked_choice("on_duplicate", self.on_duplicate, ("skip", "send", "reject")),
            resend_in_doubt=checked_flag("resend_in_doubt", self.resend_in_doubt, default=False),
            concurrency=checked_concurrency(self.concurrency),
            settle_seconds=checked_seconds("settle_seconds", self.settle_seconds),
            **self._own_options(),
        )
