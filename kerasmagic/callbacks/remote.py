"""A callback that tells a server about each epoch."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasmagic.callbacks.callback import Callback
from kerasmagic.foundation.errors import InvalidArgument


class RemoteMonitor(Callback):
    """Sends the logs of each epoch to a server by HTTP POST; a server that cannot be reached is a warning.

    Args:
        root: The address of the server.
        path: What is behind it.
        field: The field of the form that holds the JSON text.
        headers: More headers of the request.
        send_as_json: Whether the text is the body of the request, and not a field of a form.

    Raises:
        InvalidArgument: If the address is not one of HTTP.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ):
        super().__init__()
        if not root.startswith(("http://", "https://")):
            raise InvalidArgument(f"`root` must begin with http:// or https://. Received: root={root!r}")
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        text = json.dumps({"epoch": epoch, **{name: _plain(value) for name, value in (logs or {}).items()}})
        kind = "application/json" if self.send_as_json else "application/x-www-form-urlencoded"
        body = text if self.send_as_json else urllib.parse.urlencode({self.field: text})
        headers = {"Content-Type": kind, **(self.headers or {})}
        request = urllib.request.Request(self.root + self.path, body.encode(), headers, method="POST")
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except (urllib.error.URLError, TimeoutError):
            warnings.warn(f"Could not reach RemoteMonitor root server at {self.root}", stacklevel=3)


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
