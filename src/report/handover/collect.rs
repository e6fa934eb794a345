//! The hand-over record of a run's records.
use super::history::{Histories, History};
use super::{Access, HandOver, Overridden, Reading, Risk, StepTold};
use crate::base::text::{hex, line, lines, quoted};
use crate::engine::proof::{Evidence, Left};
use crate::engine::record::Record;
use crate::engine::state::{RunState, StepState};
use crate::engine::step::StepId;
use crate::plan::day_title;
use crate::plan::model::Plan;
use crate::report::summary::{self, Ending};
use aws_lc_rs::digest;
use std::collections::BTreeMap;

/// Longest answer that is shown, in bytes.
const ANSWER: usize = 4096;

impl HandOver {
    /// `name` is what `cozyup status` calls the run; `plan` is the plan of the last session, where its text is there.
    pub fn of(records: &[Record], name: &str, plan: Option<&Plan>) -> HandOver {
        HandOver::without(records, name, plan, &[])
    }

    /// The record as a step of the run writes it: without the steps of these kinds, and of a run that has come to its end
    /// when all others are proven.
    pub fn without(records: &[Record], name: &str, plan: Option<&Plan>, kinds: &[&str]) -> HandOver {
        let mut all = Histories::of(records);
        let is_told = |id: &StepId| !kinds.contains(&id.kind());
        all.steps.retain(|s| is_told(&s.outline.id));
        let state = &all.state;
        let wanted = || state.wanted().filter(|s| is_told(&s.outline.id));
        let is_over = !kinds.is_empty() && wanted().all(StepState::is_proven);
        let steps: Vec<StepTold> = all.steps.iter().map(told).collect();
        let digests = RunState::digests(records).into_iter().map(|(what, sha256)| (line(&what), line(&sha256)));
        let mut left_alone: Vec<Left> = Vec::new();
        for left in all.steps.iter().filter_map(|s| s.proof.as_ref()).flat_map(|p| p.left()) {
            if !left_alone.iter().any(|known| known.what == left.what) {
                left_alone.push(Left::new(&left.what, &left.why));
            }
        }
        HandOver {
            run: line(&state.run),
            plan: line(&state.plan),
            plan_sha256: line(&state.plan_digest),
            as_of: state.last,
            records: state.seq,
            outcome: if is_over { Ending::Proven } else { Ending::of(state.ended) },
            proofs_sha256: proofs(&steps),
            course: state.course,
            disputed: state.disputed,
            proven: wanted().filter(|s| s.is_proven()).count(),
            steps_in_all: wanted().count(),
            machines: plan.map(summary::nodes).unwrap_or_default(),
            versions: plan.map(summary::versions).unwrap_or_default(),
            addresses: plan.map(summary::addresses).unwrap_or_default(),
            access: access(state, name, plan),
            digests: plan.map(pinned).unwrap_or_default().into_iter().chain(digests).collect(),
            overrides: plan.map(overrides).unwrap_or_default(),
            risks: risks(state, &all.steps, &is_told, plan),
            steps,
            left_alone,
            sessions: all.sessions,
            gates: all.gates,
            notices: all.notices,
        }
    }
}

fn told(history: &History) -> StepTold {
    let History { outline, proof, .. } = history;
    let late = history.took_s.is_some_and(|took| took > outline.band.late_s);
    StepTold {
        id: line(outline.id.as_str()),
        day: outline.day,
        title: line(&outline.title),
        proven: history.is_proven,
        began: history.began,
        proven_at: history.proven_at,
        took_s: history.took_s,
        band: outline.band,
        late,
        attempts: history.attempts,
        summary: proof.as_ref().map(|p| line(p.summary())),
        remarks: proof.iter().flat_map(|p| p.remarks()).map(|r| line(r)).collect(),
        evidence: proof.iter().flat_map(|p| p.readings()).map(reading).collect(),
        waits: history.waits.clone(),
        failures: history.failures.clone(),
        more_failures: history.more_failures,
        drifts: history.drifts.clone(),
        by_hand: lines(&outline.by_hand, ANSWER),
    }
}

/// The step and the time of each proof; a session that only confirms a proof leaves both.
fn proofs(steps: &[StepTold]) -> String {
    let proven = steps.iter().filter(|s| s.proven);
    let lines: String = proven.map(|s| format!("{} {:?}\n", s.id, s.proven_at)).collect();
    hex(digest::digest(&digest::SHA256, lines.as_bytes()).as_ref())
}

fn reading(evidence: &Evidence) -> Reading {
    Reading {
        system: line(&evidence.system),
        asked: line(&evidence.asked),
        at: evidence.at,
        answer: lines(&evidence.answer, ANSWER),
        sha256: hex(digest::digest(&digest::SHA256, evidence.answer.as_bytes()).as_ref()),
        by_hand: line(&evidence.by_hand),
    }
}

/// The ways in; none while there is no cluster, or when it was taken back.
fn access(state: &RunState, name: &str, plan: Option<&Plan>) -> Vec<Access> {
    let proven = |kind: &str| state.steps.iter().any(|s| s.outline.id.kind() == kind && s.proof.is_some());
    let mut all = Vec::new();
    let mut add = |to: &str, how: String| all.push(Access { to: to.to_string(), how: line(&how) });
    if let Some(plan) = plan {
        add("Proxmox VE", plan.site.url.to_string());
    }
    if state.course.is_back() || !proven("day2.access") {
        return all;
    }
    let name = quoted(&line(name));
    add("the kubeconfig", format!("(umask 077; cozyup secrets show {name} kubeconfig > kubeconfig)"));
    add("Kubernetes", "kubectl --kubeconfig kubeconfig get nodes".to_string());
    add("the talosconfig", format!("(umask 077; cozyup secrets show {name} talosconfig > talosconfig)"));
    if let Some(plan) = plan {
        // Not the VIP: it answers only while etcd does.
        let first = plan.control_planes().next().map_or(plan.network.vip, |node| node.address);
        add("Talos", format!("talosctl --talosconfig talosconfig -n {first} health"));
        if plan.cozystack.expose.iter().any(|e| e == "dashboard") && proven("day5.ingress") {
            add("the dashboard", format!("https://dashboard.{}/", plan.cozystack.root_host));
        }
    }
    all
}

/// What the plan itself pins.
fn pinned(plan: &Plan) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([(format!("image {}", line(&plan.image.url)), line(&plan.image.sha256))]);
    if let Some(sha256) = &plan.cozystack.installer_sha256 {
        all.insert(format!("installer {}", line(&plan.cozystack.installer_url)), line(sha256));
    }
    all
}

fn overrides(plan: &Plan) -> Vec<Overridden> {
    plan.overrides.iter().map(|o| Overridden { rule: line(&o.rule), reason: line(&o.reason) }).collect()
}

fn risks(state: &RunState, steps: &[History], is_told: &dyn Fn(&StepId) -> bool, plan: Option<&Plan>) -> Vec<Risk> {
    let mut all = Vec::new();
    let mut add = |about: &str, what: String, next: &str| {
        all.push(Risk { about: line(about), what: line(&what), next: line(next) });
    };
    if state.disputed {
        add(
            "",
            "the journal says that the run ended proven, and its records do not bear that out".into(),
            "somebody changed the journal: compare it with a copy",
        );
    }
    if plan.is_none() {
        add(
            "",
            "the plan's text is not beside the journal, or is another one than the last session ran".into(),
            "versions and addresses are not in this record: take them from the plan",
        );
    }
    for step in state.wanted().filter(|s| !s.is_proven() && is_told(&s.outline.id)) {
        let (what, next) = match (step.failure(), &step.drifted) {
            (Some(failure), _) => (failure.what.clone(), failure.next.clone()),
            (None, Some(why)) => (format!("was proven and is no longer true: {why}"), state.course.resume_command()),
            (None, None) => ("not proven".to_string(), state.course.resume_command()),
        };
        add(step.outline.id.as_str(), what, &next);
    }
    let here = |h: &&History| state.step(&h.outline.id).is_some();
    for (id, remark) in steps.iter().filter(here).flat_map(|h| {
        let remarks = h.proof.iter().flat_map(|p| p.remarks());
        remarks.map(|r| (h.outline.id.as_str(), r.clone()))
    }) {
        add(id, remark, "");
    }
    for off in plan.iter().filter(|_| !state.course.is_back()).flat_map(|plan| plan.off()) {
        add(&day_title(off.day), format!("not tested, {}: {}", off.test, off.reason), "");
    }
    let secrets = state.steps.iter().any(|s| s.outline.id.kind() == "day2.secrets" && s.proof.is_some());
    if secrets && !state.course.is_back() {
        add(
            "day2.secrets",
            "the cluster's secrets exist once, on the jump host".into(),
            "back them up to a place that is not in this cluster, and read the copy",
        );
    }
    all
}
