//! The kind `[dogstatsd]`: samples to a Datadog Agent, in the DogStatsD protocol, over UDP or a Unix socket.
//!
//! A window's values go as counts, an eStats sample's as gauges, with their own time (protocol v1.3, which Agents have from 7.40 on).
//! A count of 0 is not sent: it adds nothing, and most series of a report are 0 most of the time. A gauge of 0 is.
//!
//! Datadog has no points that are taken back or added to, and takes none that are older than an hour, unless "historical metrics" are on for
//! a metric. So a window is sent when it is `send_after` old: late enough for most of what Akamai still adds to it, early enough for Datadog.
//! What is added after that is not sent. `settled` waits for all of it, which may take longer than that hour.
//!
//! # Once each, as far as UDP can promise
//!
//! Each datagram is sent once. How far a parcel has come is remembered, so that one that was interrupted goes on where it was.
//! The exception is a process that dies before a delivery is noted: what was sent with it, four seconds at most, is sent again.
//!
//! Whether a datagram arrives is another matter:
//!
//! - A Unix socket tells. What it does not take is tried again, and nothing is lost on the way.
//! - UDP tells that nobody listens, if the Agent's machine answers at all: Linux reports it with the *next* thing that is done with the
//!   socket. Here that is a look at the socket after each datagram, which on loopback finds the refusal of that very datagram. From
//!   another machine it comes later, and what was sent until then is lost.
//! - UDP does not tell that an Agent was too slow. So that its buffer is not overrun, long series of datagrams have pauses.

mod legacy;
mod packet;
mod script;
mod socket;
mod text;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::{Instant, sleep, timeout};

use super::{Context, Delivery, Failure, Kind, Names, Opened, Options, Outcome, Sink};
use crate::ini::{Key, Reader, value};
use crate::model::{Origin, Parcel};
use packet::Cursor;
use script::{Script, Style};
use socket::{Address, Socket};

/// The kind `[dogstatsd]`.
pub static KIND: Kind = Kind { name: "dogstatsd", keys: &KEYS, open };

static KEYS: [Key; 6] = [
    Key { name: "address", default: "127.0.0.1:8125" },
    Key { name: "namespace", default: "akamai" },
    Key { name: "tags", default: "none" },
    Key { name: "timestamps", default: "true" },
    Key { name: "legacy_names", default: "false" },
    Key { name: "send_after", default: "30m" },
];

/// A delivery ends after so long, if need be in the midst of a parcel.
const LONGEST: Duration = Duration::from_secs(4);

/// So long may it take to reach the receiver, and so long may it take a datagram to be taken.
const PATIENCE: Duration = Duration::from_secs(3);

/// After so many datagrams over UDP comes a pause. They fill half of the 208 KiB that a socket's buffer has by default on Linux, where
/// a datagram counts with its overhead.
const BURST: usize = 32;

/// The pause: some 6,000 datagrams a second, or 9 MB, are left.
const PAUSE: Duration = Duration::from_millis(5);

/// A name is looked up anew after so long: over UDP nothing tells that an Agent has moved.
const NAME_LASTS: Duration = Duration::from_secs(60);

/// Which windows are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    /// Those of this age.
    After(TimeDelta),
    /// Those that Akamai does not revise any more.
    Settled,
}

fn open(section: &mut Reader<'_>, options: &Options) -> Option<Opened> {
    let address = optional(section, "address", Address::parse, Address::default());
    let namespace = optional(section, "namespace", text::namespace, "akamai".to_owned());
    let tags = section.get_unless_empty("tags", text::tags).unwrap_or_default();
    let timestamps = optional(section, "timestamps", value::boolean, true);
    let legacy_names = optional(section, "legacy_names", value::boolean, false);
    let when = optional(section, "send_after", when, When::After(TimeDelta::minutes(30)));
    let style = Style {
        namespace: namespace?,
        tags: text::common_tags(&options.labels, &tags),
        timestamps: timestamps?,
        legacy_names: legacy_names?,
    };
    let when = when?;
    let sink = Dogstatsd {
        style,
        when,
        address: address?,
        socket: None,
        begun: None,
        names: Names::new(),
        burst: 0,
    };
    let early = match when {
        When::After(age) => Some(age),
        When::Settled => None,
    };
    Some(Opened::Samples { sink: Box::new(sink), early, history: None })
}

/// The value of a key that may be absent; nothing if it is wrong.
fn optional<T>(
    section: &mut Reader<'_>,
    key: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
    default: T,
) -> Option<T> {
    if section.has(key) { section.get(key, parse) } else { Some(default) }
}

fn when(text: &str) -> Result<When, String> {
    if text.eq_ignore_ascii_case("settled") {
        return Ok(When::Settled);
    }
    let expected = || format!("`{text}` is no duration; expected one such as `30m`, or the word `settled`");
    let age = value::duration(text).map_err(|_| expected())?;
    TimeDelta::from_std(age).map(When::After).map_err(|_| expected())
}

/// The sink.
#[derive(Debug)]
struct Dogstatsd {
    style: Style,
    when: When,
    address: Address,
    /// The socket, with when it was connected; nothing before the first datagram and after an error.
    socket: Option<(Socket, Instant)>,
    begun: Option<Begun>,
    /// What CP codes are called, as far as it was ever known.
    names: Names,
    /// How many datagrams there were since the last pause.
    burst: usize,
}

/// A parcel that is not all sent.
#[derive(Debug)]
struct Begun {
    /// Tells it from others.
    mark: u64,
    script: Script,
    /// What comes next of it.
    at: Cursor,
}

impl Sink<Parcel> for Dogstatsd {
    fn address(&self) -> String {
        self.address.to_string()
    }

    /// Datadog takes no points that are older than an hour, unless a metric is set up for it: nothing from before counting began.
    fn wants(&self, parcel: &Parcel) -> bool {
        match parcel.origin {
            Origin::Sample => true,
            Origin::Early => self.when != When::Settled,
            Origin::Settled => self.when == When::Settled,
            Origin::History => false,
        }
    }

    /// May end in the midst of a parcel without a failure, where there is much: the same parcels again, and it goes on there.
    fn deliver<'a>(&'a mut self, parcels: &'a [Parcel], context: &'a Context) -> Delivery<'a> {
        Box::pin(self.send(parcels, context))
    }
}

impl Dogstatsd {
    async fn send(&mut self, parcels: &[Parcel], context: &Context) -> Outcome {
        let end = Instant::now() + LONGEST;
        // What was known once stays: a series does not lose a tag because a report's data have expired.
        self.names.extend(context.names());
        let mut outcome = Outcome::default();
        self.look_up().await;
        for parcel in parcels {
            self.begin(parcel);
            match self.go_on(end, &mut outcome).await {
                Ok(true) => outcome.done += 1,
                Ok(false) => break,
                Err(failure) => {
                    outcome.failure = Some(failure);
                    break;
                }
            }
        }
        outcome
    }

    /// Takes a parcel up, unless it is the one that is under way.
    fn begin(&mut self, parcel: &Parcel) {
        let mark = mark(parcel);
        if self.begun.as_ref().is_none_or(|begun| begun.mark != mark) {
            let script = Script::of(parcel, &self.style, &self.names);
            self.begun = Some(Begun { mark, script, at: Cursor::default() });
        }
    }

    /// Sends what is left of the parcel under way; whether that was all of it.
    async fn go_on(&mut self, end: Instant, outcome: &mut Outcome) -> Result<bool, Failure> {
        while let Some(begun) = &self.begun {
            let Some(packet) = begun.script.packet(begun.at, self.address.most_bytes()) else {
                self.begun = None;
                return Ok(true);
            };
            if Instant::now() >= end {
                return Ok(false);
            }
            if !packet.bytes.is_empty() {
                self.post(&packet.bytes).await?;
            }
            if let Some(begun) = &mut self.begun {
                begun.at = packet.next;
            }
            outcome.sent += packet.lines;
            if let Some((count, why)) = packet.refused {
                let before = outcome.refused.take().map_or(0, |(before, _)| before);
                outcome.refused = Some((before + count, why));
            }
            self.pause().await;
        }
        Ok(true)
    }

    /// Sends a datagram. If it fails, the datagram was not taken.
    async fn post(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.socket.is_none() {
            self.socket = Some(self.connect().await?);
        }
        let Some((socket, _)) = &self.socket else { return Ok(()) };
        match timeout(PATIENCE, socket.send(bytes)).await {
            Ok(Ok(())) => {
                self.burst += 1;
                Ok(())
            }
            Ok(Err(error)) => {
                self.socket = None;
                Err(Failure::new(format!("cannot send to {}: {error}", self.address)))
            }
            Err(_) => Err(Failure::new(format!("{} takes nothing: the receiver is too slow", self.address))),
        }
    }

    async fn connect(&self) -> Result<(Socket, Instant), Failure> {
        match timeout(PATIENCE, Socket::connect(&self.address)).await {
            Ok(Ok(socket)) => Ok((socket, Instant::now())),
            Ok(Err(error)) => Err(Failure::new(format!("cannot reach {}: {error}", self.address))),
            Err(_) => {
                Err(Failure::new(format!("cannot reach {}: the name does not resolve in time", self.address)))
            }
        }
    }

    /// Looks a name up anew if that is due. While that fails, the last address is as good as any.
    async fn look_up(&mut self) {
        let is_due = self.socket.as_ref().is_some_and(|(_, since)| since.elapsed() >= NAME_LASTS);
        if self.address.is_name()
            && is_due
            && let Ok(fresh) = self.connect().await
        {
            self.socket = Some(fresh);
        }
    }

    /// Lets the receiver read. A Unix socket makes us wait by itself.
    async fn pause(&mut self) {
        if self.burst >= BURST && self.address.needs_pauses() {
            self.burst = 0;
            sleep(PAUSE).await;
        }
    }
}

/// Tells a parcel from others by all that it holds.
fn mark(parcel: &Parcel) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&parcel.account, &parcel.source, parcel.time, parcel.origin).hash(&mut hasher);
    for sheet in &parcel.sheets {
        (&sheet.labels, &sheet.metrics, sheet.rows.len()).hash(&mut hasher);
        for row in &sheet.rows {
            row.labels.hash(&mut hasher);
            row.values.iter().for_each(|value| value.to_bits().hash(&mut hasher));
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
