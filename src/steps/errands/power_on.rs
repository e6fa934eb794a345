//! `r` on a stopped machine in the pane of Proxmox VE: its VM is started.
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::engine::made::Made;
use crate::engine::step::{Context, StepId};
use crate::plan::model::NodePlan;
use crate::proxmox::{Error, TaskRow};
use crate::steps::day1::start;
use crate::steps::day7::drill_on;
use crate::steps::drills::power::BAND;
use crate::steps::drills::told;
use crate::steps::site::{Changing, Reading};
use crate::steps::{failures, follow, vm};

/// Kinds of tasks after which a VM is off on purpose, and those after which it runs.
const STOPS: [&str; 2] = ["qmstop", "qmshutdown"];
const STARTS: [&str; 3] = ["qmstart", "qmresume", "qmreboot"];
/// The lock of a VM that was suspended to its disk: Proxmox VE takes it up again with a start (qemu-server, `vm_start`).
const SUSPENDED: &str = "suspended";

/// # Errors
/// When the VM is not this run's own, when it is off on purpose or held by a task, or when it does not start.
pub async fn start(cx: &dyn Context, site: &Reading, change: &Changing, vmid: Vmid) -> Result<(), Failure> {
    let Some(node) = site.plan.nodes.iter().find(|node| node.vmid == vmid) else {
        let what = format!("vm {vmid} is none of the machines of this run's plan");
        return Err(Failure::refused(what, format!("if it is yours, start it in Proxmox VE: qm start {vmid}")));
    };
    if let Some(why) = too_early(cx.made(), node).or_else(|| in_a_drill(cx.made(), node)) {
        return Err(why);
    }
    let doing = format!("start {}", told(node));
    let failed = |e: Error| failures::proxmox(&e, &doing);
    let config = vm::confirm(cx, site, &node.host, vmid, &doing).await?;
    let status = site.proxmox.vm_status(&node.host, vmid).await.map_err(failed)?.value;
    let tasks = site.proxmox.tasks_of(&node.host, vmid).await.map_err(failed)?.value;
    if let Some(why) = unfit(node, status.is_running(), config.lock(), &tasks, site.proxmox.token_id()) {
        return Err(why);
    }
    match change.proxmox.start_vm(&node.host, vmid).await {
        Ok(upid) => follow::task(cx, site, &upid, &doing, BAND).await?,
        // Somebody else was faster; the look that follows tells.
        Err(Error::Exists { .. }) => {}
        Err(e) => return Err(failed(e)),
    }
    let status = site.proxmox.vm_status(&node.host, vmid).await.map_err(failed)?.value;
    if status.is_running() {
        return Ok(());
    }
    let what = format!("{doing}: its task has ended well, and the VM is {}", status.status);
    Err(Failure::broken(what, format!("on {}: qm status {vmid} --verbose", node.host)))
}

/// Before its first start a VM has not the config and the disks that it is to boot with.
fn too_early(made: &Made, node: &NodePlan) -> Option<Failure> {
    let step = StepId::of(start::KIND, &node.name);
    let what = format!("this run has not come to starting {}", told(node));
    (!made.has(&step)).then(|| Failure::refused(what, format!("let the run go on: {step} starts it")))
}

/// A drill leaves nothing off: the step that puts it right starts the VM.
fn in_a_drill(made: &Made, node: &NodePlan) -> Option<Failure> {
    let drill = made.disturbing().find(|step| step.subject() == Some(node.name.as_str()))?;
    let what = format!("{} is off on purpose: {drill} of this run has powered it off", told(node));
    let next = format!(
        "let {} start it; where the drill can't end, stop the run: it is started before the run ends",
        StepId::of(drill_on::KIND, &node.name)
    );
    Some(Failure::refused(what, next))
}

/// The reason why a start now is not what the VM needs. `token`: `user@realm!name` of the run's own token.
fn unfit(node: &NodePlan, runs: bool, lock: Option<&str>, tasks: &[TaskRow], token: &str) -> Option<Failure> {
    let vm = told(node);
    let refused = |what: String, next: &str| Some(Failure::refused(what, next));
    let whose =
        |task: &TaskRow| if task.upid.user() == token { "this run".to_string() } else { task.upid.user().into() };
    if let Some(task) = tasks.iter().find(|task| task.running) {
        let what = format!("{vm} is held by a task: {} runs {} on it", whose(task), task.upid.kind());
        return refused(what, "ask again when the task has ended");
    }
    if runs {
        return refused(format!("{vm} runs already"), "nothing is to be done");
    }
    if let Some(lock) = lock.filter(|lock| *lock != SUSPENDED) {
        let next = "see what holds it; where nothing works on it any more: qm unlock, then ask again";
        return refused(format!("{vm} is locked ({lock})"), next);
    }
    // The journal may be a moment behind a drill that begins just now.
    let sets_power = |task: &&TaskRow| STOPS.iter().chain(&STARTS).any(|kind| *kind == task.upid.kind());
    let last = tasks.iter().filter(|task| task.succeeded).filter(sets_power).max_by_key(|task| task.upid.started())?;
    if STOPS.contains(&last.upid.kind()) && last.upid.user() == token {
        return refused(
            format!("{vm} is off on purpose: this run itself has stopped it"),
            "let the run start it again",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::Event;
    use crate::engine::state::tests::{outline, session};
    use crate::steps::day0::tests::plan;

    const TOKEN: &str = "cozyup@pve!wizard";

    fn task(kind: &str, user: &str, started: u32, running: bool) -> TaskRow {
        let upid = format!("UPID:pve:0000A001:0000B001:{started:08X}:{kind}:1001:{user}:").parse().unwrap();
        TaskRow { upid, running, succeeded: !running }
    }

    fn why(runs: bool, lock: Option<&str>, tasks: &[TaskRow]) -> String {
        unfit(&plan().nodes[0], runs, lock, tasks, TOKEN).map_or_else(String::new, |why| why.what)
    }

    #[test]
    fn a_vm_that_runs_is_locked_or_held_or_was_stopped_by_the_run_itself_is_not_started() {
        let stop = |user| task("qmstop", user, 100, false);
        assert_eq!(why(false, None, &[stop("root@pam")]), "");
        assert_eq!(why(false, None, &[]), "");
        assert_eq!(why(false, Some(SUSPENDED), &[]), "");
        assert!(why(true, None, &[]).ends_with("runs already"));
        assert!(why(false, Some("backup"), &[]).ends_with("is locked (backup)"));
        let held = why(false, None, &[stop("root@pam"), task("vzdump", "bob@pve", 101, true)]);
        assert!(held.ends_with("is held by a task: bob@pve runs vzdump on it"), "{held}");
        let falls = why(true, None, &[task("qmstop", TOKEN, 101, true)]);
        assert!(falls.ends_with("this run runs qmstop on it"), "{falls}");
        assert!(why(false, None, &[stop(TOKEN)]).contains("off on purpose"));
        assert!(why(false, None, &[stop(TOKEN), task("vzdump", "root@pam", 105, false)]).contains("off on purpose"));
        // Somebody started it, and stopped it again.
        assert_eq!(why(false, None, &[stop(TOKEN), task("qmstop", "root@pam", 105, false)]), "");
    }

    #[test]
    fn a_vm_is_not_started_before_the_run_has_done_so_nor_while_a_drill_has_it_off() {
        let node = &plan().nodes[0];
        let (begun, off) = (StepId::of(start::KIND, &node.name), StepId::of("day7.drill_off", &node.name));
        let mut drill = outline(off.as_str(), 7, &[]);
        drill.put_right_by = Some(StepId::of(drill_on::KIND, &node.name));
        let mut made = Made::default();
        made.apply(&session(vec![outline(begun.as_str(), 1, &[]), drill]));
        assert!(too_early(&made, node).is_some_and(|why| why.next.contains("day1.start/")));
        made.apply(&Event::Intended { step: begun, attempt: 1 });
        assert_eq!((too_early(&made, node), in_a_drill(&made, node)), (None, None));
        made.apply(&Event::Intended { step: off.clone(), attempt: 1 });
        made.apply(&Event::HandleKept { step: off, handle: "stop".into() });
        assert!(in_a_drill(&made, node).is_some_and(|why| why.next.contains("day7.drill_on/")));
        assert_eq!(in_a_drill(&made, &plan().nodes[1]), None);
    }
}
