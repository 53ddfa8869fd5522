"""A headless Chromium, driven through its DevTools protocol: open a page, do what people do, look at it."""

import asyncio
import base64
import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 240  # seconds, for machines that have much else to do


@contextmanager
def chromium(folder: Path):
    """Start a browser whose profile is in a folder; yield a function that opens an address in a new `Page`."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-extensions", "--no-first-run",
               "--remote-debugging-port=0", f"--user-data-dir={folder}"]  # fmt: skip
    process = subprocess.Popen([CHROMIUM, *options, "about:blank"], stderr=subprocess.DEVNULL)
    pages = []

    def open_page(address: str) -> Page:
        port = wait(lambda: (folder / "DevToolsActivePort").read_text().split()[0])
        request = Request(f"http://127.0.0.1:{port}/json/new", method="PUT")
        with urlopen(request) as answer:
            pages.append(Page(json.load(answer)["webSocketDebuggerUrl"]))
        pages[-1].send("Page.navigate", url=address)
        return pages[-1]

    try:
        yield open_page
    finally:
        for page in pages:
            page.close()
        process.terminate()
        process.wait(timeout=60)


def wait(result, patience: float = PATIENCE):
    """Return what a function returns once it is true, and no file is missing."""
    end = time.monotonic() + patience
    while True:
        try:
            if found := result():
                return found
        except (FileNotFoundError, IndexError):
            pass
        assert time.monotonic() < end, "the browser takes too long"
        time.sleep(0.2)


class Page:
    """A page of the browser."""

    def __init__(self, address: str):
        from tornado.websocket import websocket_connect

        self.loop = asyncio.new_event_loop()

        async def connect():
            return await websocket_connect(address, max_message_size=100_000_000)

        self.socket = self.loop.run_until_complete(connect())
        self.number = 0
        self.errors: list[str] = []
        for domain in ("Page", "Runtime", "DOM", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters) -> dict:
        """Send a command, return its result; note errors that the page tells meanwhile."""
        self.number += 1
        message = json.dumps({"id": self.number, "method": method, "params": parameters})

        async def talk():
            await self.socket.write_message(message)
            while True:
                told = json.loads(await asyncio.wait_for(self.socket.read_message(), PATIENCE))
                if told.get("method") == "Runtime.exceptionThrown":
                    self.errors.append(told["params"]["exceptionDetails"]["text"])
                if told.get("method") == "Log.entryAdded" and told["params"]["entry"]["level"] == "error":
                    self.errors.append(told["params"]["entry"]["text"])
                if told.get("id") == self.number:
                    assert "error" not in told, told
                    return told["result"]

        return self.loop.run_until_complete(talk())

    def run(self, script: str):
        """Return what a script in the page evaluates to."""
        result = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, script: str):
        """Wait until a script evaluates to something true; return it."""
        return wait(lambda: self.run(script))

    def drop(self, path: Path, x: int, y: int) -> None:
        """Drop a file at a point of the page."""
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.send("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def resize(self, width: int, height: int) -> None:
        """Let the page have this size, in pixels."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self) -> bytes:
        """Return a PNG of what is seen."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        """Let go of the page."""
        self.socket.close()
        self.loop.close()
