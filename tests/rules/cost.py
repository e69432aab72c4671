#!/usr/bin/env python3
"""What the rules cost: a real Prometheus with made-up metrics of many CP codes, each with samples and a report by status class.

    tests/rules/cost.py [CP codes] [minutes]

Prints what each group of rules took on average over the second half, and how many series they record. Needs Debian's package prometheus.
"""

import contextlib
import http.server
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

RULES = pathlib.Path(__file__).resolve().parents[2] / "prometheus" / "rules"
CLASSES = ["0xx", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx"]
BEGIN = time.time()


def exposition(cpcodes):
    """A window every 30 seconds, a sample every two minutes."""
    now, lines = time.time(), ['akamai_exporter_build_info{version="0"} 1']

    def add(name, value, /, **labels):
        pairs = ",".join(f'{label}="{text}"' for label, text in labels.items())
        lines.append(f'{name}{{account="a",{pairs}}} {value}')

    windows = int((now - BEGIN) / 30) + 1
    for source in ("estats", "amd"):
        add("akamai_up", 1, source=source)
        add("akamai_exporter_last_success_timestamp_seconds", now - 30, source=source)
        add("akamai_exporter_next_due_timestamp_seconds", now + 60, source=source)
        for name in ("poll_interval_seconds", "poll_interval_effective_seconds"):
            add(f"akamai_exporter_{name}", 120, source=source)
    add("akamai_exporter_report_windows_total", windows, source="amd", state="read")
    add("akamai_traffic_window_end_timestamp_seconds", now - 1200, source="amd")
    add("akamai_target_up", 1, source="amd")
    for cpcode in range(cpcodes):
        target = {"source": "estats", "cpcode": cpcode, "delivery": "STANDARD_TLS"}
        add("akamai_target_up", 1, **target)
        add("akamai_estats_sample_timestamp_seconds", now // 120 * 120, **target)
        for tier in ("edge", "origin"):
            add("akamai_estats_sample_hits", 900, **target, tier=tier)
            for status_class in CLASSES[2:6]:
                ratio = 0.97 if status_class == "2xx" else 0.01
                add("akamai_estats_status_ratio", ratio, **target, tier=tier, status_class=status_class)
        row = {"source": "amd", "cpcode": cpcode}
        add("akamai_cpcode_info", 1, **row, name=f"name {cpcode}", product="AMD")
        for status_class in CLASSES:
            for tier in ("edge", "midgress", "origin"):
                add(f"akamai_traffic_{tier}_hits_total", windows * 30_000, **row, status_class=status_class)
                add(f"akamai_traffic_{tier}_response_bytes_total", windows * 3_000_000, **row, status_class=status_class)
    return "\n".join(lines) + "\n"


def serve(cpcodes):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            # Prometheus may have given up, or have been stopped.
            with contextlib.suppress(BrokenPipeError):
                self.wfile.write(exposition(cpcodes).encode())

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def query(port, expression):
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)["data"]["result"]


def main(cpcodes=1000, minutes=12):
    exporter = serve(cpcodes)
    free = http.server.HTTPServer(("127.0.0.1", 0), None)
    port = free.server_port
    free.server_close()
    with tempfile.TemporaryDirectory() as directory:
        config = pathlib.Path(directory) / "prometheus.yml"
        targets = [f"127.0.0.1:{exporter}", f"127.0.0.1:{port}"]
        scrape = {"job_name": "akamai", "static_configs": [{"targets": targets}]}
        # JSON is YAML.
        everything = {"global": {"scrape_interval": "15s"}, "rule_files": [f"{RULES}/*.yml"], "scrape_configs": [scrape]}
        config.write_text(json.dumps(everything))
        arguments = [f"--config.file={config}", f"--storage.tsdb.path={directory}/data", f"--web.listen-address=127.0.0.1:{port}"]
        prometheus = subprocess.Popen(["prometheus", *arguments], stderr=subprocess.DEVNULL)
        try:
            time.sleep(minutes * 60)
            half = f"{minutes * 30}s"
            print(f"{cpcodes} CP codes, {len(exposition(cpcodes).splitlines())} series, {minutes} minutes")
            for group in query(port, f"avg_over_time(prometheus_rule_group_last_duration_seconds[{half}])"):
                name = group["metric"]["rule_group"]
                interval = query(port, f'prometheus_rule_group_interval_seconds{{rule_group="{name}"}}')[0]["value"][1]
                print(f"{name.rsplit(';', 1)[1]}: {float(group['value'][1]):.2f} s of {interval}")
            recorded = int(query(port, 'count({__name__=~".+:.+"})')[0]["value"][1])
            print(f"recorded: {recorded} series, {recorded / cpcodes:.0f} for each CP code")
            cpu = query(port, f"rate(process_cpu_seconds_total[{half}])")
            print(f"Prometheus: {statistics.fmean(float(one['value'][1]) for one in cpu):.2f} of a core")
        finally:
            prometheus.terminate()
            prometheus.wait()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
