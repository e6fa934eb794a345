//! The whole matrix, printed as a table.
use crate::account::{Outcome, defects, outcome};
use crate::kinds::{self, Fault, Place};
use crate::lab::{Lab, at};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Requests in a second of the lab, of all steps together, above which it is a busy loop.
const BUSY: f64 = 12.0;
const AT_ONCE: usize = 2;

struct Job {
    api: &'static str,
    kind: &'static str,
    until: &'static str,
    /// Name of the place, and the disturbance there.
    places: Vec<(&'static str, String)>,
}

fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for api in kinds::all() {
        let yaml =
            |fault: &Fault, place: &Place| format!("api: {}, {}, match: '{}'", api.name, fault.yaml, place.found);
        let job = |kind, places| Job { api: api.name, kind, until: api.until, places };
        for fault in &api.faults {
            jobs.push(job(fault.kind, api.places.iter().map(|p| (p.place, yaml(fault, p))).collect()));
        }
        let mut special: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
        for (fault, place) in &api.special {
            special.entry(fault.kind).or_default().push((place.place, yaml(fault, place)));
        }
        jobs.extend(special.into_iter().map(|(kind, places)| job(kind, places)));
    }
    jobs
}

/// Rows of the table, and what is wrong.
fn perform(job: &Job) -> (Vec<String>, Vec<String>) {
    let yaml: Vec<String> = job.places.iter().map(|(_, yaml)| yaml.clone()).collect();
    let lab = Lab::disturbed(&yaml);
    let ran = lab.run(job.until);
    let account = lab.account();
    let name = format!("{} {}", job.api, job.kind);
    let mut wrong: Vec<String> = defects(&ran).into_iter().map(|d| format!("{name}: {d}")).collect();
    if let Err(why) = ran.proven() {
        wrong.push(format!("{name}: {why}"));
    } else {
        // Asked again without any disturbance, everything that was proven holds.
        let again = lab.run(job.until);
        wrong.extend(again.proven().err().map(|why| format!("{name}, asked again: {why}")));
        wrong.extend(again.events(&["drifted", "intended"]).map(|r| format!("{name}, wrong green: {r}")));
    }
    let begins = |number: usize| -> Option<Timestamp> {
        account.iter().find(|m| m["number"] == number && m["disturbed"] == true).map(at)
    };
    let starts: Vec<Option<Timestamp>> = (0..job.places.len()).map(begins).collect();
    let mut rows = Vec::new();
    for (number, (place, _)) in job.places.iter().enumerate() {
        let next = starts.iter().flatten().filter(|s| starts[number].is_some_and(|own| **s > own)).min().copied();
        let outcome = outcome(&ran, &account, number, next);
        if outcome.how == "never met" {
            wrong.push(format!("{name}, {place}: never met"));
        }
        let rate = outcome.requests as f64 / outcome.lasted_s.max(1.0);
        if rate > BUSY && outcome.requests > 30 {
            wrong.push(format!(
                "{name}, {place}: {} requests in {:.0} s of the lab",
                outcome.requests, outcome.lasted_s
            ));
        }
        rows.push(row(job, place, &outcome));
    }
    rows.push(format!("  ({name}: {:.0} s on the wall)", ran.wall.as_secs_f64()));
    (rows, wrong)
}

fn row(job: &Job, place: &str, o: &Outcome) -> String {
    let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    let next = if o.next.is_empty() { String::new() } else { format!(" | next: {}", cut(&o.next, 90)) };
    format!(
        "{:<10} {:<22} {:<19} {:<8} {:<9} {:>7.1} {:>7.1} {:>4} {:>4}  {} {}{next}",
        job.api,
        job.kind,
        place,
        o.how,
        o.class,
        o.noticed_s,
        o.recovered_s,
        o.disturbed,
        o.requests,
        o.step,
        cut(&o.what, 170),
    )
}

#[test]
#[ignore = "takes half an hour: tests/soak/faults-run"]
fn every_fault_of_every_api_is_recovered_from_or_refused_with_the_next_action() {
    let wanted = std::env::var("FAULTS").unwrap_or_default();
    let jobs: Vec<Job> = jobs().into_iter().filter(|j| format!("{}/{}", j.api, j.kind).contains(&wanted)).collect();
    println!(
        "{:<10} {:<22} {:<19} {:<8} {:<9} {:>7} {:>7} {:>4} {:>4}  step, what was said",
        "api", "kind", "place", "outcome", "class", "seen s", "over s", "hit", "asks"
    );
    let queue = Mutex::new(jobs.iter());
    let wrong = Mutex::new(Vec::new());
    let counts: Mutex<BTreeMap<String, usize>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(job) = queue.lock().unwrap().next() else { return };
                    let (rows, found) = perform(job);
                    println!("{}", rows.join("\n"));
                    found.iter().for_each(|w| println!("  WRONG {}", w.chars().take(600).collect::<String>()));
                    let mut counts = counts.lock().unwrap();
                    for row in &rows {
                        let how = ["unseen", "waited", "retried", "refused", "never met"]
                            .into_iter()
                            .find(|h| row.contains(h));
                        *counts.entry(format!("{} {}", job.api, how.unwrap_or("runs"))).or_default() += 1;
                    }
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    println!("\ncounts: {:?}", counts.into_inner().unwrap());
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
