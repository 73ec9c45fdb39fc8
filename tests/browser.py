"""A headless Chromium for tests of pages, driven over a pipe by its DevTools protocol: no package is needed for it."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--remote-debugging-pipe",
)  # fmt: skip


def find() -> str | None:
    """Return the program, or None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One browser with one page; use as a context manager.

    Attributes
    ----------
    problems : list of str
        What the console said at level warning or error, violations of the page's policy and uncaught errors included.
    requests : list of str
        Every address that the page asked for, itself included.
    """

    def __init__(self, program: str, *, wait_s: float = 60.0) -> None:
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._wait_s, self._number, self._session = wait_s, 0, None
        self._events: list[dict[str, Any]] = []
        self._pending = b""
        self._profile = tempfile.mkdtemp()
        ours, theirs = os.pipe(), os.pipe()

        def connect() -> None:
            # Through numbers that are surely free: a pipe may be 3 or 4 itself.
            commands, answers = os.dup2(ours[0], 103), os.dup2(theirs[1], 104)
            os.dup2(commands, 3)
            os.dup2(answers, 4)

        self._process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            preexec_fn=connect,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._commands, self._answers = ours[1], theirs[0]

    def __enter__(self) -> Browser:
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)
        shutil.rmtree(self._profile, ignore_errors=True)

    def forget(self) -> None:
        """Begin anew: an empty page, nothing asked for, nothing said."""
        self.open_address("about:blank")
        self.call("Emulation.setEmulatedMedia", media="")
        self.problems.clear()
        self.requests.clear()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give the browser a command and return its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next(method)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer.get('error')}"
                return answer["result"]
            self._note(answer)

    def open(self, path: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> float:
        """Show a page as a screen of `width` would, and return the seconds until it was loaded and painted."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        started = time.monotonic()
        self.open_address(path.absolute().as_uri())
        # Two frames: what was to be painted after the page was loaded has been.
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return time.monotonic() - started

    def open_address(self, url: str) -> None:
        """Go to an address and wait until it is loaded."""
        self._events.clear()
        self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._note(self._next("Page.loadEventFired"))

    def run(self, expression: str) -> Any:
        """Return what a JavaScript expression gives, as JSON has it."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def point(self, selector: str, *, click: bool = False) -> None:
        """Move the mouse to the middle of the first element that `selector` finds, and press it with `click`."""
        self.run(
            f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center', behavior: 'instant'}})"
        )
        box = self.run(f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()")
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        self.call("Input.dispatchMouseEvent", type="mouseMoved", **place)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write a PNG of what is shown, or of the whole page."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self, path: Path) -> None:
        """Write the page as it would be printed."""
        answer = self.call(
            "Page.printToPDF", printBackground=True, preferCSSPageSize=True, paperWidth=8.27, paperHeight=11.69
        )
        path.write_bytes(base64.b64decode(answer["data"]))

    def _next(self, what: str) -> dict[str, Any]:
        deadline = time.monotonic() + self._wait_s
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._answers], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the browser did not answer within {self._wait_s:g} s: {what}"
            part = os.read(self._answers, 1 << 20)
            assert part, f"the browser has ended: {what}"
            self._pending += part
        message, _, self._pending = self._pending.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        self._events.append(event)
        about = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif event.get("method") == "Log.entryAdded" and about["entry"]["level"] in ("warning", "error"):
            self.problems.append(about["entry"]["text"])
        elif event.get("method") == "Runtime.consoleAPICalled" and about["type"] in ("warning", "error", "assert"):
            self.problems.append(str(about["args"]))
        elif event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(str(about["exceptionDetails"]))
