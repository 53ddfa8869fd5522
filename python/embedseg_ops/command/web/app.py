"""The requests that the page makes."""

import asyncio
import dataclasses
import importlib.resources
import json
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from embedseg_ops.command.speech import is_out_of_memory, one_line, reason
from embedseg_ops.command.web.guard import Guard, refusal
from embedseg_ops.command.web.limits import Busy, TooMuch
from embedseg_ops.command.web.store import Kept
from embedseg_ops.command.web.work import DOWNLOADS, Worker, draw_image, draw_outlines
from embedseg_ops.command.writers import WRITERS
from embedseg_ops.data.errors import DataError

PAGE = {
    "": ("page.html", "text/html"), "page.js": ("page.js", "text/javascript"), "page.css": ("page.css", "text/css"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
}  # fmt: skip
CHOICES = ("channel", "z", "time")
LARGEST_REQUEST = 10_000  # bytes of options


class Gone(ValueError):  # noqa: N818  # nobody's fault
    """An image that is not kept any more."""


def make_app(worker: Worker, token: str | None = None) -> Starlette:
    """Return the application; without a token it answers to this machine alone."""
    app = Starlette(
        routes=[
            *(Route(f"/{path}", page) for path in PAGE),
            Route("/options", options),
            Route("/images", segment, methods=["POST"]),
            Route("/images/{id}/labels", label, methods=["POST"]),
            Route("/images/{id}/{picture}.png", draw),
            Route("/images/{id}/download/{kind}", download),
        ],
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={Exception: say_error, ValueError: say_error, Busy: say_error, MemoryError: say_error,
                            RuntimeError: say_error},
    )  # fmt: skip
    app.state.worker = worker
    return app


def say_error(_: Request, error: Exception) -> Response:
    """Answer what an error says to people, in one line."""
    if isinstance(error, Busy) or is_out_of_memory(error):
        status = 503
    elif isinstance(error, Gone):
        status = 404
    else:
        status = 413 if isinstance(error, TooMuch) else 400 if isinstance(error, ValueError) else 500
    return refusal(status, one_line(error) if isinstance(error, Busy) else reason(error))


async def page(request: Request) -> Response:
    """Answer one of the page's files."""
    name, kind = PAGE[request.url.path[1:]]
    return Response(importlib.resources.files(__package__).joinpath(name).read_bytes(), media_type=kind)


async def options(request: Request) -> Response:
    """Answer what can be moved, and the limits."""
    worker: Worker = request.app.state.worker
    moved = [{**dataclasses.asdict(slider), "label": slider.label} for slider in worker.sliders()]
    limits = dataclasses.asdict(worker.limits)
    return JSONResponse({"sliders": moved, "limits": limits, "downloads": {k: WRITERS[k].help for k in DOWNLOADS}})


async def segment(request: Request) -> Response:
    """Take a file, the request's body; answer the name under which it is kept, and what was found."""
    worker: Worker = request.app.state.worker
    given = request.query_params
    name = one_line(Path(given.get("name", "image")).name)[:200]
    choice = {key: choose(key, given[key]) for key in CHOICES if given.get(key)}
    with worker.a_place(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{Path(name).suffix.lower()[:10]}"
        try:
            await asyncio.wait_for(save(request, path, worker.limits.upload_bytes), worker.limits.max_seconds)
        except asyncio.TimeoutError:  # another class in Python 3.10
            raise TooMuch(f"{name}: not here within {worker.limits.max_seconds} seconds") from None
        try:
            key, kept = await run_in_threadpool(worker.segment, path, name, choice)
        except ValueError as error:  # a visitor knows the file by another name
            kind = TooMuch if isinstance(error, TooMuch) else DataError
            raise kind(one_line(error).replace(str(path), name)) from error
    return JSONResponse({"id": key, "notes": list(kept.image.notes), **told(kept)})


def choose(key: str, text: str) -> int | str:
    """Return the number of a plane, or the name or number of a channel."""
    if key != "channel" and not text.isdecimal():
        raise ValueError(f"{key} must be a whole number from 0, got {one_line(text)[:20]!r}")
    return text if key == "channel" else int(text)


async def save(request: Request, path: Path, largest: int) -> None:
    """Write the request's body to a file, no more than allowed."""
    size = 0
    with path.open("wb") as file:
        async for part in request.stream():
            size += len(part)
            if size > largest:
                raise TooMuch(f"the file is larger than the {largest // 10**6} MB that are allowed")
            file.write(part)


async def label(request: Request) -> Response:
    """Take options of the postprocessing as JSON; answer what was found with them."""
    worker: Worker = request.app.state.worker
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_REQUEST:
            raise TooMuch(f"options of more than {LARGEST_REQUEST} bytes")
    kept = find(request)
    await run_in_threadpool(worker.label, kept, worker.chosen(json.loads(body)))
    return JSONResponse(told(kept))


async def draw(request: Request) -> Response:
    """Answer the image, or its outlines."""
    drawers = {"image": draw_image, "outlines": draw_outlines}
    if request.path_params["picture"] not in drawers:
        raise Gone("there is no such picture")
    return Response(
        await run_in_threadpool(drawers[request.path_params["picture"]], find(request)), media_type="image/png"
    )


async def download(request: Request) -> Response:
    """Answer a file that the command line would write."""
    kind = request.path_params["kind"]
    if kind not in DOWNLOADS:
        raise Gone(f"there is no download {kind}")
    kept = find(request)
    content = await run_in_threadpool(request.app.state.worker.write, kept, kind)
    name = f"{kept.image.path.stem}-{kind}{WRITERS[kind].ending}"
    return Response(
        content, headers={"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"},
        media_type="application/octet-stream",
    )  # fmt: skip


def find(request: Request) -> Kept:
    """Return the image that a request is about."""
    kept: Kept | None = request.app.state.worker.store.get(request.path_params["id"])
    if kept is None:
        raise Gone("this image is not kept any more; open it again")
    return kept


def told(kept: Kept) -> dict[str, Any]:
    """Return what is told of an image."""
    height, width = kept.labels.shape[-2:]
    return {"objects": int(kept.labels.max(initial=0)), "width": width, "height": height, "options": dict(kept.options)}
