//! What every report parses into: rows of dimensions and measures, whichever API it came from.
//!
//! A cell is read strictly: what is no count is a [`Fault`], never a number that is nearly right.

use std::collections::HashMap;

use crate::model::LabelValue;

/// The largest number that counts: Prometheus' floating-point numbers are exact up to here.
pub(in crate::source) const LARGEST: u64 = 1 << 53;

/// Why a row, or a part of one, cannot be used.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(in crate::source) enum Fault {
    /// A column that was asked for is missing.
    MissingColumn,
    /// A cell is no number.
    NotANumber,
    /// A count is negative.
    Negative,
    /// A count has a fraction.
    Fractional,
    /// A number is beyond anything that can be counted.
    Huge,
    /// Two rows of the same series and window say different things.
    Conflicting,
    /// A row of the same series and window, saying the same.
    Duplicate,
    /// A row of a window that nobody asked for, or of none.
    OutOfRange,
    /// A row of a CP code that nobody asked for, or of none.
    Foreign,
}

impl Fault {
    /// All of them.
    pub(in crate::source) const ALL: [Self; 9] = [
        Self::MissingColumn,
        Self::NotANumber,
        Self::Negative,
        Self::Fractional,
        Self::Huge,
        Self::Conflicting,
        Self::Duplicate,
        Self::OutOfRange,
        Self::Foreign,
    ];

    /// The value of the label `fault`.
    pub(in crate::source) fn label(self) -> &'static str {
        match self {
            Self::MissingColumn => "missing_column",
            Self::NotANumber => "not_a_number",
            Self::Negative => "negative",
            Self::Fractional => "fractional",
            Self::Huge => "huge",
            Self::Conflicting => "conflicting",
            Self::Duplicate => "duplicate",
            Self::OutOfRange => "out_of_range",
            Self::Foreign => "foreign",
        }
    }
}

/// A number as it stands in a report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::source) enum Cell {
    /// A whole number, to the last digit.
    Whole(u64),
    /// Any other number.
    Number(f64),
    /// None that can be used.
    Bad(Fault),
}

impl Cell {
    /// Reads a number's text.
    pub(in crate::source) fn read(text: &str) -> Self {
        let text = text.trim();
        if let Ok(whole) = text.parse::<u64>() {
            return if whole <= LARGEST { Self::Whole(whole) } else { Self::Bad(Fault::Huge) };
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_nan() => Self::Bad(Fault::NotANumber),
            Ok(number) if number.abs() > LARGEST as f64 => Self::Bad(Fault::Huge),
            Ok(number) => Self::Number(number),
            Err(_) => Self::Bad(Fault::NotANumber),
        }
    }

    /// A count in units of `scale`: 1 for hits and bytes, 10⁹ for gigabytes. Only a scaled one may have a fraction.
    pub(in crate::source) fn count(self, scale: f64) -> Result<u64, Fault> {
        match self {
            Self::Bad(fault) => Err(fault),
            Self::Whole(whole) if scale == 1.0 => Ok(whole),
            Self::Whole(whole) => rounded(whole as f64 * scale),
            Self::Number(number) if number < 0.0 => Err(Fault::Negative),
            Self::Number(number) if scale == 1.0 && number.fract() != 0.0 => Err(Fault::Fractional),
            Self::Number(number) => rounded(number * scale),
        }
    }

    /// Any finite number, in units of `scale`.
    pub(in crate::source) fn number(self, scale: f64) -> Result<f64, Fault> {
        match self {
            Self::Bad(fault) => Err(fault),
            Self::Whole(whole) => Ok(whole as f64 * scale),
            Self::Number(number) => Ok(number * scale),
        }
    }
}

fn rounded(number: f64) -> Result<u64, Fault> {
    if number > LARGEST as f64 { Err(Fault::Huge) } else { Ok(number.round() as u64) }
}

/// A row: one window of one series.
#[derive(Clone, Debug)]
pub(in crate::source) struct Line {
    /// When its window starts, in seconds since the epoch.
    pub(in crate::source) time: Option<i64>,
    /// The values of its dimensions, time left out; nothing where one is missing.
    pub(in crate::source) labels: Vec<Option<LabelValue>>,
    /// Its measures.
    pub(in crate::source) cells: Vec<Cell>,
}

/// The rows of an answer.
#[derive(Clone, Debug, Default)]
pub(in crate::source) struct Table {
    pub(in crate::source) lines: Vec<Line>,
    /// Whether the answer was cut off: then it says nothing.
    pub(in crate::source) is_cut: bool,
}

/// Label values, each made once.
#[derive(Debug, Default)]
pub(in crate::source) struct Words(HashMap<String, LabelValue>);

impl Words {
    /// The label value for `text`.
    pub(in crate::source) fn of(&mut self, text: &str) -> LabelValue {
        if let Some(word) = self.0.get(text) {
            return LabelValue::clone(word);
        }
        let word = LabelValue::from(text);
        self.0.insert(text.to_owned(), LabelValue::clone(&word));
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let cases = [
            ("8200", 1.0, Ok(8200)),
            ("8200.0", 1.0, Ok(8200)),
            (" 7 ", 1.0, Ok(7)),
            ("9007199254740992", 1.0, Ok(LARGEST)),
            ("9007199254740993", 1.0, Err(Fault::Huge)),
            ("99999999999999999999", 1.0, Err(Fault::Huge)),
            ("1e300", 1.0, Err(Fault::Huge)),
            ("-1", 1.0, Err(Fault::Negative)),
            ("1.5", 1.0, Err(Fault::Fractional)),
            ("1.5", 1e9, Ok(1_500_000_000)),
            ("9e9", 1e9, Err(Fault::Huge)),
            ("", 1.0, Err(Fault::NotANumber)),
            ("NaN", 1.0, Err(Fault::NotANumber)),
            ("inf", 1.0, Err(Fault::Huge)),
            ("many", 1.0, Err(Fault::NotANumber)),
        ];
        for (text, scale, expected) in cases {
            assert_eq!(Cell::read(text).count(scale), expected, "{text}");
        }
        assert_eq!(Cell::read("-2.5").number(1e6), Ok(-2.5e6));
    }
}
