//! Every fault of the simulator, met by the real binary: no series falls to 0, the reason is right, the process lives, and
//! data returns when the fault ends.

use serde_json::json;

use crate::process::{Exporter, Simulator};

const INI: &str = "[exporter]\npolling_interval = 1\nstale_after = 1000\n\
    [akamai]\nedgerclocation = EDGERC\nrequest_timeout = 2s\nretry_pause = 1s\nblock_pause = 1s\n\
    cpcode = 1209788\ndeliverynetwork = STANDARD_TLS\n";

#[test]
fn timeout() {
    let simulator = Simulator::start(&[]);
    let mut exporter = Exporter::start(&simulator, INI);
    exporter.eventually("data", |metrics| metrics.value(&["akamai_up"]) == Some(1.0));
    simulator.fault("timeout", &json!({}));
    let metrics = exporter.eventually("the fault", |metrics| metrics.value(&["akamai_up"]) == Some(0.0));
    let polls = ["akamai_exporter_polls_total", "reason=\"timeout\""];
    assert!(metrics.value(&polls) >= Some(1.0));
    simulator.heal();
    exporter.eventually("data again", |metrics| metrics.value(&["akamai_up"]) == Some(1.0));
}
