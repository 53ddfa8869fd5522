"""How much one visitor may ask for."""

import time
from dataclasses import dataclass

from embedseg_ops.data.progress import Listener

LOOPBACK = ("127.0.0.1", "localhost", "::1")  # this machine's names of itself


@dataclass(frozen=True)
class Limits:
    """How much is taken.

    Args:
        max_upload: largest file, in MB.
        max_megapixels: largest image, and the most that all the images in memory have together; one megapixel takes
            about 70 MB.
        max_seconds: longest time for the upload and, again, for the network.
        max_images: most images in memory; of more, or of more pixels, those not used for longest are forgotten.
    """

    max_upload: int = 100
    max_megapixels: int = 32
    max_seconds: int = 120
    max_images: int = 8

    @property
    def upload_bytes(self) -> int:
        """The largest file in bytes."""
        return self.max_upload * 10**6

    @property
    def pixels(self) -> int:
        """The largest image in pixels."""
        return self.max_megapixels * 10**6


class Busy(RuntimeError):  # noqa: N818  # it is no fault
    """Others' images are being worked on."""


class TooMuch(ValueError):  # noqa: N818  # said to people
    """More than the limits allow."""


def until(seconds: float) -> Listener:
    """Return a listener that ends long work when its time is over."""
    end = time.monotonic() + seconds

    def check(name: str, done: int, total: int) -> None:
        if time.monotonic() > end:
            raise TooMuch(f"not done within {seconds:g} seconds ({name}: {done} of {total}); give a smaller image")

    return check
