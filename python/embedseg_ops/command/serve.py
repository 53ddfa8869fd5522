"""``embedseg-ops serve``: a page in the browser to segment images without Python."""

import argparse
import importlib.util
import secrets
from contextlib import suppress
from urllib.parse import quote

from embedseg_ops.command import values
from embedseg_ops.command.options import add_options, make
from embedseg_ops.command.web.limits import LOOPBACK, Limits
from embedseg_ops.model.devices import choose_device
from embedseg_ops.model.files import load_model
from embedseg_ops.model.registry import DEFAULT, MODEL_HELP

HELP = "open a page in the browser to segment images"
EXAMPLE = "serve --model nuclei-crowded"
NEEDS = ("starlette", "uvicorn", "roifile")
SHORTEST_TOKEN = 16  # letters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of ``serve``."""
    parser.add_argument("--model", help=f"{MODEL_HELP} (default: {DEFAULT})")
    values.add_device(parser)
    parser.add_argument(
        "--host", default=LOOPBACK[0],
        help="address to listen on (default: %(default)s, this machine alone); any other needs a token",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=values.whole(0, most=65535), default=8477, metavar="INT",
        help="to listen on; 0: any that is free (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--token", help=f"what visitors have to know, {SHORTEST_TOKEN} letters or more; made up where one is needed"
    )
    add_options(parser.add_argument_group("limits"), Limits)


def run(options: argparse.Namespace) -> int:
    """Run ``embedseg-ops serve`` until it is interrupted."""
    if any(importlib.util.find_spec(name) is None for name in NEEDS):
        raise ModuleNotFoundError('the page needs starlette and uvicorn: pip install "embedseg-ops[web]"')
    import uvicorn

    from embedseg_ops.command.web.app import make_app
    from embedseg_ops.command.web.work import Worker

    token = choose_token(options.host, options.token)
    model = load_model(options.model, choose_device(options.device))
    app = make_app(Worker(model, make(Limits, vars(options))), token)
    config = uvicorn.Config(
        app,
        options.host,
        options.port,
        log_level="warning",
        limit_concurrency=64,
        server_header=False,
        access_log=False,
    )
    listener = config.bind_socket()
    print(f"open {address(options.host, listener.getsockname()[1], token)} (Ctrl-C ends)", flush=True)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def choose_token(host: str, given: str | None) -> str | None:
    """Return what visitors have to know; None where only this machine can ask."""
    if given is not None and len(given) < SHORTEST_TOKEN:
        raise ValueError(f"--token must have {SHORTEST_TOKEN} letters or more, got {len(given)}")
    return given or (None if host in LOOPBACK else secrets.token_urlsafe(24))


def address(host: str, port: int, token: str | None) -> str:
    """Return what to open in the browser."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/" + (f"?token={quote(token, safe='')}" if token else "")
