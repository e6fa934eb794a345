//! Made-up runs for tests, record by record.
use crate::base::day::Day;
use crate::engine::course::Course;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::record::{Event, Outcome, Record};
use crate::engine::step::{Outline, Queue, StepId};
use crate::engine::wait::{Band, Wait};
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;

/// A time in seconds after the epoch; the sample runs begin at 0.
pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[derive(Debug, Clone)]
pub struct Sample {
    records: Vec<Record>,
}

fn outline(id: &str, day: u8, title: &str, after: &[&str]) -> Outline {
    Outline {
        id: StepId::new(id),
        day: Day::Number(day),
        title: title.into(),
        after: after.iter().map(|a| StepId::new(a)).collect(),
        queue: None,
        band: Band::new(30, 120),
        changes: day > 0,
        momentary: false,
        cleanup: false,
        put_right_by: None,
        by_hand: format!("qm config {day}00 --{}", id.replace('/', " ")),
    }
}

fn steps() -> Vec<Outline> {
    let mut steps = vec![
        outline("day0.proxmox", 0, "the API answers with the pinned certificate", &[]),
        outline("day0.permissions", 0, "the token has every right it needs", &[]),
        outline("day1.template", 1, "build template 9100 cozy-talos", &[]),
    ];
    for n in 1..=3 {
        let title = format!("clone cp{n} (vm 100{n}) from template 9100");
        let mut clone = outline(&format!("day1.clone/cp{n}"), 1, &title, &["day1.template"]);
        clone.queue = Some(Queue { name: "clone local-lvm".into(), limit: 1, one_begins: false });
        steps.push(clone);
    }
    steps.push(outline("day2.bootstrap", 2, "bootstrap etcd once", &[]));
    for n in 1..=3 {
        steps.push(outline(&format!("day3.releases/wave-{n}"), 3, &format!("release wave {n} is Ready"), &[]));
    }
    steps.push(outline("day5.pod", 5, "a test pod runs and is gone again", &[]));
    steps
}

pub fn proof(summary: &str) -> Proof {
    let reading = |n: u32| Evidence {
        system: format!("Proxmox {n}"),
        asked: format!("GET /nodes/pve/qemu/100{n}/config"),
        answer: (1..=40).map(|l| format!("\"key{l}\": \"value {l}\"")).collect::<Vec<_>>().join("\n"),
        at: at(40),
        by_hand: format!("pvesh get /nodes/pve/qemu/100{n}/config"),
    };
    Proof::new(summary, reading(1)).and(reading(2))
}

impl Sample {
    /// A session of the sample plan in which nothing has happened.
    pub fn fresh() -> Self {
        Sample::session(steps())
    }

    /// The same of any steps.
    pub fn session(steps: Vec<Outline>) -> Self {
        let session = Event::Session {
            run: "1a2b3c4d".into(),
            plan: "cozy-new".into(),
            plan_digest: "00".into(),
            cozyup: "0.1.0".into(),
            host: "jump".into(),
            pid: 4711,
            course: Course::Forward { until: Day::Number(5) },
            take_over: None,
            adopted: vec![],
            steps,
        };
        Sample { records: Vec::new() }.then(0, session)
    }

    #[must_use]
    pub fn then(mut self, second: i64, event: Event) -> Self {
        let seq = self.records.len() as u64 + 1;
        self.records.push(Record { seq, at: at(second), event });
        self
    }

    #[must_use]
    pub fn proven(self, second: i64, step: &str) -> Self {
        let proof = proof(&format!("{step} is true"));
        self.then(second, Event::Proven { step: StepId::new(step), proof })
    }

    /// Day 0 is proven, day 1 waits for a person.
    pub fn gate() -> Self {
        Sample::fresh()
            .proven(3, "day0.proxmox")
            .proven(5, "day0.permissions")
            .then(6, Event::Absent { step: StepId::new("day1.template"), seen: "no vm 9100".into() })
            .then(6, Event::GateAsked { day: Day::Number(1), compare: Vec::new() })
    }

    /// The first clone is on its way since second 50; usual 60 s, late after 180 s.
    pub fn late_clone() -> Self {
        let clone = StepId::new("day1.clone/cp1");
        let wait = |seen: &str, done| {
            let wait = Wait::new("clone cp1: the task ends", seen, Band::new(60, 180));
            Event::Waiting { step: StepId::new("day1.clone/cp1"), wait: wait.with_progress(done, 78, "MiB") }
        };
        Sample::gate()
            .then(20, Event::GateOpened { day: Day::Number(1), by: "ann on the screen".into() })
            .proven(40, "day1.template")
            .then(41, Event::Absent { step: StepId::new("day1.clone/cp2"), seen: "no vm 1002".into() })
            .then(45, Event::Intended { step: clone.clone(), attempt: 1 })
            .then(46, Event::HandleKept { step: clone.clone(), handle: "UPID:pve:0001:clone".into() })
            .then(50, wait("transferred 1 of 78 MiB", 1))
            .then(60, Event::Log { step: clone, source: "task".into(), line: "transferred 41 of 78 MiB".into() })
            .then(61, wait("transferred 41 of 78 MiB", 41))
    }

    /// The first clone is refused; the same is seen twice.
    pub fn blocked() -> Self {
        let blocked = |again| Event::Blocked {
            step: StepId::new("day1.clone/cp1"),
            failure: Failure::refused(
                "clone of template 9100 to vm 1001 refused: no VM.Clone on /vms/9100",
                "give the token VM.Clone: pveum acl modify /vms/9100 --roles PVEVMAdmin --tokens cozyup@pve!run",
            ),
            again_at: at(again),
        };
        Sample::late_clone().then(70, blocked(80)).then(80, blocked(90))
    }

    pub fn stopped() -> Self {
        Sample::late_clone()
            .then(90, Event::StopAsked { by: "ann".into() })
            .then(95, Event::Ended { outcome: Outcome::Stopped })
    }

    pub fn finished() -> Self {
        let mut sample = Sample::late_clone();
        for (n, step) in steps().iter().enumerate().filter(|(_, s)| s.day > Day::Number(0)) {
            sample = sample.proven(100 + n as i64 * 10, step.id.as_str());
        }
        sample.then(400, Event::Ended { outcome: Outcome::Proven })
    }

    pub fn all() -> [Sample; 7] {
        [
            Sample { records: Vec::new() },
            Sample::fresh(),
            Sample::gate(),
            Sample::late_clone(),
            Sample::blocked(),
            Sample::stopped(),
            Sample::finished(),
        ]
    }

    /// The same with `extra` behind every text that people or systems write, past everything that would clean it.
    #[must_use]
    pub fn saying(&self, extra: &str) -> Self {
        fn speak(value: &mut Value, key: &str, extra: &str) {
            const FIXED: [&str; 8] = ["event", "class", "outcome", "at", "again_at", "step", "id", "after"];
            match value {
                Value::String(text) if !FIXED.contains(&key) => text.push_str(extra),
                Value::Array(items) => items.iter_mut().for_each(|item| speak(item, key, extra)),
                Value::Object(entries) => entries.iter_mut().for_each(|(key, value)| speak(value, key, extra)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let format_duration = self.records.iter().map(|record| {
            let mut value = serde_json::to_value(record).unwrap();
            speak(&mut value, "", extra);
            serde_json::from_value(value).unwrap()
        });
        Sample { records: format_duration.collect() }
    }

    pub fn records(&self) -> Vec<Arc<Record>> {
        self.records.iter().cloned().map(Arc::new).collect()
    }
}
