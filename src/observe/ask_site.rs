//! Asks Proxmox VE, one question at a time.
use super::Around;
use super::outlet::{Calls, Source};
use super::pace::Pace;
use super::site::SiteWatch;
use crate::base::vmid::Vmid;
use crate::observed::{Backend, Cause, Site, View};
use crate::plan::Plan;
use crate::proxmox::{Error, Overview, Reader, TaskRow, Upid, progress_of};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// All questions of one look; of the wall.
const DEADLINE: Duration = Duration::from_secs(20);
/// Logs of running tasks that are read for their progress at each look.
const LOGS: usize = 3;
/// Of these the log counts.
const COUNTED: [&str; 4] = ["qmclone", "imgcopy", "qmmove", "qmigrate"];
/// After so many looks it is asked again whose tasks the token sees.
const RIGHTS_EVERY: u32 = 100;

struct Ask {
    reader: Reader,
    /// True when the token has `Sys.Audit` on `/`; `None`: not asked yet.
    all_tasks: Option<bool>,
    looks: u32,
}

struct Answer {
    overview: Overview,
    tasks: Vec<TaskRow>,
    free: BTreeSet<Vmid>,
}

pub async fn run(around: Arc<Around>, reader: Reader, plan: Arc<Plan>) {
    around.begun(1).await;
    let mut watch = SiteWatch::of(&plan, reader.token_id());
    let mut ask = Ask { reader, all_tasks: None, looks: 0 };
    let mut pace = Pace::default();
    loop {
        let pause = match tokio::time::timeout(DEADLINE, ask.look(&watch, &around)).await {
            Ok(Ok(answer)) => {
                around.outlet.answered(&Backend::Proxmox);
                let mut seen = watch.take(&answer.overview, &answer.tasks, &answer.free);
                seen.site.own_tasks_only = ask.all_tasks == Some(false);
                // A log that can't be read in time takes nothing from what is known.
                let _ = tokio::time::timeout(DEADLINE, ask.progress(&mut seen.site, &answer.tasks, &around)).await;
                around.outlet.show(View::Site(seen.site));
                seen.notices.into_iter().for_each(|notice| around.outlet.notify(notice));
                around.outlet.doubt(Source::Site, seen.doubts);
                pace.after(seen.busy)
            }
            Ok(Err(error)) => silence(&around, &mut pace, cause(&error)),
            Err(_) => silence(&around, &mut pace, Cause::Silent),
        };
        around.rest(pause).await;
    }
}

fn silence(around: &Around, pace: &mut Pace, cause: Cause) -> Duration {
    around.outlet.failed(&Backend::Proxmox, cause);
    // A question without an answer contradicts nothing.
    around.outlet.doubt(Source::Site, BTreeSet::new());
    pace.after_silence()
}

impl Ask {
    async fn look(&mut self, watch: &SiteWatch, around: &Around) -> Result<Answer, Error> {
        let count = |n| Calls::count(&around.calls.proxmox, n);
        if self.looks.is_multiple_of(RIGHTS_EVERY) || self.all_tasks.is_none() {
            count(1);
            let rights = self.reader.permissions_on("/").await?.value;
            self.all_tasks = Some(rights.contains_key("Sys.Audit"));
        }
        self.looks = self.looks.wrapping_add(1);
        count(1);
        let overview = self.reader.overview().await?.value;
        let mut tasks = Vec::new();
        if self.all_tasks == Some(true) {
            count(1);
            tasks = self.reader.cluster_tasks().await?.value;
        } else {
            for host in watch.hosts() {
                count(1);
                match self.reader.node_tasks(host).await {
                    Ok(answer) => tasks.extend(answer.value),
                    // One that is down says so in the overview.
                    Err(e) if e.is_transient() => {}
                    Err(e) => return Err(e),
                }
            }
        }
        let mut free = BTreeSet::new();
        for vmid in watch.missing(&overview) {
            count(1);
            if self.reader.vmid_free(vmid).await?.value {
                free.insert(vmid);
            }
        }
        Ok(Answer { overview, tasks, free })
    }

    /// Adds how far the running tasks are whose logs count.
    async fn progress(&self, site: &mut Site, rows: &[TaskRow], around: &Around) {
        let counted = site.tasks.iter_mut().filter(|task| COUNTED.contains(&task.kind.as_str()));
        for task in counted.take(LOGS) {
            let upid: Option<&Upid> = rows.iter().map(|row| &row.upid).find(|upid| upid.as_str() == task.upid);
            let Some(upid) = upid else { continue };
            Calls::count(&around.calls.proxmox, 1);
            if let Ok(log) = self.reader.task_log(upid, 0).await {
                task.progress = progress_of(&log);
            }
        }
    }
}

fn cause(error: &Error) -> Cause {
    match error {
        Error::Unreachable { .. } => Cause::Unreachable,
        Error::Certificate { .. } | Error::NodeCertificate { .. } => Cause::Untrusted,
        Error::Unauthorized { .. } | Error::Forbidden { .. } => Cause::Refused,
        Error::Busy { status: None, .. } => Cause::Silent,
        Error::Busy { .. } | Error::Locked { .. } | Error::Server { .. } | Error::InFront { .. } => Cause::NotReady,
        Error::Answer { .. } => Cause::Answer,
        Error::Target { .. }
        | Error::Parameters { .. }
        | Error::NotFound { .. }
        | Error::NoSuchTask
        | Error::Exists { .. }
        | Error::NoSuchNode { .. }
        | Error::File { .. } => Cause::Other,
    }
}
