//! Turns a window's rows into what push sinks take.

use std::collections::{BTreeMap, BTreeSet};

use super::cpcodes::CpCode;
use super::measure::{Additivity, Measure, Shape};
use crate::ledger::Window;
use crate::model::{LabelValue, Origin, Parcel, Row, Sheet};

/// A series in a window: the values of its labels, and its sums in the order of the shape's measures.
pub(super) type Line<'a> = (&'a [LabelValue], &'a [u64]);

/// The rows of a window, for push sinks. What may not be added up is left out: the sums tell it.
pub(super) fn parcel(
    (account, source): (&str, &str),
    shape: &Shape,
    (window, origin): (Window, Origin),
    listed: Option<&BTreeMap<u64, CpCode>>,
    lines: &[Line<'_>],
) -> Parcel {
    let sums: Vec<(usize, Measure)> =
        shape.measures.iter().enumerate().filter_map(|(at, measure)| Some((at, (*measure)?))).collect();
    let sums = || sums.iter().filter(|(_, measure)| measure.additivity == Additivity::Sum);
    let plain: Vec<_> = sums().filter(|(_, measure)| measure.class.is_none()).collect();
    let mut sheets = Vec::new();
    if !plain.is_empty() {
        sheets.push(sheet(shape, &plain, None, lines));
    }
    for one in sums().filter(|(_, measure)| measure.class.is_some()) {
        sheets.push(sheet(shape, &[one], one.1.class, lines));
    }
    Parcel {
        account: account.to_owned(),
        source: source.to_owned(),
        time: window.end(),
        origin,
        names: names(shape, listed, lines),
        sheets,
    }
}

/// What the CP codes of `lines` are called: whoever reads the parcel may do so before anything else knows, or long after.
fn names(
    shape: &Shape,
    listed: Option<&BTreeMap<u64, CpCode>>,
    lines: &[Line<'_>],
) -> Vec<(LabelValue, LabelValue)> {
    let (Some(at), Some(listed)) = (shape.cpcode, listed) else { return Vec::new() };
    let codes: BTreeSet<&LabelValue> = lines.iter().filter_map(|(labels, _)| labels.get(at)).collect();
    let name = |code: &LabelValue| listed.get(&code.parse().ok()?).map(|known| known.name.as_str().into());
    codes.into_iter().filter_map(|code| Some((LabelValue::clone(code), name(code)?))).collect()
}

/// The columns of `measures`, which count but one status class if `class` says so.
fn sheet(shape: &Shape, measures: &[&(usize, Measure)], class: Option<&str>, lines: &[Line<'_>]) -> Sheet {
    let class = class.map(|class| ("status_class", LabelValue::from(class)));
    let names = shape.dimensions.iter().map(|dimension| dimension.label);
    let row = |(labels, values): &Line<'_>| Row {
        labels: labels.iter().chain(class.iter().map(|(_, value)| value)).cloned().collect(),
        values: measures.iter().map(|(at, _)| values[*at] as f64).collect(),
    };
    Sheet {
        labels: names.chain(class.iter().map(|(name, _)| *name)).map(str::to_owned).collect(),
        metrics: measures.iter().map(|(_, measure)| measure.family.name.to_owned()).collect(),
        rows: lines.iter().map(row).collect(),
    }
}
