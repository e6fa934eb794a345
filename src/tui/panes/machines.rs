//! Expected beside seen: each planned machine as its VM, its Talos, its node and its member of etcd show it, and as the steps
//! that are proven say that it should be.
use super::{Grade, Moment, talos, time_of_day};
use crate::base::clock::between;
use crate::engine::standing::{Standing, late, standing};
use crate::engine::step::StepId;
use crate::observed::{Backend, Noticed, Power, Vm};
use crate::plan::model::{NodePlan, Role};
use crate::tui::model::run::RunModel;
use crate::tui::view::coarse;
use std::time::Duration;

/// A change of a VM's power is shown for so long after it was noticed.
const RECENT: Duration = Duration::from_secs(10 * 60);

/// One word about one part of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub grade: Grade,
    pub text: String,
}

fn word(grade: Grade, text: impl Into<String>) -> Word {
    Word { grade, text: text.into() }
}

/// Nothing is there, and nothing should be.
fn not_yet() -> Word {
    word(Grade::Quiet, "-")
}

pub struct Machine {
    pub vm: Word,
    pub talos: Word,
    pub node: Word,
    pub etcd: Word,
    /// What is to be said of it beside the words, the worst first.
    pub said: Vec<(Grade, String)>,
}

impl Machine {
    pub fn of(run: &RunModel, plan: &NodePlan, moment: Moment) -> Machine {
        let vm = run.observed.site().map(|site| site.vms.iter().find(|vm| vm.vmid == plan.vmid));
        let mut machine = Machine {
            vm: vm.map_or_else(|| word(Grade::Quiet, "?"), |vm| vm_word(run, plan, vm)),
            talos: self::talos(run, plan),
            node: node(run, plan),
            etcd: etcd(run, plan),
            said: Vec::new(),
        };
        machine.say(run, plan, moment);
        machine
    }

    pub fn grade(&self) -> Grade {
        let words = [&self.vm, &self.talos, &self.node, &self.etcd].map(|word| word.grade);
        words.into_iter().chain(self.said.iter().map(|(grade, _)| *grade)).max().unwrap_or(Grade::Quiet)
    }

    fn say(&mut self, run: &RunModel, plan: &NodePlan, moment: Moment) {
        let steps = run.state.wanted().filter(|s| s.outline.id.subject() == Some(plan.name.as_str()));
        for step in steps {
            let title = &step.outline.title;
            match standing(step, &run.state, moment.now) {
                Standing::Blocked => self.said.push((Grade::Bad, format!("blocked: {title}"))),
                Standing::Drifted => self.said.push((Grade::Bad, format!("no longer true: {title}"))),
                Standing::Late => {
                    let by = late(step, moment.now).map(coarse).unwrap_or_default();
                    self.said.push((Grade::Warn, format!("late by {by}: {title}")));
                }
                Standing::Pending
                | Standing::Ready
                | Standing::Queued
                | Standing::Gate
                | Standing::Confirms
                | Standing::Acts
                | Standing::Waits
                | Standing::Retries
                | Standing::Halted
                | Standing::Proven => {}
            }
        }
        self.say_power(run, plan, moment);
        let backend = Backend::Talos { machine: plan.name.clone() };
        if let Some((since, cause)) = run.observed.contact(&backend).and_then(|c| c.silent) {
            let silent = coarse(between(since, moment.now));
            let at = time_of_day(since);
            self.said.push((Grade::Bad, format!("Talos is silent since {at} ({silent}): {}", cause.as_str())));
        }
        let there =
            run.observed.site().and_then(|site| site.vms.iter().find(|vm| vm.vmid == plan.vmid)?.there.as_ref());
        self.say_node(run, plan);
        if let Some(lock) = there.and_then(|there| there.lock.as_ref()) {
            self.said.push((Grade::Moves, format!("its VM is locked: {lock}")));
        }
        self.said.sort_by_key(|(grade, _)| std::cmp::Reverse(*grade));
    }
}

impl Machine {
    /// Who stopped or rebooted its VM, and what to do about it.
    fn say_power(&mut self, run: &RunModel, plan: &NodePlan, moment: Moment) {
        let is_off = self.vm.grade == Grade::Bad;
        let (mut advised, mut told_of_now) = (false, false);
        for (at, noticed) in run.observed.noticed(&Noticed::subject_of_vm(plan.vmid)) {
            let Some(what) = noticed.of_power() else { continue };
            let is_now = is_off && !told_of_now && !noticed.is_relief();
            told_of_now |= is_now;
            if !is_now && between(*at, moment.now) > RECENT {
                continue;
            }
            let grade = match (is_now, noticed.is_relief()) {
                (true, _) => Grade::Bad,
                (false, true) => Grade::Moves,
                (false, false) => Grade::Warn,
            };
            self.said.push((grade, format!("{} {what}", time_of_day(*at))));
            if advised || noticed.is_relief() {
                continue;
            }
            advised = true;
            let ask =
                noticed.by().map_or_else(|| "see its console in Proxmox VE".to_string(), |user| format!("ask {user}"));
            self.said.push(match is_now {
                true => (grade, format!("{ask}; the run starts it by itself, r starts it now")),
                false => (grade, format!("{ask}, so that it does not come again")),
            });
        }
    }

    /// Why its node is not Ready, and where to look.
    fn say_node(&mut self, run: &RunModel, plan: &NodePlan) {
        let node = run.observed.nodes().and_then(|nodes| nodes.rows.iter().find(|node| node.name == plan.name));
        let Some(node) = node.filter(|node| !node.ready && self.node.grade == Grade::Bad) else { return };
        let told = run.observed.noticed(&Noticed::NodeReady { name: plan.name.clone() }.subject()).next();
        let since = told.map(|(at, _)| format!("{} ", time_of_day(*at))).unwrap_or_default();
        let why = if node.reason.is_empty() { String::new() } else { format!(" ({})", node.reason) };
        self.said.push((Grade::Bad, format!("{since}its node is not Ready{why}")));
        if [self.vm.grade, self.talos.grade].contains(&Grade::Bad) {
            // What is said of these tells why.
            return;
        }
        let machine = run.observed.machines().and_then(|all| all.machines.iter().find(|m| m.name == plan.name));
        let down = machine.map(talos::not_up).filter(|down| !down.is_empty());
        self.said.push((
            Grade::Bad,
            match down {
                Some(down) => format!("Talos says not up: {down}; l shows its log"),
                None => "see its VM and its services (3 Talos); l shows a log of it".to_string(),
            },
        ));
    }
}

/// A step of this kind about this machine has made it true once, and nobody takes it back.
fn expected(run: &RunModel, kind: &str, subject: Option<&str>) -> bool {
    let id = subject.map_or_else(|| StepId::new(kind), |subject| StepId::of(kind, subject));
    let step = run.state.step(&id);
    !run.state.course.is_back() && step.is_some_and(|s| s.is_proven() || s.drifted.is_some() || s.to_confirm)
}

/// The state of a planned VM, or of the template.
pub fn power(run: &RunModel, vm: &Vm, made: bool, started: bool) -> Word {
    match &vm.there {
        None if made => word(Grade::Bad, "MISSING"),
        None => not_yet(),
        Some(_) if vm.template => word(Grade::Good, "template"),
        Some(there) => match there.power {
            Power::Running => word(if run.state.course.is_back() { Grade::Quiet } else { Grade::Good }, "running"),
            Power::Stopped if started => word(Grade::Bad, "STOPPED"),
            Power::Stopped => word(Grade::Quiet, "stopped"),
            Power::Unknown => word(Grade::Warn, "unknown"),
        },
    }
}

fn vm_word(run: &RunModel, plan: &NodePlan, vm: Option<&Vm>) -> Word {
    let of = |kind| expected(run, kind, Some(&plan.name));
    let (made, started) = (of("day1.clone"), of("day1.start"));
    match vm {
        Some(vm) => power(run, vm, made, started),
        None if made => word(Grade::Bad, "MISSING"),
        None => not_yet(),
    }
}

pub fn template(run: &RunModel, vm: &Vm) -> Word {
    power(run, vm, expected(run, "day1.template", None), false)
}

pub fn talos(run: &RunModel, plan: &NodePlan) -> Word {
    let backend = Backend::Talos { machine: plan.name.clone() };
    if run.observed.contact(&backend).is_some_and(|c| c.silent.is_some()) {
        return word(Grade::Bad, "SILENT");
    }
    let machine = run.observed.machines().and_then(|all| all.machines.iter().find(|m| m.name == plan.name));
    match machine.and_then(|m| m.stage.as_deref().map(|stage| (stage, m.ready))) {
        Some(("running", true)) => word(Grade::Good, "running"),
        Some((stage, _)) => word(Grade::Moves, stage),
        None if expected(run, "day2.boot", Some(&plan.name)) && run.observed.machines().is_some() => {
            word(Grade::Warn, "unseen")
        }
        None => not_yet(),
    }
}

fn node(run: &RunModel, plan: &NodePlan) -> Word {
    let Some(nodes) = run.observed.nodes() else { return not_yet() };
    match nodes.rows.iter().find(|node| node.name == plan.name) {
        Some(node) if node.ready => word(Grade::Good, "Ready"),
        Some(_) if expected(run, "day3.nodes_ready", None) => word(Grade::Bad, "NotReady"),
        // Before its network is there no node is Ready.
        Some(_) => word(Grade::Moves, "NotReady"),
        None if expected(run, "day2.nodes", None) => word(Grade::Bad, "MISSING"),
        None => not_yet(),
    }
}

pub fn etcd(run: &RunModel, plan: &NodePlan) -> Word {
    if plan.role != Role::ControlPlane {
        return word(Grade::Quiet, "");
    }
    let seen = run.observed.machines();
    let Some(members) = seen.and_then(|all| all.members.as_ref()) else { return not_yet() };
    let leads = seen.and_then(|all| all.machines.iter().find(|m| m.name == plan.name)?.etcd_has_leader);
    match members.iter().find(|member| member.name == plan.name) {
        Some(member) if member.learner => word(Grade::Moves, "learner"),
        Some(_) if leads == Some(false) => word(Grade::Bad, "NO LEAD"),
        Some(_) => word(Grade::Good, "member"),
        None if expected(run, "day2.members", None) => word(Grade::Bad, "MISSING"),
        None => not_yet(),
    }
}
