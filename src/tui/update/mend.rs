//! `r` on a failed release or a stopped machine: whether Flux is to try it again, or Proxmox VE to start it, now.
use super::Around;
use crate::base::vmid::Vmid;
use crate::engine::course::Course;
use crate::engine::errand::Errand;
use crate::engine::step::StepId;
use crate::observed::{Mending, Object, Power, ReleaseState};
use crate::session::protocol::Request;
use crate::tui::message::Cmd;
use crate::tui::model::run::{Dialog, Full, Pane, RunModel};
use crate::tui::panes::{self, Moment};

/// Opens the question, or says why there is none. False where the selected line is nothing that can be mended: `r` means something
/// else there.
pub fn offer(run: &mut RunModel, around: &mut Around<'_>) -> bool {
    let pane = match run.full {
        Some(Full::Item(pane) | Full::Answer(pane)) => pane,
        Some(Full::Detail | Full::Log | Full::Findings) => return false,
        None => run.keyboard(around.drawn.tabs),
    };
    let moment = Moment { now: around.now, wall: around.wall };
    let Some(table) = panes::table(run, pane, moment) else { return false };
    let item = table.items.get(table.at(run.picked.get(&pane)));
    let fits = match (pane, item.and_then(|item| item.raw.clone())) {
        (Pane::Releases, Some(Object::Release { namespace, name })) => of_release(run, namespace, name),
        (Pane::Proxmox, Some(Object::Vm { vmid })) => of_vm(run, vmid),
        (_, _) => return false,
    };
    match refused(run).map_or(fits, Err) {
        Ok(mending) => {
            run.asking.mending = Some(mending);
            run.dialog = Some(Dialog::Mend);
        }
        Err(why) => around.say(why),
    }
    true
}

/// The reason why this session does nothing beside its steps; the worker would say it too, after the question.
fn refused(run: &RunModel) -> Option<String> {
    let go_on = run.state.course.resume_command();
    if run.is_over() {
        return Some(format!("the run has ended: `{go_on}` goes on with it, and can be asked then"));
    }
    if run.state.course == Course::default() {
        return Some("this session only looks: it changes nothing".to_string());
    }
    run.state.course.is_back().then(|| "the run is being taken back: nothing is mended in it".to_string())
}

fn of_release(run: &RunModel, namespace: String, name: String) -> Result<Mending, String> {
    let seen = run.observed.releases().into_iter().flat_map(|all| &all.rows);
    match seen.filter(|r| r.namespace == namespace && r.name == name).map(|r| r.state).next() {
        Some(ReleaseState::Failed | ReleaseState::Stalled | ReleaseState::Hindered) => {
            Ok(Mending::ReconcileRelease { namespace, name })
        }
        Some(ReleaseState::Suspended) => Err(format!("{name} is suspended: ask who told Flux to leave it")),
        Some(
            state @ (ReleaseState::Runs
            | ReleaseState::Waits
            | ReleaseState::New
            | ReleaseState::Ready
            | ReleaseState::Unknown),
        ) => Err(format!("{name} has not failed ({}): there is nothing to try again", state.as_str())),
        None => Err(format!("{name} is no longer there")),
    }
}

fn of_vm(run: &RunModel, vmid: Vmid) -> Result<Mending, String> {
    let site = run.observed.site();
    let seen = site.and_then(|site| site.vms.iter().find(|vm| vm.vmid == vmid));
    let Some((vm, there)) = seen.and_then(|vm| Some((vm, vm.there.as_ref()?))) else {
        return Err(format!("there is no vm {vmid} to be started: the run makes it"));
    };
    let told = format!("vm {vmid} ({})", vm.name);
    let is_about = |step: &&StepId| step.subject() == Some(vm.name.as_str());
    let held = site.and_then(|site| site.tasks.iter().find(|task| task.vmid == Some(vmid)));
    match there.power {
        _template if vm.template => Err(format!("{told} is a template: it is cloned, and never runs")),
        Power::Running => Err(format!("{told} runs already")),
        Power::Unknown => Err(format!("Proxmox VE does not say whether {told} runs")),
        Power::Stopped if !run.state.made.has(&StepId::of("day1.start", &vm.name)) => {
            Err(format!("the run has not come to starting {told}: it does so itself"))
        }
        Power::Stopped => match (run.state.made.disturbing().find(is_about), held) {
            (Some(drill), _) => {
                Err(format!("{told} is off on purpose: {drill} has powered it off, and it is put right"))
            }
            (None, Some(task)) => {
                let whose = if task.ours { "this run" } else { task.user.as_str() };
                Err(format!("{told} is held by a task: {whose} runs {} on it", task.kind))
            }
            (None, None) => Ok(Mending::StartVm { vmid, name: vm.name.clone() }),
        },
    }
}

/// The person agrees.
pub fn agreed(run: &mut RunModel, around: &mut Around<'_>) -> Vec<Cmd> {
    run.dialog = None;
    let Some(mending) = run.asking.mending.take() else { return Vec::new() };
    around.say(format!("asked: {}; the log tells how it ends", mending.title()));
    Errand::of(&mending).map(|errand| Cmd::Ask(Request::Errand { errand })).into_iter().collect()
}
