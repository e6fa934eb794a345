//! The verdict in words.
use super::super::assessment::Assessment;
use super::super::verdict::{Broken, Decision, Estimate, Reason};
use super::{Block, Section, name};

fn broken(part: Broken) -> &'static str {
    match part {
        Broken::Network => "the pod network is broken",
        Broken::Nodes => "nodes are not Ready",
        Broken::Etcd => "etcd is not well",
        Broken::Storage => "LINSTOR is not well",
        Broken::Certificates => "certificates have ended",
        Broken::Releases => "HelmReleases are not Ready",
        Broken::Pods => "pods of the platform fail",
    }
}

fn span((low, high): (u64, u64)) -> String {
    if low == high { low.to_string() } else { format!("{low} to {high}") }
}

fn estimate(of: Estimate) -> String {
    format!("{} hours of work, a chance of {} %", span(of.hours), span(of.percent))
}

fn reason(of: Reason) -> String {
    match of {
        Reason::NotRead(what) => format!("{} could not be read", name(what)),
        Reason::BeyondTarget => "the cluster runs a later version than the target".into(),
        Reason::TooOld => "no way is known from a version that old".into(),
        Reason::VersionUnknown => "nothing tells the version of CozyStack".into(),
        Reason::AtTarget => "the target version runs already".into(),
        Reason::Stops(1) => "one step to the target".into(),
        Reason::Stops(stops) => format!("{stops} steps to the target"),
        Reason::Unofficial => "a build that nobody released".into(),
        Reason::ByHand(count) => format!("{count} breaking change(s) in use that no migration makes"),
        Reason::Broken(part) => broken(part).into(),
        Reason::NothingBroken => "nothing was found that stands against it".into(),
        Reason::FreshCostsLess => "repair and upgrade cost more than a fresh install, weighed by their chances".into(),
        Reason::RepairCostsLess => "repair and upgrade cost less than a fresh install, weighed by their chances".into(),
    }
}

/// The decision, in a sentence.
pub fn lead(of: &Assessment) -> Vec<String> {
    let target = of.target;
    let there = of.verdict.reasons.contains(&Reason::AtTarget);
    let first = match of.verdict.decision {
        Decision::Go if there => {
            format!("GO: {target} runs, and nothing was found broken. There is nothing to upgrade.")
        }
        Decision::Go => format!("GO: nothing was found that stands against the upgrade to {target}."),
        Decision::RepairFirst => "REPAIR FIRST: mend what is broken before any upgrade.".to_string(),
        Decision::FreshInstall => {
            format!("FRESH INSTALL: install {target} beside this cluster, then move the workloads.")
        }
        Decision::Undecided => "NO VERDICT: what could be read does not allow one.".to_string(),
    };
    let cause = of.findings.iter().find(|f| f.rule == "network-cascade");
    let cause = cause.map(|_| "One root cause: Kube-OVN's daemon does not answer on its socket (see network-cascade).");
    std::iter::once(first).chain(cause.map(String::from)).collect()
}

pub fn section(of: &Assessment) -> Section {
    let verdict = &of.verdict;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut row = |name: &str, of: Option<Estimate>| {
        rows.extend(of.map(|of| vec![name.to_string(), span(of.hours), format!("{} %", span(of.percent))]));
    };
    row("repair alone", verdict.repair);
    row(if verdict.repair.is_some() { "repair and upgrade" } else { "upgrade" }, verdict.upgrade);
    row("fresh install, without moving workloads", Some(verdict.fresh));
    let mut blocks: Vec<Block> = vec![Block::Table { head: vec!["way", "hours", "chance"], rows }];
    let because: Vec<String> = verdict.reasons.iter().map(|r| reason(*r)).collect();
    blocks.push(Block::Line(format!("Because: {}.", because.join("; "))));
    if let Some(upgrade) = verdict.upgrade.filter(|_| verdict.decision == Decision::FreshInstall) {
        blocks.push(Block::Line(format!(
            "The upgrade would be {}; the fresh install is {}.",
            estimate(upgrade),
            estimate(verdict.fresh)
        )));
    }
    blocks.push(Block::Line("Hours and chances are estimates; docs/adr/011 says how they are made.".into()));
    Section { title: "Verdict", blocks }
}
