//! The dashboards that come with the exporter.

/// A dashboard's file.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// The name of the file.
    pub name: &'static str,
    /// What is in it.
    pub json: &'static str,
}

/// All of them.
pub const DASHBOARDS: [Bundled; 5] = [
    Bundled { name: "overview.json", json: include_str!("../../grafana/dashboards/overview.json") },
    Bundled {
        name: "http-status-distribution.json",
        json: include_str!("../../grafana/dashboards/http-status-distribution.json"),
    },
    Bundled {
        name: "amd-and-traffic.json",
        json: include_str!("../../grafana/dashboards/amd-and-traffic.json"),
    },
    Bundled {
        name: "amd-in-true-time.json",
        json: include_str!("../../grafana/dashboards/amd-in-true-time.json"),
    },
    Bundled {
        name: "exporter-health.json",
        json: include_str!("../../grafana/dashboards/exporter-health.json"),
    },
];
