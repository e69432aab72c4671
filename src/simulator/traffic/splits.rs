//! How a window's hits are split by host name, method, protocol and the like, so that every split adds up.
//!
//! The hits of one status code in one window are numbered, from a place drawn by chance. The digits of a hit's
//! number, in a mixed radix, say to which host name, method and so on it belongs. How many of the numbers from
//! a to b have digits out of given ranges can be counted without looking at each one; and since every hit has
//! one number, whatever is grouped, filtered or added up fits together exactly, in any combination. What went
//! on to a parent or the origin are the first of the hits, so no tier has more than the one before it.

use std::sync::Arc;

use super::table::{Cell, Dimension};
use super::windows::{Hits, Part};

/// What a digit of a hit's number decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Host,
    Method,
    Cache,
    Ip,
    Protocol,
    Content,
}

/// The axes with the number of their digits. A [`Slice`] has its ranges in this order.
const AXES: [(Axis, u64); 6] = [
    (Axis::Host, 8),
    (Axis::Method, 8),
    (Axis::Cache, 4),
    (Axis::Ip, 4),
    (Axis::Protocol, 8),
    (Axis::Content, 8),
];
/// How many numbers there are before the digits repeat.
const PERIOD: u64 = 8 * 8 * 4 * 4 * 8 * 8;

/// Digits from the first to the one before the second.
type Range = (u64, u64);

impl Axis {
    fn of(dimension: Dimension) -> Option<Self> {
        Some(match dimension {
            // A host name belongs to one property.
            Dimension::Hostname | Dimension::ArlId => Self::Host,
            Dimension::HttpMethod => Self::Method,
            Dimension::Cacheability => Self::Cache,
            Dimension::IpVersion => Self::Ip,
            // Only HTTP/1.1 is spoken without TLS.
            Dimension::HttpProtocol | Dimension::DeliveryType => Self::Protocol,
            Dimension::ContentType => Self::Content,
            Dimension::Time5Minutes
            | Dimension::Time1Hour
            | Dimension::Time1Day
            | Dimension::CpCode
            | Dimension::ResponseCode
            | Dimension::ResponseClass
            | Dimension::ResponseStatus => return None,
        })
    }

    /// The digits of each value.
    fn ranges(self) -> &'static [Range] {
        match self {
            Self::Host => &[(0, 5), (5, 7), (7, 8)],
            Self::Method => &[(0, 7), (7, 8)],
            Self::Cache | Self::Ip => &[(0, 3), (3, 4)],
            Self::Protocol => &[(0, 1), (1, 2), (2, 6), (6, 8)],
            Self::Content => &[(0, 4), (4, 6), (6, 7), (7, 8)],
        }
    }
}

/// The name of an axis's value in a dimension.
fn cell(dimension: Dimension, value: usize, cpcode: u64) -> Cell {
    let text = match dimension {
        Dimension::Hostname => return Cell::Text(hostname(value, cpcode)),
        Dimension::ArlId => {
            return Cell::Number(if value == 2 { 900_000 } else { 500_000 } + cpcode % 100_000);
        }
        Dimension::HttpMethod => ["get_head", "put_post"][value],
        Dimension::Cacheability => ["cacheable", "non_cacheable"][value],
        Dimension::IpVersion => ["ipv4", "ipv6"][value],
        Dimension::HttpProtocol => ["http1.1", "https1.1", "http2", "http3"][value],
        Dimension::DeliveryType => ["non_secure", "secure", "secure", "secure"][value],
        _ => ["video/mp4", "application/x-mpegurl", "text/html;charset=utf-8", "image/webp"][value],
    };
    Cell::Text(text.into())
}

/// Two sound names, and one out of what Akamai is seen to answer, or might: it shows names as they were sent.
fn hostname(value: usize, cpcode: u64) -> Arc<str> {
    match (value, cpcode % 4) {
        (0, _) => format!("www-{cpcode}.example.com").into(),
        (1, _) => format!("media-{cpcode}.example.com").into(),
        (_, 0) => "Others".into(),
        (_, 1) => "N/A".into(),
        (_, 2) => format!(r#"odd"name\{cpcode}.example"#).into(),
        _ => format!("b\u{fc}cher-{cpcode}.example").into(),
    }
}

/// Some of a part's hits: those whose digits are in these ranges, and what they are called.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    ranges: [Range; 6],
    /// One for each of the dimensions asked for that this module knows, in their order.
    pub(super) cells: Vec<Cell>,
}

/// Whether these dimensions need any splitting.
pub(super) fn concern(dimension: Dimension) -> bool {
    Axis::of(dimension).is_some()
}

/// The slices that one CP code's hits fall into, by `dimensions`, as far as `keep` wants them; `filtered` are
/// the dimensions that `keep` looks at.
pub(super) fn slices(
    cpcode: u64,
    dimensions: &[Dimension],
    filtered: &[Dimension],
    keep: &dyn Fn(Dimension, &Cell) -> bool,
) -> Vec<Slice> {
    let whole = AXES.map(|(_, base)| (0, base));
    let mut slices = vec![(whole, [0; 6])];
    for (position, &(axis, _)) in AXES.iter().enumerate() {
        let needed = |dimensions: &[Dimension]| dimensions.iter().any(|&d| Axis::of(d) == Some(axis));
        if !needed(dimensions) && !needed(filtered) {
            continue;
        }
        let kept = |value: usize| {
            let mut concerned = filtered.iter().filter(|&&d| Axis::of(d) == Some(axis));
            concerned.all(|&dimension| keep(dimension, &cell(dimension, value, cpcode)))
        };
        let values: Vec<_> = axis.ranges().iter().enumerate().filter(|&(value, _)| kept(value)).collect();
        slices = slices
            .into_iter()
            .flat_map(|(ranges, chosen)| {
                values.iter().map(move |&(value, &range)| {
                    let (mut ranges, mut chosen) = (ranges, chosen);
                    ranges[position] = range;
                    chosen[position] = value;
                    (ranges, chosen)
                })
            })
            .collect();
    }
    let name = |chosen: [usize; 6]| {
        let value = |dimension: Dimension| {
            let axis = Axis::of(dimension)?;
            let position = AXES.iter().position(|&(other, _)| other == axis)?;
            Some(cell(dimension, chosen[position], cpcode))
        };
        dimensions.iter().filter_map(|&dimension| value(dimension)).collect()
    };
    slices.into_iter().map(|(ranges, chosen)| Slice { ranges, cells: name(chosen) }).collect()
}

impl Slice {
    /// How many of a part's hits are in this slice; `reported` is how much of the part is shown.
    pub(super) fn of(&self, part: &Part, reported: Hits) -> Hits {
        let bits = part.noise.bits();
        let from = bits % PERIOD;
        // Host names differ between neighbouring hits; which of the others do comes by chance, for with few
        // hits only the first digits change.
        let turn = (bits >> 32) as usize % 5;
        let order =
            [0, 1 + turn, 1 + (turn + 1) % 5, 1 + (turn + 2) % 5, 1 + (turn + 3) % 5, 1 + (turn + 4) % 5];
        let digits = order.map(|axis| (AXES[axis].1, self.ranges[axis]));
        let below = below(from, &digits);
        let count = |hits: u64| if hits == 0 { 0 } else { self::below(from + hits, &digits) - below };
        Hits {
            edge: count(reported.edge),
            midgress: count(reported.midgress),
            origin: count(reported.origin),
        }
    }
}

/// How many numbers from 0 up to, but without, `end` have all their digits in range; the first digit is the
/// one that changes fastest.
fn below(end: u64, digits: &[(u64, Range); 6]) -> u64 {
    let width = |(low, high): Range| high - low;
    let mut combinations: u64 = digits.iter().map(|&(_, range)| width(range)).product();
    let mut place = PERIOD;
    let mut count = end / PERIOD * combinations;
    let mut rest = end % PERIOD;
    for &(base, range) in digits.iter().rev() {
        place /= base;
        combinations /= width(range);
        let digit = rest / place;
        rest %= place;
        count += (digit.clamp(range.0, range.1) - range.0) * combinations;
        if !(range.0..range.1).contains(&digit) {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::{PERIOD, below};

    #[test]
    fn counting_without_looking_agrees_with_looking() {
        let digits = [(8, (5, 7)), (4, (0, 3)), (8, (0, 8)), (8, (7, 8)), (4, (3, 4)), (8, (2, 6))];
        let fits = |number: u64| {
            let mut rest = number;
            digits.iter().all(|&(base, (low, high))| {
                let digit = rest % base;
                rest /= base;
                (low..high).contains(&digit)
            })
        };
        let mut count = 0;
        for number in 0..PERIOD + 20_000 {
            if number % 97 == 0 {
                assert_eq!(below(number, &digits), count, "{number}");
            }
            count += u64::from(fits(number));
        }
    }
}
