//! Waiting with a name: a Proxmox task to its end, a Kubernetes object to its next change.
use super::site::Reading;
use super::{causes, failures};
use crate::base::text::quoted;
use crate::engine::failure::Failure;
use crate::engine::step::Context;
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::proxmox::{self, Cause, LogLine, TaskExit, Upid, progress_of, reason_of};
use crate::talos;
use std::net::IpAddr;
use std::time::Duration;

/// The number of looks in a row, one per second, at which a task's node may fail to tell the task's state.
const MISSES: u32 = 20;
/// Lines of one task's log that are shown; an import or a clone of many disks has fewer.
const LOG: u32 = 300;

/// Follows a task to its end, with its log as live log. The handle must be kept before.
///
/// # Errors
/// When the task failed (a lock: retryable), when it can't be read any more, or when the run is to stop.
pub async fn task(cx: &dyn Context, site: &Reading, upid: &Upid, what: &str, band: Band) -> Result<(), Failure> {
    match end_of(cx, site, upid, what, band).await? {
        Some(TaskExit::Ok) => Ok(()),
        Some(TaskExit::Warnings(count)) => {
            cx.log(upid.kind(), &format!("done, with {count} warnings in its log on {}", upid.node()));
            Ok(())
        }
        Some(TaskExit::Failed { cause, text }) => Err(task_failure(site, cause, &text, upid, what).await),
        None => Err(Failure::retryable(
            format!("{what}: {} knows its task no more", upid.node()),
            "cozyup looks at what the task left behind",
        )),
    }
}

/// The end of a task; `None` when its node does not know it.
async fn end_of(
    cx: &dyn Context,
    site: &Reading,
    upid: &Upid,
    what: &str,
    band: Band,
) -> Result<Option<TaskExit>, Failure> {
    let condition = format!("{what}: the task ends");
    let mut next_line = 0;
    let mut told = 0;
    let mut misses = 0;
    let mut percent = None;
    loop {
        match site.proxmox.task_status(upid).await {
            Ok(status) => {
                misses = 0;
                show_log(cx, site, upid, status.value.exit.is_some(), &mut next_line, &mut told, &mut percent).await;
                if let Some(exit) = status.value.exit {
                    return Ok(Some(exit));
                }
                let wait = Wait::new(&condition, format!("task {} runs on {}", upid.kind(), upid.node()), band);
                cx.waiting(match percent {
                    // What it copies into is allocated, so that it needs no lock of the storage any more.
                    Some(p) => wait.with_progress(p / 100, 100, "%").making_way(),
                    None => wait,
                });
            }
            // Right after the call its node may not know it yet.
            Err(e) if is_passing(&e) && misses < MISSES => {
                misses += 1;
                cx.waiting(Wait::new(&condition, format!("the task can't be read: {e}"), band));
            }
            Err(proxmox::Error::NoSuchTask) => return Ok(None),
            Err(e) => return Err(unread(&e, upid, what)),
        }
        if cx.stopping() {
            return Err(Failure::retryable(format!("{what}: stopped while the task runs on"), "run again to go on"));
        }
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

/// True when the task can probably be read a little later.
fn is_passing(e: &proxmox::Error) -> bool {
    e.is_transient() || matches!(e, proxmox::Error::Answer { .. })
}

fn unread(e: &proxmox::Error, upid: &Upid, what: &str) -> Failure {
    failures::proxmox(e, &format!("{what}: read task {} on {}", upid.kind(), upid.node()))
}

/// New lines of the task's log; without them the task runs all the same. The last line of a task that runs may still
/// grow ("calculating checksum..." becomes "calculating checksum...OK"): it waits for the next one, or for the end.
async fn show_log(
    cx: &dyn Context,
    site: &Reading,
    upid: &Upid,
    ended: bool,
    next_line: &mut u64,
    told: &mut u32,
    percent: &mut Option<u64>,
) {
    let Ok(lines) = site.proxmox.task_log(upid, *next_line).await else { return };
    *percent = progress_of(&lines).or(*percent);
    tell_log(cx, upid, whole(&lines, ended), next_line, told);
}

/// The lines that do not grow any more.
fn whole(lines: &[LogLine], ended: bool) -> &[LogLine] {
    match lines {
        [whole @ .., _] if !ended => whole,
        all => all,
    }
}

/// The lines behind number `after`, as long as anybody wants them; `after` moves on.
fn tell_log(cx: &dyn Context, upid: &Upid, lines: &[LogLine], after: &mut u64, told: &mut u32) {
    for line in lines {
        // A log of any length must not hold a run that is to stop. An empty log is one line that says so.
        if cx.stopping() || line.n <= *after || line.text == "no content" {
            continue;
        }
        *after = line.n;
        if *told > LOG || progress_of(std::slice::from_ref(line)).is_some() {
            continue;
        }
        *told += 1;
        if *told <= LOG {
            cx.log(upid.kind(), &line.text);
        } else {
            let all = format!("pvesh get /nodes/{}/tasks/{upid}/log", upid.node());
            cx.log(upid.kind(), &format!("its log goes on; all of it: {all}"));
        }
    }
}

/// The failure that a task's end means. Only the task's log says why a program on the node failed, QEMU too.
async fn task_failure(site: &Reading, cause: Cause, text: &str, upid: &Upid, what: &str) -> Failure {
    let said = format!("{what}: {text}");
    match cause {
        Cause::Forbidden => failures::proxmox(&proxmox::Error::forbidden(text), what),
        Cause::WorkerGone => {
            causes::failure(cause, format!("{said}: its worker was killed, or {} restarted", upid.node()))
        }
        Cause::QemuEnded | Cause::ProgramFailed => {
            match site.proxmox.task_log(upid, 0).await.ok().and_then(|log| reason_of(&log)) {
                Some(reason) => causes::failure(of_log(cause, &reason), format!("{said}: {reason}")),
                None => causes::failure(cause, said),
            }
        }
        Cause::Unknown => Failure::person(
            said,
            format!(
                "read the task's log on {}: pvesh get {}",
                upid.node(),
                quoted(&format!("/nodes/{}/tasks/{upid}/log", upid.node()))
            ),
        ),
        cause => causes::failure(cause, said),
    }
}

/// The cause that the last lines of a log tell, or else what the task's end said.
fn of_log(said: Cause, reason: &str) -> Cause {
    match Cause::of(reason) {
        Cause::Unknown => said,
        cause => cause,
    }
}

/// Waits also for the task that an earlier process started and that a crash cut off. A handle that is no UPID, or a
/// task that nobody knows any more, is nothing to wait for.
///
/// # Errors
/// When the run is to stop, or when nobody can tell whether that task still runs: to act beside it could do things twice.
/// It does not matter how the task ended: the target is observed anyhow.
pub async fn earlier_task(cx: &dyn Context, site: &Reading, what: &str, band: Band) -> Result<(), Failure> {
    match kept_task(cx) {
        Some(upid) => end_of(cx, site, &upid, what, band).await.map(|_| ()),
        None => Ok(()),
    }
}

/// The state of the task of the kept handle.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// There is no handle of a task, or its node does not know it any more.
    Unknown,
    Running,
    Ended(TaskExit),
}

/// # Errors
/// When its node can't tell how it stands.
pub async fn kept(cx: &dyn Context, site: &Reading, what: &str) -> Result<Kept, Failure> {
    let Some(upid) = kept_task(cx) else { return Ok(Kept::Unknown) };
    match site.proxmox.task_status(&upid).await {
        Ok(status) => Ok(status.value.exit.map_or(Kept::Running, Kept::Ended)),
        Err(proxmox::Error::NoSuchTask) => Ok(Kept::Unknown),
        Err(e) => Err(unread(&e, &upid, what)),
    }
}

/// True when the task of the kept handle still runs.
///
/// # Errors
/// When its node can't tell.
pub async fn is_running(cx: &dyn Context, site: &Reading, what: &str) -> Result<bool, Failure> {
    Ok(kept(cx, site, what).await? == Kept::Running)
}

/// True when the task of the kept handle has begun to copy, by its log.
pub async fn copies(cx: &dyn Context, site: &Reading) -> bool {
    let Some(upid) = kept_task(cx) else { return false };
    site.proxmox.task_log(&upid, 0).await.is_ok_and(|log| progress_of(&log).is_some())
}

fn kept_task(cx: &dyn Context) -> Option<Upid> {
    cx.handle()?.parse().ok()
}

/// Returns at the next change of the objects, or after `at_most` of the clock, whichever comes first.
pub async fn object(
    cx: &dyn Context,
    site: &Reading,
    kind: &Kind,
    namespace: Option<&str>,
    name: Option<&str>,
    at_most: Duration,
) {
    let Ok(reader) = site.kubernetes() else { return cx.clock().sleep(at_most).await };
    let wall = cx.clock().wall(at_most);
    tokio::select! {
        () = cx.clock().sleep(at_most) => {}
        result = reader.wait_for_change(kind, namespace, name, None, wall.max(Duration::from_millis(50))) => {
            // Without a watch the pause is what is left.
            if result.is_err() {
                cx.clock().sleep(at_most).await;
            }
        }
    }
}

/// Returns at the next event of the node's services or stage, or after `at_most` of the clock.
pub async fn machine(cx: &dyn Context, site: &Reading, address: IpAddr, kind: talos::watch::Kind, at_most: Duration) {
    let Ok(admin) = site.admin() else { return cx.clock().sleep(at_most).await };
    let wall = cx.clock().wall(at_most).max(Duration::from_millis(50));
    tokio::select! {
        () = cx.clock().sleep(at_most) => {}
        result = talos::watch::wait_for_change(address, &admin, kind, None, wall) => {
            // Without a watch the pause is what is left.
            if result.is_err() {
                cx.clock().sleep(at_most).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::engine::made::Made;
    use async_trait::async_trait;
    use std::sync::Mutex;

    struct Listening {
        clock: Clock,
        heard: Mutex<Vec<String>>,
        made: Made,
        /// Stops when so many lines were heard.
        until: usize,
    }

    #[async_trait]
    impl Context for Listening {
        fn clock(&self) -> &Clock {
            &self.clock
        }

        fn handle(&self) -> Option<String> {
            None
        }

        async fn keep_handle(&self, _handle: &str) -> Result<(), Failure> {
            Ok(())
        }

        fn made(&self) -> &Made {
            &self.made
        }

        fn waiting(&self, _wait: Wait) {}

        fn log(&self, _source: &str, line: &str) {
            self.heard.lock().unwrap().push(line.to_string());
        }

        fn stopping(&self) -> bool {
            self.heard.lock().unwrap().len() >= self.until
        }
    }

    /// proxmox.md 2.9
    #[test]
    fn a_line_that_still_grows_is_shown_once_it_is_whole() {
        let upid: Upid = "UPID:a:0000C350:05F5E100:68FB0C11:imgcopy::cozyup@pve!installer:".parse().unwrap();
        let cx = Listening { clock: Clock::real(), heard: Mutex::default(), made: Made::default(), until: usize::MAX };
        let (mut after, mut told) = (0, 0);
        let line = |n, text: &str| LogLine { n, text: text.into() };
        for (lines, ended) in [
            (vec![line(1, "starting file import"), line(2, "calculating checksum...")], false),
            (vec![line(1, "starting file import"), line(2, "calculating checksum...OK, checksum verified")], false),
            (vec![line(2, "calculating checksum...OK, checksum verified"), line(3, "TASK OK")], true),
        ] {
            tell_log(&cx, &upid, whole(&lines, ended), &mut after, &mut told);
        }
        let heard = cx.heard.lock().unwrap();
        assert_eq!(*heard, ["starting file import", "calculating checksum...OK, checksum verified", "TASK OK"]);
    }

    /// harm.md S7
    #[test]
    fn a_log_of_any_length_is_shown_in_part_and_not_at_all_when_stopping() {
        let upid: Upid = "UPID:a:0000C350:05F5E100:68FB0C11:imgcopy::cozyup@pve!installer:".parse().unwrap();
        let lines: Vec<LogLine> = (1..=500).map(|n| LogLine { n, text: format!("line {n}") }).collect();
        for (until, heard) in [(usize::MAX, LOG as usize + 1), (7, 7), (0, 0)] {
            let cx = Listening { clock: Clock::real(), heard: Mutex::default(), made: Made::default(), until };
            let mut told = 0;
            for _ in 0..2 {
                tell_log(&cx, &upid, &lines, &mut 0, &mut told);
            }
            let shown = cx.heard.lock().unwrap();
            assert_eq!(shown.len(), heard);
            assert!(shown.last().is_none_or(|last| heard == 7 || last.contains("pvesh get /nodes/a/tasks/")));
        }
    }
}
