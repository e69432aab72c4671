//! `akamai-exporter backfill`: the past of reports, into files for `promtool` or straight to receivers.
//!
//! What was done is kept in a directory, so that a backfill which was stopped goes on where it was. A source is fetched
//! from the oldest window to the
//! newest; of what is on its way to a file a part of a day is in memory, never more.

mod directory;
mod meter;
mod openmetrics;
mod range;
mod receivers;

use std::collections::BTreeSet;
use std::future::Future;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use self::directory::{Asked, Asset, Day, Directory, Manifest, stems};
use self::meter::Meter;
use self::openmetrics::{Common, Pages};
pub use self::range::Moment;
use self::range::show;
use self::receivers::Receiver;
use super::{Parts, apis};
use crate::akamai::{ApiError, Tap};
use crate::clock::SharedClock;
use crate::config::{Config, SourceConfig};
use crate::ini::nearest;
use crate::ledger::Window;
use crate::model::{Reason, Scope};
use crate::sink::{Context, Opened, remote_write};
use crate::snapshot::Store;
use crate::source::{Fetched, Gap, History, Misconfigured, Past, Session, Source, Unready};
use crate::telemetry::Telemetry;

/// A file is cut at an hour once it has so many values: 32 MB of memory, and half a gigabyte of text.
const MOST_VALUES: usize = 4_000_000;

/// The windows of an hour.
const HOUR: i64 = 3600 / Window::SECONDS;

/// So many days in a row that cannot be had are the source's end.
const MOST_FAILED_DAYS: u32 = 2;

/// What a backfill is to do.
#[derive(Clone, Debug)]
pub struct Order {
    /// From when on.
    pub from: Moment,
    /// Up to when; nothing for all that is settled.
    pub to: Option<Moment>,
    /// The names of sources, or `ACCOUNT/NAME`; none for all that have a past.
    pub sources: Vec<String>,
    /// What comes of it.
    pub output: Output,
}

/// What comes of a backfill.
#[derive(Clone, Debug)]
pub enum Output {
    /// OpenMetrics files in a directory.
    Files(PathBuf),
    /// Samples in receivers.
    Receivers {
        /// The name of a section; nothing for all.
        name: Option<String>,
        /// Where it is noted how far that has come.
        progress: PathBuf,
    },
}

impl Output {
    fn directory(&self) -> &Path {
        match self {
            Self::Files(directory) => directory,
            Self::Receivers { progress, .. } => progress,
        }
    }
}

/// A mistake on the command line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Does it, until all is done or `stop`.
///
/// # Errors
///
/// [`Usage`] or [`crate::source::Misconfigured`] if it cannot begin, anything else if something could not be had, or it
/// was stopped.
pub async fn run(
    mut config: Config,
    order: Order,
    clock: SharedClock,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let receivers = match &order.output {
        Output::Files(_) => Vec::new(),
        Output::Receivers { name, .. } => receivers_of(&mut config, name.as_deref())?,
    };
    let sources = choose(&config, &order.sources)?;
    let known = Manifest::read(order.output.directory())?;
    let wanted = wanted(&config, &order, &sources, known.as_ref(), &receivers, clock.now())?;
    let directory = Arc::new(Directory::open(order.output.directory())?);
    directory.agree(known.as_ref(), &wanted)?;
    let telemetry = Arc::new(Telemetry::new().context("own metrics")?);
    let infos = config.sources.iter().map(|source| Arc::clone(&source.info)).collect();
    let parts = Parts {
        apis: apis(&config, &Tap::default(), &clock, &telemetry),
        store: Arc::new(Store::new(infos, config.exporter.labels.clone())),
        // The daemon's alone: what is counted is no concern of the past.
        ledgers: None,
        push: None,
        telemetry,
        clock: Arc::clone(&clock),
    };
    let sessions: Vec<Session> = sources.iter().map(|source| parts.session(source)).collect();
    let context = Context { snapshot: parts.store.current(), clock };
    let Some(manifest) = or_stop(&stop, begin(known, wanted, &sources, &sessions, &directory)).await else {
        bail!("stopped before anything was fetched");
    };
    let manifest = manifest?;
    let tracks = tracks(&manifest, &sources, sessions, &directory, receivers.is_empty())?;
    let meter = meter(&manifest, &tracks, &directory)?;
    // Someone who said stop meanwhile is heard below.
    or_stop(&stop, check(&tracks)).await.transpose()?;
    let mut work = Work {
        directory,
        receivers,
        context,
        labels: config.exporter.labels,
        meter,
        stop,
        failures: Vec::new(),
    };
    for track in &tracks {
        work.follow(track).await?;
    }
    work.end()
}

/// The sources with a past that are asked for, in the file's order.
fn choose<'a>(config: &'a Config, names: &[String]) -> Result<Vec<&'a SourceConfig>, Usage> {
    let able: Vec<&SourceConfig> =
        config.sources.iter().filter(|source| source.source.past().is_some()).collect();
    if able.is_empty() {
        return Err(Usage(
            "exporter.ini has no source with a past; expected an [amd] or [traffic] section".to_owned(),
        ));
    }
    let is_named = |source: &SourceConfig, name: &str| {
        let info = &source.info;
        name == info.name || name.split_once('/') == Some((info.account.as_str(), info.name.as_str()))
    };
    if let Some(name) = names.iter().find(|name| !able.iter().any(|source| is_named(source, name))) {
        let known: BTreeSet<&str> = able.iter().map(|source| source.info.name.as_str()).collect();
        return Err(Usage(format!(
            "--source {name}: there is no such [amd] or [traffic]; {}",
            nearest(name, known)
        )));
    }
    let is_chosen =
        |source: &&SourceConfig| names.is_empty() || names.iter().any(|name| is_named(source, name));
    Ok(able.into_iter().filter(is_chosen).collect())
}

/// The `[remote_write]` sections to send to: the one of this name, or all.
fn receivers_of(config: &mut Config, name: Option<&str>) -> Result<Vec<Receiver>, Usage> {
    let kind = remote_write::KIND.name;
    let mut found = Vec::new();
    for sink in std::mem::take(&mut config.sinks).into_iter().filter(|sink| sink.kind.name == kind) {
        if let Opened::Samples { sink: own, .. } = sink.opened {
            found.push(Receiver { name: sink.name, sink: own });
        }
    }
    let known: Vec<String> = found.iter().map(|receiver| receiver.name.clone()).collect();
    found.retain(|receiver| name.is_none_or(|name| name == receiver.name));
    match (found.is_empty(), name) {
        (false, _) => Ok(found),
        (true, Some(name)) if !known.is_empty() => Err(Usage(format!(
            "--remote-write {name}: there is no such [{kind}] section; {}",
            nearest(name, known.iter().map(String::as_str))
        ))),
        _ => Err(Usage(format!("exporter.ini has no [{kind}] section to send to"))),
    }
}

/// The manifest of what is asked for, but for the CP codes. One that is resumed keeps its times, though `6h` has
/// another meaning by now.
fn wanted(
    config: &Config,
    order: &Order,
    sources: &[&SourceConfig],
    known: Option<&Manifest>,
    receivers: &[Receiver],
    now: DateTime<Utc>,
) -> anyhow::Result<Manifest> {
    let text = |moment: &Moment| moment.text().to_owned();
    let asked = Asked { from: text(&order.from), to: order.to.as_ref().map(text) };
    let pasts = sources.iter().filter_map(|source| Some((source, source.source.past()?)));
    let windows = match known.filter(|known| known.asked == asked) {
        Some(known) => known.windows()?,
        None => {
            let settled = pasts.clone().map(|(_, past)| past.settled_before(now)).min();
            let settled = settled.unwrap_or_else(|| Window::ended_by(now));
            let resolved = range::windows(&order.from, order.to.as_ref(), now, settled);
            let (windows, notes) = resolved.map_err(Usage)?;
            notes.iter().for_each(|note| tracing::info!("{note}"));
            windows
        }
    };
    let assets = pasts.map(|(source, past)| Asset {
        account: source.info.account.clone(),
        source: source.info.name.clone(),
        identity: past.identity(),
        cpcodes: Vec::new(),
    });
    let output = match receivers {
        [] => "openmetrics".to_owned(),
        receivers => {
            let names: Vec<&str> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
            format!("remote write to {}", names.join(", "))
        }
    };
    let labels = config.exporter.labels.iter().cloned().collect();
    Ok(Manifest::new(asked, &windows, output, labels, assets.collect()))
}

/// The manifest with its CP codes: as they were found at first, however often it is resumed.
async fn begin(
    known: Option<Manifest>,
    mut wanted: Manifest,
    sources: &[&SourceConfig],
    sessions: &[Session],
    directory: &Directory,
) -> anyhow::Result<Manifest> {
    if let Some(known) = known {
        return Ok(known);
    }
    for ((source, session), asset) in sources.iter().zip(sessions).zip(&mut wanted.sources) {
        let Some(past) = source.source.past() else { continue };
        let codes = past.cpcodes(session).await.map_err(|error| match error {
            Unready::Misconfigured(error) => anyhow::Error::new(error),
            Unready::Failed(error) => anyhow!("{}", sentence(session, &source.source.explain(error))),
        })?;
        asset.cpcodes = codes.into_iter().collect();
    }
    directory.begin(&wanted)?;
    Ok(wanted)
}

/// What happened to a source, and what to do about it.
fn sentence(session: &Session, error: &ApiError) -> String {
    format!("account {}, source {}: {error}. {}", session.account, session.source, error.reason.advice())
}

/// A source on its way.
struct Track {
    source: Arc<dyn Source>,
    session: Session,
    cpcodes: BTreeSet<u64>,
    /// What its files' names begin with.
    stem: String,
    /// All of its windows, and what is not done of them.
    windows: Range<Window>,
    left: Vec<Range<Window>>,
}

impl Track {
    fn name(&self) -> String {
        format!("{}/{}", self.session.account, self.session.source)
    }
}

fn tracks(
    manifest: &Manifest,
    sources: &[&SourceConfig],
    sessions: Vec<Session>,
    directory: &Directory,
    has_files: bool,
) -> anyhow::Result<Vec<Track>> {
    let names = manifest.sources.iter().map(|asset| (asset.account.as_str(), asset.source.as_str()));
    let windows = manifest.windows()?;
    let mut tracks = Vec::new();
    for (((source, session), asset), stem) in
        sources.iter().zip(sessions).zip(&manifest.sources).zip(stems(names))
    {
        let left = if has_files {
            directory.left(&stem, &windows)?
        } else {
            let from = directory.sent(&stem)?.unwrap_or(windows.start).max(windows.start);
            Some(from..windows.end).filter(|left| left.start < left.end).into_iter().collect()
        };
        let cpcodes = asset.cpcodes.iter().copied().collect();
        let (source, windows) = (Arc::clone(&source.source), windows.clone());
        tracks.push(Track { source, session, cpcodes, stem, windows, left });
    }
    Ok(tracks)
}

/// Holds the sections of all that is left against what Akamai says of itself.
async fn check(tracks: &[Track]) -> Result<(), Misconfigured> {
    for track in tracks.iter().filter(|track| !track.left.is_empty()) {
        if let Some(past) = track.source.past() {
            past.check(&track.session).await?;
        }
    }
    Ok(())
}

/// Says what there is to do.
fn meter(manifest: &Manifest, tracks: &[Track], directory: &Directory) -> anyhow::Result<Meter> {
    let all = count(&manifest.windows()?) * tracks.len() as u64;
    let left: u64 = tracks.iter().flat_map(|track| &track.left).map(count).sum();
    let (from, to, path) = (show(manifest.from), show(manifest.to), directory.path().display().to_string());
    for track in tracks {
        let (account, source) = (&track.session.account, &track.session.source);
        let (cpcodes, per_minute) = (track.cpcodes.len(), track.session.api().per_minute());
        tracing::info!(account, source, from, to, cpcodes, per_minute, "backfill of a source");
    }
    match all - left {
        0 => tracing::info!(directory = path, windows = all, "backfill begins"),
        done => tracing::info!(directory = path, windows = all, done, "backfill goes on where it was"),
    }
    Ok(Meter::new(all, all - left))
}

fn count(windows: &Range<Window>) -> u64 {
    (windows.end.index() - windows.start.index()).unsigned_abs()
}

/// What `future` gives, unless `stop` comes first.
async fn or_stop<T>(stop: &CancellationToken, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = stop.cancelled() => None,
        value = future => Some(value),
    }
}

/// All that the sources share.
struct Work {
    directory: Arc<Directory>,
    receivers: Vec<Receiver>,
    context: Context,
    labels: Vec<(String, String)>,
    meter: Meter,
    stop: CancellationToken,
    /// What could not be had, a sentence each.
    failures: Vec<String>,
}

/// What of a source is on its way into a file.
#[derive(Debug)]
struct Part {
    /// The first window of it, and the one that comes next.
    windows: Range<Window>,
    pages: Pages,
    gaps: Vec<Gap>,
}

impl Part {
    fn starting(window: Window) -> Self {
        Self { windows: window..window, pages: Pages::default(), gaps: Vec::new() }
    }

    /// Whether a file ends before the next window.
    fn is_full(&self, all: &Range<Window>, most_values: usize) -> bool {
        let next = self.windows.end;
        let day = Day::around(self.windows.start, all).windows;
        // By the times of the samples, which stand at the ends of their windows.
        let is_hour = next.plus(1).index() % HOUR == 0;
        next >= day.end || (is_hour && self.pages.len() >= most_values)
    }

    /// What is missing in it, a sentence each. What is missing later on stays.
    fn missing(&mut self) -> Vec<String> {
        let (start, end) = (self.windows.start, self.windows.end);
        let mut merged: Vec<Gap> = Vec::new();
        for gap in &self.gaps {
            let windows = gap.windows.start.max(start)..gap.windows.end.min(end);
            if windows.start >= windows.end {
                continue;
            }
            let gap = Gap { windows, ..gap.clone() };
            let before = merged.iter_mut().find(|before| {
                (&before.cpcodes, before.why, before.windows.end)
                    == (&gap.cpcodes, gap.why, gap.windows.start)
            });
            match before {
                Some(before) => before.windows.end = gap.windows.end,
                None => merged.push(gap),
            }
        }
        self.gaps.retain(|gap| gap.windows.end > end);
        merged.iter().map(Gap::to_string).collect()
    }
}

impl Work {
    /// Fetches all that is left of a source. What Akamai does not give is a sentence for the end; what this machine
    /// does not take is an error.
    async fn follow(&mut self, track: &Track) -> anyhow::Result<()> {
        let Some(past) = track.source.past() else { return Ok(()) };
        for stretch in &track.left {
            if self.stop.is_cancelled() || !self.run(track, past, stretch).await? {
                break;
            }
        }
        Ok(())
    }

    /// Fetches a stretch; whether it is of use to go on with the next one.
    async fn run(&mut self, track: &Track, past: &dyn Past, stretch: &Range<Window>) -> anyhow::Result<bool> {
        let mut history = past.history(&track.session, stretch.clone(), track.cpcodes.clone());
        let (mut part, mut failed_days) = (Part::starting(stretch.start), 0);
        loop {
            let stop = self.stop.clone();
            let fetched = match or_stop(&stop, history.next()).await {
                None => return Ok(false),
                Some(None) => return Ok(true),
                Some(Some(Ok(fetched))) => fetched,
                Some(Some(Err(error))) => {
                    failed_days += 1;
                    if !self.leave_out(track, &error, &mut part, &mut *history, failed_days) {
                        return Ok(false);
                    }
                    continue;
                }
            };
            failed_days = 0;
            self.meter.fetched(&track.name(), count(&fetched.windows), fetched.rows);
            let goes_on = if self.receivers.is_empty() {
                self.collect(track, &mut part, fetched).await?
            } else {
                self.send(track, fetched).await?
            };
            if !goes_on {
                return Ok(false);
            }
        }
    }

    /// Leaves out the rest of a day that Akamai does not give; whether that makes sense.
    fn leave_out(
        &mut self,
        track: &Track,
        error: &ApiError,
        part: &mut Part,
        history: &mut dyn History,
        failed_days: u32,
    ) -> bool {
        let from = part.windows.end;
        let next = Day::around(from, &track.windows).windows.end;
        let of_what_is_asked = error.reason.scope() == Scope::Target
            || matches!(error.reason, Reason::Malformed | Reason::TooLarge);
        // What is sent is sent in order: there a day cannot be left out.
        let goes_on = of_what_is_asked
            && self.receivers.is_empty()
            && failed_days < MOST_FAILED_DAYS
            && next < track.windows.end;
        let until = if goes_on { next } else { track.windows.end };
        let failure = format!("{} Not fetched: {from} to {until}.", sentence(&track.session, error));
        tracing::error!(account = track.session.account, source = track.session.source, "{failure}");
        self.failures.push(failure);
        history.skip_to(next);
        *part = Part::starting(next);
        goes_on
    }

    /// Collects windows for files, and writes those that are full; whether all is well and nobody has said stop.
    async fn collect(&mut self, track: &Track, part: &mut Part, fetched: Fetched) -> anyhow::Result<bool> {
        let mut parcels = fetched.parcels.into_iter().peekable();
        part.gaps.extend(fetched.gaps);
        for number in fetched.windows.start.index()..fetched.windows.end.index() {
            let window = Window::number(number);
            if let Some(parcel) = parcels.next_if(|parcel| parcel.time == window.end()) {
                part.pages.take(parcel);
            }
            part.windows.end = window.plus(1);
            if part.is_full(&track.windows, MOST_VALUES) && !self.keep(track, part).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes a file; whether it was whole before somebody said stop.
    async fn keep(&mut self, track: &Track, part: &mut Part) -> anyhow::Result<bool> {
        let missing = part.missing();
        let next = Part { gaps: std::mem::take(&mut part.gaps), ..Part::starting(part.windows.end) };
        let Part { windows, pages, .. } = std::mem::replace(part, next);
        let name = Day::around(windows.start, &track.windows).file(&track.stem, &windows);
        let (directory, stop, file) = (Arc::clone(&self.directory), self.stop.clone(), name.clone());
        let common = self.common(track);
        let written = tokio::task::spawn_blocking(move || {
            // The note comes first: a file without it would seem to lack nothing.
            directory.note(&file, &missing)?;
            directory.write(&file, |to| pages.write(to, &common, &|| stop.is_cancelled()))
        });
        match written.await.context("writing a file failed")? {
            Err(_) if self.stop.is_cancelled() => return Ok(false),
            written => written?,
        }
        self.meter.kept(&track.name(), &name);
        Ok(true)
    }

    fn common(&self, track: &Track) -> Common {
        let pair = |name: &str, value: &String| (name.to_owned(), value.clone());
        let Session { account, source, .. } = &track.session;
        Common { first: vec![pair("account", account), pair("source", source)], last: self.labels.clone() }
    }

    /// Sends windows to all receivers; whether they have them and nobody has said stop.
    async fn send(&mut self, track: &Track, fetched: Fetched) -> anyhow::Result<bool> {
        let mut missing: Vec<String> = fetched.gaps.iter().map(Gap::to_string).collect();
        for receiver in &mut self.receivers {
            let Some(delivered) =
                or_stop(&self.stop, receiver.deliver(&fetched.parcels, &self.context)).await
            else {
                return Ok(false);
            };
            let Range { start, end } = &fetched.windows;
            match delivered {
                Ok(None) => {}
                Ok(Some(refused)) => missing.push(format!(
                    "{start} to {end}: [{}] refused {} sample(s): {}",
                    receiver.name, refused.samples, refused.words
                )),
                Err(failure) => {
                    let (name, address) = (&receiver.name, receiver.sink.address());
                    let words =
                        format!("[{name}] at {address} takes nothing from {start} on: {}", failure.message);
                    tracing::error!("{words}");
                    self.failures.push(words);
                    return Ok(false);
                }
            }
        }
        let Range { start, end } = fetched.windows;
        self.directory
            .note(&format!("{}-{}", track.stem, start.start().format("%Y-%m-%dT%H%M")), &missing)?;
        self.directory.mark_sent(&track.stem, end)?;
        if end >= Day::around(start, &track.windows).windows.end {
            self.meter.kept(&track.name(), &format!("up to {end}"));
        }
        Ok(true)
    }

    /// Says what came of it.
    fn end(self) -> anyhow::Result<()> {
        self.meter.end();
        let (windows, rows) = self.meter.count();
        let path = self.directory.path().display();
        if self.stop.is_cancelled() {
            bail!("stopped; the same command goes on where it was, with what is not in {path} yet");
        }
        let missing = self.directory.missing()?;
        for words in &missing {
            tracing::warn!("{words}");
        }
        match (self.failures.len(), missing.len()) {
            (0, 0) => {
                tracing::info!(directory = %path, windows, rows, "backfill done");
                Ok(())
            }
            (0, missing) => bail!(
                "backfill done, but for {missing} thing(s) that Akamai or a receiver refused, said above and in {path}/*.missing"
            ),
            (failures, _) => {
                bail!(
                    "backfill not done: {failures} failure(s), said above; the same command tries again what is not in {path} yet"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Origin;
    use crate::sink::sample;

    fn window(text: &str) -> Window {
        Window::starting(text.parse::<DateTime<Utc>>().unwrap().timestamp()).unwrap()
    }

    /// Where files end, if each may have so many values and all of these windows have 12.
    fn ends(all: &Range<Window>, most_values: usize) -> Vec<String> {
        let (mut part, mut ends) = (Part::starting(all.start), Vec::new());
        for number in all.start.index()..all.end.index() {
            part.pages.take(sample::window(Origin::History, 0));
            part.windows.end = Window::number(number + 1);
            if part.is_full(all, most_values) {
                let day = Day::around(part.windows.start, all);
                ends.push(day.file("a-b", &part.windows));
                part = Part::starting(part.windows.end);
            }
        }
        assert_eq!(part.windows.start, all.end, "the last file holds the rest");
        ends
    }

    #[test]
    fn a_file_is_a_day_or_hours_of_a_large_one() {
        let all = window("2026-11-18T18:00:00Z")..window("2026-11-19T06:00:00Z");
        assert_eq!(ends(&all, usize::MAX), ["a-b-2026-11-18.om", "a-b-2026-11-19.om"]);
        // Three hours and a little: the next full hour.
        let expected = [
            "a-b-2026-11-18T1805-2200.om",
            "a-b-2026-11-18T2200-2400.om",
            "a-b-2026-11-19T0000-0400.om",
            "a-b-2026-11-19T0400-2400.om",
        ];
        assert_eq!(ends(&all, 12 * 40), expected);
    }

    #[test]
    fn gaps_of_a_file() {
        let hour = |hour: i64| window("2026-11-18T00:00:00Z").plus(12 * hour);
        let gap =
            |from: i64, to: i64| Gap { windows: hour(from)..hour(to), cpcodes: [7].into(), why: "since" };
        let mut part = Part { windows: hour(0)..hour(4), ..Part::starting(hour(0)) };
        part.gaps = vec![gap(0, 1), gap(1, 2), gap(3, 6)];
        let expected = [
            "2026-11-18T00:00:00Z to 2026-11-18T02:00:00Z: CP code(s) 7 left out, since",
            "2026-11-18T03:00:00Z to 2026-11-18T04:00:00Z: CP code(s) 7 left out, since",
        ];
        assert_eq!(part.missing(), expected);
        let mut next = Part { windows: hour(4)..hour(6), gaps: part.gaps, ..Part::starting(hour(4)) };
        assert_eq!(
            next.missing(),
            ["2026-11-18T04:00:00Z to 2026-11-18T06:00:00Z: CP code(s) 7 left out, since"]
        );
        assert!(next.gaps.is_empty());
    }
}
