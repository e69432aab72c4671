//! What only a connection shows: resets, broken bodies, silence, and stopping in spite of them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Client, ESTATS, Options, Signed, edgegrid};
use crate::clock::{Clock as _, SystemClock};
use crate::simulator::Simulator;

const BODY: &[u8] = br#"{"cpCode":1209788,"delivery":"STANDARD_TLS"}"#;

/// Runs a client that blocks against a simulator that serves, and waits until the latter has stopped.
async fn against<T: Send + 'static>(client: impl FnOnce(SocketAddr) -> T + Send + 'static) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options { latency: Duration::ZERO, ..Options::default() };
    let simulator = Simulator::new(options, Arc::new(SystemClock));
    let stop = CancellationToken::new();
    let serve = simulator.serve(listener, stop.clone());
    let work = async {
        let result = tokio::task::spawn_blocking(move || client(address)).await.unwrap();
        stop.cancel();
        result
    };
    let both = async { tokio::join!(serve, work) };
    let (served, result) = tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
    served.unwrap();
    result
}

fn send(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn fault(address: SocketAddr, name: &str) {
    let head = format!("PUT /_simulator/faults/{name} HTTP/1.1\r\nhost: {address}\r\n");
    let mut stream = send(address, &format!("{head}content-length: 0\r\nconnection: close\r\n\r\n"));
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

/// An eStats call on a connection of its own.
fn estats(address: SocketAddr) -> TcpStream {
    let host = address.to_string();
    let signed = Signed { method: "POST", host: &host, path: ESTATS, body: BODY };
    let nonce = uuid::Uuid::new_v4().to_string();
    let authorization = edgegrid::sign(&Client::new(1, "default"), SystemClock.now(), &nonce, &signed);
    let body = String::from_utf8_lossy(BODY);
    let length = BODY.len();
    send(
        address,
        &format!(
            "POST {ESTATS} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Authorization: {authorization}\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )
}

/// Reads head and body as long as something comes.
fn read(mut stream: TcpStream) -> (String, std::io::Result<usize>) {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes);
    (String::from_utf8_lossy(&bytes).into_owned(), end)
}

fn announced(head: &str) -> usize {
    let line = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    line.parse().unwrap()
}

#[tokio::test]
async fn a_call_over_the_wire_is_answered_with_one_date() {
    let head = against(|address| {
        let mut stream = estats(address);
        let mut bytes = vec![0; 4096];
        let length = stream.read(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    })
    .await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(head.matches("date: ").count(), 1, "{head}");
    assert!(head.contains("x-ratelimit-remaining: 39\r\n"), "{head}");
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let (text, end) = against(|address| {
        fault(address, "reset");
        read(estats(address))
    })
    .await;
    assert_eq!((text.as_str(), end.unwrap_err().kind()), ("", ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_cut_off_body_is_shorter_than_announced() {
    let (text, _) = against(|address| {
        fault(address, "cut-off");
        read(estats(address))
    })
    .await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), announced(head) / 2);
    assert!(body.starts_with("{\""), "{body}");
}

#[tokio::test]
async fn silence_lasts_until_the_simulator_stops_and_does_not_keep_it() {
    let silent = against(|address| {
        fault(address, "timeout");
        let mut stream = estats(address);
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let kind = stream.read(&mut [0]).unwrap_err().kind();
        // The connection stays open past the stop.
        (stream, kind)
    })
    .await;
    assert!(matches!(silent.1, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{:?}", silent.1);
}

#[tokio::test]
async fn a_drip_sends_its_head_at_once_and_does_not_keep_the_simulator() {
    let (_stream, text) = against(|address| {
        fault(address, "slow-drip");
        let mut stream = estats(address);
        let mut bytes = vec![0; 4096];
        let length = stream.read(&mut bytes).unwrap();
        (stream, String::from_utf8_lossy(&bytes[..length]).into_owned())
    })
    .await;
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(announced(head) > 1_000 && body.len() < 3, "{text}");
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_keep_the_simulator() {
    against(|address| send(address, "POST / HTTP/1.1\r\nHost: ")).await;
}
