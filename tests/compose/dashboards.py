"""Asks every query of every dashboard, through Grafana, and says which panels have data.

usage: dashboards.py GRAFANA_URL SECONDS

Waits up to SECONDS for the data; exits with 1 if a query is refused or a panel that must not be empty is. It uses nothing but
Grafana's HTTP API, without a login, so it works against Grafana and against its stand-in.
"""

import json
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# Panels that may be empty while all is well, and those that are in the first hour: dashboard and title, with the reason in the file.
LISTS = [pathlib.Path(__file__).parent.parent / "grafana" / name for name in ("empty_in_health.txt", "empty_at_first.txt")]
ROWS = [line.split("\t") for listed in LISTS for line in listed.read_text().splitlines() if line and not line.startswith("#")]
MAY_BE_EMPTY = {(row[0], row[1]) for row in ROWS}
BUILT_IN = {"__rate_interval": "60s", "__interval": "15s", "__interval_ms": "15000"}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WINDOW = 300


def get(url, form=None):
    data = urllib.parse.urlencode(form).encode() if form else None
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=15) as answer:
        return json.load(answer)


def time_range(dashboard):
    """How far back the dashboard looks, such as 6h."""
    return dashboard["time"]["from"].removeprefix("now-")


def question(target, chosen):
    """The endpoint and the form of a query. What is of windows has nothing of the last hour, so it is asked of the dashboard's time range."""
    form = {"query": fill_in(target["expr"], chosen)}
    if not (target.get("range") and target.get("interval") == "5m"):
        return "query", form
    end = time.time() // WINDOW * WINDOW
    seconds = int(chosen["__range"][:-1]) * SECONDS[chosen["__range"][-1]]
    return "query_range", {**form, "start": end - seconds, "end": end, "step": WINDOW}


def values(dashboard):
    """What each variable stands for: All if there is an All, else what is selected, else the first option."""
    chosen = {**BUILT_IN, "__range": time_range(dashboard)}
    for variable in dashboard.get("templating", {}).get("list", []):
        current = (variable.get("current") or {}).get("value")
        current = current[0] if isinstance(current, list) and current else current
        if variable["type"] == "datasource":
            chosen[variable["name"]] = None
        elif variable["type"] == "query" and (variable.get("includeAll") or not current or current == "$__all"):
            chosen[variable["name"]] = variable.get("allValue") or ".*"
        elif current in (None, "", "$__all"):
            options = [option.strip() for option in str(variable.get("query") or "").split(",")]
            chosen[variable["name"]] = variable.get("allValue") or "|".join(options)
        else:
            chosen[variable["name"]] = str(current)
    return chosen


def fill_in(text, chosen):
    def value(match):
        name = match[1] or match[2]
        if name not in chosen or chosen[name] is None:
            raise KeyError(f"${name} is no variable of the dashboard")
        return chosen[name]

    return re.sub(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))", value, text)


def panels(parent):
    for panel in parent.get("panels", []):
        yield panel
        yield from panels(panel)


def datasource(panel, target, chosen):
    """The data source's uid; a variable of that kind stands for the only one there is."""
    uid = (target.get("datasource") or panel.get("datasource") or {}).get("uid", "prometheus")
    return "prometheus" if uid.startswith("$") and uid.strip("${}") in chosen else uid


def look(grafana):
    """Problems, empty panels, and how many panels and queries there are."""
    wrong, empty, must, count, queries = [], [], [], 0, 0
    hits = get(f"{grafana}/api/search?type=dash-db")
    if not hits:
        wrong.append("no dashboards")
    for hit in hits:
        dashboard = get(f"{grafana}/api/dashboards/uid/{hit['uid']}")["dashboard"]
        chosen = values(dashboard)
        for panel in panels(dashboard):
            targets = [target for target in panel.get("targets", []) if target.get("expr") and not target.get("hide")]
            name = f"{dashboard['title']} / {panel.get('title')}"
            found = 0
            for target in targets:
                queries += 1
                try:
                    uid = datasource(panel, target, chosen)
                    endpoint, form = question(target, chosen)
                    answer = get(f"{grafana}/api/datasources/proxy/uid/{uid}/api/v1/{endpoint}", form)
                    found += len(answer["data"]["result"])
                except urllib.error.HTTPError as error:
                    wrong.append(f"{name}: {error.code} {error.read().decode()[:300]}")
                except KeyError as error:
                    wrong.append(f"{name}: {error}")
            if targets:
                count += 1
                if not found:
                    empty.append(name)
                    if (hit["uid"], panel.get("title")) not in MAY_BE_EMPTY:
                        must.append(name)
    return wrong, empty, must, f"{len(hits)} dashboards, {count} panels, {queries} queries"


def main():
    grafana, deadline = sys.argv[1], time.monotonic() + float(sys.argv[2])
    while True:
        wrong, empty, must, summary = look(grafana)
        if not (wrong or must) or time.monotonic() > deadline:
            break
        time.sleep(3)
    for name in empty:
        print(f"empty: {name}{' (but must not be)' if name in must else ''}")
    for problem in wrong:
        print(f"wrong: {problem}")
    print(f"{summary}: {len(empty)} panels empty, {len(wrong)} problems")
    sys.exit(1 if wrong or must else 0)


main()
