use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;

use super::*;
use crate::model::{LabelValue, Origin, Row, Sheet};

fn now() -> DateTime<Utc> {
    "2026-11-20T10:00:00Z".parse().unwrap()
}

/// A parcel of so many rows of two values.
fn parcel(number: i64, rows: u32) -> Parcel {
    let row = |n: u32| Row {
        labels: vec!["1209788".into(), LabelValue::from(format!("host-{n}.example é\n"))],
        values: vec![f64::from(n) + number as f64, 9_007_199_254_740_992.0],
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Parcel {
        account: "default".to_owned(),
        source: "amd".to_owned(),
        time: now() + TimeDelta::milliseconds(300_000 * number + 1),
        origin: Origin::ALL[number as usize % 4],
        names: vec![("1209788".into(), "Video, main site".into())],
        sheets: vec![Sheet {
            labels: names(&["cpcode", "hostname"]),
            metrics: names(&["akamai_traffic_edge_hits_total", "akamai_traffic_edge_bytes_total"]),
            rows: (0..rows).map(row).collect(),
        }],
    }
}

fn store(directory: &TempDir) -> Arc<Store> {
    Arc::new(Store::open(directory.path(), now()).unwrap())
}

fn readers() -> Vec<String> {
    vec!["fast".to_owned(), "slow".to_owned()]
}

/// Each kind of spool, with room for `most` bytes.
fn both(most: u64, check: impl Fn(&Spool)) {
    let directory = tempfile::tempdir().unwrap();
    check(&Spool::in_memory(most, &readers()));
    check(&Spool::in_store(store(&directory), most, &readers()).unwrap());
}

/// How many samples before were lost, the parcels that wait, and where the last one ends.
fn read(spool: &Spool, reader: &str) -> (u64, Vec<Parcel>, Option<Place>) {
    let portion = spool.read(reader, usize::MAX).unwrap();
    assert_eq!(portion.lost, 0, "all can be read");
    let last = portion.parcels.last().map(|(place, _)| *place);
    let lost = spool.removed(reader) - spool.done(reader);
    (lost, portion.parcels.into_iter().map(|(_, parcel)| parcel).collect(), last)
}

#[test]
fn parcels_come_back_as_they_were() {
    let mut odd = parcel(1, 3);
    odd.sheets[0].rows[1].values = vec![0.5, -1.0];
    let empty_labels = Sheet {
        labels: Vec::new(),
        metrics: vec!["up".to_owned()],
        rows: vec![Row { labels: Vec::new(), values: vec![1e300] }],
    };
    odd.sheets.push(empty_labels);
    odd.sheets.push(Sheet { labels: Vec::new(), metrics: Vec::new(), rows: Vec::new() });
    for parcel in [parcel(0, 1000), odd] {
        assert_eq!(wire::decode(&wire::encode(&parcel)), Some(parcel));
    }
    let bytes = wire::encode(&parcel(0, 10));
    assert!((0..bytes.len()).all(|cut| wire::decode(&bytes[..cut]).is_none()), "a part is nothing");
}

#[test]
fn each_reader_goes_at_its_own_pace() {
    both(1 << 20, |spool| {
        spool.append(&[parcel(0, 2), parcel(1, 3)]).unwrap();
        let (lost, first, last) = read(spool, "fast");
        assert_eq!((lost, &first), (0, &vec![parcel(0, 2), parcel(1, 3)]));
        spool.advance("fast", last.unwrap()).unwrap();
        spool.append(&[parcel(2, 1)]).unwrap();
        assert_eq!(read(spool, "fast").1, [parcel(2, 1)]);
        assert_eq!((spool.waiting("fast"), spool.waiting("slow")), (2, 12));
        assert_eq!(read(spool, "slow").1.len(), 3);
        let portion = spool.read("slow", 1).unwrap();
        assert_eq!(portion.parcels.len(), 1, "one at least");
        spool.advance("slow", portion.parcels[0].0).unwrap();
        assert_eq!(read(spool, "slow").1, [parcel(1, 3), parcel(2, 1)]);
        let before = spool.fill().0;
        spool.advance("slow", read(spool, "slow").2.unwrap()).unwrap();
        assert!(spool.fill().0 < before, "what both have read is gone");
    });
}

#[test]
fn the_oldest_are_lost_when_there_is_no_room() {
    let length = wire::encode(&parcel(0, 50)).len() as u64;
    both(length * 7 / 2, |spool| {
        for number in 0..5 {
            spool.append(&[parcel(number, 50)]).unwrap();
        }
        let (lost, kept, last) = read(spool, "slow");
        assert_eq!((lost, kept), (200, vec![parcel(2, 50), parcel(3, 50), parcel(4, 50)]));
        spool.advance("slow", last.unwrap()).unwrap();
        assert_eq!(read(spool, "slow").0, 0, "told once");
        spool.append(&[parcel(5, 50)]).unwrap();
        assert_eq!(read(spool, "slow").1, [parcel(5, 50)]);
        // One that is larger than all there may be is lost as well, and that is told.
        spool.append(&[parcel(6, 500)]).unwrap();
        let (lost, kept, _) = read(spool, "slow");
        assert_eq!((lost, kept.len()), (1100, 0));
        assert_eq!(spool.waiting("slow"), 0);
        spool.append(&[parcel(7, 1)]).unwrap();
        assert_eq!(read(spool, "slow").1, [parcel(7, 1)]);
    });
}

#[test]
fn a_restart_goes_on_where_each_was() {
    let directory = tempfile::tempdir().unwrap();
    let spool = Spool::in_store(store(&directory), 1 << 20, &readers()).unwrap();
    spool.append(&[parcel(0, 1), parcel(1, 1)]).unwrap();
    let portion = spool.read("fast", usize::MAX).unwrap();
    spool.advance("fast", portion.parcels[0].0).unwrap();
    drop(spool);
    let names = [readers(), vec!["new".to_owned()]].concat();
    let spool = Spool::in_store(store(&directory), 1 << 20, &names).unwrap();
    assert_eq!(read(&spool, "fast").1, [parcel(1, 1)]);
    assert_eq!(read(&spool, "slow").1, [parcel(0, 1), parcel(1, 1)]);
    assert_eq!(read(&spool, "new").1, [], "it begins now");
    drop(spool);
    // Who is not there any more holds nothing back, and begins anew if he comes again.
    let spool = Spool::in_store(store(&directory), 1 << 20, &names[..1]).unwrap();
    spool.append(&[parcel(2, 1)]).unwrap();
    spool.advance("fast", read(&spool, "fast").2.unwrap()).unwrap();
    assert_eq!(spool.fill().0, 0);
    drop(spool);
    let spool = Spool::in_store(store(&directory), 1 << 20, &readers()).unwrap();
    assert_eq!((read(&spool, "slow"), spool.waiting("slow")), ((0, Vec::new(), None), 0));
}

#[test]
fn what_comes_while_a_reader_reads_is_not_lost() {
    both(1 << 30, |spool| {
        let (parcels, mut read_so_far) = (400, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..parcels).for_each(|number| spool.append(&[parcel(number, 1)]).unwrap()));
            while read_so_far < parcels {
                let portion = spool.read("fast", 1000).unwrap();
                for (place, found) in portion.parcels {
                    assert_eq!(found, parcel(read_so_far, 1));
                    read_so_far += 1;
                    spool.advance("fast", place).unwrap();
                }
                assert_eq!(spool.removed("fast"), spool.done("fast"), "nothing is lost");
            }
        });
        assert_eq!(spool.waiting("fast"), 0);
    });
}

#[test]
fn a_reader_is_woken() {
    both(1 << 20, |spool| {
        let mut ear = spool.subscribe();
        ear.mark_unchanged();
        spool.append(&[parcel(0, 1)]).unwrap();
        assert!(ear.has_changed().unwrap());
    });
}
