"""Real HTTP clients, as the lesson uses them against a server."""

import http.client
import json
import urllib.request
from urllib.parse import urlsplit

from utils.performance import Measurement, watch

# This machine's proxy has no business between two parts of one program.
open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def download(url: str, headers: dict[str, str], rows: int) -> tuple[int, Measurement]:
    """(bytes that came, what it took) for an export, read in pieces and thrown away."""
    request = urllib.request.Request(f"{url}/export.csv", headers=headers)
    with watch("export", rows) as watched, open_url(request) as answer:
        size = sum(len(piece) for piece in iter(lambda: answer.read(65_536), b""))
    return size, watched.found


def over_one_connection(url: str) -> tuple[int, int, int]:
    """(status of a GET, of a POST of unknown length, connections that both took)."""
    client = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    body = json.dumps({"name": "anna", "password": "anna-pw"}).encode()
    kind, found, opened = {"Content-Type": "application/json"}, [], set()
    for method, path, sent in (("GET", "/products/1", None), ("POST", "/login", iter([body]))):
        client.request(method, path, sent, kind, encode_chunked=sent is not None)
        opened.add(client.sock.getsockname())
        with client.getresponse() as answer:
            answer.read()
            found.append(answer.status)
    client.close()
    return found[0], found[1], len(opened)
