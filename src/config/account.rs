//! `[akamai]`: an account, its credentials and its manners.

use std::sync::Arc;
use std::time::Duration;

use super::{AccountConfig, reader};
use crate::akamai::credentials::{CredentialStore, Environment};
use crate::akamai::{Manners, SwitchKey};
use crate::ini::{Key, Problems, Reader, Section, value};

pub(super) static KEYS: [Key; 9] = [
    Key { name: "edgerclocation", default: "~/.edgerc" },
    Key { name: "edgerc_section", default: "default" },
    Key { name: "accountSwitchKey", default: "account_key of the .edgerc section, if it has one" },
    Key { name: "rate_limit_share", default: "0.7" },
    Key { name: "request_timeout", default: "45s" },
    Key { name: "retry_pause", default: "30s" },
    Key { name: "block_pause", default: "10m" },
    Key { name: "cpcode", default: "none" },
    Key { name: "deliverynetwork", default: "STANDARD_TLS, ENHANCED_TLS" },
];

pub(super) fn read(
    name: &str,
    section: &Section,
    environment: &Environment,
    warnings: &mut Vec<String>,
    problems: &mut Problems,
) -> Option<AccountConfig> {
    let mut section = reader(section, &KEYS, problems);
    let location = section.get("edgerclocation", |text| Ok(text.to_owned()));
    let edgerc_section = section.get("edgerc_section", |text| Ok(text.to_owned()));
    let switch_key = section.get_unless_empty("accountSwitchKey", switch_key).unwrap_or_default();
    let manners = manners(&mut section);
    if section.has("deliverynetwork") && !section.has("cpcode") {
        section
            .complain("deliverynetwork", "says how to poll cpcode, and there is no cpcode in this section");
    }
    let path = environment.expand(location.as_deref().unwrap_or("~/.edgerc"));
    let edgerc_section = edgerc_section.as_deref().unwrap_or("default");
    match CredentialStore::open(environment, &path, edgerc_section) {
        Ok((credentials, more)) => {
            warnings.extend(more.into_iter().map(|warning| format!("account {name}: {warning}")));
            let credentials = Arc::new(credentials);
            Some(AccountConfig { name: name.to_owned(), credentials, switch_key, manners })
        }
        Err(message) => {
            let is_section = section.has("edgerc_section") && message.contains("has no section");
            section.complain(if is_section { "edgerc_section" } else { "edgerclocation" }, message);
            None
        }
    }
}

fn manners(section: &mut Reader<'_>) -> Manners {
    let mut duration =
        |key, default| section.get(key, value::duration).unwrap_or(Duration::from_secs(default));
    let (timeout, retry_pause, block_pause) =
        (duration("request_timeout", 45), duration("retry_pause", 30), duration("block_pause", 600));
    let share = section.get("rate_limit_share", value::share).unwrap_or(0.7);
    Manners { share, timeout, retry_pause, block_pause }
}

/// As Akamai's own tools have it, `none` clears the key that stands beside the credentials.
fn switch_key(text: &str) -> Result<SwitchKey, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(SwitchKey::Cleared);
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-:_".contains(&byte)) {
        return Err("is no account switch key; expected one such as 1-5C0YLB:1-8BYUX, or none".to_owned());
    }
    Ok(SwitchKey::Given(text.to_owned()))
}
