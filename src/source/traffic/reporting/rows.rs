//! The rows of an answer, read one by one: an answer of a large account is 20 MB, and a tree of it would be ten times that.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::super::report::table::{Cell, Fault, Line, Table, Words};
use super::{MOST_ROWS, TIME};

/// Reads an answer whose rows have these members besides the time.
pub(super) fn read(
    dimensions: &[&'static str],
    metrics: &[&'static str],
    body: &[u8],
) -> serde_json::Result<Table> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let columns = Columns { dimensions, metrics, order: Vec::new(), words: Words::default() };
    let table = Body(columns).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(table)
}

/// What a member of a row is.
#[derive(Clone, Copy)]
enum Column {
    Time,
    Dimension(usize),
    Measure(usize),
    Other,
}

/// Finds the place of a row's members. Rows have them in the same order, as a rule.
struct Columns<'a> {
    dimensions: &'a [&'static str],
    metrics: &'a [&'static str],
    order: Vec<(String, Column)>,
    words: Words,
}

impl Columns<'_> {
    /// The column called `name`, which is the `at`-th member of its row.
    fn column(&mut self, at: usize, name: &str) -> Column {
        if let Some((known, column)) = self.order.get(at)
            && known == name
        {
            return *column;
        }
        let place = |names: &[&str]| names.iter().position(|known| *known == name);
        let column = match (name, place(self.dimensions), place(self.metrics)) {
            (TIME, ..) => Column::Time,
            (_, Some(place), _) => Column::Dimension(place),
            (_, _, Some(place)) => Column::Measure(place),
            _ => Column::Other,
        };
        self.order.truncate(at);
        if self.order.len() == at {
            self.order.push((name.to_owned(), column));
        }
        column
    }

    fn enter(&mut self, line: &mut Line, column: Column, value: &RawValue) {
        match column {
            Column::Time => line.time = text(value).trim().parse().ok(),
            Column::Dimension(place) if is_plain(value) => {
                line.labels[place] = Some(self.words.of(&text(value)));
            }
            Column::Measure(place) => line.cells[place] = Cell::read(&text(value)),
            Column::Dimension(_) | Column::Other => {}
        }
    }
}

/// The whole answer.
struct Body<'a>(Columns<'a>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    has_more_rows: bool,
}

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = Table;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Table, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Table;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object with data and metadata")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Table, A::Error> {
        let (mut lines, mut metadata) = (None, None::<Metadata>);
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            match &*name {
                "data" if lines.is_some() => return Err(A::Error::duplicate_field("data")),
                "metadata" if metadata.is_some() => return Err(A::Error::duplicate_field("metadata")),
                "data" => lines = Some(map.next_value_seed(Rows(&mut self.0))?),
                "metadata" => metadata = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let lines = lines.ok_or_else(|| A::Error::missing_field("data"))?;
        let metadata = metadata.ok_or_else(|| A::Error::missing_field("metadata"))?;
        Ok(Table { is_cut: metadata.has_more_rows || lines.len() >= MOST_ROWS, lines })
    }
}

/// All rows.
struct Rows<'a, 'b>(&'a mut Columns<'b>);

impl<'de> DeserializeSeed<'de> for Rows<'_, '_> {
    type Value = Vec<Line>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Line>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = Vec<Line>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<Vec<Line>, A::Error> {
        let mut lines = Vec::new();
        while let Some(line) = rows.next_element_seed(Row(self.0))? {
            lines.push(line);
        }
        Ok(lines)
    }
}

/// One row.
struct Row<'a, 'b>(&'a mut Columns<'b>);

impl<'de> DeserializeSeed<'de> for Row<'_, '_> {
    type Value = Line;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Line, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_, '_> {
    type Value = Line;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        let mut line = Line {
            time: None,
            labels: vec![None; self.0.dimensions.len()],
            cells: vec![Cell::Bad(Fault::MissingColumn); self.0.metrics.len()],
        };
        let mut at = 0;
        while let Some(column) = map.next_key_seed(Name(self.0, at))? {
            self.0.enter(&mut line, column, map.next_value()?);
            at += 1;
        }
        Ok(line)
    }
}

/// A member's name, which is its row's `1`-th.
struct Name<'a, 'b>(&'a mut Columns<'b>, usize);

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = Column;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Column, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_, '_> {
    type Value = Column;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the name of a column")
    }

    fn visit_str<E>(self, name: &str) -> Result<Column, E> {
        Ok(self.0.column(self.1, name))
    }
}

/// Whether a value can be a label's.
fn is_plain(value: &RawValue) -> bool {
    let raw = value.get();
    raw != "null" && !raw.starts_with(['{', '['])
}

/// A value's text, whether it stands in quotes or not.
fn text(value: &RawValue) -> Cow<'_, str> {
    let raw = value.get();
    if !raw.starts_with('"') {
        return Cow::Borrowed(raw);
    }
    let inner = &raw[1..raw.len() - 1];
    if inner.contains('\\') {
        return serde_json::from_str::<String>(raw).map_or(Cow::Borrowed(inner), Cow::Owned);
    }
    Cow::Borrowed(inner)
}
