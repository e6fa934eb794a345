//! Tasks of Proxmox VE on what the run has made: whose they are, and which one explains a change.
use crate::base::vmid::Vmid;
use crate::observed::{Noticed, Task, TaskOf};
use crate::proxmox::{TaskRow, Upid};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of tasks that are meant to stop a VM; the notice of the stop is enough.
const MEANT: [&str; 3] = ["qmstop", "qmshutdown", "qmdestroy"];
/// Kinds of tasks that may leave a VM stopped: suspension to disk, a snapshot's rollback and a restore too, and a reboot for a moment.
const STOPS: [&str; 7] = ["qmstop", "qmshutdown", "qmdestroy", "qmsuspend", "qmrollback", "qmrestore", "qmreboot"];
const STARTS: [&str; 3] = ["qmstart", "qmresume", "qmreboot"];
/// Kinds of tasks that stop a VM and start it again, and those that do one of both: who does the first tells more.
const RESTARTS: [&str; 6] = ["qmreboot", "qmstop", "qmshutdown", "qmrollback", "qmstart", "qmresume"];
const REMOVES: [&str; 2] = ["qmdestroy", "qmrestore"];
/// Somebody looks at a screen.
const LOOKS: [&str; 4] = ["vncproxy", "vncshell", "spiceproxy", "spiceshell"];

#[derive(Debug)]
pub struct Tasks {
    /// `user@realm!name` of the run's own token.
    token: String,
    /// Every task of the last answer, and whether it had ended; `None` before the first.
    known: Option<BTreeMap<String, bool>>,
    /// Ended tasks whose effect was seen, or that ended before this observer began.
    explained: BTreeSet<String>,
}

impl Tasks {
    pub fn of(token: &str) -> Tasks {
        Tasks { token: token.to_string(), known: None, explained: BTreeSet::new() }
    }

    /// True when the run's own token began it. Other programs may use the same token: their tasks count as the run's.
    pub fn is_ours(&self, upid: &Upid) -> bool {
        upid.user() == self.token
    }

    /// Takes an answer in, after everything else has looked at it.
    pub fn took(&mut self, rows: &[TaskRow]) {
        let all: BTreeMap<String, bool> = rows.iter().map(|row| (row.upid.to_string(), !row.running)).collect();
        if self.known.is_none() {
            let over = rows.iter().filter(|row| !row.running);
            self.explained.extend(over.map(|row| row.upid.to_string()));
        }
        self.explained.retain(|upid| all.contains_key(upid));
        self.known = Some(all);
    }

    /// Others' tasks on VMs of the run that were not there at the last answer; those that stop a VM are told with the stop.
    pub fn new_foreign<'a>(&self, rows: &'a [TaskRow], is_planned: impl Fn(Vmid) -> bool) -> Vec<(Vmid, &'a TaskRow)> {
        let is_new = |row: &TaskRow| match &self.known {
            Some(known) => !known.contains_key(row.upid.as_str()),
            None => row.running,
        };
        let is_told_otherwise = |row: &TaskRow| MEANT.contains(&row.upid.kind()) && (row.running || row.succeeded);
        let fits = |row: &&TaskRow| {
            is_new(row) && !self.is_ours(&row.upid) && !LOOKS.contains(&row.upid.kind()) && !is_told_otherwise(row)
        };
        let rows = rows.iter().filter(fits);
        rows.filter_map(|row| Some((vmid(&row.upid).filter(|id| is_planned(*id))?, row))).collect()
    }

    /// The newest task that would stop the VM and has not explained anything yet.
    pub fn stop_of<'a>(&self, rows: &'a [TaskRow], of: Vmid) -> Option<&'a Upid> {
        self.newest(rows, of, &STOPS)
    }

    pub fn start_of<'a>(&self, rows: &'a [TaskRow], of: Vmid) -> Option<&'a Upid> {
        self.newest(rows, of, &STARTS)
    }

    /// The task that has stopped and started it, else the newest that stopped it, else the one that started it.
    pub fn restart_of<'a>(&self, rows: &'a [TaskRow], of: Vmid) -> Option<&'a Upid> {
        RESTARTS.iter().find_map(|kind| self.newest(rows, of, &[kind]))
    }

    pub fn removal_of<'a>(&self, rows: &'a [TaskRow], of: Vmid) -> Option<&'a Upid> {
        self.newest(rows, of, &REMOVES)
    }

    fn newest<'a>(&self, rows: &'a [TaskRow], of: Vmid, kinds: &[&str]) -> Option<&'a Upid> {
        let fits = |row: &&TaskRow| {
            vmid(&row.upid) == Some(of)
                && kinds.contains(&row.upid.kind())
                && (row.running || row.succeeded)
                && !self.explained.contains(row.upid.as_str())
        };
        rows.iter().filter(fits).map(|row| &row.upid).max_by_key(|upid| upid.started())
    }

    /// Others' tasks on VMs of the run that have stopped them since the last answer, though the figures may not show it yet.
    pub fn just_stopped<'a>(&self, rows: &'a [TaskRow], is_planned: impl Fn(Vmid) -> bool) -> Vec<(Vmid, &'a Upid)> {
        let Some(known) = &self.known else { return Vec::new() };
        let is_new = |row: &&TaskRow| known.get(row.upid.as_str()) != Some(&true);
        let stops = |row: &&TaskRow| row.succeeded && MEANT.contains(&row.upid.kind()) && !self.is_ours(&row.upid);
        let open = rows.iter().filter(stops).filter(is_new).filter(|row| !self.explained.contains(row.upid.as_str()));
        open.filter_map(|row| Some((vmid(&row.upid).filter(|vmid| is_planned(*vmid))?, &row.upid))).collect()
    }

    /// The task has explained a change, and explains no later one.
    pub fn explains(&mut self, upid: Option<&Upid>) {
        self.explained.extend(upid.map(ToString::to_string));
    }

    /// The running ones that count: on the run's VMs, or by its token. In the order of their beginning.
    pub fn shown(&self, rows: &[TaskRow], is_planned: impl Fn(Vmid) -> bool) -> Vec<Task> {
        let counts =
            |row: &&TaskRow| row.running && (self.is_ours(&row.upid) || vmid(&row.upid).is_some_and(&is_planned));
        let mut shown: Vec<Task> = rows.iter().filter(counts).map(|row| self.task(&row.upid)).collect();
        shown.sort_by(|a, b| (a.started, &a.upid).cmp(&(b.started, &b.upid)));
        shown
    }

    fn task(&self, upid: &Upid) -> Task {
        Task {
            upid: upid.to_string(),
            kind: upid.kind().to_string(),
            host: upid.node().to_string(),
            vmid: vmid(upid),
            user: upid.user().to_string(),
            ours: self.is_ours(upid),
            started: Timestamp::from_second(upid.started()).ok(),
            progress: None,
        }
    }
}

pub fn vmid(upid: &Upid) -> Option<Vmid> {
    upid.id().parse().ok()
}

pub fn of(upid: &Upid) -> TaskOf {
    TaskOf { upid: upid.to_string(), kind: upid.kind().to_string(), user: upid.user().to_string() }
}

pub fn foreign(vmid: Vmid, name: &str, upid: &Upid) -> Noticed {
    Noticed::ForeignTask { vmid, name: name.to_string(), host: upid.node().to_string(), task: of(upid) }
}
