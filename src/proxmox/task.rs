//! A task: its state, end, log and progress.
use super::cause::Cause;
use super::fields::{Fields, rows};
use super::upid::Upid;
use crate::base::text::shorten;
use serde_json::Value;

/// `GET /nodes/{node}/tasks/{upid}/status`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskStatus {
    /// True while the task has not ended.
    pub running: bool,
    /// Known once the task has stopped.
    pub exit: Option<TaskExit>,
}

/// The way in which a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskExit {
    /// Done, without a warning.
    Ok,
    /// Done, with so many warnings in the log.
    Warnings(u64),
    /// `text` is the task's last word, `unexpected status` when its worker was killed or its node went down; `cause` is
    /// what that means.
    Failed {
        /// The meaning of `text`.
        cause: Cause,
        /// The task's last word, cleaned.
        text: String,
    },
}

impl TaskExit {
    /// An end with these last words of the task's log: `OK`, `WARNINGS: 2`, or an error.
    pub fn of(text: &str) -> TaskExit {
        match text.strip_prefix("WARNINGS: ").map(str::parse) {
            Some(Ok(count)) => TaskExit::Warnings(count),
            _ if text == "OK" => TaskExit::Ok,
            _ => TaskExit::Failed { cause: Cause::of(text), text: text.to_string() },
        }
    }

    /// True when the work is done, with or without warnings.
    pub fn is_success(&self) -> bool {
        match self {
            TaskExit::Ok | TaskExit::Warnings(_) => true,
            TaskExit::Failed { .. } => false,
        }
    }
}

/// One line of a task's log; `n` counts from 1. The last line of a running task may still grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Number of the line, from 1.
    pub n: u64,
    /// The line, cleaned.
    pub text: String,
}

/// The server's word when a task's log has no last word; older servers leave the field out.
const NO_WORD: &str = "unexpected status";

pub(super) fn status(data: &Value) -> Result<TaskStatus, String> {
    let fields = Fields::of(data)?;
    let running = match fields.need_text("status")?.as_str() {
        "running" => true,
        "stopped" => false,
        other => return Err(format!("a task's status is `{other}`")),
    };
    let exit = (!running).then(|| TaskExit::of(&fields.text("exitstatus").unwrap_or_else(|| NO_WORD.to_string())));
    Ok(TaskStatus { running, exit })
}

/// The list of active tasks has ended ones too, until they are archived.
pub(super) fn running(data: &Value) -> Result<Vec<Upid>, String> {
    let rows = rows(data)?;
    let running = rows.iter().filter(|r| r.text("status").as_deref() == Some("RUNNING"));
    running.map(|r| r.need_text("upid")?.parse()).collect()
}

/// Of a task whose file is gone, 8.4 answers the one line as an object and not in a list.
pub(super) fn log(data: &Value) -> Result<Vec<LogLine>, String> {
    if let Value::Object(line) = data {
        return log(&Value::Array(vec![Value::Object(line.clone())]));
    }
    rows(data)?.iter().map(|r| Ok(LogLine { n: r.need_number("n")?, text: r.text("t").unwrap_or_default() })).collect()
}

/// The lines of a failed task's log that say why QEMU did not start: what it, or a script that it ran, printed last.
/// Warnings of QEMU are not the reason, nor is the task's own last line.
pub fn reason_of(lines: &[LogLine]) -> Option<String> {
    let said: Vec<&str> = lines
        .iter()
        .map(|line| line.text.trim())
        .filter(|t| !t.is_empty() && *t != "no content" && !t.starts_with("TASK ERROR") && !t.contains("kvm: warning"))
        .collect();
    let tail = said.len().saturating_sub(REASON_LINES);
    let text = said.get(tail..).unwrap_or_default().join("; ");
    (!text.is_empty()).then(|| shorten(&text, REASON_LIMIT))
}

/// Of a log, its last lines: a start prints two or three when it fails.
const REASON_LINES: usize = 3;
/// Bytes of a reason.
const REASON_LIMIT: usize = 600;

/// The progress by the last `transferred A of B (p%)` line of an import, clone or mirror, in hundredths of a percent.
/// Each disk of a VM starts again at nothing.
pub fn progress_of(lines: &[LogLine]) -> Option<u64> {
    lines.iter().rev().find_map(|line| {
        let (_, rest) = line.text.split_once("transferred ")?;
        let (_, rest) = rest.split_once(" of ")?;
        let (_, rest) = rest.split_once('(')?;
        let percent: f64 = rest.split_once("%)")?.0.parse().ok()?;
        (0.0..=100.0).contains(&percent).then_some((percent * 100.0).round() as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxmox::Error;
    use proptest::prelude::*;
    use serde_json::json;

    fn lines(texts: &[&str]) -> Vec<LogLine> {
        texts.iter().zip(1..).map(|(t, n)| LogLine { n, text: (*t).to_string() }).collect()
    }

    #[test]
    fn the_end_of_a_task_is_ok_warnings_or_its_own_words() {
        let end = |t: &str| status(&json!({"status": "stopped", "exitstatus": t})).unwrap().exit.unwrap();
        assert_eq!(end("OK"), TaskExit::Ok);
        assert_eq!(end("WARNINGS: 2"), TaskExit::Warnings(2));
        let failed = |cause, text: &str| TaskExit::Failed { cause, text: text.to_string() };
        for (cause, text) in [
            (Cause::Unknown, "clone failed: x"),
            (Cause::Lock, "clone failed: can't lock file '/var/lock/x' - got timeout"),
            (Cause::Unknown, "WARNINGS: many"),
            (Cause::WorkerGone, "unexpected status"),
            (Cause::WorkerGone, "unable to create VM 1 - received interrupt"),
            (Cause::ProgramFailed, "import failed: command 'cp -- a b' failed: exit code 1"),
            (Cause::Systemd, "start failed: org.freedesktop.systemd1.UnitExists: Unit 1.scope already exists."),
        ] {
            assert_eq!(end(text), failed(cause, text));
            assert!(!end(text).is_success());
        }
    }

    #[test]
    fn a_task_that_has_ended_and_is_not_archived_yet_does_not_run() {
        let upid = |pid: u32| format!("UPID:a:{pid:08X}:05F5E100:68FB0C11:imgcopy::cozyup@pve!installer:");
        let row = |pid, status| json!({"upid": upid(pid), "type": "imgcopy", "status": status});
        let rows = json!([row(1, "RUNNING"), row(2, "OK"), row(3, "unexpected status")]);
        assert_eq!(running(&rows).unwrap(), [upid(1).parse().unwrap()]);
        assert!(running(&json!([{"upid": "1", "status": "RUNNING"}])).unwrap_err().contains("not a UPID"));
    }

    /// Some rights Proxmox VE looks at only in the worker: those on the storage of a resize, on each drive and on tags.
    #[test]
    fn a_right_that_the_worker_lacked_is_named_as_in_any_other_refusal() {
        let text = "403 Permission check failed (/storage/local-lvm, Datastore.AllocateSpace)";
        let TaskExit::Failed { cause: Cause::Forbidden, text } = TaskExit::of(text) else { panic!("no refusal") };
        let Error::Forbidden { path, privilege, .. } = Error::forbidden(&text) else { panic!("no refusal") };
        assert_eq!(path.as_deref(), Some("/storage/local-lvm"));
        assert_eq!(privilege.as_deref(), Some("Datastore.AllocateSpace"));
    }

    #[test]
    fn a_running_task_has_no_end_and_a_killed_one_an_unexpected_one() {
        assert_eq!(status(&json!({"status": "running"})).unwrap(), TaskStatus { running: true, exit: None });
        let killed = status(&json!({"status": "stopped"})).unwrap().exit;
        assert_eq!(killed, Some(TaskExit::of("unexpected status")));
        assert!(status(&json!({"status": "queued"})).is_err());
    }

    /// proxmox.md 2.9: a task whose log file is gone, as 8.4 and as newer servers answer.
    #[test]
    fn the_log_of_a_task_that_is_gone_is_one_line_in_either_form() {
        let line = json!({"n": 1, "t": "unable to open file - No such file or directory"});
        assert_eq!(log(&line).unwrap(), log(&json!([line])).unwrap());
        assert_eq!(log(&line).unwrap().len(), 1);
    }

    /// proxmox.md 2.8
    #[test]
    fn why_qemu_ended_is_taken_from_the_tasks_log() {
        let log = lines(&[
            "generating cloud-init ISO",
            "kvm: warning: host doesn't support requested feature: CPUID.0x80000001",
            "bridge 'vmbr9' does not exist",
            "kvm: -netdev type=tap,id=net0: network script /usr/libexec/qemu-server/pve-bridge failed with status 512",
            "TASK ERROR: start failed: QEMU exited with code 1",
        ]);
        let reason = reason_of(&log).unwrap();
        assert!(reason.contains("bridge 'vmbr9' does not exist") && !reason.contains("warning"), "{reason}");
        assert_eq!(Cause::of(&reason), Cause::NoBridge);
        assert_eq!(reason_of(&lines(&["TASK ERROR: x", "no content"])), None);
    }

    #[test]
    fn progress_is_that_of_the_last_transferred_line() {
        assert_eq!(progress_of(&lines(&["create full clone of drive scsi0"])), None);
        let log = lines(&[
            "transferred 0.0 B of 1.2 GiB (0.00%)",
            "transferred 625.5 MiB of 1.2 GiB (50.20%)",
            "scsi0: successfully created disk 'local-lvm:vm-101-disk-0,size=1246M'",
        ]);
        assert_eq!(progress_of(&log), Some(5020));
        let mirror = lines(&["drive-scsi0: transferred 1.0 GiB of 10.0 GiB (10.00%) in 5s"]);
        assert_eq!(progress_of(&mirror), Some(1000));
        assert_eq!(progress_of(&lines(&["transferred 1 B of 2 B (NaN%)"])), None);
    }

    proptest! {
        #[test]
        fn no_log_line_is_too_strange(text in ".*", inside in ".*") {
            progress_of(&lines(&[&text, &format!("transferred 1 B of {inside} ({inside}%)")]));
        }
    }
}
