use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use proptest::prelude::proptest;
use secrecy::ExposeSecret;

use super::*;

const SECRET: &str = "abcdEcSnaAtasdas123FNkBxy456z25qx9Yp5CPUxlEfQeTDkfh4QA=";

fn text(host: &str) -> String {
    format!("client_secret = {SECRET}\nhost = {host}\naccess_token = akab-a\nclient_token = akab-c\n")
}

#[track_caller]
fn check(edgerc: &str, section: &str) -> Credentials {
    let (credentials, _) = Credentials::from_edgerc(edgerc.as_bytes(), section, "edgerc").unwrap();
    assert_eq!(credentials.client_secret.expose_secret(), SECRET);
    assert_eq!(credentials.access_token.expose_secret(), "akab-a");
    assert_eq!(credentials.client_token.expose_secret(), "akab-c");
    credentials
}

#[track_caller]
fn fails(edgerc: &str, section: &str, expected: &str) {
    let message = Credentials::from_edgerc(edgerc.as_bytes(), section, "edgerc").unwrap_err();
    assert_eq!(message, expected);
}

#[test]
fn the_quirks_that_people_write() {
    let plain = format!("[default]\n{}", text("akab-h.luna.akamaiapis.net"));
    assert_eq!(check(&plain, "default").host(), "akab-h.luna.akamaiapis.net");
    check(&plain.replace("client_token", "Client_token"), "default");
    check(&plain.replace('_', "-"), "default");
    check(&plain.replace('\n', " \r\n"), "default");
    check(&format!("\u{feff}{plain}"), "default");
    check(&plain.replace(" = ", "="), "default");
    check(&plain.replace(SECRET, &format!("\"{SECRET}\"")), "default");
    check(&plain.replace(SECRET, &format!("{SECRET} ; from Control Center")), "default");
    check(&format!("# mine\n[other]\nhost = x\n{plain}"), "default");
    check(&plain.replace("[default]", "[Default]"), "default");
    check(&plain.replace("[default]", "[ default ]"), "default");
    check(&text("akab-h.luna.akamaiapis.net"), "default");
    check(&format!("[video]\n{}", text("h")), "video");
}

#[test]
fn hosts() {
    let host = |written: &str| {
        let credentials = check(&format!("[default]\n{}", text(written)), "default");
        format!("{}://{}", credentials.scheme(), credentials.host())
    };
    assert_eq!(host("https://akab-h.luna.akamaiapis.net/"), "https://akab-h.luna.akamaiapis.net");
    assert_eq!(host("\"https://akab-h.luna.akamaiapis.net//\""), "https://akab-h.luna.akamaiapis.net");
    assert_eq!(host("HTTP://Akab-h.luna.akamaiapis.net"), "https://akab-h.luna.akamaiapis.net");
    assert_eq!(host("http://127.0.0.1:9878"), "http://127.0.0.1:9878");
    assert_eq!(host("http://localhost:1/"), "http://localhost:1");
    assert_eq!(host("http://[::1]:1"), "http://[::1]:1");
    assert_eq!(host("127.0.0.1:9878"), "https://127.0.0.1:9878");
    assert_eq!(host("akab-h.luna.akamaiapis.net:443"), "https://akab-h.luna.akamaiapis.net");
    assert_eq!(host("http://127.0.0.1:80"), "http://127.0.0.1");
    assert_eq!(host("http://127.0.0.1.example.com"), "https://127.0.0.1.example.com");
    for bad in ["a b", "https://", "host/path", "user@host", "a?b"] {
        let message = Credentials::from_edgerc(text(bad).as_bytes(), "default", "edgerc").unwrap_err();
        assert!(message.starts_with("edgerc: section [default]: host `"), "{message}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let edgerc = "[default]\nhost = h\nclient_token = c\n[video]\n";
    fails(edgerc, "default", "edgerc: section [default] has no client_secret, no access_token");
    fails(edgerc, "shop", "edgerc has no section [shop]; it has [default], [video]");
    fails("", "default", "edgerc has no section [default]; it has none");
    let twice = format!("[default]\n{}Client-Token = x\n", text("h"));
    fails(&twice, "default", "edgerc: section [default] has client_token twice");
    let broken = format!("[default]\n{}", text("h").replace("akab-a", "akab a"));
    let blank = "edgerc: section [default]: access_token has a blank or another character that no token has";
    fails(&broken, "default", blank);
    fails(
        "[default]\nhost = h\nclient_token\n",
        "default",
        "edgerc: section [default] has no client_token, no client_secret, no access_token; \
         line 3: expected `[section]`, `key = value` or a comment",
    );
}

#[test]
fn optional_fields() {
    let more = format!("[default]\n{}max-body = 2048\naccount_key = 1-A:1-B\n", text("h"));
    let credentials = check(&more, "default");
    assert_eq!((credentials.max_body, credentials.account_key()), (2048, Some("1-A:1-B")));
    assert_eq!(check(&text("h"), "default").max_body, 131_072);
    let signed = format!("{}headers_to_sign = X-A\n", text("h"));
    let (_, warnings) = Credentials::from_edgerc(signed.as_bytes(), "default", "edgerc").unwrap();
    assert!(warnings[0].contains("headers_to_sign is ignored"), "{warnings:?}");
}

#[test]
fn nothing_secret_is_printed() {
    let credentials = check(&text("h"), "default");
    let debug = format!("{credentials:?}");
    assert!(!debug.contains("akab-a") && !debug.contains(SECRET), "{debug}");
    assert_eq!(credentials.redact(&format!("x {SECRET} akab-c y")), "x [redacted] [redacted] y");
    let environment = Environment::of([("AKAMAI_CLIENT_SECRET", SECRET)]);
    assert!(!format!("{environment:?}").contains(SECRET));
}

fn file(directory: &Path, edgerc: &str, mode: u32) -> PathBuf {
    let path = directory.join("edgerc");
    fs::write(&path, edgerc).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn variables(prefix: &str) -> Vec<(String, String)> {
    [("HOST", "env.example"), ("CLIENT_TOKEN", "c"), ("CLIENT_SECRET", "s"), ("ACCESS_TOKEN", "a")]
        .map(|(name, value)| (format!("{prefix}{name}"), value.to_owned()))
        .to_vec()
}

fn environment(variables: &[(String, String)]) -> Environment {
    Environment::of(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

#[test]
fn a_complete_environment_wins_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let both = format!("[default]\n{}[my-shop]\n{}", text("file.example"), text("shop.example"));
    let path = file(directory.path(), &both, 0o600);
    let host = |environment: &Environment, section: &str| {
        let (store, warnings) = CredentialStore::open(environment, &path, section).unwrap();
        (store.current().0.host().to_owned(), warnings.join(" "))
    };
    let full = variables("AKAMAI_");
    assert_eq!(host(&environment(&full), "default"), ("env.example".into(), String::new()));
    assert_eq!(host(&environment(&full), "my-shop").0, "shop.example", "no fallback to the bare names");
    assert_eq!(host(&environment(&variables("AKAMAI_MY_SHOP_")), "my-shop").0, "env.example");
    let (from, warning) = host(&environment(&full[..3]), "default");
    assert_eq!(from, "file.example");
    assert_eq!(warning, "the environment (AKAMAI_*) has no access_token; the .edgerc file is used instead");
    let nowhere =
        CredentialStore::open(&environment(&full[..3]), Path::new("/nowhere"), "default").unwrap_err();
    assert!(nowhere.contains("cannot read /nowhere") && nowhere.contains("no access_token"), "{nowhere}");
}

#[test]
fn the_home_directory_is_expanded() {
    let environment = Environment::of([("HOME", "/home/me")]);
    assert_eq!(environment.expand("~/.edgerc"), Path::new("/home/me/.edgerc"));
    assert_eq!(environment.expand("~other/.edgerc"), Path::new("~other/.edgerc"));
    assert_eq!(environment.expand("/etc/edgerc"), Path::new("/etc/edgerc"));
    assert_eq!(Environment::default().expand("~/.edgerc"), Path::new("~/.edgerc"));
}

#[test]
fn a_file_that_others_can_read_earns_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), &text("h"), 0o644);
    let (_, warnings) = CredentialStore::open(&Environment::default(), &path, "default").unwrap();
    assert!(warnings[0].contains("others can read it (mode 644); run: chmod 600"), "{warnings:?}");
    let path = file(directory.path(), &text("h"), 0o600);
    assert!(CredentialStore::open(&Environment::default(), &path, "default").unwrap().1.is_empty());
}

#[test]
fn a_changed_file_is_read_again_and_a_broken_one_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(directory.path(), &text("one.example"), 0o600);
    let (store, _) = CredentialStore::open(&Environment::default(), &path, "default").unwrap();
    let now = || {
        let (credentials, generation) = store.current();
        (credentials.host().to_owned(), generation)
    };
    assert_eq!(now(), ("one.example".into(), 0));
    fs::write(&path, "host = half").unwrap();
    assert_eq!(now(), ("one.example".into(), 0));
    fs::remove_file(&path).unwrap();
    assert_eq!(now(), ("one.example".into(), 0));
    file(directory.path(), &text("another.example"), 0o600);
    assert_eq!(now(), ("another.example".into(), 1));
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>, section: String) {
        let _ = Credentials::from_edgerc(&bytes, &section, "edgerc");
    }

    #[test]
    fn hosts_never_panic(host: String) {
        let _ = endpoint(&host);
    }

    #[test]
    fn secrets_survive(secret in "[A-Za-z0-9+/=]{1,60}", quoted: bool, crlf: bool) {
        let written = if quoted { format!("\"{secret}\"") } else { secret.clone() };
        let mut edgerc = text("h").replace(SECRET, &written);
        if crlf {
            edgerc = edgerc.replace('\n', "\r\n");
        }
        let (credentials, _) = Credentials::from_edgerc(edgerc.as_bytes(), "default", "edgerc").unwrap();
        assert_eq!(credentials.client_secret.expose_secret(), secret);
    }
}
