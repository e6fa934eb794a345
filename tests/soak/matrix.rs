//! The exhaustive part: every point, every pair of points, every act twice.
use super::How;
use super::rig::Shape;
use super::rig::suffering::{Expected, Suffered, suffer, undisturbed};
use super::rig::twice::{self, Refusals};
use super::rig::worker::{Death, Request, Tail, day};
use super::table::Table;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn shape(how: &How) -> Shape {
    Shape { scenario: how.site, until: how.until, teardown: how.teardown, speed: how.speed }
}

/// Every point of one life, from this day on. Runs differ by some records; a point beyond the end of one is no point, and is
/// not counted.
fn points(expected: &Expected, from: u8) -> Vec<Death> {
    let first = expected.words.iter().position(|word| from == 0 || day(word).is_some_and(|day| day >= from));
    let first = first.unwrap_or(expected.words.len());
    let records = first + 1..=expected.words.len();
    let unsynced = records.clone().filter(|n| !expected.durable[n - 1]);
    let asked = if from == 0 { expected.asked_before } else { expected.asked.get(first).copied().unwrap_or_default() };
    let requests = asked..expected.requests.len();
    let mut points: Vec<Death> = Vec::new();
    points.extend(records.clone().map(|n| Death::Record(n, Tail::Whole)));
    points.extend(records.map(|n| Death::Record(n, Tail::Torn)));
    points.extend(unsynced.map(|n| Death::Record(n, Tail::Unsynced)));
    for request in [Request::Lost, Request::Done, Request::Late] {
        points.extend(requests.clone().map(|n| Death::Request(n, request)));
    }
    points
}

pub fn single(how: &How) -> usize {
    let expected = undisturbed(&shape(how));
    let cases: Vec<Vec<Death>> = points(&expected, how.from).into_iter().map(|d| vec![d]).collect();
    all(how, &expected, &cases)
}

/// Behind such a record something has changed, or is about to.
fn is_of_an_act(word: &str) -> bool {
    [" intended", " handle_kept", " acted"].iter().any(|event| word.ends_with(event))
}

pub fn pairs(how: &How, near: usize, every: bool) -> usize {
    let expected = undisturbed(&shape(how));
    let records = expected.words.len();
    let (before, asked) = (expected.asked_before, expected.requests.len() - expected.asked_before);
    let mut cases = Vec::new();
    for first in points(&expected, how.from) {
        // The requests come in the order of the records, nearly.
        let (record, request) = match &first {
            // A torn line is cut off by the session that goes on: for what comes then it is the whole one.
            Death::Record(_, Tail::Torn) if !every => continue,
            Death::Record(n, _) if !every && !is_of_an_act(&expected.words[n - 1]) => continue,
            Death::Record(n, _) => (n - 1, before + n * asked / records),
            Death::Request(n, _) => ((n - before) * records / asked, *n),
            Death::Never | Death::New(_) | Death::After(..) | Death::Fresh(..) | Death::Stop(_) => continue,
        };
        let mut second: Vec<Death> = if every {
            (1..=records.min(near)).map(|n| Death::Record(n, Tail::Whole)).collect()
        } else {
            let acts = expected.words[record..].iter().filter(|word| is_of_an_act(word)).take(near);
            let again = [2, 1 + record / 2].map(|n| Death::Record(n, Tail::Whole));
            acts.map(|word| Death::After(word.clone(), Tail::Whole)).chain(again).collect()
        };
        for n in (request..expected.requests.len() + 2).take(near) {
            second.extend([Request::Lost, Request::Done, Request::Late].map(|fate| Death::Request(n, fate)));
        }
        cases.extend(second.into_iter().map(|second| vec![first.clone(), second]));
    }
    all(how, &expected, &cases)
}

/// More deaths than a run has kinds of records or requests: the last worker lives.
const MORE_THAN_ENOUGH: usize = 400;

pub fn chain(how: &How) -> usize {
    let expected = undisturbed(&shape(how));
    let tails = [Tail::Whole, Tail::Torn, Tail::Unsynced];
    let fates = [Request::Done, Request::Lost, Request::Late];
    let records: Vec<Death> = (0..MORE_THAN_ENOUGH).map(|i| Death::Fresh(how.from, how.stride, tails[i % 3])).collect();
    let requests: Vec<Death> = (0..MORE_THAN_ENOUGH).map(|i| Death::New(fates[i % 3])).collect();
    let mut wrong = 0;
    for deaths in [records, requests] {
        let suffered = suffer(&shape(how), &deaths, &expected.standing, how.keep, |work| work);
        println!("{suffered:#?}\n{} deaths", suffered.points.len());
        wrong += usize::from(!suffered.wrong.is_empty());
    }
    wrong
}

pub fn case(how: &How, deaths: &[Death]) -> usize {
    let expected = undisturbed(&shape(how));
    let suffered = suffer(&shape(how), deaths, &expected.standing, how.keep, |work| work);
    println!("{suffered:#?}");
    usize::from(!suffered.wrong.is_empty())
}

pub fn twice(how: &How) -> usize {
    let expected = undisturbed(&shape(how));
    let refusals = Refusals::default();
    let mut suffered = suffer(&shape(how), &[], &expected.standing, how.keep, |work| twice::acts(work, &refusals));
    suffered.wrong.retain(|line| !twice::repeats(line));
    println!("{suffered:#?}\nrefused the second time: {:#?}", refusals.lock().unwrap());
    usize::from(!suffered.wrong.is_empty())
}

/// `day1 record Whole`, and of pairs the second one after it.
fn row(deaths: &[Death], suffered: &Suffered) -> String {
    let day = suffered.points.first().and_then(|point| day(point));
    let day = day.map_or("  ".to_string(), |day| format!("day {day} "));
    let kind = |death: &Death| {
        let text = death.to_string();
        let mut parts = text.split(':');
        format!("{} {}", parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default())
    };
    format!("{day}{}", deaths.iter().map(kind).collect::<Vec<_>>().join(", then "))
}

fn all(how: &How, expected: &Expected, cases: &[Vec<Death>]) -> usize {
    let (part, of) = how.shard;
    let mut mine: Vec<&Vec<Death>> = cases.iter().step_by(how.stride).skip(part - 1).step_by(of).collect();
    // In any order: a run that is broken off has seen some of everything.
    fastrand::Rng::with_seed(how.seed).shuffle(&mut mine);
    println!(
        "{} of {} cases; a run without a crash: {} records, {} requests",
        mine.len(),
        cases.len(),
        expected.words.len(),
        expected.requests.len()
    );
    let (next, done, table) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Table::default()));
    let began = Instant::now();
    let over = || how.minutes.is_some_and(|m| began.elapsed() > Duration::from_secs(60 * m));
    std::thread::scope(|scope| {
        for _ in 0..how.jobs {
            scope.spawn(|| {
                while let Some(deaths) = mine.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !over()) {
                    let suffered = suffer(&shape(how), deaths, &expected.standing, how.keep, |work| work);
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    if done.is_multiple_of(100) {
                        println!("{done} done after {:.0} s", began.elapsed().as_secs_f64());
                    }
                    if suffered.is_whole(deaths) || !suffered.wrong.is_empty() {
                        report(how, deaths, &suffered);
                        let mut table = table.lock().unwrap();
                        table.add(
                            &row(deaths, &suffered),
                            !suffered.wrong.is_empty(),
                            [suffered.caught_up, suffered.lasted.saturating_sub(expected.lasted)],
                        );
                    }
                }
            });
        }
    });
    let mut table = table.into_inner().unwrap();
    table.print();
    println!(
        "{:.0} s on the wall; a run without a crash lasts {:.0} lab s",
        began.elapsed().as_secs_f64(),
        expected.lasted.as_secs_f64()
    );
    table.wrong()
}

fn report(how: &How, deaths: &[Death], suffered: &Suffered) {
    if suffered.wrong.is_empty() {
        return;
    }
    let again: Vec<String> = deaths.iter().map(ToString::to_string).collect();
    println!("\nWRONG {}\n  killed: {}", again.join(" "), suffered.points.join(", then "));
    suffered.wrong.iter().for_each(|w| println!("  {}", w.replace('\n', "\n  ")));
    let teardown = if how.teardown { " --teardown" } else { "" };
    let (again, How { site, until, speed, .. }) = (again.join(" "), how);
    println!("  again: tests/soak/run case {again} --site {site} --until {until} --speed {speed}{teardown}");
    if let Some(kept) = &suffered.kept {
        println!("  kept: {}", kept.display());
    }
}
