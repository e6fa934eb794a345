//! A site of its own for every crash: the lab in this process, and workers that die at an exact point while it lives on.
pub mod standing;
pub mod suffering;
pub mod twice;
pub mod worker;

use cozyup::base::day::Day;
use cozyup::engine::course::Course;
use cozyup::lab::scenario::Scenario;
use cozyup::lab::site::{self, Running};
use cozyup::lab::world::Lab;
use std::path::{Path, PathBuf};

/// What is run: a scenario, how far, and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// One of `tests/soak/small*.yaml` by its name, or a built-in one.
    pub scenario: &'static str,
    pub until: u8,
    /// The crashes come while it is torn down again.
    pub teardown: bool,
    /// Lab seconds in a second of the wall.
    pub speed: f64,
}

impl Shape {
    pub fn course(&self) -> Course {
        if self.teardown {
            Course::Back { cluster_is_lost: false }
        } else {
            Course::Forward { until: Day::Number(self.until) }
        }
    }
}

pub struct Rig {
    pub shape: Shape,
    running: Option<Running>,
    runtime: Option<tokio::runtime::Runtime>,
    dir: tempfile::TempDir,
}

impl Rig {
    pub fn new(shape: &Shape) -> Rig {
        Rig::of(shape, |_| ())
    }

    /// Of a scenario that is changed before its site begins.
    pub fn of(shape: &Shape, change: impl FnOnce(&mut Scenario)) -> Rig {
        let scenario_file = match shape.scenario {
            "small" => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/soak/small.yaml"),
            "small-by-cdrom" => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/soak/small-by-cdrom.yaml"),
            "small-pair" => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/soak/small-pair.yaml"),
            "small-three-hosts" => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/soak/small-three-hosts.yaml"),
            "small-two-hosts" => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/soak/small-two-hosts.yaml"),
            built_in => built_in,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut scenario = Scenario::load(scenario_file).unwrap();
        change(&mut scenario);
        let options = site::Options {
            scenario,
            scenario_file: scenario_file.to_string(),
            speed: shape.speed,
            net: None,
            dir: dir.path().join("site"),
        };
        let running = runtime.block_on(site::start(options)).unwrap();
        if shape.scenario.starts_with("small") {
            // A replicated volume needs three nodes.
            let text = std::fs::read_to_string(&running.site.plan).unwrap();
            let text = text.replace("volumes: [local, replicated, proxmox]", "volumes: [local, proxmox]");
            std::fs::write(&running.site.plan, text).unwrap();
        }
        Rig { shape: *shape, running: Some(running), runtime: Some(runtime), dir }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    pub fn lab(&self) -> &Lab {
        &self.running().lab
    }

    pub fn site(&self) -> &site::Site {
        &self.running().site
    }

    pub fn plan(&self) -> &Path {
        &self.site().plan
    }

    /// The state folder, as `--state-dir` takes it.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The run's folder.
    pub fn folder(&self) -> PathBuf {
        self.state().join("runs").join(self.shape.scenario)
    }

    /// Leaves the folder for a person to look at.
    #[allow(dead_code, reason = "the tier 1 test prints what it found and keeps nothing")]
    pub fn keep(mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_path_buf()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let _inside = runtime.enter();
            self.running = None;
            drop(_inside);
            runtime.shutdown_background();
        }
    }
}
