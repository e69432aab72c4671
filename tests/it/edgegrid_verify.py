"""Answers eStats requests whose signature Akamai's own client library would have made, and no others.

The library makes the Authorization header of each request again, from the credentials in the file named first and
the time and nonce of the header that came. A line a request goes to standard output: the nonce, or what differs.
"""

import http.server
import json
import re
import sys
import threading
import urllib.parse

import requests
from akamai.edgegrid import EdgeGridAuth, EdgeRc

SECTION = EdgeRc(sys.argv[1])
AUTH = EdgeGridAuth(
    client_token=SECTION.get("default", "client_token"),
    client_secret=SECTION.get("default", "client_secret"),
    access_token=SECTION.get("default", "access_token"),
)
SAMPLE = {
    "request": {},
    "createdBy": "test",
    "createdTime": "2026-11-20T10:00:00Z",
    "completedTime": "2026-11-20T10:00:07Z",
    "executionStatus": "SUCCESS",
    "result": {"edgeHits": 4, "edgeStatusCodeDistribution": [{"httpStatus": 200, "hits": 4, "percentage": 100}]},
}


LOCK = threading.Lock()


def say(*words):
    """A whole line: requests are answered by several threads."""
    with LOCK:
        print(*words, flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        try:
            self.verify()
        except Exception as error:  # The test reads standard output: silence would be waited for.
            say("refused", repr(error))
            raise

    def verify(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        came = self.headers["Authorization"]
        timestamp, nonce = re.search(r"timestamp=([^;]+);nonce=([^;]+);", came).groups()
        url = f"https://{self.headers['Host']}{self.path}"
        prepared = requests.Request("POST", url, data=body).prepare()
        is_same_url = urllib.parse.urlsplit(prepared.url)[2:4] == urllib.parse.urlsplit(self.path)[2:4]
        expected = AUTH.ah.make_auth_header(prepared, timestamp, nonce)
        if came == expected and is_same_url:
            say("verified", nonce, self.path)
            self.answer(200, SAMPLE)
        else:
            say("refused", json.dumps({"came": came, "expected": expected, "url": prepared.url}))
            self.answer(401, {"title": "Not authorized", "detail": "The signature does not match"})

    def answer(self, status, document):
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-RateLimit-Limit", "60000")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("listening", server.server_address[1], flush=True)
server.serve_forever()
