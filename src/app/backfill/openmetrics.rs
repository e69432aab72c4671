//! OpenMetrics text with a time on each sample, as `promtool tsdb create-blocks-from openmetrics` reads it.
//!
//! Windows come in by time, and the format wants them by metric and series. What is collected is numbers in flat lists:
//! a name stands once.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::model::{LabelValue, Parcel, Sheet};
use crate::source::KINDS;

/// What every sample of a source has besides its own labels.
#[derive(Clone, Debug)]
pub(super) struct Common {
    /// `account` and `source`.
    pub(super) first: Vec<(String, String)>,
    /// The static labels of `[exporter]`.
    pub(super) last: Vec<(String, String)>,
}

/// Windows on their way into a file.
#[derive(Debug, Default)]
pub(super) struct Pages(Vec<Page>);

/// Rows with the same labels and metrics.
#[derive(Debug)]
struct Page {
    labels: Vec<String>,
    metrics: Vec<String>,
    /// Each series' number.
    series: HashMap<Vec<LabelValue>, u32>,
    /// For each row the series and the time, in seconds since the epoch.
    rows: Vec<(u32, i64)>,
    /// For each row a value of each metric.
    values: Vec<f64>,
}

impl Pages {
    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|page| page.values.len()).sum()
    }

    /// Takes in a window. They must come in the order of time.
    pub(super) fn take(&mut self, parcel: Parcel) {
        let time = parcel.time.timestamp();
        for sheet in &parcel.sheets {
            let metrics: Vec<String> =
                sheet.metrics.iter().map(|family| parcel.metric(family).into_owned()).collect();
            self.page(sheet, metrics).take(time, sheet);
        }
    }

    fn page(&mut self, sheet: &Sheet, metrics: Vec<String>) -> &mut Page {
        let found = self.0.iter().position(|page| {
            // Of one metric and the same labels there may be a page for each status class.
            page.metrics == metrics && page.labels == sheet.labels
        });
        let place = found.unwrap_or_else(|| {
            let labels = sheet.labels.clone();
            let (series, rows, values) = Default::default();
            self.0.push(Page { labels, metrics, series, rows, values });
            self.0.len() - 1
        });
        &mut self.0[place]
    }

    /// Writes all of it, unless `is_over` says so meanwhile.
    pub(super) fn write(
        &self,
        to: &mut dyn Write,
        common: &Common,
        is_over: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        let mut columns: BTreeMap<&str, Vec<(&Sorted<'_>, usize)>> = BTreeMap::new();
        let sorted: Vec<Sorted<'_>> = self.0.iter().map(|page| page.sorted(common)).collect();
        for sorted in &sorted {
            for (column, metric) in sorted.page.metrics.iter().enumerate() {
                columns.entry(metric).or_default().push((sorted, column));
            }
        }
        for (metric, columns) in columns {
            header(to, metric)?;
            for (sorted, column) in columns {
                if is_over() {
                    return Err(io::Error::new(io::ErrorKind::Interrupted, "stopped"));
                }
                sorted.write(to, metric, column)?;
            }
        }
        to.write_all(b"# EOF\n")
    }
}

impl Page {
    fn take(&mut self, time: i64, sheet: &Sheet) {
        for row in &sheet.rows {
            let next =
                u32::try_from(self.series.len()).expect("a file has fewer than four thousand million series");
            let series = match self.series.get(&row.labels) {
                Some(series) => *series,
                None => *self.series.entry(row.labels.clone()).or_insert(next),
            };
            self.rows.push((series, time));
            self.values.extend(&row.values);
        }
    }

    fn sorted(&self, common: &Common) -> Sorted<'_> {
        let mut series: Vec<(&Vec<LabelValue>, u32)> = self.series.iter().map(|(key, n)| (key, *n)).collect();
        series.sort_unstable();
        let mut ranks = vec![0; series.len()];
        let mut texts = Vec::with_capacity(series.len());
        for (rank, (key, number)) in (0_u32..).zip(series) {
            ranks[number as usize] = rank;
            texts.push(labels(common, self.labels.iter().zip(key)));
        }
        let mut order: Vec<u32> = (0_u32..).take(self.rows.len()).collect();
        // Rows came by time, and a stable sort leaves it at that within a series.
        order.sort_by_key(|row| ranks[self.rows[*row as usize].0 as usize]);
        Sorted { page: self, ranks, texts, order }
    }
}

/// A page with its rows in the order of a file.
struct Sorted<'a> {
    page: &'a Page,
    /// The place of each series.
    ranks: Vec<u32>,
    /// The labels of the series at each place.
    texts: Vec<String>,
    order: Vec<u32>,
}

impl Sorted<'_> {
    fn write(&self, to: &mut dyn Write, metric: &str, column: usize) -> io::Result<()> {
        let width = self.page.metrics.len();
        for row in &self.order {
            let (series, time) = self.page.rows[*row as usize];
            let text = &self.texts[self.ranks[series as usize] as usize];
            let value = self.page.values[*row as usize * width + column];
            writeln!(to, "{metric}{{{text}}} {value} {time}")?;
        }
        Ok(())
    }
}

fn header(to: &mut dyn Write, metric: &str) -> io::Result<()> {
    let families = KINDS.iter().flat_map(|kind| kind.families);
    let known = families.copied().find(|family| crate::model::window_metric(family.name) == metric);
    let help = known.map_or("A sum of Akamai's report.", |family| family.help);
    let mut text = String::new();
    escape(&mut text, help);
    writeln!(to, "# HELP {metric} {text} The sum of one five-minute window, at the time at which it ends.")?;
    writeln!(to, "# TYPE {metric} gauge")
}

/// `name="value"` with commas between them; an empty value means that the label is not there.
fn labels<'a>(common: &'a Common, own: impl Iterator<Item = (&'a String, &'a LabelValue)>) -> String {
    let pairs =
        |pairs: &'a [(String, String)]| pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let own = own.map(|(name, value)| (name.as_str(), &**value));
    let all = pairs(&common.first).chain(own).chain(pairs(&common.last));
    let mut text = String::new();
    for (name, value) in all.filter(|(_, value)| !value.is_empty()) {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(text, "{comma}{name}=\"");
        escape(&mut text, value);
        text.push('"');
    }
    text
}

fn escape(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            // To promtool it is the end of the file.
            '\0' => text.push(char::REPLACEMENT_CHARACTER),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Origin;
    use crate::sink::sample;

    fn common() -> Common {
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Common {
            first: [("account", "default"), ("source", "amd")].map(pair).to_vec(),
            last: [("env", "a\"b"), ("empty", "")].map(pair).to_vec(),
        }
    }

    fn text(parcels: Vec<Parcel>) -> String {
        let mut pages = Pages::default();
        parcels.into_iter().for_each(|parcel| pages.take(parcel));
        let mut text = Vec::new();
        pages.write(&mut text, &common(), &|| false).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn by_metric_then_series_then_time() {
        let text = text((0..3).map(|number| sample::window(Origin::History, number)).collect());
        let lines: Vec<&str> = text.lines().collect();
        let metrics =
            ["edge_bytes", "edge_hits", "origin_hits"].map(|name| format!("akamai_traffic_window_{name}"));
        assert_eq!((lines.len(), lines[lines.len() - 1]), (3 * (2 + 4 * 3) + 1, "# EOF"));
        for (metric, block) in metrics.iter().zip(lines.chunks(14)) {
            assert!(block[0].starts_with(&format!("# HELP {metric} ")), "{}", block[0]);
            assert_eq!(block[1], format!("# TYPE {metric} gauge"));
            let series: Vec<&str> = block[2..].iter().map(|line| line.split(' ').next().unwrap()).collect();
            let mut sorted = series.clone();
            sorted.sort_unstable();
            assert!(series == sorted && series.iter().all(|series| series.starts_with(metric)), "{series:?}");
        }
        let first = "akamai_traffic_window_edge_hits{account=\"default\",source=\"amd\",cpcode=\"100001\",status_class=\"2xx\",env=\"a\\\"b\"}";
        let start = sample::start().timestamp();
        let expected: Vec<String> =
            (0..3).map(|number| format!("{first} 9007199254740992 {}", start + 300 * number)).collect();
        assert_eq!(lines[16..19], expected);
    }

    #[test]
    fn however_rows_come_the_file_is_the_same() {
        let parcel = sample::window(Origin::History, 0);
        let mut turned = parcel.clone();
        turned.sheets[0].rows.reverse();
        assert_eq!(text(vec![parcel]), text(vec![turned]));
    }

    #[test]
    fn hostile_labels() {
        let text = text(vec![sample::hostile()]);
        assert!(
            text.contains(r#"hostname="quote\" back\\slash""#) && text.contains("new\\nline and"),
            "{text}"
        );
        assert!(text.contains(r#"cpcode="7",env="#), "an empty label is none: {text}");
        assert_eq!(
            text.lines().filter(|line| !line.starts_with('#')).count(),
            sample::HOSTILE.len(),
            "{text}"
        );
        assert!(!text.contains('\0'));
    }

    #[test]
    fn nothing_is_a_file_too() {
        assert_eq!(text(Vec::new()), "# EOF\n");
    }

    #[test]
    fn a_stop_is_an_error() {
        let mut pages = Pages::default();
        pages.take(sample::window(Origin::History, 0));
        assert!(pages.write(&mut Vec::new(), &common(), &|| true).is_err());
    }
}
