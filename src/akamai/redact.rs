//! Takes a secret out of a text, however the text spells it: an answer may quote a request within JSON, a URL or a page, and the
//! firewall's page writes nearly every sign of a URL as a number.

/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";

/// The ways to write the `%` that begins a sign in a URL.
const PERCENT: [&str; 5] = ["%25", "%", "&#37;", "&#x25;", "\\u0025"];

/// The text without the secret.
pub(super) fn without(text: &str, secret: &str) -> String {
    let Some(first) = secret.chars().next() else {
        return text.to_owned();
    };
    let (mut clean, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find([first, '\\', '&', '%']) {
        let (before, from) = rest.split_at(at);
        clean.push_str(before);
        let as_it_is = || from.strip_prefix(secret);
        rest = if let Some(behind) = as_it_is().or_else(|| secret.chars().try_fold(from, behind)) {
            clean.push_str(REDACTED);
            behind
        } else {
            let next = from.chars().next().map_or(0, char::len_utf8);
            clean.push_str(&from[..next]);
            &from[next..]
        };
    }
    clean + rest
}

/// What stands behind the character that the text begins with, if it is `c` in any spelling.
fn behind(text: &str, c: char) -> Option<&str> {
    let code = u32::from(c);
    let in_json = || {
        let escaped = text.strip_prefix('\\')?;
        escaped.strip_prefix(c).or_else(|| number(escaped.strip_prefix('u')?, 4, 16, code))
    };
    let in_html = || {
        let reference = text.strip_prefix("&#")?;
        let (digits, radix) = match reference.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16),
            None => (reference, 10),
        };
        number(digits, digits.find(';').filter(|length| *length <= 7)?, radix, code)?.strip_prefix(';')
    };
    let in_url = || PERCENT.iter().find_map(|sign| number(text.strip_prefix(sign)?, 2, 16, code));
    in_url().or_else(in_json).or_else(in_html).or_else(|| text.strip_prefix(c))
}

/// What stands behind so many digits, if they are this number.
fn number(text: &str, length: usize, radix: u32, expected: u32) -> Option<&str> {
    let (digits, rest) = text.split_at_checked(length)?;
    (u32::from_str_radix(digits, radix) == Ok(expected)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;

    use super::*;

    const SECRET: &str = "1-7Q/9=KW:1%M";

    #[track_caller]
    fn check(spelled: &str) {
        let text = format!("before 1-7Q {spelled}{spelled} & behind");
        assert_eq!(without(&text, SECRET), "before 1-7Q [redacted][redacted] & behind");
    }

    #[test]
    fn every_spelling() {
        check(SECRET);
        check("1-7Q%2F9%3DKW%3A1%25M");
        check("1-7Q%2f9%3dKW%3a1%25M");
        check("1-7Q%252F9%253DKW%253A1%2525M");
        check(r"1-7Q\/9\u003dKW\u003A1\u0025M");
        check("1&#45;7Q&#47;9&#61;KW&#58;1&#37;M");
        check("1&#x2d;7Q&#x2F;9&#x3D;KW&#X3a;1&#x25;M");
        check("1&#45;7Q&#37;2F9&#37;3DKW&#37;3A1&#37;25M");
        check("%31%2D%37%51%2F%39%3D%4B%57%3A%31%25%4D");
    }

    #[test]
    fn nothing_else_is_taken_out() {
        for text in
            ["", "1-7Q/9=KW:1%", "1-7Q%2F9%3DKW%3A1%2", "&#", "&#45", "&#x;", "\\", "\\u", "%", "%é", "ü"]
        {
            assert_eq!(without(text, SECRET), text);
        }
        assert_eq!(without("text", ""), "text");
        assert_eq!(without("11-7Q/9=KW:1%M1", SECRET), "1[redacted]1");
    }

    proptest! {
        #[test]
        fn a_text_without_the_secret_stays_as_it_is(text: String) {
            assert_eq!(without(&text, "no text has this"), text);
        }

        #[test]
        fn any_secret_is_found(before: String, secret in "[!-~]{6,20}", behind: String) {
            assert!(!without(&format!("{before}{secret}{behind}"), &secret).contains(&secret));
        }
    }
}
