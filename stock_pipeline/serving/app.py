"""The ASGI application: read API, stream, and the page's files."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stock_pipeline.errors import StockPipelineError
from stock_pipeline.serving.api import routes
from stock_pipeline.serving.board import encode
from stock_pipeline.serving.bodies import Body
from stock_pipeline.serving.events import Events, Frame
from stock_pipeline.serving.service import Service
from stock_pipeline.serving.shapes import Problem

STATIC = Path(__file__).parent / "static"
CHART = "lightweight-charts.standalone.production.js"

_SECURITY = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        b"font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def application(service: Service, events: Events, follows: bool = True) -> Starlette:
    """Return the application. follows: whether it runs the service's thread; tests step it themselves."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()

        def publish(frame: Frame) -> None:
            loop.call_soon_threadsafe(events.publish, frame)

        service.publish = publish
        stop = threading.Event()
        thread = threading.Thread(target=service.run, args=(stop,), name="follower", daemon=True)
        if follows:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            events.close()
            if follows:
                await asyncio.to_thread(thread.join)

    app = Starlette(
        routes=[
            *routes(service, events),
            Route("/", _page, methods=["GET"]),
            Route(f"/static/{CHART}", _chart, methods=["GET"]),
            Mount("/static", _Static(directory=STATIC), name="static"),
        ],
        exception_handlers={
            HTTPException: _problem,
            StockPipelineError: _away,
            ClientError: _away,
            BotoCoreError: _away,
            Exception: _fault,
        },
        lifespan=lifespan,
    )
    app.add_middleware(_SecurityHeaders)
    return app


async def _page(_request: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})


def chart_path() -> Path | None:
    """Return the chart library: of this package where a wheel was installed, else of the one that it is taken from."""
    spec = find_spec("lwcharts")
    places = [STATIC.parent / "vendor"]
    if spec is not None and spec.origin is not None:
        places.append(Path(spec.origin).parent / "vendor")
    return next((place / CHART for place in places if (place / CHART).is_file()), None)


def _chart(request: Request) -> Response:
    path = chart_path()
    if path is None:
        return problem(404, "the chart library is not installed: pip install lwcharts")
    return _file(path).answer(request, cache="max-age=86400")


@cache
def _file(path: Path) -> Body:
    return Body(path.read_bytes(), "text/javascript")


class _Static(StaticFiles):
    """Asked for again each time, because files of two releases do not go together."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        response = super().file_response(*arguments, **named)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def _problem(_request: Request, error: Any) -> Response:
    return problem(error.status_code, error.detail, error.headers)


async def _away(_request: Request, error: Exception) -> Response:
    return problem(503, str(error).partition("\n")[0])


async def _fault(_request: Request, _error: Exception) -> Response:
    return problem(500, "the server failed at this request; its log says why")


def problem(status: int, detail: str, headers: Any = None) -> Response:
    """Return problem details (RFC 9457)."""
    title = HTTPStatus(status).phrase
    content = encode(Problem("about:blank", title, status, detail))
    return Response(content, status, headers, media_type="application/problem+json")


class _SecurityHeaders:
    """Adds headers to every answer; a class of plain ASGI, because others cost a task a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"].extend(_SECURITY)
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
