//! EdgeGrid (EG1-HMAC-SHA256), the gateway's half: takes an `Authorization` header apart and recomputes it.
//!
//! Written from Akamai's description ("Authenticate with EdgeGrid", techdocs developer) and independent of
//! the client's signer, so that a mistake there is not repeated here. Headers are never signed: none of the
//! APIs behind this gateway asks for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// How far a client's clock may be off, either way.
pub(super) const SKEW: TimeDelta = TimeDelta::seconds(30);
/// Only so much of a body is signed.
const SIGNED_BODY: usize = 131_072;
/// A nonce is a UUID, 36 characters; this only keeps the gateway's memory bounded.
const LONGEST_NONCE: usize = 256;

/// An `Authorization` header, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Authorization<'a> {
    pub(super) client_token: &'a str,
    pub(super) access_token: &'a str,
    pub(super) timestamp: &'a str,
    pub(super) nonce: &'a str,
    pub(super) signature: &'a str,
    /// Everything before `signature=`: this text is itself signed.
    pub(super) signed: &'a str,
}

impl<'a> Authorization<'a> {
    /// Reads the header; nothing if it has not exactly the published form.
    pub(super) fn read(header: &'a str) -> Option<Self> {
        let position = header.find(";signature=")? + 1;
        let (signed, signature) = header.split_at(position);
        let signature = signature.strip_prefix("signature=")?;
        let mut members = signed.strip_prefix("EG1-HMAC-SHA256 ")?.strip_suffix(';')?.split(';');
        let mut member = |name: &str| {
            let value = members.next()?.strip_prefix(name)?.strip_prefix('=')?;
            (!value.is_empty()).then_some(value)
        };
        let read = Self {
            client_token: member("client_token")?,
            access_token: member("access_token")?,
            timestamp: member("timestamp")?,
            nonce: member("nonce")?,
            signature,
            signed,
        };
        let whole = members.next().is_none() && read.nonce.len() <= LONGEST_NONCE && !signature.is_empty();
        whole.then_some(read)
    }

    /// The time that the client signed, if it has the one form that the gateway takes.
    pub(super) fn time(&self) -> Option<DateTime<Utc>> {
        let exact = self.timestamp.len() == "20260102T03:04:05+0000".len();
        let time = NaiveDateTime::parse_from_str(self.timestamp, "%Y%m%dT%H:%M:%S+0000").ok()?;
        exact.then_some(time.and_utc())
    }

    /// Whether the signature is the one that `secret` gives for this request.
    pub(super) fn matches(&self, secret: &str, request: &Signed<'_>) -> bool {
        let Ok(signature) = STANDARD.decode(self.signature) else { return false };
        let Some(key) = keyed(secret, self.timestamp) else { return false };
        let key = STANDARD.encode(key.finalize().into_bytes());
        keyed(&key, &request.data(self.signed)).is_some_and(|mac| mac.verify_slice(&signature).is_ok())
    }
}

/// What is signed of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// The `Host` header as sent.
    pub(super) host: &'a str,
    /// Path and query exactly as on the wire.
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
}

impl Signed<'_> {
    /// The seven parts, joined by tabs. The scheme is always `https`: that is what a client speaks to the
    /// real gateway, and it keeps one signer correct for both.
    fn data(&self, authorization: &str) -> String {
        let content_hash = if self.method == "POST" && !self.body.is_empty() {
            STANDARD.encode(Sha256::digest(&self.body[..self.body.len().min(SIGNED_BODY)]))
        } else {
            String::new()
        };
        let no_headers = "";
        [self.method, "https", self.host, self.path, no_headers, &content_hash, authorization].join("\t")
    }
}

fn keyed(key: &str, message: &str) -> Option<Hmac<Sha256>> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_bytes()).ok()?;
    mac.update(message.as_bytes());
    Some(mac)
}

/// A header that signs `request`; the tests need a client, and this one is not the exporter's.
#[cfg(test)]
pub(super) fn sign(
    client: &super::clients::Client,
    time: DateTime<Utc>,
    nonce: &str,
    request: &Signed<'_>,
) -> String {
    let time = time.format("%Y%m%dT%H:%M:%S+0000").to_string();
    let signed = format!(
        "EG1-HMAC-SHA256 client_token={};access_token={};timestamp={time};nonce={nonce};",
        client.client_token, client.access_token
    );
    let key = STANDARD.encode(keyed(&client.secret, &time).unwrap().finalize().into_bytes());
    let signature = keyed(&key, &request.data(&signed)).unwrap().finalize().into_bytes();
    format!("{signed}signature={}", STANDARD.encode(signature))
}

#[cfg(test)]
mod tests {
    use super::{Authorization, Signed};

    const SECRET: &str = "dGhpcy1pcy1ub3QtYS1yZWFsLWFrYW1haS1zZWNyZXQ=";
    const HOST: &str = "akab-host0000000000-host000000000000.luna.akamaiapis.net";
    const ESTATS: Signed<'_> = Signed {
        method: "POST",
        host: HOST,
        path: "/edge-diagnostics/v1/estats?accountSwitchKey=1-ABCDE%3A1-2RBL",
        body: br#"{"cpCode":12345,"delivery":"ENHANCED_TLS"}"#,
    };

    fn header(nonce: u8, signature: &str) -> String {
        format!(
            "EG1-HMAC-SHA256 client_token=akab-exporterclient-0000000000000001;\
             access_token=akab-exporteraccess-0000000000000002;timestamp=20260102T03:04:05+0000;\
             nonce=6f1f6f2e-0000-4000-8000-00000000000{nonce};signature={signature}"
        )
    }

    fn matches(header: &str, request: &Signed<'_>) -> bool {
        Authorization::read(header).unwrap().matches(SECRET, request)
    }

    #[test]
    fn the_known_signatures_match() {
        assert!(matches(&header(1, "XjIkjWnZrWIsxBJ9AeGsfoQqjy8FbNorGqNbrn8BoR0="), &ESTATS));
        let cpcodes = Signed { method: "GET", host: HOST, path: "/cprg/v1/cpcodes", body: b"" };
        assert!(matches(&header(2, "iE2Q209PM7Ae69SYKjnTnL58a/0Oa9OEpEoeMi0+cMo="), &cpcodes));
        // Only a POST's body is signed.
        assert!(matches(
            &header(2, "iE2Q209PM7Ae69SYKjnTnL58a/0Oa9OEpEoeMi0+cMo="),
            &Signed { body: b"x", ..cpcodes }
        ));
    }

    #[test]
    fn any_change_breaks_the_signature() {
        let good = header(1, "XjIkjWnZrWIsxBJ9AeGsfoQqjy8FbNorGqNbrn8BoR0=");
        for other in [
            Signed { method: "PUT", ..ESTATS },
            Signed { host: "other", ..ESTATS },
            Signed { path: "/edge-diagnostics/v1/estats?accountSwitchKey=1-ABCDE:1-2RBL", ..ESTATS },
            Signed { body: br#"{"cpCode":12346,"delivery":"ENHANCED_TLS"}"#, ..ESTATS },
            Signed { body: b"", ..ESTATS },
        ] {
            assert!(!matches(&good, &other), "{other:?}");
        }
        assert!(!matches(&header(2, "XjIkjWnZrWIsxBJ9AeGsfoQqjy8FbNorGqNbrn8BoR0="), &ESTATS));
        assert!(!matches(&header(1, "not base64"), &ESTATS));
    }

    #[test]
    fn only_the_start_of_a_large_body_is_signed() {
        let client = super::super::clients::Client::new(1, "default");
        let mut body = vec![b'x'; 131_072];
        let request = Signed { body: &body.clone(), ..ESTATS };
        let header = super::sign(&client, chrono::DateTime::UNIX_EPOCH, "n", &request);
        body.push(b'y');
        let read = Authorization::read(&header).unwrap();
        assert!(read.matches(&client.secret, &Signed { body: &body, ..ESTATS }));
        body[131_071] = b'y';
        assert!(!read.matches(&client.secret, &Signed { body: &body, ..ESTATS }));
    }

    #[test]
    fn the_header_is_read_strictly() {
        let good = header(1, "c2ln");
        let read = Authorization::read(&good).unwrap();
        assert_eq!(read.nonce, "6f1f6f2e-0000-4000-8000-000000000001");
        assert_eq!(read.time().unwrap().to_rfc3339(), "2026-01-02T03:04:05+00:00");
        for bad in [
            "",
            "Basic dXNlcg==",
            &good.replace("EG1-HMAC-SHA256 ", "EG1-HMAC-SHA512 "),
            &good.replace("access_token", "accesstoken"),
            &good.replace("nonce=6f1f6f2e-0000-4000-8000-000000000001", "nonce="),
            &good.replace(";signature", ";more=1;signature"),
            &good.replace("c2ln", ""),
        ] {
            assert_eq!(Authorization::read(bad), None, "{bad}");
        }
        for bad in
            ["2026-01-02T03:04:05Z", "20260102T03:04:05Z", "20260102T3:04:05+0000", "20261302T03:04:05+0000"]
        {
            let header = good.replace("20260102T03:04:05+0000", bad);
            assert_eq!(Authorization::read(&header).unwrap().time(), None, "{bad}");
        }
    }
}
