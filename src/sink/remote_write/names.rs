//! What a window's metrics are called where windows have times of their own.

pub(crate) use crate::model::window_metric;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_windows() {
        let check = |family, expected| assert_eq!(window_metric(family), expected);
        check("akamai_traffic_edge_hits_total", "akamai_traffic_window_edge_hits");
        check("akamai_traffic_edge_response_bytes_total", "akamai_traffic_window_edge_response_bytes");
        // A column of Media Delivery Reports, which only an answer names.
        check(
            "akamai_traffic_total_edge_volume_bytes_total",
            "akamai_traffic_window_total_edge_volume_bytes",
        );
        check("akamai_other_hits_total", "akamai_window_other_hits");
        check("hits", "akamai_window_hits");
    }
}
