"""Dagster's webserver for this computer only, which accepts browser requests from its own pages only.

Dagster's own webserver does not check where a request comes from. Any web page open in a browser on the
computer could start runs through it, with a plain link or with a host name that resolves to 127.0.0.1.
"""

from __future__ import annotations

import re

from dagster_webserver.webserver import DagsterWebserver
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)


class LocalWebserver(DagsterWebserver):
    """Dagster's webserver behind `OwnPagesOnly`."""

    def build_middleware(self) -> list[Middleware]:
        """Return Dagster's own middleware, behind the guard."""
        return [Middleware(OwnPagesOnly), *super().build_middleware()]


class OwnPagesOnly:
    """Refuses requests from pages of other sites, and requests to another host name.

    Programs other than browsers (e.g. curl) send no origin and are accepted: whoever can run programs on
    the computer can start runs without a browser anyway.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 with the reason, or pass the request on."""
        why = None if scope["type"] == "lifespan" else _refusal(HTTPConnection(scope))
        if why is None:
            await self.app(scope, receive, send)
        else:
            await PlainTextResponse(why, status_code=403)(scope, receive, send)


def _refusal(request: HTTPConnection) -> str | None:
    host = request.headers.get("host", "")
    if not OWN_HOST.fullmatch(host):
        return f"{host!r} is not an allowed host; use 127.0.0.1 or localhost"
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return f"requests from pages of {origin!r} are not allowed"
    opened = (  # a link that a person followed, or an address typed
        request.scope.get("method") == "GET"
        and request.headers.get("sec-fetch-mode") == "navigate"
        and request.headers.get("sec-fetch-dest") == "document"
    )
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site") and not opened:
        return "requests from pages of other sites are not allowed"
    query_by_link = request.scope.get("method") == "GET" and request.url.path == "/graphql"
    if query_by_link and "text/html" not in request.headers.get("accept", ""):
        return "GraphQL is accepted by POST only"
    return None
