//! One HTTP exchange: no redirects, bounded in time and size, each failure given its reason.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::{Client, Request, StatusCode, redirect};

use super::ApiError;
use crate::clock::SharedClock;
use crate::model::Reason;

/// A connection that takes longer does not come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// When the headers were there: `Date` is compared with it.
    pub(super) at: DateTime<Utc>,
    pub(super) body: Vec<u8>,
}

/// The HTTP clients of one account, made when first needed.
#[derive(Debug, Default)]
pub(super) struct Transport {
    /// For Akamai: the system's CA certificates and proxy settings.
    secure: OnceLock<Client>,
    /// For a simulator on loopback: neither.
    loopback: OnceLock<Client>,
}

impl Transport {
    /// The client for `scheme`.
    pub(super) fn client(&self, scheme: &str) -> Result<&Client, ApiError> {
        let (cell, proxied) = match scheme {
            "http" => (&self.loopback, false),
            _ => (&self.secure, true),
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = build(proxied).map_err(|error| {
            ApiError::new(Reason::Tls, format!("cannot make an HTTP client: {}", chain(&error)))
        })?;
        Ok(cell.get_or_init(|| client))
    }
}

fn build(proxied: bool) -> reqwest::Result<Client> {
    let agent = concat!("akamai-exporter/", env!("CARGO_PKG_VERSION"));
    let client = Client::builder()
        .user_agent(agent)
        .gzip(true)
        // A signature binds host and path, so a redirect could not be followed with it.
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .dns_resolver(Arc::new(SystemResolver));
    if proxied {
        client.build()
    } else {
        // Without a proxy setting the environment's would apply; roots cost memory and are of no use here.
        client.no_proxy().tls_certs_only([]).build()
    }
}

/// Sends `request` and reads the answer to its end.
pub(super) async fn exchange(
    client: &Client,
    request: Request,
    clock: &SharedClock,
    largest: usize,
) -> Result<Answer, ApiError> {
    let mut response = client.execute(request).await.map_err(|error| failure(&error))?;
    let (status, headers, at) = (response.status(), response.headers().clone(), clock.now());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > largest {
            let words = format!("the answer is larger than {} MiB", largest >> 20);
            return Err(ApiError::new(Reason::TooLarge, words));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, at, body })
}

fn failure(error: &reqwest::Error) -> ApiError {
    let reason = if error.is_timeout() {
        Reason::Timeout
    } else if caused_by::<Unresolved>(error) {
        Reason::Dns
    } else if caused_by::<rustls::Error>(error) {
        Reason::Tls
    } else if error.is_connect() {
        Reason::Connect
    } else if error.is_decode() && !is_cut_off(error) {
        Reason::Malformed
    } else {
        Reason::Interrupted
    };
    let words = match reason {
        Reason::Timeout => "no whole answer in time".to_owned(),
        Reason::Dns => format!("the host name does not resolve: {}", chain(error)),
        Reason::Tls => format!("the TLS handshake failed: {}", chain(error)),
        Reason::Connect => format!("no connection: {}", chain(error)),
        Reason::Malformed => format!("the answer's encoding is broken: {}", chain(error)),
        _ => format!("the connection ended within the exchange: {}", chain(error)),
    };
    ApiError::new(reason, words)
}

/// Whether the body ended too soon: reqwest calls that, too, an error of decoding, with the one of the body within.
fn is_cut_off(error: &reqwest::Error) -> bool {
    any_cause(error, |cause| cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_body))
}

/// Whether an error of type `E` is at the root.
fn caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    any_cause(error, <dyn Error>::is::<E>)
}

/// Whether `is_so` of the error or of one of its causes, through the layers and `io::Error`s around it.
fn any_cause(error: &(dyn Error + 'static), is_so: impl Fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if is_so(error) {
            return true;
        }
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    false
}

/// The innermost cause alone: the layers above repeat it, and with it the URL, which holds the account switch key.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(next) = last.source() {
        last = next;
    }
    last.to_string()
}

/// The system's resolver, whose failures can be told from all others.
#[derive(Debug)]
struct SystemResolver;

#[derive(Debug)]
struct Unresolved(io::Error);

impl fmt::Display for Unresolved {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl Error for Unresolved {}

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(Unresolved)?;
            let addresses: Vec<SocketAddr> = found.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
