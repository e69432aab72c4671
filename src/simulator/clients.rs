//! The API clients that the gateway knows: one for each section of the `.edgerc` that it hands out.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// One API client with its EdgeGrid credentials. They are derived from the seed and the name, so that a file
/// written yesterday still fits the simulator started today. They open nothing but this simulator.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) client_token: String,
    pub(super) access_token: String,
    pub(super) secret: String,
}

impl Client {
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let bytes = |purpose: &str| Sha256::digest(format!("akamai-exporter\n{seed}\n{purpose}\n{name}"));
        let token = |purpose: &str| {
            let hex = bytes(purpose).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
            format!("akab-{}-{}", &hex[..16], &hex[16..32])
        };
        Self {
            name: name.to_owned(),
            client_token: token("client_token"),
            access_token: token("access_token"),
            secret: STANDARD.encode(bytes("client_secret")),
        }
    }
}

/// The text of an `.edgerc` with a section for each client.
///
/// A listener on "any address" is named by its loopback address: nothing else may be spoken to in plain HTTP.
pub(super) fn edgerc(clients: &[Client], address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let host = SocketAddr::new(ip, address.port());
    let mut text = String::new();
    for (position, client) in clients.iter().enumerate() {
        let gap = if position == 0 { "" } else { "\n" };
        let Client { name, client_token, access_token, secret } = client;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{gap}[{name}]\nhost = http://{host}\nclient_token = {client_token}\n\
             client_secret = {secret}\naccess_token = {access_token}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Client, edgerc};

    #[test]
    fn credentials_follow_from_seed_and_name() {
        let client = Client::new(1, "default");
        assert_eq!(client.client_token, Client::new(1, "default").client_token);
        assert_ne!(client.client_token, Client::new(2, "default").client_token);
        assert_ne!(client.client_token, Client::new(1, "other").client_token);
        assert_ne!(client.client_token, client.access_token);
        assert_eq!(client.client_token.len(), "akab-0123456789abcdef-0123456789abcdef".len());
        assert_eq!(client.secret.len(), 44);
    }

    #[test]
    fn the_edgerc_has_a_section_for_each_client_and_a_host_that_can_be_reached() {
        let clients = [Client::new(1, "default"), Client::new(1, "second")];
        let text = edgerc(&clients, "0.0.0.0:9878".parse().unwrap());
        assert!(text.starts_with("[default]\nhost = http://127.0.0.1:9878\nclient_token = akab-"), "{text}");
        assert!(text.contains("\n\n[second]\n"), "{text}");
        assert!(edgerc(&clients, "[::]:1".parse().unwrap()).contains("host = http://[::1]:1\n"));
    }
}
