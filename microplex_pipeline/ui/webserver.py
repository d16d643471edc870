"""Dagster's webserver for this computer alone, which takes requests of its own pages and of no others.

Dagster's own asks nobody where a request comes from: any web page that is open in a browser on the
computer could start runs through it, by a plain link or under a host name of its own that points here.
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
        """Return Dagster's own, behind the guard."""
        return [Middleware(OwnPagesOnly), *super().build_middleware()]


class OwnPagesOnly:
    """Refuse requests that a page of another site sent, or that came under another host's name.

    Programs that are no browsers (a client of the API, curl) name no origin and are let through: whoever
    runs programs on the computer needs no browser's help.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 with the reason, or hand the request on."""
        why = None if scope["type"] == "lifespan" else _refusal(HTTPConnection(scope))
        if why is None:
            await self.app(scope, receive, send)
        else:
            await PlainTextResponse(why, status_code=403)(scope, receive, send)


def _refusal(request: HTTPConnection) -> str | None:
    host = request.headers.get("host", "")
    if not OWN_HOST.fullmatch(host):
        return f"{host!r} is no name of this computer's own: open http://127.0.0.1 and the port"
    origin = request.headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return f"pages of {origin!r} may not speak to this server"
    opened = (  # a link that a person follows, or the address typed
        request.scope.get("method") == "GET"
        and request.headers.get("sec-fetch-mode") == "navigate"
        and request.headers.get("sec-fetch-dest") == "document"
    )
    if request.headers.get("sec-fetch-site") in ("cross-site", "same-site") and not opened:
        return "pages of other sites may not speak to this server"
    query_by_link = request.scope.get("method") == "GET" and request.url.path == "/graphql"
    if query_by_link and "text/html" not in request.headers.get("accept", ""):
        return "GraphQL is taken by POST alone"
    return None
