"""Changes of state, posted to an address of the operator's: signed, in order, retried.

Runs in native threads of the ops process.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import queue
import socket
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import requests

from concurrency.server.options import ServeOptions

__all__ = ["Webhooks", "signature"]

logger = logging.getLogger("concurrency.server")

_TIMEOUT = 5.0  # seconds for an answer
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # seconds between the tries
_KEPT = 100  # that wait while nobody takes them; the newest are dropped then


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a webhook, as a receiver computes it to compare."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


class Webhooks:
    """Posts what changes.

    Args:
        options: with the address, the secret of the signature, the version.
    """

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._waiting: queue.Queue[bytes] = queue.Queue(_KEPT)
        threading.Thread(target=self._run, daemon=True).start()

    def tell(self, kind: str, succeeded: bool, info: str) -> None:
        """Post that something became so, in the background.

        Args:
            kind: "startup", "liveness" or "readiness".
            succeeded: whether it is good.
            info: a line about it.
        """
        payload: dict[str, Any] = {
            "type": kind,
            "status": "succeeded" if succeeded else "failed",
            "info": info,
            "timestamp": datetime.now(UTC).isoformat(),
            "podname": os.environ.get("POD_NAME") or socket.gethostname(),
            "version": self._options.service_version,
        }
        try:
            self._waiting.put_nowait(json.dumps(payload).encode())
        except queue.Full:
            logger.error("webhook is dropped, %s others wait: %s", _KEPT, payload)

    def flush(self, seconds: float) -> None:
        """Wait until all are posted or given up, at most so long."""
        end = time.monotonic() + seconds
        while self._waiting.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.02)

    def _run(self) -> None:
        while True:
            body = self._waiting.get()
            try:
                self._deliver(body, str(uuid.uuid4()))
            finally:
                self._waiting.task_done()

    def _deliver(self, body: bytes, identity: str) -> None:
        """Post it until somebody says that it came; the receiver knows repeats by their id."""
        for pause in (0.0, *_PAUSES):
            time.sleep(pause)
            timestamp = str(int(time.time()))
            headers = {
                "Content-Type": "application/json",
                "X-Concurrency-Id": identity,
                "X-Concurrency-Timestamp": timestamp,
            }
            if self._options.webhook_secret:
                headers["X-Concurrency-Signature"] = signature(
                    self._options.webhook_secret, timestamp, body
                )
            try:
                answer = requests.post(
                    self._options.webhook_url,
                    data=body,
                    headers=headers,
                    timeout=_TIMEOUT,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                reason = type(error).__name__
            else:
                if answer.ok:
                    return
                reason = str(answer.status_code)
            logger.warning("webhook did not come through: %s", reason)
        logger.error("webhook is given up after %s tries: %s", len(_PAUSES) + 1, body.decode())
