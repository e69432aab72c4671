//! A stand-in for Akamai, for tests, for demonstrations and for whoever has no account at hand.
//!
//! It speaks Akamai's APIs over plain HTTP, with everything around them: EdgeGrid authentication verified as
//! the gateway does it, rate limits with their headers, requests checked strictly, traffic that looks real,
//! and faults that can be switched on while it runs. Everything that it answers is a pure function of the
//! seed, the time and the request.
//!
//! It shares no code with the client that it tests: whoever writes both halves with one parser tests nothing.
//! From the rest of the crate it uses only the clock.
//!
//! How a request goes: `line` accepts the connection; `gateway` authenticates (`edgegrid`, `clients`,
//! `nonces`), limits (`limits`), lets `faults` strike (`misbehave`) and writes the log (`journal`); an API out of
//! the list in `api` answers (`estats`, `reporting`, `cprg`, `media_delivery`), in its `world`, from the common `traffic` of its CP codes
//! (`cpcodes`). `control` is the
//! API under `/_simulator` that switches faults and shows the log; its module lists the paths.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::DATE;
use axum::http::{HeaderValue, Response};
use axum::middleware;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::clock::SharedClock;

mod api;
mod clients;
mod control;
mod cpcodes;
mod cprg;
mod edgegrid;
mod estats;
mod faults;
mod gateway;
mod journal;
mod limits;
mod line;
mod media_delivery;
mod misbehave;
mod noise;
mod nonces;
mod problem;
mod reporting;
mod traffic;
mod world;

pub use cpcodes::{CpCodes, CpCodesError};
pub use media_delivery::{MediaDelivery, MediaDeliveryError};

/// How long a connection may go on after the simulator was told to stop.
const GRACE: Duration = Duration::from_millis(500);

/// How many queries that cost the most a client may ask in a minute.
const COSTS_A_MINUTE: u64 = 10;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything that looks random, and the credentials.
    pub seed: u64,
    /// How long one eStats call takes. Akamai's takes some seven seconds. The other APIs take a tenth of it.
    pub latency: Duration,
    /// Requests per minute and client of every API; without it, each API's own.
    pub rate_limit: Option<u32>,
    /// The largest cost of one query of the traffic report; `simulator/reporting/cost.rs` has the formula.
    pub cost_limit: u64,
    /// The most values in one list of a filter of the traffic report; without it, any number.
    pub in_list_limit: Option<usize>,
    /// What the retired Media Delivery Reports answer.
    pub media_delivery: MediaDelivery,
    /// The API clients: the sections of the `.edgerc`.
    pub clients: Vec<String>,
    /// The CP codes that exist and may be seen.
    pub cpcodes: CpCodes,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 1,
            latency: Duration::from_secs(1),
            rate_limit: None,
            cost_limit: 100_000,
            in_list_limit: None,
            media_delivery: MediaDelivery::default(),
            clients: vec!["default".to_owned()],
            cpcodes: CpCodes::default(),
        }
    }
}

/// The simulator.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
}

/// What all requests share.
#[derive(Debug)]
struct Shared {
    options: Options,
    clock: SharedClock,
    clients: Vec<clients::Client>,
    faults: Mutex<faults::Faults>,
    limits: Mutex<limits::Limits>,
    nonces: Mutex<nonces::Nonces>,
    journal: Mutex<journal::Journal>,
    switches: Mutex<world::Switches>,
    /// Ends whatever would take for ever.
    closing: CancellationToken,
}

impl Shared {
    /// What an API answers from, as it is now.
    fn world(&self) -> world::World<'_> {
        world::World { options: &self.options, switches: lock(&self.switches).clone() }
    }
}

/// Locks, whatever became of the last holder: a simulator that misbehaves does so on purpose.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Simulator {
    /// A simulator that nobody has asked anything yet.
    #[must_use]
    pub fn new(options: Options, clock: SharedClock) -> Self {
        let clients = options.clients.iter().map(|name| clients::Client::new(options.seed, name)).collect();
        let limits = api::APIS.iter().map(|api| (api.name, options.rate_limit.unwrap_or(api.per_minute)));
        let costs = options.cost_limit.saturating_mul(COSTS_A_MINUTE);
        let shared = Shared {
            limits: Mutex::new(limits::Limits::new(limits, costs)),
            switches: Mutex::new(world::Switches::new(&options)),
            options,
            clock,
            clients,
            faults: Mutex::default(),
            nonces: Mutex::default(),
            journal: Mutex::default(),
            closing: CancellationToken::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The text of an `.edgerc` with one section for each client, which leads to this simulator at `address`.
    #[must_use]
    pub fn edgerc(&self, address: SocketAddr) -> String {
        clients::edgerc(&self.shared.clients, address)
    }

    /// All routes: the control API, and Akamai's gateway for everything else.
    ///
    /// Without [`Simulator::serve`] around it the fault `reset` only breaks the answer off.
    pub fn router(&self) -> Router {
        control::routes()
            .fallback(gateway::handle)
            .layer(middleware::map_response_with_state(Arc::clone(&self.shared), date))
            .with_state(Arc::clone(&self.shared))
    }

    /// Answers on `listener` until `stop`, then ends within half a second, whatever hangs: calls at work are
    /// answered at once, faults that never end do end, and a client that neither sends nor reads is left to
    /// the end of the runtime.
    ///
    /// # Errors
    ///
    /// When the listener fails for good.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> std::io::Result<()> {
        let service = self.router().into_make_service_with_connect_info::<line::Peer>();
        let closing = self.shared.closing.clone();
        let hang_up = {
            let stop = stop.clone();
            async move {
                stop.cancelled().await;
                closing.cancel();
            }
        };
        let server = axum::serve(line::Lines(listener), service).with_graceful_shutdown(hang_up);
        let enough = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            ended = server.into_future() => ended,
            () = enough => Ok(()),
        }
    }
}

/// Every answer tells the time, so that a client can see how far its own clock is off.
async fn date<B>(State(shared): State<Arc<Shared>>, mut response: Response<B>) -> Response<B> {
    if let Ok(date) = HeaderValue::try_from(misbehave::http_date(shared.clock.now())) {
        response.headers_mut().entry(DATE).or_insert(date);
    }
    response
}

#[cfg(test)]
mod tests;
