//! The troubles of a run and its site in words, the worst first: what a person should know before anything else.
use super::machines::Machine;
use super::{Grade, Moment, nodes, time_of_day};
use crate::base::clock::between;
use crate::engine::standing::{Standing, late, standing};
use crate::observed::{Backend, ReleaseState};
use crate::tui::model::observed::Observed;
use crate::tui::model::run::RunModel;
use crate::tui::view::coarse;

/// Sentences without a full stop.
pub fn troubles(run: &RunModel, moment: Moment) -> Vec<(Grade, String)> {
    let mut found = steps(run, moment);
    if !run.is_over() {
        found.extend(systems(&run.observed, moment));
        found.extend(machines(run, moment));
        found.extend(releases(&run.observed));
    }
    found.sort_by_key(|(grade, _)| std::cmp::Reverse(*grade));
    found
}

/// The same of a cluster that no run speaks of.
pub fn troubles_of_cluster(observed: &Observed, moment: Moment) -> Vec<(Grade, String)> {
    let mut found = systems(observed, moment);
    for node in observed.nodes().into_iter().flat_map(|nodes| &nodes.rows) {
        let grade = nodes::grade(node);
        if grade >= Grade::Warn {
            let says = nodes::says(node);
            let says = if says.is_empty() { says } else { format!(": {says}") };
            found.push((grade, format!("node {} is {}{says}", node.name, nodes::state(node))));
        }
    }
    found.extend(releases(observed));
    found.sort_by_key(|(grade, _)| std::cmp::Reverse(*grade));
    found
}

fn steps(run: &RunModel, moment: Moment) -> Vec<(Grade, String)> {
    let mut found: Vec<(u8, Grade, String)> = Vec::new();
    for step in run.state.wanted() {
        let title = &step.outline.title;
        let standing = standing(step, &run.state, moment.now);
        let (grade, text) = match standing {
            Standing::Blocked => {
                let what = step.failure().map_or("it needs you", |failure| failure.what.as_str());
                (Grade::Bad, format!("blocked: {title}: {what}"))
            }
            Standing::Drifted => (Grade::Bad, format!("no longer true: {title}")),
            Standing::Late => {
                let by = late(step, moment.now).map(coarse).unwrap_or_default();
                let seen = step.wait.as_ref().map(|(wait, _)| format!(": {}", wait.seen)).unwrap_or_default();
                (Grade::Warn, format!("late by {by}: {title}{seen}"))
            }
            Standing::Retries => {
                let what = step.failure().map_or("", |failure| failure.what.as_str());
                (Grade::Warn, format!("fails and tries again: {title}: {what}"))
            }
            Standing::Pending
            | Standing::Ready
            | Standing::Queued
            | Standing::Gate
            | Standing::Confirms
            | Standing::Acts
            | Standing::Waits
            | Standing::Halted
            | Standing::Proven => continue,
        };
        found.push((standing.severity(), grade, text));
    }
    found.sort_by_key(|(severity, _, _)| std::cmp::Reverse(*severity));
    found.into_iter().map(|(_, grade, text)| (grade, text)).collect()
}

/// One that is a machine of the plan is told with its machine.
fn systems(observed: &Observed, moment: Moment) -> Vec<(Grade, String)> {
    let silent = |backend: Backend| {
        let (since, cause) = observed.contact(&backend)?.silent?;
        let silent = coarse(between(since, moment.now));
        Some((Grade::Bad, format!("{backend} is silent since {}Z ({silent}): {}", time_of_day(since), cause.as_str())))
    };
    [Backend::Proxmox, Backend::Kubernetes].into_iter().filter_map(silent).collect()
}

fn machines(run: &RunModel, moment: Moment) -> Vec<(Grade, String)> {
    let mut found = Vec::new();
    for node in &run.plan.nodes {
        let machine = Machine::of(run, node, moment);
        let words = [("VM", &machine.vm), ("Talos", &machine.talos), ("node", &machine.node), ("etcd", &machine.etcd)];
        let bad: Vec<String> = words
            .iter()
            .filter(|(_, word)| word.grade == Grade::Bad)
            .map(|(of, word)| format!("{of} {}", word.text))
            .collect();
        if !bad.is_empty() {
            found.push((Grade::Bad, format!("{} (vm {}): {}", node.name, node.vmid, bad.join(", "))));
        }
    }
    found
}

fn releases(observed: &Observed) -> Option<(Grade, String)> {
    let all = observed.releases()?;
    let is_failed = |state| matches!(state, ReleaseState::Failed | ReleaseState::Stalled);
    let failed = all.rows.iter().find(|r| is_failed(r.state))?;
    let behind = all.rows.iter().filter(|r| r.after.is_some()).count();
    let behind = if behind > 0 { format!("; {behind} wait for others") } else { String::new() };
    let (name, reason) = (&failed.name, &failed.reason);
    let often = often(failed.failures);
    Some((Grade::Bad, format!("release {name} failed{often}: {reason}{behind}")))
}

/// ` once`, ` 3 times`; nothing where it is not counted.
pub fn often(times: u64) -> String {
    match times {
        0 => String::new(),
        1 => " once".to_string(),
        n => format!(" {n} times"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_no_plural() {
        assert_eq!([0, 1, 3].map(often), ["", " once", " 3 times"]);
    }
}
