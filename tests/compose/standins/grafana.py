"""What of Grafana the compose stack and its proof need, for machines where Grafana itself cannot be had.

It reads the provisioning files where Grafana reads them, serves the dashboards and passes queries on to the provisioned data source, all
under Grafana's own paths. It draws nothing, so it cannot show that a panel looks right: only that the mounts, the provisioning files, the
network and the queries fit together.
"""

import base64
import glob
import hmac
import json
import os
import re
import signal
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

PROVISIONING = "/etc/grafana/provisioning"
PASSWORD = os.environ["GF_SECURITY_ADMIN_PASSWORD"]
ANONYMOUS = os.environ.get("GF_AUTH_ANONYMOUS_ENABLED") == "true"


def provisioned(kind, key):
    """The entries of a kind's provisioning files; Grafana reads .yml and .yaml."""
    entries = []
    for path in sorted(glob.glob(f"{PROVISIONING}/{kind}/*.y*ml")):
        with open(path) as file:
            document = yaml.safe_load(file)
        assert document["apiVersion"] == 1, f"{path}: apiVersion is not 1"
        entries += document[key]
    assert entries, f"no {key} under {PROVISIONING}/{kind}"
    return entries


def load():
    """The data sources and the dashboards by uid; whatever Grafana would refuse ends the process."""
    sources = {}
    for source in provisioned("datasources", "datasources"):
        assert source["type"] == "prometheus" and source["access"] == "proxy", f"{source['name']}: no proxied Prometheus"
        sources[source["uid"]] = source
    dashboards = {}
    for provider in provisioned("dashboards", "providers"):
        assert provider["type"] == "file", f"{provider['name']}: not of type file"
        for path in sorted(glob.glob(provider["options"]["path"] + "/**/*.json", recursive=True)):
            with open(path) as file:
                dashboard = json.load(file)
            uid = dashboard["uid"]
            assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", uid), f"{path}: {uid!r} is no uid"
            assert uid not in dashboards, f"{path}: uid {uid} is taken"
            titles = [other["title"] for other in dashboards.values()]
            assert dashboard["title"] not in titles, f"{path}: title is taken"
            assert "__inputs" not in dashboard, f"{path}: made for import, not for provisioning"
            dashboards[uid] = dashboard
    home = os.environ.get("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH")
    assert not home or os.path.isfile(home), f"no home dashboard at {home}"
    return sources, dashboards


SOURCES, DASHBOARDS = load()


class Handler(BaseHTTPRequestHandler):
    """Grafana's paths, for GET and the POST of a query."""

    def role(self):
        """admin with the password, viewer without one, None with a wrong one."""
        header = self.headers.get("Authorization")
        if header is None:
            return "Viewer" if ANONYMOUS else None
        given = base64.b64decode(header.removeprefix("Basic ")).decode()
        return "Admin" if hmac.compare_digest(given, f"admin:{PASSWORD}") else None

    def answer(self, status, value):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/api/health":
            return self.answer(200, {"database": "ok", "version": "stand-in"})
        role = self.role()
        if role is None:
            return self.answer(401, {"message": "Unauthorized"})
        if path == "/api/search":
            hits = [{"uid": uid, "title": board["title"], "type": "dash-db"} for uid, board in DASHBOARDS.items()]
            return self.answer(200, hits)
        if path.startswith("/api/dashboards/uid/"):
            board = DASHBOARDS.get(path.rpartition("/")[2])
            return self.answer(200, {"dashboard": board, "meta": {}}) if board else self.answer(404, {})
        if path.startswith("/api/datasources/proxy/uid/"):
            uid, _, rest = self.path.removeprefix("/api/datasources/proxy/uid/").partition("/")
            return self.pass_on(uid, rest)
        if path == "/api/admin/settings":
            return self.answer(200 if role == "Admin" else 403, {})
        return self.answer(404, {})

    do_POST = do_GET

    def pass_on(self, uid, rest):
        if uid not in SOURCES:
            return self.answer(404, {"message": f"no data source {uid}"})
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if self.command == "POST" else None
        request = urllib.request.Request(f"{SOURCES[uid]['url']}/{rest}", data=body, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return self.answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            return self.answer(error.code, error.read())
        except OSError as error:
            return self.answer(502, {"message": str(error)})

    def log_message(self, *_):
        pass


# The first process of a container must ask for this signal.
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ThreadingHTTPServer(("", 3000), Handler).serve_forever()
