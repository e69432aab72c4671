"""Sends metrics by Datadog's own client library, for comparison.

The arguments are the port to send to on 127.0.0.1, and the tags that all metrics have, separated by blanks. Standard input has the metrics
as JSON, a list of [kind, name, value, tags, timestamp or null]; tags are as they come, so what is to be done about them is the library's affair.
"""

import json
import sys

from datadog.dogstatsd import DogStatsd

client = DogStatsd(
    host="127.0.0.1",
    port=int(sys.argv[1]),
    namespace="akamai",
    constant_tags=sys.argv[2].split(),
    disable_buffering=False,
    disable_telemetry=True,
    origin_detection_enabled=False,
)
CALLS = {
    ("count", False): lambda name, value, tags, _: client.count(name, value, tags=tags),
    ("gauge", False): lambda name, value, tags, _: client.gauge(name, value, tags=tags),
    ("count", True): lambda name, value, tags, time: client.count_with_timestamp(name, value, time, tags=tags),
    ("gauge", True): lambda name, value, tags, time: client.gauge_with_timestamp(name, value, time, tags=tags),
}
for kind, name, value, tags, timestamp in json.load(sys.stdin):
    CALLS[kind, timestamp is not None](name, value, tags, timestamp)
client.flush_buffered_metrics()
