"""The server of the page on which people play: the page itself, and a WebSocket for each person.

Whoever asks must know the token of the address and, as browsers say it in `Origin`, come from the page itself: so no
other page that is open in the browser can play or read. The page loads nothing from elsewhere.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from baselines.playing.messages import MOST_BYTES
from baselines.playing.room import Room
from jaxdilemmas.rendering.replay import read_web

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
FILES = {"board.js": "text/javascript", "play.js": "text/javascript", "style.css": "text/css"}
LOCAL_NAMES = ("127.0.0.1", "localhost")
SECONDS_TO_CLOSE = 2
SECONDS_OF_SILENCE = 5
"""After so long without an answer of the browser a tab counts as gone."""

FORBIDDEN, POLICY_VIOLATION = 403, 1008


def make_app(room: Room, token: str, host: str) -> Starlette:
    """The application.

    Args:
      room: the session and its pages.
      token: what an address must have as `token`.
      host: where the page is served; on loopback it may be called by the names of loopback alone, and not by one that
        a stranger had resolved to it.
    """

    def is_known(connection: HTTPConnection) -> bool:
        is_host_allowed = host not in LOCAL_NAMES or connection.url.hostname in LOCAL_NAMES
        given = connection.query_params.get("token", "")
        return is_host_allowed and secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())

    async def page(request: Request) -> Response:
        if not is_known(request):
            return PlainTextResponse("Open the address with its token, as the terminal shows it.", FORBIDDEN, HEADERS)
        return Response(read_web("play.html"), headers=HEADERS, media_type="text/html")

    async def talk(socket: WebSocket) -> None:
        is_own = socket.headers.get("origin") == f"http://{socket.headers.get('host')}"
        if is_own and is_known(socket):
            await room.welcome(socket, socket.query_params.get("seat", str(room.session.seats[0])))
        else:
            room.num_errors += 1
            await socket.close(POLICY_VIOLATION)  # before it is accepted: the answer is 403

    @contextlib.asynccontextmanager
    async def clock(app: Starlette) -> AsyncIterator[None]:
        del app
        running = asyncio.create_task(room.run_clock())
        yield
        running.cancel()

    files = [Route(f"/{name}", _send_file) for name in FILES]
    return Starlette(routes=[Route("/", page), *files, WebSocketRoute("/ws", talk)], lifespan=clock)


async def _send_file(request: Request) -> Response:
    """One of the files that the page loads; they hold no secret, and so need no token."""
    name = request.url.path.removeprefix("/")
    return Response(read_web(name), headers=HEADERS, media_type=FILES[name])


def make_server(room: Room, token: str, host: str) -> uvicorn.Server:
    """The server of `make_app`, which runs on a socket until it gets a signal; longer messages close a connection."""
    config = uvicorn.Config(
        make_app(room, token, host),
        ws="websockets-sansio",
        ws_max_size=MOST_BYTES,
        ws_ping_interval=SECONDS_OF_SILENCE,
        ws_ping_timeout=SECONDS_OF_SILENCE,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=SECONDS_TO_CLOSE,
        log_level="critical",
    )
    return uvicorn.Server(config)
