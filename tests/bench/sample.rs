//! Records in the sizes and shares of a whole run against the lab's standard site.
use cozyup::base::day::Day;
use cozyup::engine::course::Course;
use cozyup::engine::proof::{Evidence, Proof};
use cozyup::engine::record::{Event, Record};
use cozyup::engine::step::{Outline, StepId};
use cozyup::engine::wait::{Band, Wait};
use jiff::{SignedDuration, Timestamp};

const STEPS: usize = 100;
/// Of a plan that the lab serves, so that a worker takes the journal up.
const PLAN: &str = "standard";

fn step(n: usize) -> StepId {
    StepId::of("day1.clone", &format!("cozy-new-node{}", n % STEPS))
}

fn outlines() -> Vec<Outline> {
    let outline = |n| Outline {
        id: step(n),
        day: Day::Number(1),
        title: format!("clone cozy-new-node{n} (vm {}) from template 9100 to storage local-lvm", 1000 + n),
        after: vec![StepId::new("day1.template")],
        queue: None,
        band: Band::new(60, 300),
        changes: true,
        momentary: false,
        cleanup: false,
        put_right_by: None,
        by_hand: format!("qm clone 9100 {} --full --storage local-lvm --name cozy-new-node{n}", 1000 + n),
    };
    (0..STEPS).map(outline).collect()
}

fn proof(at: Timestamp) -> Proof {
    let answer = r#"{"boot":"order=scsi0","cores":8,"memory":"16384","name":"cozy-new-cp1","net0":"virtio=BC:24:11:00:00:01,bridge=vmbr0"}"#;
    let reading = |asked: &str| Evidence {
        system: "Proxmox".into(),
        asked: asked.into(),
        answer: answer.repeat(6),
        at,
        by_hand: "pvesh get /nodes/pve/qemu/1001/config".into(),
    };
    Proof::new("vm 1001 is on pve with 8 cores", reading("GET /nodes/pve/qemu/1001/config"))
        .and(reading("GET /nodes/pve/qemu"))
}

pub fn event(n: usize, at: Timestamp) -> Event {
    let id = step(n / 11);
    match n % 11 {
        0 => Event::Absent { step: id, seen: "no vm 1001 in the cluster".into() },
        1 => intended(n),
        2 => Event::HandleKept {
            step: id,
            handle: "UPID:pve-1:000A1B2C:05F5E100:68FB0C11:qmclone:9000:cozy@pve!w:".into(),
        },
        3 => Event::Acted { step: id },
        4..=6 => waiting(n),
        7 | 8 => {
            Event::Log { step: id, source: "task".into(), line: format!("transferred {n} MiB of 10.0 GiB (10.00%)") }
        }
        9 => proven(n, at),
        _ => Event::RetryAsked { step: id, by: "ann on pts/3".into() },
    }
}

pub fn intended(n: usize) -> Event {
    Event::Intended { step: step(n), attempt: 1 }
}

pub fn waiting(n: usize) -> Event {
    let wait = Wait::new("the task clone of vm 1001 ends", format!("running, {} %", n % 100), Band::new(60, 300));
    Event::Waiting { step: step(n / 11), wait: wait.with_progress(n as u64, 10_240, "MiB") }
}

pub fn proven(n: usize, at: Timestamp) -> Event {
    Event::Proven { step: step(n / 11), proof: proof(at) }
}

pub fn records(count: usize) -> impl Iterator<Item = Record> {
    let start: Timestamp = "2026-11-25T08:00:00.123456789Z".parse().unwrap();
    (0..count).map(move |n| {
        let at = start + SignedDuration::from_millis(n as i64 * 250);
        let event = if n == 0 { session() } else { event(n, at) };
        Record { seq: n as u64 + 1, at, event }
    })
}

fn session() -> Event {
    Event::Session {
        run: "1a2b3c4d".into(),
        plan: PLAN.into(),
        plan_digest: "0".repeat(64),
        cozyup: env!("CARGO_PKG_VERSION").into(),
        host: "jump".into(),
        pid: 1,
        course: Course::Forward { until: Day::Number(1) },
        take_over: None,
        adopted: vec![],
        steps: outlines(),
    }
}
