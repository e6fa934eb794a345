//! Runs of the lab's standard plan, record by record. The steps are those of the catalogue, so that no screen shows what no
//! run makes; what the records say is as the lab says it.
use super::person::at;
use cozyup::base::day::Day;
use cozyup::compose;
use cozyup::engine::course::Course;
use cozyup::engine::failure::Failure;
use cozyup::engine::notice::Notice;
use cozyup::engine::proof::{Comparison, Evidence, Proof};
use cozyup::engine::record::{Event, Outcome, Record};
use cozyup::engine::step::{Outline, StepId};
use cozyup::engine::wait::{Band, Wait};
use cozyup::observed::{Noticed, TaskOf};
use cozyup::plan::{self, Plan};
use std::path::Path;
use std::sync::LazyLock;

pub const CLONE: &str = "day1.clone/cozy-new-cp2";

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    let read = plan::of_text(include_str!("plan.yaml"), Path::new("plan.yaml"));
    read.unwrap_or_else(|e| panic!("{}", compose::plan_error(&e))).plan
});
static STEPS: LazyLock<Vec<Outline>> = LazyLock::new(|| compose::outlines(&PLAN).unwrap());

pub fn the_plan() -> Plan {
    PLAN.clone()
}

/// Every step of the plan, as a run knows it before it begins.
pub fn outlines() -> &'static [Outline] {
    &STEPS
}

pub struct Run {
    pub records: Vec<Record>,
}

impl Run {
    /// A session of the whole plan in which nothing has happened.
    pub fn begin() -> Self {
        Run { records: Vec::new() }.session(0)
    }

    fn session(self, second: i64) -> Self {
        let session = Event::Session {
            run: "1a2b3c4d".into(),
            plan: "standard".into(),
            plan_digest: "00".into(),
            cozyup: "0.1.0".into(),
            host: "jump".into(),
            pid: 4711,
            course: Course::Forward { until: Day::Number(5) },
            take_over: None,
            adopted: Vec::new(),
            steps: outlines().to_vec(),
        };
        self.then(second, session)
    }

    pub fn then(mut self, second: i64, event: Event) -> Self {
        let seq = self.records.len() as u64 + 1;
        self.records.push(Record { seq, at: at(second), event });
        self
    }

    /// The id of a step that the plan has.
    fn step(&self, id: &str) -> StepId {
        let id = StepId::new(id);
        assert!(outlines().iter().any(|s| s.id == id), "the plan has no step {id}");
        id
    }

    fn title(&self, id: &str) -> String {
        outlines().iter().find(|s| s.id.as_str() == id).map(|s| s.title.clone()).unwrap()
    }

    pub fn proven(self, second: i64, id: &str) -> Self {
        let proof = proof(&self.title(id), second);
        let step = self.step(id);
        self.then(second, Event::Proven { step, proof })
    }

    /// Every step of a day, two seconds apart.
    pub fn day(mut self, day: u8, from: i64) -> Self {
        let ids: Vec<String> =
            outlines().iter().filter(|s| s.day == Day::Number(day)).map(|s| s.id.to_string()).collect();
        for (n, id) in ids.iter().enumerate() {
            self = self.proven(from + 2 * n as i64, id);
        }
        self
    }

    pub fn absent(self, second: i64, id: &str, seen: &str) -> Self {
        let step = self.step(id);
        self.then(second, Event::Absent { step, seen: seen.into() })
    }

    pub fn acts(self, second: i64, id: &str, attempt: u32) -> Self {
        let step = self.step(id);
        self.then(second, Event::Intended { step, attempt })
    }

    pub fn waits(self, second: i64, id: &str, wait: Wait) -> Self {
        let step = self.step(id);
        self.then(second, Event::Waiting { step, wait })
    }

    fn log(self, second: i64, id: &str, line: &str) -> Self {
        let step = self.step(id);
        self.then(second, Event::Log { step, source: "task".into(), line: line.into() })
    }

    pub fn ended(self, second: i64, outcome: Outcome) -> Self {
        self.then(second, Event::Ended { outcome })
    }

    fn gate(self, second: i64, day: u8) -> Self {
        self.then(second, Event::GateOpened { day: Day::Number(day), by: "ann on the screen".into() })
    }

    /// Day 0 is being read.
    pub fn checking() -> Self {
        Run::begin().proven(1, "day0.jump_host").proven(2, "day0.proxmox").proven(3, "day0.api_version").waits(
            4,
            "day0.image",
            Wait::new("the release server answers", "HTTP 503 Service Unavailable", Band::new(5, 60)),
        )
    }

    /// Day 0 is proven, day 1 waits for a person.
    pub fn at_gate() -> Self {
        Run::begin()
            .day(0, 1)
            .absent(40, "day1.fetch", "no file nocloud-amd64.raw.xz in the cache")
            .then(40, Event::GateAsked { day: Day::Number(1), compare: Vec::new() })
    }

    /// The second clone is on its way since second 160: usually 60 s, late after 300 s.
    pub fn cloning() -> Self {
        let mut run = Run::at_gate().gate(50, 1);
        for (n, id) in ["day1.fetch", "day1.image", "day1.template_vm", "day1.template", "day1.clone/cozy-new-cp1"]
            .iter()
            .enumerate()
        {
            let second = 60 + 20 * n as i64;
            run = run.acts(second, id, 1).proven(second + 15, id);
        }
        run.absent(156, "day1.clone/cozy-new-cp3", "no vm 1003")
            .absent(156, "day1.clone/cozy-new-worker1", "no vm 1011")
            .absent(157, CLONE, "no vm 1002")
            .acts(158, CLONE, 1)
            .transferred(160, 1)
            .log(170, CLONE, "transferred 4.1 GiB of 10.0 GiB (41.00%)")
            .transferred(171, 41)
    }

    fn transferred(self, second: i64, percent: u64) -> Self {
        let seen = format!("transferred {percent} % of the disk");
        let wait = Wait::new("clone vm 1002 cozy-new-cp2 from template 9100: the task ends", seen, Band::new(60, 300));
        self.waits(second, CLONE, wait.with_progress(percent, 100, "%"))
    }

    /// The second clone is refused.
    pub fn blocked() -> Self {
        let run = Run::cloning();
        let step = run.step(CLONE);
        let failure = Failure::refused(
            "clone of template 9100 to vm 1002 refused: 403 Permission check failed (/vms/9100, VM.Clone)",
            "give the token VM.Clone on /vms/9100: `pveum acl modify /vms/9100 --tokens 'cozyup@pve!installer' --roles Cozyup`",
        );
        run.then(180, Event::Blocked { step, failure, again_at: at(190) })
    }

    /// The second clone has failed twice and tries again by itself.
    pub fn retrying() -> Self {
        let run = Run::cloning();
        let step = run.step(CLONE);
        let again = Failure::retryable(
            "can't lock file '/var/lock/qemu-server/lock-9100.conf' - got timeout",
            "wait: another task holds the template",
        );
        run.then(180, Event::Failed { step: step.clone(), failure: again.clone(), again_at: at(185) })
            .acts(185, CLONE, 2)
            .then(190, Event::Failed { step, failure: again, again_at: at(210) })
    }

    /// Days 0 and 1 are proven; the machines show keys that a person compares before day 2.
    pub fn at_compare() -> Self {
        let mut run = Run::at_gate().gate(50, 1).day(1, 60);
        for n in 1..=3 {
            let id = format!("day1.reach/cozy-new-cp{n}");
            let compare = Comparison {
                of: format!("cozy-new-cp{n} at 127.86.0.20{n}"),
                value: "o5KpV8wq3hJ0vBv1uGQz0lqJmV6mF5oVtq1o3Jt9h2Q=".into(),
                with: format!("the console of vm 100{n}"),
            };
            let proof = proof(&run.title(&id), 130).to_compare(compare);
            let step = run.step(&id);
            run = run.then(130, Event::Proven { step, proof });
        }
        run.absent(140, "day2.secrets", "no secrets in the run's folder")
            .then(140, Event::GateAsked { day: Day::Number(2), compare: Vec::new() })
    }

    /// Day 3: the second wave of releases comes up.
    pub fn platform() -> Self {
        let waves: Vec<String> =
            outlines().iter().filter(|o| o.id.kind() == "day3.releases").map(|o| o.id.to_string()).collect();
        let wait = |seen: &str, done, total| {
            Wait::new("every release of the wave is Ready", seen, Band::new(300, 1200))
                .with_progress(done, total, "releases")
        };
        Run::at_gate()
            .gate(50, 1)
            .day(1, 60)
            .gate(150, 2)
            .day(2, 160)
            .gate(240, 3)
            .proven(250, "day3.settings")
            .proven(260, "day3.installer")
            .proven(330, &waves[0])
            .waits(331, &waves[1], wait("cozy-cert-manager: pulling images", 1, 4))
            .waits(350, &waves[1], wait("cozy-cert-manager-issuers waits for cozy-cert-manager", 3, 4))
    }

    /// The third machine, as the observer tells it.
    pub fn stopped_by_somebody(self, second: i64) -> Self {
        let node = &PLAN.nodes[2];
        let task = TaskOf {
            upid: "UPID:pve:1:1:1:qmstop:1003:bob@pam:".into(),
            kind: "qmstop".into(),
            user: "bob@pam".into(),
        };
        let (vmid, name, host) = (node.vmid, node.name.clone(), node.host.clone());
        let stopped = Noticed::VmStopped { vmid, name, host, task: Some(task) };
        self.then(second, Event::Noticed { notice: Notice::of(&stopped).unwrap() })
    }

    pub fn finished() -> Self {
        let mut run = Run::at_gate();
        for day in 1..=5 {
            run = run.gate(i64::from(day) * 200, day).day(day, i64::from(day) * 200 + 10);
        }
        run.ended(1300, Outcome::Proven)
    }

    pub fn stopping() -> Self {
        Run::cloning().then(180, Event::StopAsked { by: "ann on the screen".into() })
    }

    /// The session after an end: everything proven is asked for again, one VM has gone.
    pub fn again() -> Self {
        let run = Run::cloning().ended(200, Outcome::Stopped).session(5000);
        let step = run.step("day1.clone/cozy-new-cp1");
        run.day(0, 5001)
            .proven(5040, "day1.fetch")
            .then(5041, Event::Drifted { step: step.clone(), why: "vm 1001 is not there any more".into() })
            .then(5041, Event::Absent { step, seen: "no vm 1001".into() })
    }
}

fn proof(title: &str, second: i64) -> Proof {
    let config = Evidence {
        system: "Proxmox".into(),
        asked: "GET /api2/json/nodes/pve/qemu/1001/config".into(),
        answer:
            "{\n  \"cores\": 8,\n  \"memory\": \"24576\",\n  \"name\": \"cozy-new-cp1\",\n  \"ostype\": \"l26\",\n  \
                 \"scsi0\": \"local-lvm:vm-1001-disk-0,size=50G\",\n  \"tags\": \"cozyup;cozyup-1a2b3c4d\"\n}"
                .into(),
        at: at(second),
        by_hand: "pvesh get /nodes/pve/qemu/1001/config".into(),
    };
    let status = Evidence {
        system: "Proxmox".into(),
        asked: "GET /api2/json/nodes/pve/qemu/1001/status/current".into(),
        answer: "{\n  \"status\": \"stopped\",\n  \"template\": 0\n}".into(),
        at: at(second),
        by_hand: "qm status 1001".into(),
    };
    Proof::new(format!("{title}: read in the target"), config).and(status)
}
