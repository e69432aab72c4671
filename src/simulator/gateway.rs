//! What stands before every API: EdgeGrid, grants, rate limits, faults and the log.
//!
//! The order of the checks is that of the real gateway as far as it can be seen from outside: the form of the
//! header, the timestamp (30 s either way), the token, the signature, the nonce, the grant, the limit.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, HeaderName};
use axum::http::{Response, StatusCode};

use super::api::{Api, Call, Outcome};
use super::edgegrid::{Authorization, SKEW, Signed};
use super::faults::{Fault, Stage, Struck};
use super::journal::Entry;
use super::limits::Allowance;
use super::line::Peer;
use super::misbehave::{self, Ending};
use super::problem::{self, Answer, Refusal};
use super::world::World;
use super::{Shared, lock};

/// The largest body that the gateway takes. None of the APIs needs more than some kilobytes.
pub(super) const LARGEST_BODY: usize = 1024 * 1024;

/// Answers one request to Akamai.
pub(super) async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let peer = parts.extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(peer)| peer.clone());
    let body = to_bytes(body, LARGEST_BODY).await.ok();
    let too_large = body.is_none();
    let call = Call {
        sequence: lock(&shared.journal).number(),
        now: shared.clock.now(),
        method: parts.method,
        host: parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned(),
        uri: parts.uri,
        headers: parts.headers,
        body: body.unwrap_or_default(),
        address: peer.as_ref().map_or_else(|| "127.0.0.1".to_owned(), |peer| peer.address.ip().to_string()),
    };
    let verdict = judge(&shared, &call, too_large);
    deliver(&shared, call.sequence, verdict, peer).await
}

/// What becomes of a request.
#[derive(Debug)]
struct Verdict {
    ending: Ending,
    took: Duration,
    transport: Option<Fault>,
}

/// Decides what becomes of a request, and writes it into the log.
fn judge(shared: &Shared, call: &Call, too_large: bool) -> Verdict {
    let api = Api::at(call.path());
    let header = call.header(AUTHORIZATION).unwrap_or_default();
    let authorization = Authorization::read(header);
    // Who it claims to be: enough for scopes and the log.
    let client = authorization
        .and_then(|read| shared.clients.iter().find(|client| client.client_token == read.client_token))
        .map(|client| client.name.as_str());
    let subject = api.map(|api| (api.subject)(call)).unwrap_or_default();
    let request = Struck { call, client, api: api.map(|api| api.name), subject: &subject };
    let mut entry = Entry {
        sequence: call.sequence,
        time: call.now,
        client: client.map(str::to_owned),
        api: request.api,
        method: call.method.to_string(),
        path: call.target().to_owned(),
        subject: subject.clone(),
        ..Entry::default()
    };
    let fault = lock(&shared.faults).take(Stage::Gateway, &request);
    let verdict = match fault {
        Some(fault) => {
            entry.faults.push(fault.name());
            Verdict::at_once(misbehave::instead(fault, call))
        }
        None => match admit(shared, call, authorization, too_large) {
            Ok((client, api)) => pass(shared, client, api, &request, &mut entry),
            Err(refusal) => {
                entry.violation = refusal.violation();
                Verdict::at_once(Ending::Answer(refusal.answer(call)))
            }
        },
    };
    if let Some(violation) = entry.violation {
        tracing::warn!(violation, client = entry.client, path = entry.path, "a client misbehaves");
    }
    let status = match &verdict.ending {
        Ending::Answer(answer) => Some(answer.status().as_u16()),
        Ending::Silence | Ending::Reset => None,
    };
    let (sequence, faults) = (call.sequence, entry.faults.join(" "));
    lock(&shared.journal).write(entry, status);
    tracing::debug!(sequence, client, api = request.api, status, faults, "request");
    verdict
}

impl Verdict {
    fn at_once(ending: Ending) -> Self {
        Self { ending, took: Duration::ZERO, transport: None }
    }
}

/// Lets a client through to an API, or not.
fn admit<'a>(
    shared: &'a Shared,
    call: &Call,
    authorization: Option<Authorization<'_>>,
    too_large: bool,
) -> Result<(&'a str, &'static Api), Refusal> {
    if too_large {
        return Err(Refusal::TooLarge);
    }
    let authorization = authorization.ok_or(Refusal::Malformed)?;
    let time = authorization.time().ok_or(Refusal::InvalidTimestamp)?;
    if (call.now - time).abs() > SKEW {
        return Err(Refusal::InvalidTimestamp);
    }
    let known = |client: &&super::clients::Client| {
        client.client_token == authorization.client_token && client.access_token == authorization.access_token
    };
    let client = shared.clients.iter().find(known).ok_or(Refusal::InactiveToken)?;
    let signed =
        Signed { method: call.method.as_str(), host: &call.host, path: call.target(), body: &call.body };
    if !authorization.matches(&client.secret, &signed) {
        return Err(Refusal::BadSignature);
    }
    // Only now: whoever cannot sign must not be able to use up nonces.
    if !lock(&shared.nonces).fresh(&client.name, authorization.nonce, call.now) {
        return Err(Refusal::ReusedNonce);
    }
    // Every client is granted every API; the fault `no-grant` takes one away.
    let api = Api::at(call.path()).ok_or(Refusal::UnknownPath)?;
    Ok((&client.name, api))
}

/// An admitted request: its limit, its API, its faults.
fn pass(
    shared: &Shared,
    client: &str,
    api: &'static Api,
    request: &Struck<'_>,
    entry: &mut Entry,
) -> Verdict {
    let world = shared.world();
    let allowance = allow(shared, client, api, &world, request.call);
    entry.remaining = Some(allowance.remaining);
    if !allowance.granted {
        let of_requests = allowance.cost.is_none_or(|cost| cost.granted);
        entry.violation = Some(if of_requests { "rate_limit_exceeded" } else { "cost_limit_exceeded" });
        return Verdict::at_once(Ending::Answer(limited((api.too_many)(&allowance), api, &allowance)));
    }
    let mut faults = lock(&shared.faults);
    if let Some(fault) = faults.take(Stage::Api, request) {
        entry.faults.push(fault.name());
        if fault == Fault::RateLimited {
            let allowance = allowance.used_up();
            entry.remaining = Some(allowance.remaining);
            return Verdict::at_once(Ending::Answer(limited((api.too_many)(&allowance), api, &allowance)));
        }
        let ending = match misbehave::instead(fault, request.call) {
            Ending::Answer(answer) => Ending::Answer(limited(answer, api, &allowance)),
            ending @ (Ending::Silence | Ending::Reset) => ending,
        };
        return Verdict::at_once(ending);
    }
    let committed = faults.take_all(api.faults, request);
    let transport = faults.take(Stage::Transport, request);
    drop(faults);
    entry.faults.extend(committed.iter().chain(transport).map(Fault::name));
    let Outcome { answer, took, rows } = (api.answer)(&world, request.call, &committed);
    entry.rows = rows;
    Verdict { ending: Ending::Answer(limited(answer, api, &allowance)), took, transport }
}

/// Takes a request, and what it costs, from the client's buckets.
fn allow(shared: &Shared, client: &str, api: &Api, world: &World<'_>, call: &Call) -> Allowance {
    let mut limits = lock(&shared.limits);
    let allowance = limits.take(client, api.name, call.now);
    let (true, Some(price)) = (allowance.granted, api.cost) else {
        return allowance;
    };
    let cost = limits.spend(client, api.name, price(world, call), call.now);
    Allowance { granted: cost.granted, cost: Some(cost), ..allowance }
}

/// Adds the headers that tell the limit, where Akamai documents them: on 200 and on 429, and on the 303 of a
/// report that is not ready.
fn limited(answer: Answer, api: &Api, allowance: &Allowance) -> Answer {
    if !matches!(answer.status(), StatusCode::OK | StatusCode::SEE_OTHER | StatusCode::TOO_MANY_REQUESTS) {
        return answer;
    }
    let headers = (api.announce)(allowance).into_iter();
    headers.fold(answer, |answer, (name, value)| problem::with(answer, HeaderName::from_static(name), value))
}

/// Does what was decided, in its time; a simulator that stops does not wait.
async fn deliver(shared: &Shared, sequence: u64, verdict: Verdict, peer: Option<Peer>) -> Response<Body> {
    let Verdict { ending, took, transport } = verdict;
    match ending {
        Ending::Answer(answer) => {
            if !took.is_zero() {
                shared.closing.run_until_cancelled(tokio::time::sleep(took)).await;
            }
            lock(&shared.journal).sent(sequence, answer.status().as_u16());
            misbehave::send(answer, transport, shared.closing.clone())
        }
        Ending::Silence => {
            shared.closing.cancelled().await;
            hang_up(peer)
        }
        Ending::Reset => hang_up(peer),
    }
}

/// No answer. A connection that is not ours to cut, because nobody serves one, gets a broken one instead.
fn hang_up(peer: Option<Peer>) -> Response<Body> {
    if let Some(peer) = peer {
        peer.reset();
    }
    Response::new(misbehave::broken(Bytes::new()))
}
