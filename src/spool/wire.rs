//! Parcels as bytes: protocol buffers, compressed. What an older version wrote must stay readable: numbers of fields are never used again.

use std::sync::Arc;

use chrono::DateTime;
use prost::Message;

use crate::model::{LabelValue, Origin, Parcel, Row, Sheet};

/// Counts are exact up to here.
const LARGEST_COUNT: f64 = 9_007_199_254_740_992.0;

#[derive(Clone, PartialEq, Message)]
struct ParcelBytes {
    #[prost(string, tag = "1")]
    account: String,
    #[prost(string, tag = "2")]
    source: String,
    #[prost(int64, tag = "3")]
    milliseconds: i64,
    #[prost(uint32, tag = "4")]
    origin: u32,
    /// Each label value once.
    #[prost(string, repeated, tag = "5")]
    words: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    sheets: Vec<SheetBytes>,
    /// In pairs the places of CP codes and of their names in the words.
    #[prost(uint32, repeated, tag = "7")]
    names: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct SheetBytes {
    #[prost(string, repeated, tag = "1")]
    labels: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    metrics: Vec<String>,
    /// Row by row the places of the labels' values in the words.
    #[prost(uint32, repeated, tag = "3")]
    places: Vec<u32>,
    /// Row by row the values, if all are counts.
    #[prost(uint64, repeated, tag = "4")]
    counts: Vec<u64>,
    /// Row by row the values, if not.
    #[prost(double, repeated, tag = "5")]
    numbers: Vec<f64>,
    /// How many rows there are.
    #[prost(uint32, tag = "6")]
    rows: u32,
}

pub(super) fn encode(parcel: &Parcel) -> Vec<u8> {
    let mut words = Words::default();
    let sheets = parcel.sheets.iter().map(|sheet| sheet_bytes(sheet, &mut words)).collect();
    let names = parcel.names.iter().flat_map(|(code, name)| [words.place(code), words.place(name)]).collect();
    let bytes = ParcelBytes {
        account: parcel.account.clone(),
        source: parcel.source.clone(),
        milliseconds: parcel.time.timestamp_millis(),
        origin: Origin::ALL.iter().position(|origin| *origin == parcel.origin).unwrap_or(0) as u32,
        words: words.list,
        sheets,
        names,
    };
    let plain = bytes.encode_to_vec();
    // It fails for more than 4 GB alone, which no window comes near.
    snap::raw::Encoder::new().compress_vec(&plain).unwrap_or_default()
}

/// Nothing if it is not what [`encode`] made.
pub(super) fn decode(bytes: &[u8]) -> Option<Parcel> {
    let plain = snap::raw::Decoder::new().decompress_vec(bytes).ok()?;
    let parcel = ParcelBytes::decode(plain.as_slice()).ok()?;
    let words: Vec<LabelValue> = parcel.words.into_iter().map(LabelValue::from).collect();
    let word = |place: &u32| words.get(*place as usize).cloned();
    let name = |pair: &[u32; 2]| Some((word(&pair[0])?, word(&pair[1])?));
    let (pairs, []) = parcel.names.as_chunks() else { return None };
    Some(Parcel {
        time: DateTime::from_timestamp_millis(parcel.milliseconds)?,
        origin: *Origin::ALL.get(parcel.origin as usize)?,
        sheets: parcel.sheets.into_iter().map(|sheet| sheet_of(sheet, &words)).collect::<Option<_>>()?,
        names: pairs.iter().map(name).collect::<Option<_>>()?,
        account: parcel.account,
        source: parcel.source,
    })
}

#[derive(Default)]
struct Words {
    list: Vec<String>,
    places: std::collections::HashMap<LabelValue, u32>,
}

impl Words {
    fn place(&mut self, word: &LabelValue) -> u32 {
        if let Some(place) = self.places.get(word) {
            return *place;
        }
        let place = self.list.len() as u32;
        self.list.push(word.to_string());
        self.places.insert(Arc::clone(word), place);
        place
    }
}

fn sheet_bytes(sheet: &Sheet, words: &mut Words) -> SheetBytes {
    let values = || sheet.rows.iter().flat_map(|row| row.values.iter().copied());
    let is_count = |value: f64| value.fract() == 0.0 && (0.0..=LARGEST_COUNT).contains(&value);
    let are_counts = values().all(is_count);
    SheetBytes {
        labels: sheet.labels.clone(),
        metrics: sheet.metrics.clone(),
        places: sheet.rows.iter().flat_map(|row| &row.labels).map(|value| words.place(value)).collect(),
        counts: if are_counts { values().map(|value| value as u64).collect() } else { Vec::new() },
        numbers: if are_counts { Vec::new() } else { values().collect() },
        rows: sheet.rows.len() as u32,
    }
}

fn sheet_of(sheet: SheetBytes, words: &[LabelValue]) -> Option<Sheet> {
    let (labels, metrics, rows) = (sheet.labels.len(), sheet.metrics.len(), sheet.rows as usize);
    let values: Vec<f64> = match sheet.numbers.is_empty() {
        true => sheet.counts.iter().map(|count| *count as f64).collect(),
        false => sheet.numbers,
    };
    if sheet.places.len() != rows * labels || values.len() != rows * metrics {
        return None;
    }
    let word = |place: &u32| words.get(*place as usize).cloned();
    let row = |at: usize| {
        let labels = sheet.places[at * labels..][..labels].iter().map(word).collect::<Option<Vec<_>>>()?;
        Some(Row { labels, values: values[at * metrics..][..metrics].to_vec() })
    };
    let rows = (0..rows).map(row).collect::<Option<Vec<_>>>()?;
    Some(Sheet { labels: sheet.labels, metrics: sheet.metrics, rows })
}
