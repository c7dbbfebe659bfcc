"""The forms of answers, good and bad, and the ones that never arrive."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = ["INVALID", "Broken", "Refusal", "data", "error_body", "json_answer"]

INVALID = "The given data was invalid."
_QUERY = {"limit", "page", "include"}


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer with a JSON body."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    return Response(body, status, headers, "application/json")


def data(content: Any, meta: Any = None) -> dict[str, Any]:
    """The envelope of a good answer."""
    return {"success": True, "data": content, "meta": [] if meta is None else meta}


def error_body(message: str, errors: dict[str, list[str]] | None = None, shape: str = "object") -> Any:
    """An error body in one of the shapes that are seen."""
    pairs = [(name, text) for name, texts in (errors or {}).items() for text in texts]
    if shape == "list":
        complaints: Any = [{name: text} for name, text in pairs] or [{"message": message}]
        return {"success": False, "data": None, "meta": {"message": message, "errors": complaints}}
    if shape == "top":
        return {"errors": {"message": message, **(errors or {})}}
    if shape == "fields":
        fields = [{"field_name": name, "field_value": None, "error_message": text} for name, text in pairs]
        return {"errors": fields or [{"field_name": "", "field_value": None, "error_message": message}]}
    if shape == "jsonapi":
        return {"errors": [_jsonapi_error(name, text, message) for name, text in pairs] or [{"title": message}]}
    meta: dict[str, Any] = {"message": message}
    if errors:
        meta["errors"] = errors
    if shape == "conflict":
        meta["conflict"] = True
    return {"success": False, "data": None, "meta": meta}


def _jsonapi_error(name: str, text: str, title: str) -> dict[str, Any]:
    """One error of a JSON:API array; of a field of the query, or of the body by a JSON pointer."""
    is_query = "[" in name or name in _QUERY
    source = {"parameter": name} if is_query else {"pointer": "/" + name.replace(".", "/")}
    return {"title": title, "detail": text, "source": source}


class Refusal(Exception):
    """A request that the API refuses."""

    def __init__(self, status: int, message: str, errors: dict[str, list[str]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors

    def answer(self, shape: str = "object") -> Response:
        """The answer that says so."""
        if shape == "html":
            return Response(f"<html><body><h1>{self.status}</h1></body></html>", self.status, media_type="text/html")
        if shape == "empty":
            return Response(b"", self.status)
        return json_answer(error_body(self.message, self.errors, shape), self.status)


class Broken(Response):
    """An answer of which so many bytes arrive before the connection breaks; ``None``: not even the beginning.

    :param whole: the answer that would have come.
    """

    def __init__(self, whole: Response | None = None, length: int | None = None) -> None:
        super().__init__()
        self._whole = whole
        self._length = length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The server's protocol puts it there. Without it the server itself notices that the answer is not whole.
        transport: asyncio.Transport | None = scope.get("state", {}).get("transport")
        if self._whole is not None and self._length is not None:
            headers = list(self._whole.raw_headers)
            await send({"type": "http.response.start", "status": self._whole.status_code, "headers": headers})
            body = bytes(self._whole.body)[: self._length]
            await send({"type": "http.response.body", "body": body, "more_body": True})
            if transport is not None:
                transport.close()
        elif transport is not None:
            transport.abort()
        # The server is told of the lost connection in its next turns; before, it would take this for a fault.
        while (await receive())["type"] != "http.disconnect":
            pass
