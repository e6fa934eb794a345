//! Tasks: UPID, log and end. A log line may be written ahead of its time; readers see only what is past.
use super::copying;
use super::property::transferred;
use crate::world::World;
use cozyup_base::clock::{add, between};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;

/// Share of a transfer between two progress lines (qemu-img's own step).
const STEP: f64 = 0.0133;

#[derive(Debug, Clone)]
pub struct Task {
    pub upid: String,
    pub node: String,
    pub pid: u32,
    pub pstart: u64,
    pub start: Timestamp,
    pub kind: String,
    pub id: String,
    /// `user@realm` or `user@realm!token`
    pub user: String,
    log: Vec<(Timestamp, String)>,
    /// When it ended and the exit status.
    pub end: Option<(Timestamp, String)>,
}

impl Task {
    /// The lines that are in the log at `now`, oldest first.
    pub fn lines(&self, now: Timestamp) -> Vec<&str> {
        self.log.iter().filter(|(at, _)| *at <= now).map(|(_, line)| line.as_str()).collect()
    }

    /// User and token apart, as the API shows tasks.
    pub fn owner(&self) -> (&str, Option<&str>) {
        match self.user.split_once('!') {
            Some((user, token)) => (user, Some(token)),
            None => (&self.user, None),
        }
    }

    /// A token sees its own tasks, a user also those of its tokens.
    pub fn belongs_to(&self, caller: &str) -> bool {
        self.user == caller || self.owner().0 == caller
    }

    pub fn status(&self) -> Value {
        let (user, token) = self.owner();
        let mut status = json!({
            "upid": self.upid, "node": self.node, "pid": self.pid, "pstart": self.pstart,
            "starttime": self.start.as_second(), "type": self.kind, "id": self.id, "user": user,
            "status": if self.end.is_some() { "stopped" } else { "running" },
        });
        if let Some(token) = token {
            status["tokenid"] = json!(token);
        }
        if let Some((_, exit)) = &self.end {
            status["exitstatus"] = json!(exit);
        }
        status
    }

    /// The row of a task list.
    pub fn row(&self) -> Value {
        // Proxmox takes user and token apart only in its archive.
        let (user, token) = if self.end.is_some() { self.owner() } else { (self.user.as_str(), None) };
        let mut row = json!({
            "upid": self.upid, "node": self.node, "pid": self.pid, "pstart": self.pstart,
            "starttime": self.start.as_second(), "type": self.kind, "id": self.id, "user": user,
        });
        if let Some(token) = token {
            row["tokenid"] = json!(token);
        }
        match &self.end {
            Some((at, exit)) => {
                row["endtime"] = json!(at.as_second());
                row["status"] = json!(exit);
            }
            None => row["status"] = json!("RUNNING"),
        }
        row
    }
}

/// Starts a task and answers its UPID. `id` may be empty.
pub fn begin(world: &mut World, node: &str, kind: &str, id: &str, user: &str) -> String {
    world.pve.next_pid += 1 + world.random.u32(0..7);
    let pid = world.pve.next_pid;
    let start = world.now;
    let pstart = 100_000_000 + u64::try_from(between(world.started, start).as_millis() / 10).unwrap_or_default();
    let upid = format!("UPID:{node}:{pid:08X}:{pstart:08X}:{:08X}:{kind}:{id}:{user}:", start.as_second());
    world.pve.tasks.push(Task {
        upid: upid.clone(),
        node: node.into(),
        pid,
        pstart,
        start,
        kind: kind.into(),
        id: id.into(),
        user: user.into(),
        log: Vec::new(),
        end: None,
    });
    upid
}

pub fn find<'a>(world: &'a World, upid: &str) -> Option<&'a Task> {
    world.pve.tasks.iter().rev().find(|t| t.upid == upid)
}

/// `false` once the task has ended, also by being stopped from outside.
pub fn running(world: &World, upid: &str) -> bool {
    find(world, upid).is_some_and(|t| t.end.is_none())
}

pub fn say(world: &mut World, upid: &str, line: impl Into<String>) {
    let now = world.now;
    if let Some(task) = world.pve.tasks.iter_mut().rev().find(|t| t.upid == upid) {
        task.log.push((now, line.into()));
    }
}

/// The progress lines of copying `bytes`, of which `done` is there now and all at `end`: they take the place of those that
/// an earlier pace put into the future.
pub fn transfer(world: &mut World, upid: &str, done: f64, end: Timestamp, bytes: u64) {
    let now = world.now;
    let Some(task) = world.pve.tasks.iter_mut().rev().find(|t| t.upid == upid) else { return };
    task.log.retain(|(at, _)| *at <= now);
    let (left, total) = (between(now, end).as_secs_f64(), transferred(bytes));
    let begins = if done > 0.0 { (done / STEP).floor() + 1.0 } else { 0.0 };
    let mut step = begins;
    loop {
        let share = (step * STEP).min(1.0);
        let after = if done < 1.0 { left * (share - done) / (1.0 - done) } else { 0.0 };
        let line =
            format!("transferred {} of {total} ({:.2}%)", transferred((bytes as f64 * share) as u64), share * 100.0);
        task.log.push((add(now, Duration::from_secs_f64(after.max(0.0))), line));
        if share >= 1.0 {
            return;
        }
        step += 1.0;
    }
}

/// Ends the task, unless it has ended already.
pub fn finish(world: &mut World, upid: &str, result: Result<(), String>) {
    copying::end(world, upid);
    let now = world.now;
    let Some(task) = world.pve.tasks.iter_mut().rev().find(|t| t.upid == upid && t.end.is_none()) else { return };
    let (line, exit) = match result {
        Ok(()) => ("TASK OK".to_string(), "OK".to_string()),
        Err(why) => {
            let why = why.trim_end().replace('\n', " ");
            (format!("TASK ERROR: {why}"), why)
        }
    };
    task.log.retain(|(at, _)| *at <= now);
    task.log.push((now, line));
    task.end = Some((now, exit));
}

/// [`finish`] after `seconds`.
pub fn finish_after(world: &mut World, upid: String, seconds: f64, result: Result<(), String>) {
    world.after(seconds, move |world| finish(world, &upid, result));
}
