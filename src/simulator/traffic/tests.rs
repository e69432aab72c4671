use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};

use super::{Character, Network, Site, Tier};

fn at(hour: u32, minute: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 20, hour, minute, 0).unwrap()
}

fn total(sample: &[(u16, u64)]) -> u64 {
    sample.iter().map(|&(_, hits)| hits).sum()
}

#[test]
fn the_same_seed_tells_the_same_story_and_another_seed_another() {
    let sample =
        |seed| Site::of_cpcode(seed, 1_209_788).sample(Network::Standard, Tier::Edge, at(9, 0), 9, None);
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
}

#[test]
fn samples_change_with_time_and_between_tiers() {
    let site = Site::of_cpcode(1, 1_209_788);
    let sample = |tier, at| site.sample(Network::Standard, tier, at, 9, None);
    assert_ne!(sample(Tier::Edge, at(9, 0)), sample(Tier::Edge, at(9, 1)));
    let (edge, origin) = (total(&sample(Tier::Edge, at(20, 0))), total(&sample(Tier::Origin, at(20, 0))));
    assert!(edge > 4_000 && origin > 50 && origin < edge / 2, "{edge} {origin}");
}

#[test]
fn evenings_are_busy_and_nights_are_not() {
    for cpcode in [1_209_788, 100_001, 100_002, 100_003] {
        let site = Site::of_cpcode(1, cpcode);
        let (evening, night) = (site.curve(at(20, 0)), site.curve(at(6, 0)));
        assert!(evening > 0.7 && evening <= 1.0, "{cpcode}: {evening}");
        assert!(night < 0.6 * evening && night > 0.05, "{cpcode}: {night} of {evening}");
    }
}

#[test]
fn the_sleeper_sleeps() {
    let site = Site::of_cpcode(1, 100_004);
    assert_eq!(site.character, Character::Sleeper);
    for tier in [Tier::Edge, Tier::Origin] {
        assert_eq!(site.sample(Network::Enhanced, tier, at(3, 0), 9, None), []);
        assert!(total(&site.sample(Network::Enhanced, tier, at(12, 0), 9, None)) > 10);
    }
    assert_eq!(site.sample(Network::Standard, Tier::Edge, at(12, 0), 9, None), []);
}

#[test]
fn a_busy_site_shows_many_status_codes() {
    let site = Site::of_cpcode(1, 100_001);
    for tier in [Tier::Edge, Tier::Origin] {
        let mut seen = BTreeSet::new();
        for minute in 0..60 {
            let sample = site.sample(Network::Standard, tier, at(20, minute), 9, None);
            seen.extend(sample.iter().map(|&(status, _)| status));
        }
        assert!((20..=45).contains(&seen.len()), "{tier:?}: {seen:?}");
    }
    let one = site.sample(Network::Standard, Tier::Edge, at(20, 0), 9, None);
    assert!((15..=45).contains(&one.len()), "{one:?}");
}

#[test]
fn shares_add_up_and_errors_can_be_forced() {
    for cpcode in 100_001..100_050 {
        let site = Site::of_cpcode(1, cpcode);
        for forced in [None, Some(0.3)] {
            let mix = site.mix(Tier::Edge, at(12, 0), forced);
            let sum: f64 = mix.iter().map(|&(_, share)| share).sum();
            assert!((sum - 1.0).abs() < 1e-9);
            let errors: f64 = mix.iter().filter(|(status, _)| *status >= 500).map(|&(_, share)| share).sum();
            assert!(forced.is_none_or(|forced| (forced - errors).abs() < 1e-9), "{errors}");
        }
    }
}

#[test]
fn bursts_are_rare_last_minutes_and_are_a_habit_of_the_troubled() {
    let minutes = |cpcode: u64| -> Vec<bool> {
        let site = Site::of_cpcode(1, cpcode);
        (0..7 * 1_440).map(|minute| site.burst(at(0, 0) + TimeDelta::minutes(minute)) > 0.0).collect()
    };
    let share = |cpcode| minutes(cpcode).iter().filter(|&&burst| burst).count() as f64 / (7.0 * 1_440.0);
    assert!((0.01..0.10).contains(&share(100_003)), "{}", share(100_003));
    assert!(share(1_209_788) < 0.02, "{}", share(1_209_788));
    let troubled = minutes(100_003);
    let lengths: Vec<usize> =
        troubled.chunk_by(|a, b| a == b).filter(|run| run[0]).map(<[bool]>::len).collect();
    assert!(lengths.iter().all(|length| (2..=13).contains(length)), "{lengths:?}");
}

#[test]
fn sites_differ_in_size_and_network() {
    let sites: Vec<Site> = (100_001..104_000).map(|cpcode| Site::of_cpcode(1, cpcode)).collect();
    assert!(sites.iter().any(|site| site.peak < 1.0) && sites.iter().any(|site| site.peak > 5_000.0));
    let both =
        sites.iter().filter(|site| Network::ALL.iter().all(|&network| site.share(network) > 0.0)).count();
    assert!((800..1_600).contains(&both), "{both}");
    let main = Site::of_cpcode(1, 1_209_788);
    assert!(main.share(Network::Standard) > main.share(Network::Enhanced));
    assert!(main.share(Network::Enhanced) > 0.0);
}
