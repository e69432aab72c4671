//! Whether a client takes gzip, from its `Accept-Encoding` (RFC 9110, section 12.5.3).

/// Whether gzip is acceptable: named with a weight above 0, or meant by `*`.
pub(super) fn accepts_gzip<'a>(values: impl Iterator<Item = &'a str>) -> bool {
    let (mut named, mut any) = (None, None);
    for item in values.flat_map(|value| value.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let accepted = weight.is_none_or(|weight| weight.parse::<f64>().is_ok_and(|weight| weight > 0.0));
        match coding.as_str() {
            "gzip" | "x-gzip" => named = Some(accepted),
            "*" => any = Some(accepted),
            _ => {}
        }
    }
    named.or(any).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    #[track_caller]
    fn check(values: &[&str], expected: bool) {
        assert_eq!(accepts_gzip(values.iter().copied()), expected, "{values:?}");
    }

    #[test]
    fn weights() {
        check(&[], false);
        check(&["gzip"], true);
        check(&["deflate, GZIP;q=0.5, *;q=0"], true);
        check(&["br", "gzip"], true);
        check(&["gzip;q=0"], false);
        check(&["gzip; q=0.000, *"], false);
        check(&["*"], true);
        check(&["*;q=0"], false);
        check(&["identity, br"], false);
        check(&["gzip;q=nonsense"], false);
    }

    proptest! {
        #[test]
        fn never_panics(value: String) {
            accepts_gzip([value.as_str()].into_iter());
        }
    }
}
