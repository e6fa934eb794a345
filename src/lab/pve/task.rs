//! Tasks: UPID, log and end. A log line may be written ahead of its time; readers see only what is past.
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
    say_at(world, upid, now, line);
}

fn say_at(world: &mut World, upid: &str, at: Timestamp, line: impl Into<String>) {
    if let Some(task) = world.pve.tasks.iter_mut().rev().find(|t| t.upid == upid) {
        task.log.push((at, line.into()));
    }
}

/// Says `line` once `seconds` from now are over.
pub fn say_after(world: &mut World, upid: &str, seconds: f64, line: impl Into<String>) {
    let at = add(world.now, Duration::from_secs_f64(seconds.max(0.0)));
    say_at(world, upid, at, line);
}

/// The progress lines of copying `bytes` that begins `from` seconds from now and lasts `seconds`.
pub fn transfer(world: &mut World, upid: &str, from: f64, seconds: f64, bytes: u64) {
    let mut share: f64 = 0.0;
    loop {
        let done = (bytes as f64 * share) as u64;
        let line =
            format!("transferred {} of {} ({:.2}%)", transferred(done), transferred(bytes), (share * 100.0).min(100.0));
        say_after(world, upid, from + seconds * share, line);
        if share >= 1.0 {
            return;
        }
        share = (share + STEP).min(1.0);
    }
}

/// Ends the task, unless it has ended already.
pub fn finish(world: &mut World, upid: &str, result: Result<(), String>) {
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
