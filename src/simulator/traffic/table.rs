//! Rows out of windows: the question that every report asks, whatever it calls its columns.

use std::collections::HashMap;
use std::sync::Arc;

use super::Site;
use super::report;
use super::splits::{self, Slice};
use super::windows::{Hits, Ledger, Part};
use crate::simulator::noise::Noise;

pub(in crate::simulator) use super::windows::{Flow, Sums, WINDOW};

/// What rows can be grouped by: the dimensions of the traffic report (techdocs reporting
/// delivery-traffic-current).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::simulator) enum Dimension {
    Time5Minutes,
    Time1Hour,
    Time1Day,
    CpCode,
    Hostname,
    ResponseCode,
    ResponseClass,
    ResponseStatus,
    HttpMethod,
    DeliveryType,
    Cacheability,
    IpVersion,
    HttpProtocol,
    ArlId,
    ContentType,
}

impl Dimension {
    /// The seconds that a time is rounded down to.
    pub(in crate::simulator) fn grain(self) -> Option<i64> {
        match self {
            Self::Time5Minutes => Some(WINDOW),
            Self::Time1Hour => Some(3_600),
            Self::Time1Day => Some(86_400),
            _ => None,
        }
    }
}

/// A dimension's value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::simulator) enum Cell {
    Number(u64),
    Text(Arc<str>),
}

/// A row: a value for each dimension asked for, and what there was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) struct Row {
    pub(in crate::simulator) cells: Vec<Cell>,
    pub(in crate::simulator) sums: Sums,
}

/// What is asked.
pub(in crate::simulator) struct Question<'a> {
    pub(in crate::simulator) seed: u64,
    pub(in crate::simulator) cpcodes: &'a [u64],
    /// Windows that start from here on, in seconds since the epoch...
    pub(in crate::simulator) start: i64,
    /// ...and before this.
    pub(in crate::simulator) end: i64,
    /// As it is reported at this time; without it, as it will be for ever.
    pub(in crate::simulator) as_of: Option<i64>,
    pub(in crate::simulator) dimensions: &'a [Dimension],
    /// The dimensions that `keep` decides about; neither times nor CP codes.
    pub(in crate::simulator) filtered: &'a [Dimension],
    pub(in crate::simulator) keep: &'a dyn Fn(Dimension, &Cell) -> bool,
}

impl Question<'_> {
    /// The rows with any traffic, in the order of their cells.
    pub(in crate::simulator) fn rows(&self) -> Vec<Row> {
        let mut rows = Rows::new(self);
        for &cpcode in self.cpcodes {
            Counter::new(self, cpcode).count(&mut rows);
        }
        let mut rows = rows.done();
        rows.sort_unstable_by(|one, other| one.cells.cmp(&other.cells));
        rows
    }

    /// The first window, and the one after the last.
    fn windows(&self) -> impl Iterator<Item = i64> + use<> {
        let first = self.start.div_euclid(WINDOW) + i64::from(self.start.rem_euclid(WINDOW) > 0);
        let last = self.end.div_euclid(WINDOW) + i64::from(self.end.rem_euclid(WINDOW) > 0);
        (first..last).map(|window| window * WINDOW)
    }
}

/// The rows so far. If they are grouped by window and CP code no two parts meet in one row, and nothing needs
/// to be looked up; this is what a large account is asked most.
struct Rows {
    alone: bool,
    list: Vec<Row>,
    places: HashMap<Vec<Cell>, usize>,
}

impl Rows {
    fn new(question: &Question<'_>) -> Self {
        let has = |dimension| question.dimensions.contains(&dimension);
        let alone = has(Dimension::Time5Minutes) && has(Dimension::CpCode);
        Self { alone, list: Vec::new(), places: HashMap::new() }
    }

    fn add(&mut self, cells: Vec<Cell>, sums: &Sums) {
        if !self.alone {
            if let Some(&place) = self.places.get(&cells) {
                self.list[place].sums.add(sums);
                return;
            }
            self.places.insert(cells.clone(), self.list.len());
        }
        self.list.push(Row { cells, sums: *sums });
    }

    fn done(self) -> Vec<Row> {
        self.list
    }
}

/// Counts one CP code's windows.
struct Counter<'a> {
    question: &'a Question<'a>,
    cpcode: u64,
    ledger: Ledger,
    /// For each code of the ledger, the place of its group; nothing if it is not wanted.
    groups: Vec<Option<usize>>,
    /// One code of each group.
    examples: Vec<u16>,
    slices: Vec<Slice>,
    /// The place of each slice among those with other names.
    places: Vec<usize>,
    /// The slices that the places stand for.
    named: Vec<usize>,
    reports: Noise,
}

impl<'a> Counter<'a> {
    fn new(question: &'a Question<'a>, cpcode: u64) -> Self {
        let site = Site::of_cpcode(question.seed, cpcode);
        let reports = site.noise.on("report");
        let ledger = Ledger::new(site);
        let (groups, examples) = groups(question, &ledger);
        let split = question.dimensions.iter().chain(question.filtered).any(|&d| splits::concern(d));
        let slices = if split {
            splits::slices(cpcode, question.dimensions, question.filtered, question.keep)
        } else {
            Vec::new()
        };
        let mut named: Vec<usize> = Vec::new();
        let mut places = Vec::new();
        for (position, slice) in slices.iter().enumerate() {
            let place = named.iter().position(|&other: &usize| slices[other].cells == slice.cells);
            places.push(place.unwrap_or(named.len()));
            if place.is_none() {
                named.push(position);
            }
        }
        // A question that splits nothing has one slice, the whole; one whose filters leave nothing has none.
        let places = if split { places } else { vec![0] };
        Self { question, cpcode, ledger, groups, examples, slices, places, named, reports }
    }

    fn count(&self, rows: &mut Rows) {
        let names = self.places.iter().max().map_or(0, |last| last + 1);
        let mut cells = vec![Sums::default(); self.examples.len() * names];
        for window in self.question.windows() {
            let share = match self.question.as_of {
                None => Some(1.0),
                Some(now) => report::share(self.reports.of(window as u64), now - window - WINDOW),
            };
            let Some(share) = share else { continue };
            for part in self.ledger.parts(window) {
                let Some(group) = self.groups[part.code] else { continue };
                let reported = if share == 1.0 { part.hits } else { part.hits.times(share) };
                self.add(&part, reported, &mut cells[group * names..(group + 1) * names]);
            }
            for (place, sums) in cells.iter_mut().enumerate() {
                if sums.edge.hits > 0 {
                    rows.add(self.name(window, self.examples[place / names], place % names), sums);
                }
                *sums = Sums::default();
            }
        }
    }

    fn add(&self, part: &Part, reported: Hits, cells: &mut [Sums]) {
        if self.slices.is_empty() {
            cells.iter_mut().for_each(|sums| sums.add(&part.sums(reported)));
        }
        for (slice, &place) in self.slices.iter().zip(&self.places) {
            cells[place].add(&part.sums(slice.of(part, reported)));
        }
    }

    /// The cells of a row.
    fn name(&self, window: i64, code: u16, place: usize) -> Vec<Cell> {
        let mut split = self.named.get(place).map_or(&[][..], |&slice| &self.slices[slice].cells).iter();
        let cell = |&dimension: &Dimension| match (dimension, dimension.grain()) {
            (_, Some(grain)) => Cell::Number((window - window.rem_euclid(grain)) as u64),
            (Dimension::CpCode, None) => Cell::Number(self.cpcode),
            _ => of_code(dimension, code).or_else(|| split.next().cloned()).unwrap_or(Cell::Number(0)),
        };
        self.question.dimensions.iter().map(cell).collect()
    }
}

/// Which codes are wanted, and which of them are counted together.
fn groups(question: &Question<'_>, ledger: &Ledger) -> (Vec<Option<usize>>, Vec<u16>) {
    let name = |code: u16| -> Vec<Cell> {
        question.dimensions.iter().filter_map(|&dimension| of_code(dimension, code)).collect()
    };
    let wanted = |code: u16| {
        let mut cells = question.filtered.iter().filter_map(|&d| Some((d, of_code(d, code)?)));
        cells.all(|(dimension, cell)| (question.keep)(dimension, &cell))
    };
    let mut names: Vec<Vec<Cell>> = Vec::new();
    let mut examples = Vec::new();
    let place = |code: u16| {
        if !wanted(code) {
            return None;
        }
        let name = name(code);
        let place = names.iter().position(|other| *other == name);
        Some(place.unwrap_or_else(|| {
            names.push(name);
            examples.push(code);
            names.len() - 1
        }))
    };
    (ledger.codes().map(place).collect(), examples)
}

/// What a dimension that depends on nothing but the status code says.
fn of_code(dimension: Dimension, code: u16) -> Option<Cell> {
    match dimension {
        Dimension::ResponseCode => Some(Cell::Number(code.into())),
        Dimension::ResponseClass => Some(Cell::Text(format!("{}xx", code / 100).into())),
        Dimension::ResponseStatus => {
            let success = (100..400).contains(&code);
            Some(Cell::Text(if success { "success" } else { "error" }.into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
