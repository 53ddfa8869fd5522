"""Who may ask: this machine's own pages, or whoever has the token."""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from embedseg_ops.command.web.limits import LOOPBACK

COOKIE = "embedseg_ops"
HEADERS = {
    # nothing from elsewhere, no script in the page's text, and no page of somebody else's around it
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store",
}  # fmt: skip
Message = MutableMapping[str, Any]


class Guard:
    """Refuses what does not come from a page of this server, and without the token, where there is one, everything.

    Without a token, only this machine may ask, and by a name of its own: a page from elsewhere whose name has been
    turned to this machine is refused.

    Args:
        app: the application.
        token: what visitors have to know; None: nothing.
    """

    def __init__(self, app: Any, token: str | None):
        self.app = app
        self.token = token

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer, or let the application answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = self.answer(Request(scope))
        await (answer or self.app)(scope, receive, with_headers)

    def answer(self, request: Request) -> Response | None:
        """Return what keeps a request from the application; None: nothing does."""
        host = request.headers.get("host", "")
        if self.token is None and urlsplit(f"//{host}").hostname not in LOOPBACK:
            return refusal(
                403, f"this server does not answer as {host!r}; open it as 127.0.0.1, or start it with a token"
            )
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return refusal(403, "a page of another server asked")
        if self.token is None:
            return None
        if request.url.path == "/" and self.is_right(request.query_params.get("token")):
            entered = RedirectResponse("/", 303)  # the token does not stay in the address
            entered.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
            return entered
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.is_right(request.cookies.get(COOKIE)) or self.is_right(bearer):
            return None
        return refusal(401, "open the address with the token that embedseg-ops serve printed")

    def is_right(self, given: str | None) -> bool:
        """Return whether this is the token, in a time that tells nothing of it."""
        return hmac.compare_digest((given or "").encode(), (self.token or "").encode())


def refusal(status: int, text: str) -> JSONResponse:
    """Return an answer that says in one line what is wrong."""
    return JSONResponse({"error": text}, status)
