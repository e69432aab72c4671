use std::collections::BTreeMap;

use super::{Cell, Dimension, Question, Row, Sums, WINDOW};

/// A busy evening: 2026-11-20T18:00:00Z.
const EVENING: i64 = 1_795_197_600;

const ALL: [Dimension; 15] = [
    Dimension::Time5Minutes,
    Dimension::Time1Hour,
    Dimension::Time1Day,
    Dimension::CpCode,
    Dimension::Hostname,
    Dimension::ResponseCode,
    Dimension::ResponseClass,
    Dimension::ResponseStatus,
    Dimension::HttpMethod,
    Dimension::DeliveryType,
    Dimension::Cacheability,
    Dimension::IpVersion,
    Dimension::HttpProtocol,
    Dimension::ArlId,
    Dimension::ContentType,
];

fn rows(cpcodes: &[u64], dimensions: &[Dimension], windows: i64, as_of: Option<i64>) -> Vec<Row> {
    Question {
        seed: 1,
        cpcodes,
        start: EVENING,
        end: EVENING + windows * WINDOW,
        as_of,
        dimensions,
        filtered: &[],
        keep: &|_, _| true,
    }
    .rows()
}

/// The same rows as if only the dimensions at some positions had been asked for.
fn project(rows: &[Row], positions: &[usize]) -> BTreeMap<Vec<Cell>, Sums> {
    let mut projected: BTreeMap<Vec<Cell>, Sums> = BTreeMap::new();
    for row in rows {
        let cells = positions.iter().map(|&position| row.cells[position].clone()).collect();
        projected.entry(cells).or_default().add(&row.sums);
    }
    projected
}

fn all(rows: &[Row], dimensions: usize) -> BTreeMap<Vec<Cell>, Sums> {
    project(rows, &(0..dimensions).collect::<Vec<_>>())
}

/// Hits of each window of one CP code at a time; 0 for one that is absent.
fn seen(cpcode: u64, windows: i64, as_of: Option<i64>) -> BTreeMap<i64, u64> {
    let mut seen: BTreeMap<i64, u64> = (0..windows).map(|window| (EVENING + window * WINDOW, 0)).collect();
    for row in rows(&[cpcode], &[Dimension::Time5Minutes], windows, as_of) {
        let Cell::Number(time) = row.cells[0] else { panic!("{row:?}") };
        seen.insert(time as i64, row.sums.edge.hits);
    }
    seen
}

#[test]
fn every_pair_of_dimensions_adds_up_to_each_of_them_and_to_the_whole() {
    for cpcodes in [&[1_209_788, 100_002][..], &[100_003]] {
        let single: Vec<_> = ALL.iter().map(|&d| all(&rows(cpcodes, &[d], 3, None), 1)).collect();
        let whole = rows(cpcodes, &[], 3, None);
        assert_eq!(whole.len(), 1);
        for (one, &first) in ALL.iter().enumerate() {
            assert_eq!(single[one].values().fold(Sums::default(), add), whole[0].sums, "{first:?}");
            for (other, &second) in ALL.iter().enumerate().skip(one + 1) {
                let both = rows(cpcodes, &[first, second], 3, None);
                assert_eq!(project(&both, &[0]), single[one], "{first:?} {second:?}");
                assert_eq!(project(&both, &[1]), single[other], "{first:?} {second:?}");
            }
        }
    }
}

fn add(mut sum: Sums, other: &Sums) -> Sums {
    sum.add(other);
    sum
}

#[test]
fn four_dimensions_add_up_to_any_of_them_old_or_young() {
    for as_of in [None, Some(EVENING + WINDOW + 20 * 60)] {
        for first in 3..ALL.len() {
            let four = [1, 4, 6, 9].map(|step| ALL[3 + (first - 3 + step) % 12]);
            let asked = rows(&[100_001], &four, 1, as_of);
            for two in [[0, 1], [1, 3], [2, 0]] {
                let expected = all(&rows(&[100_001], &two.map(|place| four[place]), 1, as_of), 2);
                assert_eq!(project(&asked, &two), expected, "{four:?} {two:?}");
            }
        }
    }
}

#[test]
fn a_filter_leaves_what_the_dimension_would_show() {
    let dimensions = [Dimension::HttpProtocol, Dimension::Hostname, Dimension::ResponseClass];
    let grouped = rows(&[100_001, 100_004], &dimensions, 2, None);
    let wanted = Cell::Text("http2".into());
    let filtered = Question {
        seed: 1,
        cpcodes: &[100_001, 100_004],
        start: EVENING,
        end: EVENING + 2 * WINDOW,
        as_of: None,
        dimensions: &[Dimension::Hostname, Dimension::ResponseClass],
        filtered: &[Dimension::HttpProtocol, Dimension::ResponseStatus],
        keep: &|dimension, cell| match dimension {
            Dimension::HttpProtocol => *cell == wanted,
            _ => *cell == Cell::Text("error".into()),
        },
    };
    let errors = ["0xx", "4xx", "5xx"].map(|class| Cell::Text(class.into()));
    let expected: Vec<Row> =
        grouped.into_iter().filter(|row| row.cells[0] == wanted && errors.contains(&row.cells[2])).collect();
    assert!(expected.len() > 6);
    assert_eq!(all(&filtered.rows(), 2), project(&expected, &[1, 2]));
}

#[test]
fn no_tier_has_more_than_the_one_before_it_and_shares_are_plausible() {
    let protocols = rows(&[100_001], &[Dimension::HttpProtocol, Dimension::ResponseCode], 12, None);
    assert!(protocols.iter().all(|row| {
        let Sums { edge, midgress, origin } = row.sums;
        edge.hits > 0 && midgress.hits <= edge.hits && origin.hits <= midgress.hits
    }));
    let of = project(&protocols, &[0]);
    let hits = |name: &str| of[&vec![Cell::Text(name.into())]].edge.hits as f64;
    let total: f64 = of.values().map(|sums| sums.edge.hits as f64).sum();
    assert!((hits("http2") / total - 0.5).abs() < 0.05 && (hits("http1.1") / total - 0.125).abs() < 0.05);
}

#[test]
fn a_site_that_sleeps_has_no_rows() {
    let midnight = EVENING + 6 * 3_600;
    let question = Question {
        seed: 1,
        cpcodes: &[100_004],
        start: midnight,
        end: midnight + 12 * WINDOW,
        as_of: None,
        dimensions: &[Dimension::Time5Minutes, Dimension::ResponseCode],
        filtered: &[],
        keep: &|_, _| true,
    };
    assert_eq!(question.rows(), []);
}

#[test]
fn a_report_grows_is_added_to_and_corrected_and_then_stays() {
    let windows = 12;
    let (mut whole, mut nearly, mut lagging, mut late, mut added, mut high) = (0, 0, 0, 0, 0, 0);
    for cpcode in 100_001..100_101 {
        let last = seen(cpcode, windows, None);
        let share = |window: i64, minutes: i64| {
            let now = window + WINDOW + minutes * 60;
            let hits = seen(cpcode, windows, Some(now))[&window];
            (last[&window] > 1_000).then(|| hits as f64 / last[&window] as f64)
        };
        let window = EVENING + (cpcode as i64 % windows) * WINDOW;
        let shares: Vec<f64> = (0..60).filter_map(|minutes| share(window, minutes)).collect();
        if shares.is_empty() {
            continue;
        }
        assert!(shares[..9].iter().all(|&share| share == 0.0), "{cpcode}");
        assert!(shares.iter().all(|&share| share <= 1.04), "{cpcode}");
        assert!(shares[50..].iter().all(|&share| share == 1.0), "{cpcode}");
        whole += 1;
        nearly += i32::from(shares[12] >= 0.9);
        lagging += i32::from(shares[12] > 0.0 && shares[12] < 0.9);
        late += i32::from(shares[22] == 0.0);
        added += i32::from(shares[20] > 0.0 && shares[20] < 1.0);
        high += i32::from(shares.windows(2).any(|pair| pair[0] > pair[1]));
    }
    assert!(whole > 50 && nearly > whole / 2, "{whole} {nearly}");
    let rare = (lagging, late, added, high);
    assert!(lagging > 0 && late > 0 && added > 3 && high > 3 && added < whole / 2, "{rare:?} of {whole}");
}

#[test]
fn windows_are_counted_by_their_starts_and_twice_alike() {
    let ask = |start: i64, end: i64| {
        let question = Question {
            seed: 1,
            cpcodes: &[1_209_788],
            start,
            end,
            as_of: None,
            dimensions: &[Dimension::Time5Minutes],
            filtered: &[],
            keep: &|_, _| true,
        };
        question.rows()
    };
    assert_eq!(ask(EVENING, EVENING + WINDOW), ask(EVENING - 299, EVENING + 1));
    assert_eq!(ask(EVENING + 1, EVENING + WINDOW), []);
    let hours = rows(&[1_209_788], &[Dimension::Time1Hour], 24, None);
    assert_eq!(
        hours.iter().map(|row| row.cells[0].clone()).collect::<Vec<_>>(),
        [Cell::Number(EVENING as u64), Cell::Number(EVENING as u64 + 3_600)]
    );
}
