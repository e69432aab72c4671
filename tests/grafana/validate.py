#!/usr/bin/env python3
"""Checks the dashboards: against Grafana's own models, and against this project's conventions. README.md has the list of the latter.

    python3 -m venv target/grafana && target/grafana/bin/pip install --quiet -r tests/grafana/requirements.txt
    target/grafana/bin/python tests/grafana/validate.py            # grafana/dashboards/*.json, or the files given
    target/grafana/bin/python tests/grafana/validate.py --prove    # damages each dashboard in many ways: each must be noticed

Every fault is one line, `file: JSON path: what is wrong`; the exit status is 1 if there is any.

Grafana's models (PyPI, grafana-foundation-sdk) do not check types themselves and drop what they do not know. So each value is held against
the annotations of the model's class, and the names of its JSON fields are read from what the class writes.
"""

import argparse
import copy
import enum
import functools
import inspect
import json
import pathlib
import re
import sys
import typing

from grafana_foundation_sdk.cog import plugins, runtime
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus, units

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/grafana"
UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("__")}

# One meaning to a colour. Greys are what is neither good nor bad.
CLASS_COLOURS = {
    "0xx": {"#6E7079"}, "1xx": {"#A7ABB3"}, "2xx": {"green"}, "3xx": {"blue"}, "4xx": {"orange"}, "5xx": {"red"}, "6xx": {"#45474D"},
}
# Alerts have the colours of the states, in annotations too.
SEVERITY_COLOURS = {"critical": "red", "warning": "orange"}
# The dashboards of this folder, which a link may name: their uids are kept wherever they are imported.
UIDS = {json.loads(file.read_text())["uid"] for file in (ROOT / "grafana/dashboards").glob("*.json")}
# The transformations of Grafana that are in use; its models say nothing of them.
TRANSFORMATIONS = {"merge", "organize"}


class Faults(list):
    """What is wrong, with where."""

    def add(self, path, what):
        self.append(f"{path or '$'}: {what}")


# ---------------------------------------------------------------------------------------------------------- Grafana's models


def hook_class(hook):
    """The class whose `from_json` a hook is."""
    return getattr(hook, "__self__", None)


class DataLink:
    """The link of a field, for which Grafana's schema has no type (its models take it for the link of a dashboard)."""

    title: str
    url: str
    target_blank: typing.Optional[bool]

    def to_json(self):
        return {"title": self.title, "url": self.url, "targetBlank": self.target_blank}


class AlertAnnotation:
    """An annotation of Prometheus', for which Grafana's schema has no type (its models know those of Grafana's own database). Newer versions of Grafana
    read the query in `target`, older ones `expr` and `step`.
    """

    name: str
    datasource: models.DataSourceRef
    enable: bool
    hide: typing.Optional[bool]
    iconColor: str
    filter: typing.Optional[models.AnnotationPanelFilter]
    target: prometheus.Dataquery
    expr: str
    step: str
    titleFormat: str
    textFormat: str
    tagKeys: str

    def to_json(self):
        return dict(vars(self))


# What cannot be said when it is made is fixed in the models of Grafana, not in these.
OURS = (DataLink, AlertAnnotation)


@functools.cache
def json_fields(cls):
    """The JSON fields of a model, each with its type."""
    hints = typing.get_type_hints(cls)
    marks = {name: f"<{name}>" for name in hints}
    blank = object.__new__(cls)
    vars(blank).update(marks)
    attributes = {mark: name for name, mark in marks.items()}
    written = {key: attributes.get(mark) for key, mark in blank.to_json().items() if isinstance(mark, str)}
    fields = {key: hints[name] for key, name in written.items() if name}
    arguments = inspect.signature(cls.__init__).parameters
    for key, name in written.items():
        # What cannot be said when it is made is fixed: the `type` of each kind of cell, of mapping.
        if name and name not in arguments and cls not in OURS:
            fields[key] = typing.Literal[getattr(cls(), name)]
    if cls is models.FieldConfig:
        fields["links"] = typing.Optional[list[DataLink]]
    return fields


def check_model(value, cls, path, faults):
    if not isinstance(value, dict):
        return faults.add(path, f"a {cls.__name__} is an object, not {json.dumps(value)[:60]}")
    fields = json_fields(cls)
    for key, item in value.items():
        if key in fields:
            check(item, fields[key], f"{path}.{key}", faults)
        else:
            faults.add(f"{path}.{key}", f"Grafana's {cls.__name__} has no such field")
    for key, hint in fields.items():
        if key not in value and type(None) not in typing.get_args(hint):
            faults.add(f"{path}.{key}", f"missing, and Grafana's {cls.__name__} needs it")


def faults_as(value, hint, path):
    found = Faults()
    check(value, hint, path, found)
    return found


def check(value, hint, path, faults):
    """Holds a value against a type of the models."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is object or hint is typing.Any:
        return
    if origin is typing.Union:
        options = [option for option in args if option is not type(None)]
        if value is None and len(options) < len(args):
            return
        found = [faults_as(value, option, path) for option in options]
        if all(found):
            faults.extend(min(found, key=len))
    elif origin is typing.Literal:
        if value not in args:
            faults.add(path, f"{json.dumps(value)} is not {' or '.join(map(json.dumps, args))}")
    elif origin is list:
        if not isinstance(value, list):
            return faults.add(path, f"a list is wanted, not {json.dumps(value)[:60]}")
        for index, item in enumerate(value):
            check(item, args[0], f"{path}[{index}]", faults)
    elif origin is dict:
        if not isinstance(value, dict):
            return faults.add(path, f"an object is wanted, not {json.dumps(value)[:60]}")
        for key, item in value.items():
            check(item, args[1], f"{path}.{key}", faults)
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        if isinstance(value, bool) or value not in [member.value for member in hint]:
            faults.add(path, f"{json.dumps(value)} is not {' or '.join(json.dumps(member.value) for member in hint)}")
    elif hint in (int, float, str, bool):
        fits = {
            int: isinstance(value, int) and not isinstance(value, bool),
            float: isinstance(value, (int, float)) and not isinstance(value, bool),
            str: isinstance(value, str),
            bool: isinstance(value, bool),
        }[hint]
        if not fits:
            faults.add(path, f"{json.dumps(value)[:60]} is no {hint.__name__}")
    elif hint is models.Panel:
        check_panel(value, path, faults)
    elif hint is models.AnnotationQuery and isinstance(value, dict) and "builtIn" not in value:
        check_model(value, AlertAnnotation, path, faults)
    elif hasattr(hint, "to_json"):
        check_model(value, hint, path, faults)


def check_panel(panel, path, faults):
    check_model(panel, models.Panel, path, faults)
    if not isinstance(panel, dict):
        return
    kind = runtime.panelcfg_config(panel.get("type", ""))
    if kind is None:
        return faults.add(f"{path}.type", f"Grafana has no panel {json.dumps(panel.get('type'))}")
    options, custom = hook_class(kind.options_from_json_hook), hook_class(kind.field_config_from_json_hook)
    if options:
        check_model(panel.get("options", {}), options, f"{path}.options", faults)
    for index, target in enumerate(as_list(panel.get("targets"))):
        check_model(target, prometheus.Dataquery, f"{path}.targets[{index}]", faults)
    config = panel.get("fieldConfig")
    if not isinstance(config, dict):
        return
    defaults = config.get("defaults")
    if isinstance(defaults, dict) and "custom" in defaults:
        if custom:
            check_model(defaults["custom"], custom, f"{path}.fieldConfig.defaults.custom", faults)
        else:
            faults.add(f"{path}.fieldConfig.defaults.custom", f"a {panel['type']} panel has no custom field options")
    for index, override in enumerate(as_list(config.get("overrides"))):
        for number, property_ in enumerate(as_list(isinstance(override, dict) and override.get("properties"))):
            where = f"{path}.fieldConfig.overrides[{index}].properties[{number}]"
            known = json_fields(models.FieldConfig)
            name = property_.get("id", "") if isinstance(property_, dict) else ""
            if name.startswith("custom."):
                known, name = json_fields(custom) if custom else {}, name.removeprefix("custom.")
            if name in known and name != "custom":
                check(property_.get("value"), known[name], f"{where}.value", faults)
            else:
                faults.add(f"{where}.id", f"a {panel['type']} panel has no field option {json.dumps(property_.get('id'))}")


def as_list(value):
    return value if isinstance(value, list) else []


def check_against_models(board, faults):
    check_model(board, models.Dashboard, "", faults)
    if not faults:
        # The models' own reader knows no other annotations than the built-in one.
        built_in = [annotation for annotation in board["annotations"]["list"] if "builtIn" in annotation]
        models.Dashboard.from_json(board | {"annotations": {"list": built_in}})


# ---------------------------------------------------------------------------------------------------------- conventions


def variables_of(text):
    """The names of the variables in a text, `$name`, `${name}` or `${name:format}`."""
    return {a or b for a, b in re.findall(r"\$\{(\w+)[^}]*\}|\$(\w+)", text)}


def strings(value, path=""):
    """Every string of a JSON value, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from strings(item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from strings(item, f"{path}[{index}]")


def seconds(text):
    match = re.fullmatch(r"(?:now-)?(\d+)([smhdw])", text or "")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[match[2]] if match else 0


def read_table(name, columns):
    """A table of this directory: tabs between the columns, # before comments."""
    lines = (HERE / name).read_text().splitlines()
    rows = [tuple(line.split("\t")) for line in lines if line and not line.startswith("#")]
    assert all(len(row) == columns for row in rows), f"{name}: {columns} columns, with tabs between them"
    return rows


def lint(board, faults):
    dashboards_uid(board, faults)
    variables = lint_variables(board, faults)
    lint_annotations(board, variables, faults)
    seen, titles = set(), set()
    for path, panel in panels_of(board):
        if panel["id"] in seen:
            faults.add(f"{path}.id", "another panel has it")
        if panel["title"] in titles:
            faults.add(f"{path}.title", "another panel has it")
        seen.add(panel["id"])
        titles.add(panel["title"])
        for name in variables_of(panel["title"]) - variables:
            faults.add(f"{path}.title", f"${name} is not a variable of this dashboard")
        if panel.get("repeat") and panel["repeat"] not in variables:
            faults.add(f"{path}.repeat", f"{panel['repeat']} is not a variable of this dashboard")
        if panel["type"] == "row":
            if bool(panel["panels"]) != panel["collapsed"]:
                faults.add(f"{path}.collapsed", "a row holds its panels while it is collapsed, and then alone")
            lint_grid(panel["panels"], f"{path}.panels", faults)
        else:
            lint_panel(panel, path, variables, faults)
    lint_grid(board["panels"], ".panels", faults)
    for name in ("empty_in_health.txt", "empty_at_first.txt"):
        for uid, title, _ in read_table(name, 3):
            if uid == board["uid"] and title not in titles:
                faults.add("", f"{name} names a panel that is not there: {title}")


def panels_of(board):
    """Every panel with its path, those of collapsed rows too."""
    for index, panel in enumerate(board["panels"]):
        yield f".panels[{index}]", panel
        for inner, nested in enumerate(as_list(panel.get("panels"))):
            yield f".panels[{index}].panels[{inner}]", nested


def lint_annotations(board, variables, faults):
    """Each dashboard shows the alerts of its accounts, and of its CP codes where these can be chosen."""
    wanted = [name for name in ("account", "cpcode") if name in variables]
    found = {}
    for index, annotation in enumerate(board["annotations"]["list"]):
        if "builtIn" in annotation:
            continue
        path, expr = f".annotations.list[{index}]", annotation["expr"]
        if annotation["target"]["expr"] != expr or annotation["target"].get("interval") != annotation["step"]:
            faults.add(f"{path}.target", "expr and step are wanted here once more, as they are beside it: each version of Grafana reads one of them")
        for name in variables_of(expr) - variables:
            faults.add(f"{path}.expr", f"${name} is not a variable of this dashboard, nor in variables.txt")
        lint_alerts(expr, wanted, f"{path}.expr", faults)
        if not re.search(r"max_over_time\(ALERTS\{[^}]*\}\[\$__interval\]\)", expr):
            faults.add(f"{path}.expr", "max_over_time(ALERTS{...}[$__interval]) is wanted: a short alert falls between two steps")
        severity = re.search(r'severity="(\w+)"', expr)
        found[severity and severity[1]] = annotation["iconColor"]
        if not {"alertname", "severity"} <= set(re.findall(r"\{\{(\w+)\}\}", annotation["titleFormat"] + annotation["textFormat"])):
            faults.add(f"{path}.textFormat", "the text has the alert and its severity")
    if found != SEVERITY_COLOURS:
        faults.add(".annotations.list", f"one for each severity in its colour is wanted: {SEVERITY_COLOURS}")


def lint_alerts(expr, wanted, path, faults):
    """Alerts that are shown are ours, and among them are those that are about no account."""
    for selector in re.findall(r"\bALERTS(?:_FOR_STATE)?\b(?:\{([^}]*)\})?", expr):
        if 'alertname=~"Akamai.*"' not in selector:
            faults.add(path, 'alerts are not selected by alertname=~"Akamai.*": others are not ours')
        for name in wanted:
            if f'{name}=~"${name}|"' not in selector and f'{name}=~"${name}"' not in selector:
                faults.add(path, f"alerts are not selected by ${name}")
        if 'account=~"$account"' in selector:
            faults.add(path, 'account=~"$account|" is wanted: an alert about the exporter has no account')
    for selector in re.findall(r"\bALERTS\b\{([^}]*)\}", expr):
        if 'alertstate="firing"' not in selector:
            faults.add(path, "an alert that is pending is none yet")


def lint_recorded(expr, variables, path, faults):
    """Recorded series have a scope: to add up over several counts everything twice."""
    for name, selector in re.findall(r"\b((?:scope|account|target)\w*:akamai_\w+:\w+)(?:\{([^}]*)\})?", expr):
        if "account" in variables and not re.search(r'account=~"\$account\|?"', selector):
            faults.add(path, f"{name} is not selected by $account")
        if name.startswith("scope") and not re.search(r'\bscope=~?"', selector):
            faults.add(path, f"{name} is not selected by scope: what an account has its CP codes have too")
        if re.search(r":(value|usual|spread|lower|upper|width|deviations|change)$", name) and not re.search(r'\bsignal="', selector):
            faults.add(path, f"{name} is not selected by signal: hits and shares are not one thing")


def dashboards_uid(board, faults):
    if not re.fullmatch(r"akamai-[a-z-]+", board.get("uid") or ""):
        faults.add(".uid", "a uid of its own, akamai-..., keeps links alive")
    if "id" in board:
        faults.add(".id", "Grafana gives it; it belongs to one Grafana")
    for key in ("__inputs", "__requires"):
        if key in board:
            faults.add(f".{key}", "that is for the build to import, not for provisioning")
    if not board.get("description"):
        faults.add(".description", "missing")
    if "akamai" not in (board.get("tags") or []):
        faults.add(".tags", "akamai is missing: links between the dashboards go by it")
    if not any(link["type"] == "dashboards" and link["tags"] == ["akamai"] and link["keepTime"] and link["includeVars"] for link in board.get("links") or []):
        faults.add(".links", "no link to the dashboards with the tag akamai that keeps time and variables")
    if seconds(board.get("refresh")) < 60:
        faults.add(".refresh", "at least 1m: there is nothing new more often")
    if board["time"]["to"] != "now" or seconds(board["time"]["from"]) < 3600:
        faults.add(".time", "at least the last hour")
    if not 39 <= board["schemaVersion"] <= 41:
        faults.add(".schemaVersion", "39 to 41 is what Grafana 11 and 12 write")
    for path, text in strings(board):
        if path.endswith("datasource.uid") and text not in ("${datasource}", "-- Grafana --"):
            faults.add(path, f"${{datasource}} is wanted, not {text}: an id belongs to one Grafana")
        for uid in re.findall(r"/d(?:-solo)?/([^/?]*)", text):
            if uid != "${__dashboard.uid}" and uid not in UIDS:
                faults.add(path, f"a link to {uid}, which is none of ours; link by tag")


def lint_variables(board, faults):
    listed = board["templating"]["list"]
    # One dashboard's own value stands as uid/name.
    filled = {name.removeprefix(f"{board['uid']}/") for name, _ in read_table("variables.txt", 2)}
    for index, variable in enumerate(listed):
        path = f".templating.list[{index}]"
        if not variable.get("label"):
            faults.add(f"{path}.label", "missing")
        if variable["type"] == "query":
            query = variable["query"]
            if not isinstance(query, dict) or not isinstance(query.get("query"), str):
                faults.add(f"{path}.query", "an object with qryType, query and refId is wanted")
                continue
            if not re.match(r"label_values\(.+, \w+\)$|query_result\(.+\)$", query["query"], re.S):
                faults.add(f"{path}.query.query", "label_values(SERIES, LABEL) or query_result(EXPR) is wanted: README.md")
            is_single = (board["uid"], variable["name"]) in SINGLE
            for name in ("multi", "includeAll"):
                if bool(variable.get(name)) == is_single:
                    faults.add(f"{path}.{name}", f"{json.dumps(not is_single)} is wanted")
            if variable.get("refresh") != 2:
                faults.add(f"{path}.refresh", "2 is wanted: asked again when the time range changes")
            for name in variables_of(query["query"]) - {earlier["name"] for earlier in listed[:index]} - {"__range"}:
                faults.add(f"{path}.query.query", f"${name} is not defined before it")
        if variable["type"] == "interval":
            shortest = min(map(seconds, variable["query"].split(",")))
            if shortest < THREE_WINDOWS or (variable.get("auto") and seconds(variable.get("auto_min")) < THREE_WINDOWS):
                faults.add(f"{path}.query", "15m at least: counters of the report rise every five minutes")
        if variable["type"] in ("query", "custom", "interval"):
            if not variable.get("description"):
                faults.add(f"{path}.description", "missing")
            if variable["name"] not in filled:
                faults.add(f"{path}.name", "variables.txt says nothing of it")
    names = [variable["name"] for variable in listed]
    first = listed[0] if listed else {}
    if (first.get("type"), first.get("name"), first.get("query")) != ("datasource", "datasource", "prometheus"):
        faults.add(".templating.list[0]", "the variable of the data source comes first")
    if "account" not in names:
        faults.add(".templating.list", "no variable for the account")
    return set(names) | (filled & {name for name in filled if name.startswith("__")})


def lint_panel(panel, path, variables, faults):
    title, defaults = panel.get("title") or "", panel["fieldConfig"]["defaults"]
    if not title.endswith("?"):
        faults.add(f"{path}.title", f"a title is a question: {title}")
    if not re.search(r"\.$", panel.get("description") or ""):
        faults.add(f"{path}.description", "sentences are wanted that say what is shown")
    unit = defaults.get("unit", "")
    if unit not in UNITS and not unit.startswith(("suffix:", "prefix:")):
        faults.add(f"{path}.fieldConfig.defaults.unit", f"{unit!r} is not a unit of Grafana's")
    for where, text in strings(panel["fieldConfig"]["overrides"], f"{path}.fieldConfig.overrides"):
        if text == "unit" and where.endswith(".id"):
            value = functools.reduce(lambda at, key: at[int(key) if key.isdigit() else key], re.findall(r"\w+", where.removeprefix(path))[:-1], panel)["value"]
            if value not in UNITS:
                faults.add(where, f"{value!r} is not a unit of Grafana's")
    if not re.search(r"[.]$", defaults.get("noValue") or ""):
        faults.add(f"{path}.fieldConfig.defaults.noValue", "a sentence is wanted that says why the panel may be empty")
    if not panel.get("datasource"):
        faults.add(f"{path}.datasource", "missing")
    if panel["type"] == "status-history" and not 0 < panel.get("maxDataPoints", 0) <= 150:
        faults.add(f"{path}.maxDataPoints", "at most 150: a status history refuses to draw more than its width allows")
    for index, transformation in enumerate(panel.get("transformations") or []):
        if transformation["id"] not in TRANSFORMATIONS:
            faults.add(f"{path}.transformations[{index}].id", f"{transformation['id']!r} is not in use here; a typing error?")
    lint_texts(panel, path, faults)
    lint_links(panel, path, faults)
    lint_bands(panel, path, faults)
    lint_colours(panel, path, faults)
    if not panel.get("targets"):
        faults.add(f"{path}.targets", "no query")
    for index, target in enumerate(panel.get("targets") or []):
        lint_target(panel, target, f"{path}.targets[{index}]", variables, faults)
    references = [target["refId"] for target in panel.get("targets") or []]
    if len(set(references)) < len(references):
        faults.add(f"{path}.targets", "a refId occurs twice")


def lint_texts(panel, path, faults):
    """The unit of a table is for its texts, too: a CP code would be shown, and linked, as a number of it."""
    overrides = panel["fieldConfig"]["overrides"]
    units = [item["value"] for override in overrides if override["matcher"] == {"id": "byType", "options": "string"} for item in override["properties"] if item["id"] == "unit"]
    if panel["type"] == "table" and units != ["string"]:
        faults.add(f"{path}.fieldConfig.overrides", "byType string with the unit string is wanted: else texts have the unit of the numbers")


def lint_links(panel, path, faults):
    """A link asks for the text that is shown, so that an empty one is the word for all that Grafana's variables know."""
    overrides = panel["fieldConfig"]["overrides"]
    linked = {a or b for _, text in strings(panel["fieldConfig"]) for a, b in re.findall(r'var-\w+=\$\{__data\.fields(?:\.(\w+)|\["([^"]+)"\])\}', text)}
    named = {override["matcher"]["options"] for override in overrides for item in override["properties"] if item == {"id": "noValue", "value": "All"}}
    for name in sorted(linked - named):
        faults.add(f"{path}.fieldConfig.overrides", f"links have the text of {name!r}: All is wanted as its noValue")


def lint_bands(panel, path, faults):
    """A band is filled down to another series, by its name; a typing error fills down to 0."""
    series = {target.get("legendFormat") for target in as_list(panel.get("targets"))}
    for index, override in enumerate(panel["fieldConfig"]["overrides"]):
        for item in override["properties"]:
            if item["id"] == "custom.fillBelowTo" and not {item["value"], override["matcher"]["options"]} <= series:
                faults.add(f"{path}.fieldConfig.overrides[{index}]", f"no series {item['value']!r}, or none to fill from")


def tells_time(panel):
    """Whether it is a table with a row for each moment."""
    organized = [step["options"] for step in as_list(panel.get("transformations")) if step["id"] == "organize"]
    return panel["type"] == "table" and any("Time" in step["renameByName"] and not step["excludeByName"].get("Time") for step in organized)


def lint_target(panel, target, path, variables, faults):
    expr = target.get("expr", "")
    if not target.get("datasource"):
        faults.add(f"{path}.datasource", "missing")
    if bool(target.get("instant")) == bool(target.get("range")):
        faults.add(path, "either instant or range")
    if panel["type"] in ("stat", "bargauge", "table") and not target.get("instant") and not tells_time(panel):
        faults.add(f"{path}.instant", f"a {panel['type']} shows what is now: a range would show what has vanished")
    if panel["type"] == "table" and target.get("format") != "table":
        faults.add(f"{path}.format", "table is wanted")
    for name in variables_of(expr) - variables:
        faults.add(f"{path}.expr", f"${name} is not a variable of this dashboard, nor in variables.txt")
    for call, of, window, at_end in re.findall(r"\b(rate|irate|increase|delta|deriv|changes|resets|\w+_over_time)\s*\((.*?)\[([^\]]*)\](\s*@ end\(\))?", expr, re.S):
        usual = "$__interval" if of.startswith("ALERTS{") else "4m59s" if re.search(TRUE_TIME, of) else "$window" if re.search(BY_WINDOWS, of) else "$__rate_interval"
        if window in ("$__range", "$__range:5m"):
            is_right = call != "rate" and (bool(target.get("instant")) or at_end)
        else:
            is_right = window == usual
        if call in ("rate", "irate", "increase", "delta", "deriv", "resets") and re.search(TRUE_TIME, of):
            faults.add(f"{path}.expr", f"{call}() of a window's sum: it is a gauge, and no counter")
        if not is_right:
            faults.add(f"{path}.expr", f"{call}() over [{window}]: {usual} is wanted, or $__range in an instant query or @ end()")
        if call in ("rate", "irate", "increase") and window == usual and seconds(target.get("interval")) < 60:
            faults.add(f"{path}.interval", "at least 1m with rate(): polls come every other minute")
    if re.search(TRUE_TIME, expr) and target.get("range") and target.get("interval") != "5m":
        faults.add(f"{path}.interval", "5m is wanted: with shorter steps a window is drawn several times over")
    if re.search(r"\b(rate|irate|increase|sum_over_time)\s*\([^()]*akamai_(estats|up|target_up)", expr):
        faults.add(f"{path}.expr", "eStats is a sample: a gauge, not a counter, and not to be added up over time")
    lint_alerts(expr, ["account"], f"{path}.expr", faults)
    lint_recorded(expr, variables, f"{path}.expr", faults)
    for metric in set(re.findall(r"(?<!:)\b(akamai_[a-z_]+)\s*\{", expr)):
        for selector in re.findall(rf"\b{metric}\s*\{{([^}}]*)\}}", expr):
            for name in ("account",) if metric not in NO_ACCOUNT else ():
                if f'{name}=~"${name}"' not in selector:
                    faults.add(f"{path}.expr", f"{metric} is not selected by ${name}")
            if re.search(BY_WINDOWS, metric) and 'source="$source"' not in selector:
                faults.add(f"{path}.expr", f'{metric} is not selected by source="$source": two sources may count the same hits')


# Counters that are fed by whole windows of five minutes, of sources that may count the same hits.
BY_WINDOWS = r"akamai_(traffic|exporter_report)_"
THREE_WINDOWS = 900
# What remote write sends of a window: its sums, as gauges with the time of the window's end.
TRUE_TIME = r"akamai_traffic_window_(?!end_timestamp)"
# Of these one value is chosen: adding up over several would count twice.
SINGLE = {("akamai-traffic", "source"), ("akamai-true-time", "source")}
NO_ACCOUNT = {"akamai_exporter_build_info", "akamai_exporter_http_requests_total"}


def lint_colours(panel, path, faults):
    """Status classes have the same colour everywhere, given by name or by pattern; or that of their thresholds."""
    if panel["type"] == "heatmap":
        return
    for index, override in enumerate(panel["fieldConfig"]["overrides"]):
        name = str(override["matcher"].get("options", ""))
        found = re.match(r"/?\^?([0-6])(xx|/)", name) or re.match(r"/ ([0-6])\.\.", name)
        colour = next((item["value"] for item in override["properties"] if item["id"] == "color"), None)
        if found and colour and colour["mode"] != "thresholds" and colour.get("fixedColor") not in CLASS_COLOURS[f"{found[1]}xx"]:
            faults.add(f"{path}.fieldConfig.overrides[{index}]", f"{found[1]}xx is {'/'.join(CLASS_COLOURS[found[1] + 'xx'])} everywhere")
    by_class = any("status_class}}" in target.get("legendFormat", "") for target in panel.get("targets") or [])
    named = {str(override["matcher"].get("options")) for override in panel["fieldConfig"]["overrides"]}
    if by_class and not {"4xx", "5xx"} <= named:
        faults.add(f"{path}.fieldConfig.overrides", "series are status classes, but have not their colours")


def lint_grid(panels, path, faults):
    taken = {}
    for index, panel in enumerate(panels):
        grid = panel["gridPos"]
        if grid["x"] + grid["w"] > 24:
            faults.add(f"{path}[{index}].gridPos", "wider than the 24 columns")
        cells = [(x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])]
        clash = next((taken[cell] for cell in cells if cell in taken), None)
        if clash is not None:
            faults.add(f"{path}[{index}].gridPos", f"overlaps {path}[{clash}]")
        taken |= dict.fromkeys(cells, index)


# ---------------------------------------------------------------------------------------------------------- the proof


def damages():
    """Ways to damage a dashboard, each with a name."""

    def first(board, kind):
        return next((panel for panel in board["panels"] if panel["type"] == kind), None)

    def plain(board):
        return first(board, "timeseries")

    def rename(old, new, at=plain):
        def damage(board):
            where = at(board)
            where[new] = where.pop(old)

        return damage

    def put(key, value, at=plain):
        return lambda board: at(board).__setitem__(key, value)

    def drop(key, at=plain):
        return lambda board: at(board).pop(key)

    whole = lambda board: board
    config = lambda board: plain(board)["fieldConfig"]
    defaults = lambda board: config(board)["defaults"]
    target = lambda board: plain(board)["targets"][0]
    variable = lambda board: board["templating"]["list"][1]
    table = lambda board: first(board, "table")
    annotation = lambda board: next(item for item in board["annotations"]["list"] if "builtIn" not in item)

    def asks(old, new):
        """An annotation that asks for something else, the same in both places."""

        def damage(board):
            where = annotation(board)
            assert old in where["expr"], old
            where["expr"] = where["target"]["expr"] = where["expr"].replace(old, new)

        return damage

    def hide(panel_damage):
        """A damaged panel in a collapsed row of its own."""

        def damage(board):
            nested = copy.deepcopy(plain(board)) | {"id": 1001, "title": "Is it seen?"}
            panel_damage(nested)
            row = {"type": "row", "id": 1000, "title": "Hidden", "collapsed": True, "gridPos": {"h": 1, "w": 24, "x": 0, "y": 500}, "panels": [nested]}
            board["panels"].append(row)

        return damage

    organize = lambda board: next(step["options"] for step in table(board)["transformations"] if step["id"] == "organize")
    return {
        "fieldConfig misspelt": rename("fieldConfig", "fieldconfig"),
        "gridPos misspelt": rename("gridPos", "gridpos"),
        "targets misspelt": rename("targets", "target"),
        "a field of the dashboard misspelt": rename("graphTooltip", "graphToolTip", whole),
        "a string for a number": put("id", "7"),
        "a string for a number, deeper": lambda board: plain(board)["gridPos"].__setitem__("w", "12"),
        "a number for a string": put("title", 7),
        "a fraction for a whole number": lambda board: plain(board)["gridPos"].__setitem__("h", 8.5),
        "a string for a boolean": put("liveNow", "false", whole),
        "an object for a list": put("panels", {}, whole),
        "an unknown kind of panel": put("type", "graf"),
        "an unknown option of the panel": lambda board: plain(board)["options"].__setitem__("legends", {}),
        "an option of the panel left out": lambda board: plain(board)["options"].pop("tooltip"),
        "an unknown legend mode": lambda board: plain(board)["options"]["legend"].__setitem__("displayMode", "tabel"),
        "an unknown field option": put("decimal", 2, defaults),
        "an unknown custom field option": lambda board: defaults(board)["custom"].__setitem__("fillOpacitiy", 10),
        "a string in a custom field option": lambda board: defaults(board)["custom"].__setitem__("lineWidth", "1"),
        "an unknown colour mode": lambda board: defaults(board).__setitem__("color", {"mode": "fix"}),
        "a threshold without its list": lambda board: defaults(board).__setitem__("thresholds", {"mode": "absolute", "steps": 5}),
        "an unknown option in an override": lambda board: table(board)["fieldConfig"]["overrides"][0]["properties"].append({"id": "custom.widht", "value": 1}),
        "a wrong value in an override": lambda board: table(board)["fieldConfig"]["overrides"][0]["properties"].append({"id": "decimals", "value": "2"}),
        "an unknown kind of cell": lambda board: table(board)["fieldConfig"]["overrides"][0]["properties"].append({"id": "custom.cellOptions", "value": {"type": "gage"}}),
        "expr misspelt": rename("expr", "expression", target),
        "an unknown format of a query": put("format", "timeseries", target),
        "an unknown kind of variable": put("type", "querry", variable),
        "an unknown field of a variable": put("multiple", True, variable),
        "a variable's refresh as a word": put("refresh", "onTimeRangeChanged", variable),
        "a link without its kind": lambda board: board["links"][0].__setitem__("type", "dashbords"),
        "a field of an annotation misspelt": rename("textFormat", "text", annotation),
        "an annotation without its query": drop("target", annotation),
        "a typing error in an annotation's query": lambda board: annotation(board)["target"].__setitem__("exp", "up"),
        "expr misspelt in a collapsed row": hide(lambda panel: panel["targets"][0].__setitem__("expression", "up")),
        # Conventions.
        "no description": drop("description"),
        "no unit": drop("unit", defaults),
        "not a unit": put("unit", "parsecs", defaults),
        "not a unit, in an override": lambda board: table(board)["fieldConfig"]["overrides"][0]["properties"].append({"id": "unit", "value": "parsecs"}),
        "no text for an empty panel": drop("noValue", defaults),
        "a title that asks nothing": put("title", "Status codes"),
        "a data source by its id": put("datasource", {"type": "prometheus", "uid": "FqlJ4PzVz"}),
        "a query without a data source": drop("datasource", target),
        "rate over a fixed time": lambda board: target(board).update(expr='rate(akamai_exporter_polls_total{account=~"$account"}[5m])', interval="1m"),
        "rate of a report over less than its windows": lambda board: target(board).update(expr='rate(akamai_traffic_edge_hits_total{account=~"$account", source="$source"}[$__rate_interval])', interval="1m"),
        "reports of several sources": lambda board: target(board).update(expr='sum (akamai_exporter_report_windows_pending{account=~"$account", source=~"$source"})'),
        "the whole time range at each point": lambda board: target(board).update(expr='increase(akamai_exporter_polls_total{account=~"$account"}[$__range])', instant=False, range=True),
        "a choice of one account": put("multi", False, variable),
        "rate of a sample": lambda board: target(board).update(expr='rate(akamai_estats_hits{account=~"$account"}[$__rate_interval])', interval="1m"),
        "rate of a window's sum": lambda board: target(board).update(expr='rate(akamai_traffic_window_edge_hits{account=~"$account", source="$source"}[5m])', interval="5m"),
        "a window drawn several times over": lambda board: target(board).update(expr='akamai_traffic_window_edge_hits{account=~"$account", source="$source"}', interval="1m"),
        "a window's sum over some other time": lambda board: target(board).update(expr='last_over_time(akamai_traffic_window_edge_hits{account=~"$account", source="$source"}[10m])', interval="5m"),
        "a variable that is not there": lambda board: target(board).update(expr='akamai_up{account=~"$account", cp=~"$cp"}'),
        "an account that is not selected": lambda board: target(board).update(expr='akamai_estats_sample_hits{tier="edge"}'),
        "texts with the unit of numbers": lambda board: table(board)["fieldConfig"]["overrides"].__delitem__(0),
        "a range in a table": lambda board: (table(board)["targets"][0].update(instant=False, range=True), organize(board)["excludeByName"].update(Time=True)),
        "no links": put("links", [], whole),
        "no tags": put("tags", [], whole),
        "a refresh each second": put("refresh", "1s", whole),
        "the last five minutes": put("time", {"from": "now-5m", "to": "now"}, whole),
        "an id of one Grafana": put("id", 42, whole),
        "the inputs of an import": put("__inputs", [], whole),
        "5xx in green": lambda board: config(board)["overrides"].append({"matcher": {"id": "byName", "options": "5xx"}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": "green"}}]}),
        "a panel upon another": lambda board: plain(board)["gridPos"].__setitem__("y", 1),
        "a link to one dashboard": lambda board: defaults(board).__setitem__("links", [{"title": "x", "url": "/d/abc/x"}]),
        "a link by the text of a column that may be empty": lambda board: defaults(board).__setitem__("links", [{"title": "x", "url": "/d/akamai-overview?var-account=${__data.fields[\"An account\"]}"}]),
        "a link to a dashboard by a uid of ours, misspelt": lambda board: defaults(board).__setitem__("links", [{"title": "x", "url": "/d/akamai-overvue?var-account=x"}]),
        "no description in a collapsed row": hide(lambda panel: panel.pop("description")),
        "a row that is open and holds panels": lambda board: (hide(lambda panel: None)(board), board["panels"][-1].__setitem__("collapsed", False)),
        "two panels in one place of a collapsed row": lambda board: (hide(lambda panel: None)(board), board["panels"][-1]["panels"].append(board["panels"][-1]["panels"][0] | {"id": 1002, "title": "Is it seen, too?"})),
        "a repeat by what is no variable": put("repeat", "accounts"),
        "a band down to nothing": lambda board: config(board)["overrides"].append({"matcher": {"id": "byName", "options": "upper"}, "properties": [{"id": "custom.fillBelowTo", "value": "lower"}]}),
        "no alert annotations": lambda board: board["annotations"]["list"].clear(),
        "an annotation in another colour": put("iconColor", "green", annotation),
        "an annotation that two Grafanas read differently": lambda board: annotation(board).__setitem__("expr", annotation(board)["expr"] + " "),
        "annotations of everybody's alerts": asks('alertname=~"Akamai.*", ', ""),
        "annotations of every account": asks('account=~"$account|"', 'account!=""'),
        "annotations without the alerts of no account": asks('account=~"$account|"', 'account=~"$account"'),
        "annotations of pending alerts": asks('alertstate="firing", ', ""),
        "annotations that miss short alerts": asks("max_over_time", "last_over_time"),
        "annotations by what is no variable": asks("$account", "$accounts"),
        "annotations without a severity": asks('severity="critical", ', ""),
        "alerts of every account": lambda board: target(board).update(expr='count (ALERTS{alertstate="firing", alertname=~"Akamai.*"})'),
        "a recorded series of every account": lambda board: target(board).update(expr='scope:akamai_signal:value{scope="account", signal="offload"}'),
        "a recorded series of every scope": lambda board: target(board).update(expr='sum (scope_tier:akamai_hits:per_second5m{account=~"$account"})'),
        "a recorded series of every signal": lambda board: target(board).update(expr='sum (scope:akamai_signal:value{scope="account", account=~"$account"})'),
        "an unknown transformation": lambda board: table(board)["transformations"][0].__setitem__("id", "merg"),
    }


def faults_of(board):
    faults = Faults()
    check_against_models(board, faults)
    if not faults:
        lint(board, faults)
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prove", action="store_true", help="damage each dashboard in many ways; each must be noticed")
    parser.add_argument("files", nargs="*", type=pathlib.Path, default=sorted((ROOT / "grafana/dashboards").glob("*.json")))
    arguments = parser.parse_args()
    plugins.register_default_plugins()
    failed = not arguments.files
    for file in arguments.files:
        board = json.loads(file.read_text())
        faults = faults_of(board)
        for fault in faults:
            print(f"{file.name}: {fault}")
        failed |= bool(faults)
        if arguments.prove:
            for name, damage in damages().items():
                damaged = copy.deepcopy(board)
                damage(damaged)
                new = [fault for fault in faults_of(damaged) if fault not in faults]
                print(f"{file.name}: {name}: {new[0] if new else 'NOT NOTICED'}")
                failed |= not new
        else:
            panels = sum(panel["type"] != "row" for _, panel in panels_of(board))
            print(f"{file.name}: {panels} panels, {len(faults)} faults")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
