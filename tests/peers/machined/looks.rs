//! The steps of day 2 that look at Talos alone, as a session of cozyup takes its looks: same plan, same clients, same words.
//! The other steps of the plan are not asked: there is no Proxmox VE here.
use super::place::Place;
use super::transcript::Transcript;
use crate::talos::site::BUNDLE;
use async_trait::async_trait;
use cozyup::base::clock::Clock;
use cozyup::base::day::Day;
use cozyup::base::secret::Secret;
use cozyup::compose::{self, Prepared};
use cozyup::engine::course::Course;
use cozyup::engine::failure::Failure;
use cozyup::engine::step::{Context, Observed, Outline, Step, Undo};
use cozyup::plan::defaults::{self, Defaults};
use cozyup::plan::model::Role;
use cozyup::plan::write;
use cozyup::session::order::Keys;
use cozyup::steps::day2::{apply, boot, bootstrap, members};
use cozyup::steps::site::{Changing, Installation, Reading};
use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

const KINDS: [&str; 4] = [apply::KIND, boot::KIND, bootstrap::KIND, members::KIND];

pub struct Looks {
    prepared: Prepared,
    _folder: tempfile::TempDir,
}

impl Looks {
    /// A run of a plan for one control plane and one worker, with the secrets that the suite's configs are made of.
    pub fn new(place: &Place) -> Looks {
        let folder = tempfile::tempdir().unwrap();
        let plan = folder.path().join("plan.yaml");
        private(&plan, &plan_of(place));
        let run = folder.path().join("run");
        for made in [&run, &run.join("secrets")] {
            std::fs::DirBuilder::new().mode(0o700).create(made).unwrap();
        }
        private(&run.join("secrets/secrets.yaml"), BUNDLE.to_yaml().unwrap().expose());
        let token = Secret::new("11111111-2222-4333-8444-555555555555".to_string());
        let options = compose::Options {
            plan,
            text: None,
            folder: run,
            course: Course::Forward { until: Day::Number(6) },
            take_over: None,
            also: Default::default(),
            adopt: None,
            gates_by: None,
            patience: None,
            clock: Clock::real(),
            reconnect: Arc::new(|| Box::pin(async { Err("nobody".to_string()) })),
            keys: Keys { token: Some(token), identity: None },
        };
        let mut prepared = compose::prepare(options).unwrap();
        prepared.work = prepared.work.with_steps(|step| {
            if KINDS.contains(&step.outline().id.kind()) { step } else { Arc::new(Unasked(step.outline().clone())) }
        });
        Looks { prepared, _folder: folder }
    }

    /// One look for each step, but for those at nodes that are not switched on yet.
    pub async fn take(&self, when: &str, place: &Place, told: &mut Transcript) {
        for (outline, observed) in self.prepared.work.survey_of(|_| true).await {
            let shown = match observed {
                Ok(Observed::Absent(text)) if text == NOT_ASKED => continue,
                _ if outline.id.subject().is_some_and(|node| !place.is_on(node)) => continue,
                Ok(Observed::Absent(seen) | Observed::Unfinished(seen)) => format!("absent: {seen}"),
                Ok(Observed::Underway(wait)) => format!("underway: {}; {}", wait.condition, wait.seen),
                Ok(Observed::Satisfied(proof)) => format!("satisfied: {}", proof.summary()),
                Ok(Observed::Conflict(failure)) => format!("conflict: {}; next: {}", failure.what, failure.next),
                Err(failure) => format!("{:?}: {}; next: {}", failure.class, failure.what, failure.next),
            };
            told.ask(format!("{when}: look of {}", outline.id), place.plain(&shown));
        }
    }
}

fn private(path: &Path, text: &str) {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn plan_of(place: &Place) -> String {
    let v4 = |host| match place.address(host) {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) => panic!("{address}"),
    };
    let mut plan = defaults::plan(&Defaults {
        name: Some("cozy".into()),
        site_url: Some(format!("https://{}:8006", v4(1)).parse().unwrap()),
        subnet: Some(format!("{}/24", v4(0)).parse().unwrap()),
        control_planes: Some(1),
        workers: 1,
        image_sha256: Some("0".repeat(64)),
        ..Defaults::default()
    });
    for node in &mut plan.nodes {
        let host = if node.role == Role::ControlPlane { super::maintenance::FIRST } else { super::bootstrap::WORKER };
        (node.name, node.address) = (format!("node{host}"), v4(host));
    }
    // Three replicas would want three nodes.
    plan.tests.volumes.truncate(1);
    write::render(&plan).unwrap()
}

const NOT_ASKED: &str = "not asked here";

struct Unasked(Outline);

#[async_trait]
impl Step<Installation> for Unasked {
    fn outline(&self) -> &Outline {
        &self.0
    }

    async fn observe(&self, _: &dyn Context, _: &Reading) -> Result<Observed, Failure> {
        Ok(Observed::Absent(NOT_ASKED.into()))
    }

    async fn act(&self, _: &dyn Context, _: &Reading, _: &Changing) -> Result<(), Failure> {
        Err(Failure::broken("a look acts", "find out why"))
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::Nothing
    }
}
