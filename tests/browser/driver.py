"""A browser, driven through the WebDriver protocol (https://www.w3.org/TR/webdriver2) of chromedriver."""

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
"""Containers have neither the name spaces that Chromium's sandbox needs, nor a large /dev/shm."""


class Browser:
    """One window."""

    def __init__(self, session: str, http: requests.Session) -> None:
        self._session = session
        self._http = http

    def command(self, method: str, path: str, **body: Any) -> Any:
        """Send one command of the protocol and return its value."""
        sent = body if method == "POST" else None
        answer = self._http.request(method, f"{self._session}/{path}", json=sent, timeout=60).json()["value"]
        if isinstance(answer, dict) and "error" in answer:
            raise AssertionError(f"{path}: {answer['error']}: {answer['message']}")
        return answer

    def open(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self.command("POST", "url", url=url)

    def run(self, script: str, *arguments: Any) -> Any:
        """Return what a piece of JavaScript returns."""
        return self.command("POST", "execute/sync", script=script, args=list(arguments))

    def find(self, selector: str) -> str:
        """Return the first element that a CSS selector names."""
        return self.command("POST", "element", using="css selector", value=selector)[ELEMENT]

    def click(self, selector: str) -> None:
        """Click where a user would."""
        self.command("POST", f"element/{self.find(selector)}/click")

    def type(self, selector: str, text: str) -> None:
        """Type into a field."""
        self.command("POST", f"element/{self.find(selector)}/value", text=text)

    def press(self, key: str) -> None:
        """Press one key on the keyboard."""
        strokes = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.command("POST", "actions", actions=[{"type": "key", "id": "keyboard", "actions": strokes}])

    def text(self, selector: str) -> str:
        """Return the text that a user sees in an element."""
        return self.command("GET", f"element/{self.find(selector)}/text")

    def resize(self, width: int, height: int) -> None:
        """Give the page the size of a screen (CSS pixels); `emulate` because windows have a least width."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.command("POST", "goog/cdp/execute", cmd="Emulation.setDeviceMetricsOverride", params=metrics)

    def screenshot(self) -> bytes:
        """Return a PNG of what is seen."""
        return base64.b64decode(self.command("GET", "screenshot"))

    def log(self) -> list[str]:
        """Return the errors in the browser's console since the last call."""
        entries = self.command("POST", "se/log", type="browser")
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last call, data: addresses left out."""
        entries = self.command("POST", "se/log", type="performance")
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent if not one["request"]["url"].startswith("data:")]


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 20) -> Any:
    """Return the first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


@contextmanager
def browser(width: int = 1200, height: int = 900) -> Iterator[Browser]:
    """Start a headless Chromium and close it at the end."""
    process = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout
    try:
        port = next(
            line.split("on port ")[1].strip(" .\n") for line in process.stdout if "successfully on port" in line
        )
        with requests.Session() as http:
            http.trust_env = False
            wanted = {
                "goog:chromeOptions": {"args": OPTIONS},
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
            root = f"http://127.0.0.1:{port}/session"
            value = http.post(root, json={"capabilities": {"alwaysMatch": wanted}}, timeout=60).json()["value"]
            assert "sessionId" in value, value
            window = Browser(f"{root}/{value['sessionId']}", http)
            window.resize(width, height)
            yield window
            http.delete(f"{root}/{value['sessionId']}", timeout=30)
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()
