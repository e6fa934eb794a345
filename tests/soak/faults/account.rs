//! What became of one disturbance: when the product noticed, what it said, when it was over it, how often it asked.
use crate::lab::{Ran, at, seconds};
use jiff::Timestamp;
use serde_json::Value;

pub struct Outcome {
    /// `seen by nobody`, `waited`, `retried`, `refused`, `never met`.
    pub how: &'static str,
    pub step: String,
    pub class: String,
    pub what: String,
    pub next: String,
    /// Lab seconds from the first bite.
    pub noticed_s: f64,
    pub recovered_s: f64,
    /// Lab seconds from the first bite to the last.
    pub lasted_s: f64,
    /// Requests that were disturbed, and all to that API meanwhile.
    pub disturbed: usize,
    pub requests: usize,
}

/// Of disturbance `number`; what was said after `before` belongs to the next one.
pub fn outcome(ran: &Ran, account: &[Value], number: usize, before: Option<Timestamp>) -> Outcome {
    let met: Vec<&Value> = account.iter().filter(|m| m["number"] == number).collect();
    let bites: Vec<Timestamp> = met.iter().filter(|m| m["disturbed"] == true).map(|m| at(m)).collect();
    let mut outcome = Outcome {
        how: "never met",
        step: String::new(),
        class: String::new(),
        what: String::new(),
        next: String::new(),
        noticed_s: 0.0,
        recovered_s: 0.0,
        lasted_s: 0.0,
        disturbed: bites.len(),
        requests: met.len(),
    };
    let (Some(first), Some(last)) = (bites.first().copied(), bites.last().copied()) else { return outcome };
    outcome.lasted_s = seconds(first, last);
    outcome.requests = met.iter().filter(|m| at(m) <= last).count();
    outcome.how = "unseen";
    let within = |r: &&Value| at(r) >= first && before.is_none_or(|before| at(r) < before);
    let failures: Vec<&Value> = ran.events(&["failed", "blocked"]).filter(within).collect();
    // A refusal says more than the retries before it.
    let telling = failures.iter().find(|r| r["event"] == "blocked").or(failures.first());
    if let Some(telling) = telling {
        let failure = &telling["failure"];
        let text = |key: &str| failure[key].as_str().unwrap_or_default().to_string();
        outcome.how = if telling["event"] == "blocked" { "refused" } else { "retried" };
        outcome.step = telling["step"].as_str().unwrap_or_default().to_string();
        (outcome.class, outcome.what, outcome.next) = (text("class"), text("what"), text("next"));
        outcome.noticed_s = seconds(first, at(failures[0]));
        // Over it: the last step that failed is heard of again, without a failure.
        let over = failures.iter().filter_map(|failed| {
            let same = |r: &&Value| r["step"] == failed["step"] && at(r) > at(failed);
            ran.events(&["absent", "intended", "waiting", "acted", "proven"]).find(same).map(at)
        });
        outcome.recovered_s = over.max().map_or(f64::NAN, |t| seconds(first, t));
        return outcome;
    }
    // A wait that tells of the trouble, not one of a step that it does not touch.
    let of_it = [
        "not answer",
        "not reach",
        "can't be read",
        "not ready",
        "makes no sense",
        "refused",
        "Connection",
        "answered",
        "too old",
    ];
    let told = |r: &&Value| {
        let seen = r["wait"]["seen"].as_str().unwrap_or_default();
        seconds(last, at(r)) < 5.0 && of_it.iter().any(|word| seen.contains(word))
    };
    if let Some(wait) = ran.events(&["waiting"]).filter(within).find(told) {
        outcome.how = "waited";
        outcome.step = wait["step"].as_str().unwrap_or_default().to_string();
        outcome.what = format!(
            "{}: {}",
            wait["wait"]["condition"].as_str().unwrap_or_default(),
            wait["wait"]["seen"].as_str().unwrap_or_default()
        );
        outcome.noticed_s = seconds(first, at(wait));
        let same = |r: &&Value| r["step"] == wait["step"] && at(r) > at(wait);
        let over = ran.events(&["waiting", "acted", "proven", "absent"]).find(same).map(at);
        outcome.recovered_s = over.map_or(f64::NAN, |t| seconds(first, t));
    }
    outcome
}

/// What must never be, whatever is disturbed.
pub fn defects(ran: &Ran) -> Vec<String> {
    let mut found = Vec::new();
    for record in ran.events(&["failed", "blocked"]) {
        let failure = &record["failure"];
        if failure["next"].as_str().unwrap_or_default().is_empty() {
            found.push(format!("no next action: {failure}"));
        }
        if failure["class"] == "broken" || failure["what"].to_string().contains("panic") {
            found.push(format!("{}: {failure}", record["step"]));
        }
    }
    if ran.told.contains("panicked") {
        found.push(ran.told.clone());
    }
    found
}
