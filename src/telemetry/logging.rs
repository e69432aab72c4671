//! Setting up the log: to standard error, as logfmt for people and `grep`, or as JSON.

use std::io::{self, Write};
use std::sync::OnceLock;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, registry};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Format {
    /// `ts=... level=info message="..." key=value`
    #[default]
    Logfmt,
    /// An object a line.
    Json,
}

/// From which level on lines are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Level {
    /// What keeps the exporter from its work.
    Error,
    /// What someone should look at.
    Warn,
    /// What happens once.
    #[default]
    Info,
    /// Each poll and each request.
    Debug,
    /// And what the libraries say.
    Trace,
}

impl Level {
    fn filter(self) -> EnvFilter {
        let (own, others) = match self {
            Self::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
            Self::Warn => (LevelFilter::WARN, LevelFilter::ERROR),
            Self::Info => (LevelFilter::INFO, LevelFilter::WARN),
            Self::Debug => (LevelFilter::DEBUG, LevelFilter::WARN),
            Self::Trace => (LevelFilter::TRACE, LevelFilter::DEBUG),
        };
        EnvFilter::new(format!("{others},akamai_exporter={own}"))
    }
}

/// Writes a line while nothing else stands in its place on the terminal.
type Guard = Box<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

static GUARD: OnceLock<Guard> = OnceLock::new();

/// From now on each line is written within `guard`, which may take a progress bar off the terminal meanwhile. Only the first one counts.
pub fn guard(guard: impl Fn(&mut dyn FnMut()) + Send + Sync + 'static) {
    let _ = GUARD.set(Box::new(guard));
}

/// Standard error, a whole line at a time.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut written = Ok(0);
        let mut write = || written = io::stderr().write(line);
        match GUARD.get() {
            Some(guard) => guard(&mut write),
            None => write(),
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Starts the log. A second call changes nothing.
pub fn start(level: Level, format: Format) {
    let layer = match format {
        Format::Logfmt => tracing_logfmt::builder()
            .with_target(false)
            .with_span_name(false)
            .with_span_path(false)
            .layer()
            .with_writer(|| Lines)
            .boxed(),
        Format::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(|| Lines)
            .boxed(),
    };
    // Only a test that runs the daemon twice in one process comes here twice.
    let _ = registry().with(layer.with_filter(level.filter())).try_init();
}
