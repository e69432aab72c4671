//! `[amd]` and `[traffic]`: hits and bytes at edge, midgress and origin, from Akamai's traffic reports.
//!
//! Both read the same report and differ in which CP codes `auto` means: those of Adaptive Media Delivery, or all. Akamai switched
//! the media reports of their own (Media Delivery Reports) off in July 2025; `api` still names them for whoever reaches one.

mod columns;
mod media_delivery;
mod reporting;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use wildmatch::WildMatch;

use super::report::{Filter, Reader as ReportReader, Report, Selection, health};
use super::{Kind, Options, Source};
use crate::ini::{Key, Reader, value};
use crate::ledger::Rules;
use crate::model::Family;

/// The kind `[amd]`.
pub static AMD: Kind = Kind { name: "amd", keys: &KEYS, families: &FAMILIES, shares: None, open: open_amd };

/// The kind `[traffic]`.
pub static TRAFFIC: Kind =
    Kind { name: "traffic", keys: &KEYS, families: &FAMILIES, shares: None, open: open_traffic };

static KEYS: [Key; 10] = [
    Key { name: "cpcodes", default: "auto" },
    Key { name: "include", default: "all" },
    Key { name: "exclude", default: "none" },
    Key { name: "api", default: "reporting" },
    Key { name: "report", default: "realtime" },
    Key { name: "dimensions", default: "cpcode, responseClass" },
    Key { name: "metrics", default: "all sums of hits and bytes" },
    Key { name: "lag", default: "15m" },
    Key { name: "settle_after", default: "1h" },
    Key { name: "look_back", default: "1d" },
];

static FAMILIES: [&Family; columns::FAMILIES.len() + health::ALL.len()] = {
    let mut all = [health::ALL[0]; columns::FAMILIES.len() + health::ALL.len()];
    let mut at = 0;
    while at < columns::FAMILIES.len() {
        all[at] = &columns::FAMILIES[at];
        at += 1;
    }
    while at < all.len() {
        all[at] = health::ALL[at - columns::FAMILIES.len()];
        at += 1;
    }
    all
};

/// How long Akamai keeps these reports.
const LONGEST_LOOK_BACK: TimeDelta = TimeDelta::days(92);

fn open_amd(section: &mut Reader<'_>, _: Options) -> Option<Arc<dyn Source>> {
    open(section, true)
}

fn open_traffic(section: &mut Reader<'_>, _: Options) -> Option<Arc<dyn Source>> {
    open(section, false)
}

fn open(section: &mut Reader<'_>, is_media: bool) -> Option<Arc<dyn Source>> {
    let selection = selection(section, is_media);
    let rules = rules(section);
    let api = section.get("api", |text| match text.to_ascii_lowercase().as_str() {
        "reporting" => Ok(false),
        "media-delivery-reports" => Ok(true),
        _ => Err(format!("`{text}` is not known; expected reporting or media-delivery-reports")),
    });
    let reader: Option<Box<dyn ReportReader>> = if api.unwrap_or(false) {
        media_delivery::open(section).map(|reader| Box::new(reader) as _)
    } else {
        if section.has("report") {
            section.complain("report", "chooses between the paths of media-delivery-reports; expected it beside api = media-delivery-reports");
        }
        reporting::open(section).map(|reader| Box::new(reader) as _)
    };
    let report = Report::new(reader?, selection?, rules?);
    Some(Arc::new(report))
}

fn selection(section: &mut Reader<'_>, is_media: bool) -> Option<Selection> {
    let codes = match section.has("cpcodes") {
        false => Some(None),
        true => section.get("cpcodes", |text| match text.eq_ignore_ascii_case("auto") {
            true => Ok(None),
            false => value::cpcodes(text).map(Some).map_err(|error| format!("{error}; or `auto`")),
        }),
    };
    let mut patterns = |key| match section.get_unless_empty(key, value::list) {
        Some(texts) => texts.iter().map(|text| WildMatch::new(&text.to_lowercase())).collect(),
        None => Vec::new(),
    };
    let (include, exclude) = (patterns("include"), patterns("exclude"));
    match codes? {
        None => Some(Selection::Auto(Filter { is_media, include, exclude })),
        Some(codes) => {
            for key in ["include", "exclude"] {
                if section.has(key) {
                    section.complain(
                        key,
                        "chooses among the CP codes that Akamai lists; expected it beside cpcodes = auto",
                    );
                }
            }
            Some(Selection::List(codes.into_iter().collect::<BTreeSet<_>>()))
        }
    }
}

fn rules(section: &mut Reader<'_>) -> Option<Rules> {
    let mut delta = |key, default: TimeDelta| match section.has(key) {
        true => section.get(key, value::duration).and_then(|duration| TimeDelta::from_std(duration).ok()),
        false => Some(default),
    };
    let lag = delta("lag", TimeDelta::minutes(15))?;
    let settle = delta("settle_after", TimeDelta::hours(1))?;
    let look_back = delta("look_back", TimeDelta::days(1))?;
    if look_back > LONGEST_LOOK_BACK {
        section.complain("look_back", "is longer than Akamai keeps the report; expected at most 92d");
        return None;
    }
    if settle < lag || look_back < settle + TimeDelta::minutes(10) {
        let key =
            ["look_back", "settle_after", "lag"].into_iter().find(|key| section.has(key)).unwrap_or("lag");
        section.complain(key, "does not fit the others; expected lag <= settle_after, and look_back longer than settle_after by 10m at least");
        return None;
    }
    Some(Rules { lag, settle, look_back })
}

#[cfg(test)]
mod tests;
