//! Which CP codes exist and may be seen: a list of numbers and ranges, `1209788,100001-104000`.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// CP codes as ranges, so that a large account costs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpCodes(Vec<RangeInclusive<u64>>);

/// Why a list of CP codes cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpCodesError {
    /// Neither a number nor a range.
    #[error("`{0}` is neither a CP code nor a range such as 100001-104000")]
    Form(String),
    /// The range ends before it starts.
    #[error("the range `{0}` ends before it starts")]
    Backwards(String),
    /// Nothing at all.
    #[error("no CP code given")]
    Empty,
}

impl CpCodes {
    /// Whether this CP code exists and may be seen.
    #[must_use]
    pub fn contains(&self, cpcode: u64) -> bool {
        self.0.iter().any(|range| range.contains(&cpcode))
    }

    /// Every CP code, in the order given; one that is named twice comes once.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().enumerate().flat_map(move |(position, range)| {
            range.clone().filter(move |cpcode| !self.0.iter().take(position).any(|r| r.contains(cpcode)))
        })
    }
}

/// The demonstration's account; `traffic` gives each of the five its own character.
impl Default for CpCodes {
    fn default() -> Self {
        Self(vec![1_209_788..=1_209_788, 100_001..=100_004])
    }
}

impl FromStr for CpCodes {
    type Err = CpCodesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ranges = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(|item| {
                let (first, last) = item.split_once('-').unwrap_or((item, item));
                let number =
                    |text: &str| text.trim().parse().map_err(|_| CpCodesError::Form(item.to_owned()));
                let (first, last): (u64, u64) = (number(first)?, number(last)?);
                if last < first {
                    return Err(CpCodesError::Backwards(item.to_owned()));
                }
                Ok(first..=last)
            })
            .collect::<Result<Vec<_>, _>>()?;
        if ranges.is_empty() { Err(CpCodesError::Empty) } else { Ok(Self(ranges)) }
    }
}

impl fmt::Display for CpCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, range) in self.0.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { "," })?;
            if range.start() == range.end() {
                write!(f, "{}", range.start())?;
            } else {
                write!(f, "{}-{}", range.start(), range.end())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{CpCodes, CpCodesError};

    #[test]
    fn lists_and_ranges_are_read_and_shown() {
        let codes: CpCodes = " 1209788, 100001-100003 ,100002".parse().unwrap();
        assert_eq!(codes.iter().collect::<Vec<_>>(), [1_209_788, 100_001, 100_002, 100_003]);
        assert!(codes.contains(100_003) && !codes.contains(100_004));
        assert_eq!(codes.to_string(), "1209788,100001-100003,100002");
        assert_eq!(CpCodes::default().to_string(), "1209788,100001-100004");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        assert_eq!("".parse::<CpCodes>(), Err(CpCodesError::Empty));
        assert_eq!("12a".parse::<CpCodes>(), Err(CpCodesError::Form("12a".to_owned())));
        assert_eq!("-5".parse::<CpCodes>(), Err(CpCodesError::Form("-5".to_owned())));
        assert_eq!("9-5".parse::<CpCodes>(), Err(CpCodesError::Backwards("9-5".to_owned())));
    }
}
