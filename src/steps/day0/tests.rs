//! The common part of the unit tests of days 0 and 1.
use crate::base::clock::{Clock, add};
use crate::base::vmid::Vmid;
use crate::engine::failure::Failure;
use crate::engine::made::Made;
use crate::engine::step::Context;
use crate::engine::wait::Wait;
use crate::plan::model::Plan;
use crate::proxmox::VmRow;
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

/// Three control planes 1001 to 1003 at 10.0.0.201 to 203 on `pve`, template 9100, everything else the defaults.
pub fn plan() -> Plan {
    let mut plan = crate::plan::defaults::plan(&crate::plan::defaults::Defaults::default());
    plan.image.sha256 = "a".repeat(64);
    for (n, node) in plan.nodes.iter_mut().enumerate() {
        node.name = format!("cp{}", n + 1);
    }
    plan
}

/// A running VM on `pve`.
pub fn guest(vmid: u32, name: &str) -> VmRow {
    VmRow {
        vmid: Vmid::of(vmid),
        name: Some(name.into()),
        node: "pve".into(),
        kind: "qemu".into(),
        status: "running".into(),
        template: false,
        maxcpu: None,
        maxmem: None,
        maxdisk: None,
        tags: vec![],
        lock: None,
        pool: None,
    }
}

/// A context that nobody listens to.
pub struct Silent {
    clock: Clock,
    stopping: AtomicBool,
    made: Made,
}

impl Silent {
    pub fn new() -> Self {
        Silent { clock: Clock::real(), stopping: AtomicBool::new(false), made: Made::default() }
    }

    /// One whose clock is that far ahead.
    pub fn after(ahead: Duration) -> Self {
        let clock = Clock::scaled(add(Timestamp::now(), ahead), SystemTime::now(), 1.0);
        Silent { clock, ..Silent::new() }
    }

    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Context for Silent {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn handle(&self) -> Option<String> {
        None
    }

    fn made(&self) -> &Made {
        &self.made
    }

    async fn keep_handle(&self, _handle: &str) -> Result<(), Failure> {
        Ok(())
    }

    fn waiting(&self, _wait: Wait) {}

    fn log(&self, _source: &str, _line: &str) {}

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
