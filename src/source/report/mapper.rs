//! Turns tables into what the ledger counts, and what the ledger has counted into metrics.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::measure::{Additivity, Measure, Shape};
use super::table::{Cell, Fault, Line, Table};
use crate::ledger::{Ask, Ledger, Reading, Row, WHOLE, Window};
use crate::model::{Batch, LabelValue};

/// Why what cannot be used could not, and how often.
pub(in crate::source) type Faults = BTreeMap<Fault, u64>;

/// A measure that may not be added up: its place, the values of its labels, and its number.
pub(in crate::source) type Gauge = (usize, Vec<LabelValue>, f64);

/// An answer, sorted.
#[derive(Debug)]
pub(in crate::source) struct Sorted {
    /// For the ledger.
    pub(in crate::source) reading: Reading,
    /// What may not be added up, by window.
    pub(in crate::source) gauges: Vec<(Window, Gauge)>,
    /// What could not be used.
    pub(in crate::source) faults: Faults,
    /// How many rows the answer had.
    pub(in crate::source) rows: usize,
}

/// Sorts the answer to `ask`.
pub(in crate::source) fn sort(shape: &Shape, ask: &Ask, table: Table) -> Sorted {
    let reading = Reading {
        windows: ask.windows.clone(),
        members: Arc::clone(&ask.members),
        rows: Vec::with_capacity(table.lines.len()),
        unusable: BTreeSet::new(),
    };
    let mut sorted = Sorted { reading, gauges: Vec::new(), faults: Faults::new(), rows: table.lines.len() };
    let mut seen: Seen = HashMap::with_capacity(table.lines.len());
    let codes: HashMap<u64, LabelValue> =
        ask.members.iter().map(|code| (*code, code.to_string().into())).collect();
    let mut unclear = BTreeSet::new();
    for mut line in table.lines {
        let (window, member) = match place(shape, ask, &line) {
            Ok(place) => place,
            Err((fault, of)) => {
                sorted.fault(fault);
                unclear.extend(of);
                continue;
            }
        };
        if let Some(code) = shape.cpcode.and_then(|at| line.labels[at].as_mut()) {
            // However a row spells its CP code, it is the same series.
            *code = LabelValue::clone(&codes[&member]);
        }
        let Some(labels) = line.labels.into_iter().collect::<Option<Vec<_>>>() else {
            sorted.spoil(Fault::MissingColumn, window, member);
            continue;
        };
        sorted.enter(shape, &mut seen, (window, member), labels, &line.cells);
    }
    for (window, member) in unclear {
        sorted.lose(window, member, ask);
    }
    let (gauges, unusable) = (&mut sorted.gauges, &sorted.reading.unusable);
    let member = |labels: &[LabelValue]| shape.cpcode.map_or(Some(WHOLE), |at| labels[at].parse().ok());
    gauges.retain(|(window, (_, labels, _))| {
        member(labels).is_some_and(|member| !unusable.contains(&(*window, member)))
    });
    sorted
}

/// For each series and window that had a row: which one, and its numbers that may not be added up.
type Seen = HashMap<(Window, Vec<LabelValue>), (usize, Vec<f64>)>;

/// What a row may be about that does not tell it.
type Unclear = Option<(Option<Window>, Option<u64>)>;

/// The window and member of a row; or what is wrong with it, and what it may be about.
fn place(shape: &Shape, ask: &Ask, line: &Line) -> Result<(Window, u64), (Fault, Unclear)> {
    let member = match shape.cpcode {
        Some(at) => line.labels[at].as_ref().and_then(|code| code.parse().ok()),
        None => Some(WHOLE),
    };
    let around = line.time.map(|time| Window::number(time.div_euclid(Window::SECONDS)));
    if around.is_some_and(|window| !ask.windows.contains(&window)) {
        return Err((Fault::OutOfRange, None));
    }
    if member.is_some_and(|member| !ask.members.contains(&member)) {
        return Err((Fault::Foreign, None));
    }
    match (line.time.and_then(Window::starting), member) {
        (Some(window), Some(member)) => Ok((window, member)),
        (None, _) => Err((Fault::OutOfRange, Some((around, member)))),
        (_, None) => Err((Fault::Foreign, Some((around, member)))),
    }
}

impl Sorted {
    fn fault(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Takes in a row, unless there is one of the same series and window.
    fn enter(
        &mut self,
        shape: &Shape,
        seen: &mut Seen,
        (window, member): (Window, u64),
        labels: Vec<LabelValue>,
        cells: &[Cell],
    ) {
        let mut sums = vec![0; shape.measures.len()];
        let mut gauges = Vec::new();
        for (at, (measure, cell)) in shape.measures.iter().zip(cells).enumerate() {
            let outcome = match measure {
                None => Ok(()),
                Some(Measure { additivity: Additivity::Sum, scale, .. }) => {
                    cell.count(*scale).map(|count| sums[at] = count)
                }
                Some(measure) => {
                    let number = cell.number(measure.scale);
                    number.map(|number| gauges.push((window, (at, labels.clone(), number))))
                }
            };
            if let Err(fault) = outcome {
                self.spoil(fault, window, member);
            }
        }
        let numbers: Vec<f64> = gauges.iter().map(|(_, (.., number))| *number).collect();
        match seen.entry((window, labels.clone())) {
            Entry::Vacant(place) => {
                place.insert((self.reading.rows.len(), numbers));
                self.reading.rows.push(Row { window, member, key: labels, sums });
                self.gauges.append(&mut gauges);
            }
            Entry::Occupied(first) => {
                let (first, first_numbers) = first.get();
                if self.reading.rows[*first].sums == sums && *first_numbers == numbers {
                    self.fault(Fault::Duplicate);
                } else {
                    // Which of the two holds, nobody can say.
                    self.spoil(Fault::Conflicting, window, member);
                }
            }
        }
    }

    /// Nothing is known of this window and member: the ledger asks again.
    fn spoil(&mut self, fault: Fault, window: Window, member: u64) {
        self.fault(fault);
        self.reading.unusable.insert((window, member));
    }

    /// A row may be about any window, or any member, where it does not tell: nothing is known of these. Without it their sums would be too low.
    fn lose(&mut self, window: Option<Window>, member: Option<u64>, ask: &Ask) {
        let (first, last) = window.map_or((ask.windows.start, ask.windows.end), |at| (at, at.plus(1)));
        let members: Vec<u64> = member.map_or_else(|| ask.members.iter().copied().collect(), |one| vec![one]);
        let windows = (first.index()..last.index()).map(Window::number);
        self.reading.unusable.extend(windows.flat_map(|at| members.iter().map(move |member| (at, *member))));
    }

    /// Whether there are rows, and none can be used.
    pub(in crate::source) fn is_useless(&self) -> bool {
        let is_usable = |row: &Row| !self.reading.unusable.contains(&(row.window, row.member));
        self.rows > 0 && !self.reading.rows.iter().any(is_usable)
    }
}

/// Adds the counters as they may be shown.
pub(in crate::source) fn push_counters(batch: &mut Batch, shape: &Shape, ledger: &mut Ledger) {
    let series: Vec<_> = ledger.show().collect();
    let sums = || shape.measures.iter().enumerate().filter_map(|(at, measure)| Some((at, (*measure)?)));
    let is_plain =
        |(_, measure): &(usize, Measure)| measure.additivity == Additivity::Sum && measure.class.is_none();
    let column = |at: usize| series.iter().map(|series| series.counters()[at] as f64).collect();
    batch.push_table(
        series.iter().map(|series| &*series.key),
        sums().filter(is_plain).map(|(at, measure)| (measure.family, column(at))),
    );
    for (at, measure) in sums().filter(|(_, measure)| measure.additivity == Additivity::Sum) {
        let Some(class) = measure.class.map(LabelValue::from) else { continue };
        for series in &series {
            let labels: Vec<_> = series.key.iter().chain([&class]).collect();
            batch.push_row(measure.family, &labels, series.counters()[at] as f64);
        }
    }
}

/// Adds what may not be added up.
pub(in crate::source) fn push_gauges(batch: &mut Batch, shape: &Shape, gauges: &[Gauge]) {
    for (at, labels, number) in gauges {
        if let Some(measure) = shape.measures[*at] {
            batch.push_row(measure.family, &labels.iter().collect::<Vec<_>>(), *number);
        }
    }
}
