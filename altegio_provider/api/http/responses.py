"""Reads a response: returns its JSON document, or raises the error for its status and body.

Error bodies come in seven shapes, one of them JSON:API's, and proxies send other ones; all are read. The
status and the structure decide, never a message's text, because messages are localised.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

import orjson

from altegio_provider.api.errors import (
    AltegioAuthError,
    AltegioConflictError,
    AltegioConnectionError,
    AltegioConnectionOutcomeUnknownError,
    AltegioError,
    AltegioNotFoundError,
    AltegioRateLimitError,
    AltegioResponseError,
    AltegioResponseOutcomeUnknownError,
    AltegioServerError,
    AltegioServerOutcomeUnknownError,
    AltegioValidationError,
)
from altegio_provider.api.http.redaction import redact

__all__ = ["invalid_response", "no_response", "read_response", "retry_after_seconds"]

_NOT_JSON = object()
#: A surrogate, as an escape or in bytes.
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\xed[\xa0-\xbf][\x80-\xbf]")
#: Bytes of a body that an error's text is made from.
_MAX_SHOWN = 4096
#: How many errors are kept (a request has fewer fields), how deep they are nested, and how many characters of each.
_MAX_ERRORS = 100
_MAX_DEPTH = 8
_MAX_TEXT = 10_000
_AUTH_HINTS = {
    401: (
        "Check the partner token (the connection's password) and the user token; "
        "the user token becomes invalid when the user's password changes."
    ),
    407: "The proxy of the environment (HTTP_PROXY, ALL_PROXY) requires a user and a password: put them into its URL.",
    402: "The location's licence has expired; renew it in Altegio.",
    403: "The user has no permission for this in the location, or the location's licence has expired.",
}


def read_response(
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    secrets: tuple[str, ...] = (),
) -> Any:
    """Return the JSON document of a successful response (``None`` for an empty one to a DELETE).

    :param method: the request's HTTP method.
    :param path: the request's path, for the error.
    :param status: the response's status.
    :param headers: the response's headers.
    :param body: the response's body.
    :param secrets: strings that no error may show.
    :raises AltegioError: the status or the body is that of an error; the class fits them.
    """
    if 200 <= status < 300:
        return _document(method, path, status, body, secrets)
    raise _error_of(method, path, status, headers, body, secrets)


def no_response(method: str, path: str, reason: str) -> AltegioConnectionError:
    """Return the error for a request that was sent and got no response.

    :param method: the request's HTTP method.
    :param path: the request's path.
    :param reason: what happened.
    """
    kind = AltegioConnectionError if method == "GET" else AltegioConnectionOutcomeUnknownError
    return kind(f"no response: {reason}.", method=method, path=path)


def invalid_response(method: str, path: str, status: int | None, reason: str, **details: Any) -> AltegioResponseError:
    """Return the error for a response that cannot be read or contradicts itself.

    :param method: the request's HTTP method.
    :param path: the request's path.
    :param status: the response's status.
    :param reason: what is wrong with it.
    :param details: its ``message``, ``errors`` and ``body``, redacted.
    """
    kind = AltegioResponseError if method == "GET" else AltegioResponseOutcomeUnknownError
    return kind(f"invalid response: {reason}.", method=method, path=path, status=status, **details)


def _document(method: str, path: str, status: int, body: bytes, secrets: tuple[str, ...]) -> Any:
    if not body.strip() or body.strip() == b"null":
        if method == "DELETE":
            return None
        raise invalid_response(method, path, status, "its body is empty")
    document = _read(body)
    if document is _NOT_JSON:
        kind = "HTML" if body.lstrip()[:1] == b"<" else "cut off or not JSON"
        raise invalid_response(method, path, status, f"its body is {kind}", body=_shown_body(body, secrets))
    if _serialized(document) is None:
        raise invalid_response(method, path, status, "its body is nested too deeply")
    if not isinstance(document, dict):
        raise invalid_response(method, path, status, f"it is a JSON {type(document).__name__} and not an object")
    hidden = document.get("data")
    if document.get("success") is False:
        message, errors = _error_details(document, secrets)
        raise invalid_response(method, path, status, 'it says "success": false', message=message, errors=errors)
    if method != "DELETE" and not isinstance(hidden, dict | list):
        message, errors = _error_details(document, secrets)
        raise invalid_response(
            method, path, status, "its `data` is neither an object nor a list", message=message, errors=errors
        )
    if method != "GET" and isinstance(hidden, dict) and hidden.get("errors"):
        message, errors = _error_details({"errors": hidden["errors"]}, secrets)
        raise AltegioValidationError(
            "refused, although the status is one of success.",
            method=method,
            path=path,
            status=status,
            message=message,
            errors=errors,
        )
    return document


def _error_of(
    method: str, path: str, status: int, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...]
) -> AltegioError:
    document = _read(body)
    # A serialized document has no escapes, which could hide a name or a token.
    written = body if document is _NOT_JSON else _serialized(document)
    text = None if written is None else _shown_body(written, secrets)
    message, errors = _error_details(document, secrets)
    details: dict[str, Any] = {
        "method": method,
        "path": path,
        "status": status,
        "message": message,
        "errors": errors,
        "body": text,
    }
    if status in _AUTH_HINTS:
        return AltegioAuthError(f"not allowed (HTTP {status}).", hint=_AUTH_HINTS[status], **details)
    if status in (404, 405):
        return AltegioNotFoundError(f"not found (HTTP {status}).", **details)
    if status == 409:
        return AltegioConflictError("the team member or a resource is busy (HTTP 409).", **details)
    if status == 429:
        wait = retry_after_seconds(headers.get("Retry-After"), time.time())
        return AltegioRateLimitError("too many requests (HTTP 429).", retry_after=wait, **details)
    if status >= 500:
        kind = AltegioServerError if method == "GET" else AltegioServerOutcomeUnknownError
        return kind(f"the server failed (HTTP {status}).", **details)
    if 400 <= status < 500 and status != 408:
        return AltegioValidationError(f"refused (HTTP {status}).", **details)
    return invalid_response(method, path, status, f"the status {status} is unexpected", body=text)


def _read(body: bytes) -> Any:
    """Return the JSON value, or ``_NOT_JSON``, because an exception would hold the body."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _read_with_surrogates(body) if _LONE_SURROGATE.search(body) else _NOT_JSON


def _read_with_surrogates(body: bytes) -> Any:
    """Return the JSON value of a body with lone surrogates, which only the standard library reads.

    A text that was cut in the middle of an emoji must not stop the reading of a whole list.
    """
    try:
        # Check without the surrogates that the body is JSON and not nested too deeply.
        _ = orjson.dumps(orjson.loads(_LONE_SURROGATE.sub(rb"\\u0000", body)))
        return json.loads(body.decode("utf-8", "surrogatepass"))
    except (ValueError, orjson.JSONEncodeError):
        return _NOT_JSON


def _serialized(document: Any) -> bytes | None:
    """Return a document as JSON, or ``None`` for one that is nested too deeply for recursive code."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError as error:
        has_lone_surrogate = "surrogates" in str(error)
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace") if has_lone_surrogate else None


def _shown_body(body: bytes, secrets: tuple[str, ...]) -> str:
    return redact(body[:_MAX_SHOWN].decode("utf-8", "replace"), secrets, was_cut=len(body) > _MAX_SHOWN)


def retry_after_seconds(value: str | None, now: float) -> float | None:
    """Read the header ``Retry-After``: seconds, or an HTTP date.

    :param value: the header's value, or ``None``.
    :param now: the current Unix time.
    :returns: seconds from now, never negative; ``None`` if the header is missing or cannot be read.
    """
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, TypeError):
            return None
    return max(0.0, seconds) if seconds == seconds and seconds != float("inf") else None


def _error_details(document: Any, secrets: tuple[str, ...]) -> tuple[str | None, dict[str, list[str]]]:
    """Return the message, and the errors of each field, from any of the shapes."""
    if not isinstance(document, dict):
        return None, {}
    raw_meta = document.get("meta")
    meta = raw_meta if isinstance(raw_meta, dict) else {}
    raw_errors = meta.get("errors") or document.get("errors")
    message = meta.get("message") or document.get("message")
    if message is None and isinstance(raw_errors, dict) and isinstance(raw_errors.get("message"), str):
        message = raw_errors["message"]
        raw_errors = {field: text for field, text in raw_errors.items() if field not in ("message", "code")}
    if message is None:
        message = _title_of(raw_errors)
    errors: dict[str, list[str]] = {}
    for field, text in islice(_pairs(raw_errors), _MAX_ERRORS):
        errors.setdefault(redact(field, secrets), []).append(redact(text, secrets))
    return (redact(message, secrets) if isinstance(message, str) else None), errors


def _pairs(raw_errors: Any) -> Iterator[tuple[str, str]]:
    """Flatten errors to (field, text) pairs; an error that names no field belongs to ``request``."""
    if isinstance(raw_errors, dict) and not _is_jsonapi(raw_errors):
        for field, texts in raw_errors.items():
            yield from ((field[:_MAX_TEXT], text) for text in _texts(texts))
        return
    for entry in raw_errors if isinstance(raw_errors, list) else [raw_errors]:
        if not isinstance(entry, dict):
            yield from (("request", text) for text in _texts(entry))
        elif _is_jsonapi(entry):
            field = _field_of(entry.get("source"))
            yield from ((field, text) for text in _texts(entry.get("detail") or entry.get("title")))
        elif "field_name" in entry:
            field = next(_texts(entry["field_name"]), "request")
            yield from ((field, text) for text in _texts(entry.get("error_message")))
        elif "message" in entry:
            yield from (("request", text) for text in _texts(entry["message"]))
        else:
            yield from _pairs(entry)


def _is_jsonapi(entry: Mapping[str, Any]) -> bool:
    """Return whether it is a JSON:API error. Its ``title``, ``status`` and ``source`` are not fields of a request."""
    if isinstance(entry.get("detail"), str) or isinstance(entry.get("source"), dict):
        return True
    return isinstance(entry.get("title"), str) and not isinstance(entry.get("message"), str)


def _title_of(raw_errors: Any) -> str | None:
    """Return the title of the first JSON:API error that also has a detail."""
    for entry in raw_errors if isinstance(raw_errors, list) else [raw_errors]:
        if (
            isinstance(entry, dict)
            and _is_jsonapi(entry)
            and entry.get("detail")
            and isinstance(entry.get("title"), str)
        ):
            return str(entry["title"])
    return None


def _field_of(source: Any) -> str:
    """Return the field of a JSON:API error, from a query parameter or a JSON pointer into the body."""
    if not isinstance(source, dict):
        return "request"
    parameter, pointer = source.get("parameter"), source.get("pointer")
    if isinstance(parameter, str) and parameter:
        return parameter[:_MAX_TEXT]
    if not isinstance(pointer, str):
        return "request"
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer[:_MAX_TEXT].strip("/").split("/")]
    if steps[:1] == ["data"]:
        steps = steps[2:] if steps[1:2] in (["attributes"], ["relationships"]) else steps[1:]
    return ".".join(steps) or "request"


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if value is None or depth > _MAX_DEPTH:
        return
    if isinstance(value, dict | list):
        for nested in value.values() if isinstance(value, dict) else value:
            yield from _texts(nested, depth + 1)
    else:
        yield str(value)[:_MAX_TEXT]
