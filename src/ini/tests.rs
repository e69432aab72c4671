use std::path::Path;
use std::time::Duration;

use proptest::prelude::{Strategy, any, proptest};
use proptest::{prop_assert, prop_assert_eq};

use super::*;

fn read(text: &str) -> (Document, String) {
    let mut problems = Problems::of(Path::new("a.ini"));
    let document = parse(text.as_bytes(), &mut problems);
    (document, problems.to_string())
}

#[track_caller]
fn check_value(line: &str, value: &str) {
    let (document, problems) = read(&format!("[s]\n{line}\n"));
    assert_eq!(problems, "");
    assert_eq!(document.sections[1].entries[0].value, value, "{line}");
}

#[test]
fn positions_repetitions_and_case_are_kept() {
    let (document, problems) =
        read("\u{feff}# a comment\r\n[Akamai]\r\ncpcode = 1\r\n\r\nCPCODE=2\r\n; end\r\n[b c]");
    assert_eq!(problems, "");
    let entry = |key: &str, value: &str, line| Entry {
        key: key.into(),
        name: key.to_lowercase(),
        value: value.into(),
        line,
    };
    assert_eq!(document.sections[1].header, "Akamai");
    assert_eq!(document.sections[1].line, 2);
    assert_eq!(document.sections[1].entries, [entry("cpcode", "1", 3), entry("CPCODE", "2", 5)]);
    assert_eq!(document.sections[2].header, "b c");
}

#[test]
fn values_keep_what_is_theirs() {
    check_value("a = 60 # every minute", "60");
    check_value("a = 60\t; every minute", "60");
    check_value("a=x=y=", "x=y=");
    check_value("a = C:\\new", "C:\\new");
    check_value("a = https://example.com/#top", "https://example.com/#top");
    check_value("a = \"quoted # not a comment\"", "quoted # not a comment");
    check_value("a = [\"00000\", \"11111\"]", "[\"00000\", \"11111\"]");
    check_value("a = \"x\", \"y\"", "\"x\", \"y\"");
    check_value("a = */5 * * * *", "*/5 * * * *");
    check_value("a = it's 5 o'clock # tea", "it's 5 o'clock");
    check_value("a = \"never closed # here", "\"never closed");
    check_value("a =", "");
    check_value("Client_token = akab-x  ", "akab-x");
}

#[test]
fn a_line_that_means_nothing_is_named_and_the_rest_is_read() {
    let (document, problems) = read("[a\n[]\nx = 1\nnonsense\n= 2\n[c]\ny = 1");
    let lines: Vec<_> = problems.lines().map(|line| line.split(' ').next().unwrap_or("")).collect();
    assert_eq!(lines, ["a.ini:1:", "a.ini:2:", "a.ini:4:", "a.ini:5:"], "{problems}");
    assert_eq!(document.sections[0].entries[0].key, "x");
    assert_eq!(document.sections[1].header, "c");
}

#[test]
fn text_that_is_not_utf8_is_named() {
    let mut problems = Problems::of(Path::new("a.ini"));
    parse(b"[a]\nx = \xFF\n", &mut problems);
    assert!(problems.to_string().starts_with("a.ini:2: [a] the line is not UTF-8"), "{problems}");
}

#[test]
fn unknown_and_repeated_keys_are_named() {
    static KEYS: [Key; 2] = [Key { name: "cpcode", default: "" }, Key { name: "urls", default: "" }];
    let (document, _) = read("[akamai]\ncpcod = 1\nurls = a\nURLS = b\nzebra = 1");
    let mut problems = Problems::of(Path::new("a.ini"));
    Reader::new(&document.sections[1], KEYS.iter(), &mut problems);
    assert_eq!(
        problems.to_string(),
        "a.ini:2: [akamai] cpcod: unknown key; did you mean `cpcode`?\n\
         a.ini:4: [akamai] URLS: repeated; it stands in line 3 already\n\
         a.ini:5: [akamai] zebra: unknown key; expected one of cpcode, urls"
    );
}

#[test]
fn durations() {
    assert_eq!(value::duration("120"), Ok(Duration::from_secs(120)));
    assert_eq!(value::duration("5m"), Ok(Duration::from_secs(300)));
    for bad in ["0", "-1", "soon", "1.5", "10ms", "99999999999999999999"] {
        assert!(value::duration(bad).is_err(), "{bad}");
    }
}

#[test]
fn sizes() {
    assert_eq!(value::size("0"), Ok(0));
    assert_eq!(value::size("65536"), Ok(65_536));
    assert_eq!(value::size("64K"), Ok(65_536));
    assert_eq!(value::size("64 k"), Ok(65_536));
    assert_eq!(value::size("100M"), Ok(104_857_600));
    assert_eq!(value::size("2g"), Ok(2_147_483_648));
    for bad in ["", "K", "-1", "1.5M", "64KB", "64KK", "many", "99999999999999999999", "17179869184G"] {
        assert!(value::size(bad).is_err(), "{bad}");
    }
}

#[test]
fn lists() {
    assert_eq!(value::cpcodes("[\"00000\", \"11111\"]"), Ok(vec![0, 11111]));
    assert_eq!(value::cpcodes("1209788"), Ok(vec![1_209_788]));
    let urls = value::list("\"https://a.example/?x=1,2\", https://b.example/").unwrap();
    assert_eq!(urls, ["https://a.example/?x=1,2", "https://b.example/"]);
    for bad in ["", "1,", "1,1", "01,1", "x", "[1", "1]", "-1", "\"1"] {
        assert!(value::cpcodes(bad).is_err(), "{bad}");
    }
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        value::labels("env=prod, team = \"cdn\""),
        Ok(vec![label("env", "prod"), label("team", "cdn")])
    );
    assert_eq!(value::labels("env=a=b"), Ok(vec![label("env", "a=b")]));
    for bad in ["env", "1a=b", "__a=b", "a=b,a=c", "a-b=c"] {
        assert!(value::labels(bad).is_err(), "{bad}");
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,8}"
}

proptest! {
    #[test]
    fn never_panics(bytes: Vec<u8>) {
        let mut problems = Problems::of(Path::new("a.ini"));
        parse(&bytes, &mut problems);
        let _ = problems.to_string();
    }

    #[test]
    fn values_never_panic(text in any::<String>()) {
        let _ = (value::duration(&text), value::boolean(&text), value::share(&text), value::list(&text));
        let _ = (value::cpcodes(&text), value::labels(&text), value::whole(&text, 1, 2), value::size(&text));
    }

    #[test]
    fn what_is_written_is_read(header in word(), entries in proptest::collection::vec((word(), word()), 0..8), crlf: bool) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut text = format!("[{header}]{end}");
        for (key, value) in &entries {
            text.push_str(&format!("{key} = {value}{end}"));
        }
        let (document, problems) = read(&text);
        prop_assert!(problems.is_empty(), "{}", problems);
        let read: Vec<_> = document.sections[1].entries.iter().map(|e| (e.key.clone(), e.value.clone())).collect();
        prop_assert_eq!(read, entries);
        prop_assert_eq!(&document.sections[1].header, &header);
    }
}
