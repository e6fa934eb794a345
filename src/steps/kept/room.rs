//! `kept.room`: what there is of the kept workers now, and that the ranges, the host and its storage have room for those that
//! are wanted. A person reads this before anything changes.
use crate::base::day::Day;
use crate::base::text::size;
use crate::cozystack::cluster_api::Progress;
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Check, Context, Observed, Outline, StepId};
use crate::engine::wait::Band;
use crate::plan::choose::{HOST_MEMORY, WRITTEN_EARLY};
use crate::plan::model::Plan;
use crate::proxmox::VmRow;
use crate::steps::cluster::{proven, seen};
use crate::steps::site::{Installation, Reading};
use crate::steps::workers::{KEPT, Machine, machines, workers};
use crate::steps::{cluster_api, failures, outlines};
use async_trait::async_trait;
use std::fmt;

pub const KIND: &str = "kept.room";
const BAND: Band = Band::new(5, 60);
const GIB: u64 = 1 << 30;

pub struct Room {
    outline: Outline,
    count: u32,
}

pub fn step(plan: &Plan, count: u32) -> Room {
    let host = &plan.template.host;
    let title = match count {
        0 => "the workers that are to go are known".to_string(),
        _ => format!("{host} has room for {}", workers(count)),
    };
    let by_hand = format!("{}\npvesh get /nodes/{host}/status\npvesm status", KEPT.by_hand());
    Room { outline: outlines::check_on(StepId::new(KIND), Day::Workers, title, BAND, by_hand), count }
}

/// One worker of now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Now {
    name: String,
    /// VMID and address of the VM, once there is one.
    vm: Option<(u32, String)>,
}

impl Now {
    fn of(machine: &Machine) -> Now {
        let vm = if let Progress::Made(made) = &machine.progress {
            Some((made.vmid.into(), made.address.clone()))
        } else {
            None
        };
        Now { name: machine.name.clone(), vm }
    }
}

impl fmt::Display for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.vm {
            Some((vmid, address)) => write!(f, "{} (vm {vmid}, {address})", self.name),
            None => write!(f, "{} (no VM yet)", self.name),
        }
    }
}

/// What there is, what is wanted, and what there is room for; sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    now: Vec<Now>,
    after: u32,
    /// Workers whose VM is not there.
    missing: u32,
    host: String,
    storage: String,
    cores: u32,
    memory_each: u64,
    disk_each: u64,
    /// What a new disk takes at least.
    written_each: u64,
    vmids: (String, u32),
    addresses: (String, u64),
    memory: u64,
    stored: u64,
}

impl Found {
    /// What is too small for those that are missing.
    fn lacks(&self) -> Vec<String> {
        let missing = u64::from(self.missing);
        let mut lacks = Vec::new();
        let (range, free) = &self.vmids;
        if *free < self.missing {
            lacks.push(format!("tests.machine_vmids ({range}) has {free} free VMIDs, and {missing} more are wanted"));
        }
        let wanted = missing.saturating_mul(self.memory_each);
        if wanted > self.memory {
            let (host, free) = (&self.host, size(self.memory));
            lacks.push(format!(
                "{host} has {free} of memory for guests beside those that run, {missing} more take {}",
                size(wanted)
            ));
        }
        let wanted = missing.saturating_mul(self.written_each);
        if wanted > self.stored {
            let (storage, free) = (&self.storage, size(self.stored));
            lacks.push(format!("storage {storage} of {} has {free}, {missing} more take {}", self.host, size(wanted)));
        }
        lacks
    }
}

/// `1 worker now, 3 after: …`
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (now, after) = (u32::try_from(self.now.len()).unwrap_or(u32::MAX), self.after);
        write!(f, "{} now, {after} after", workers(now))?;
        if now > after {
            let going = now.saturating_sub(after);
            let which = if after == 0 { "all of them" } else { "Cluster API chooses which" };
            write!(f, "; {going} of them drained, their VMs destroyed ({which})")?;
        }
        if self.missing > 0 {
            write!(
                f,
                "; {} more with {} cores, {} of memory and a disk of {} each; free on {}: {} VMIDs of {}, {} of memory for guests, {} on {}; \
                 addresses from {} ({} in all)",
                self.missing,
                self.cores,
                size(self.memory_each),
                size(self.disk_each),
                self.host,
                self.vmids.1,
                self.vmids.0,
                size(self.memory),
                size(self.stored),
                self.storage,
                self.addresses.0,
                self.addresses.1,
            )?;
        }
        if !self.now.is_empty() {
            let names: Vec<String> = self.now.iter().map(Now::to_string).collect();
            write!(f, "; now: {}", names.join(", "))?;
        }
        Ok(())
    }
}

/// Memory that guests on the host which run may take, in bytes.
fn running(host: &str, guests: &[VmRow]) -> u64 {
    let runs = guests.iter().filter(|guest| guest.node == host && guest.status != "stopped" && !guest.template);
    runs.filter_map(|guest| guest.maxmem).sum()
}

/// Workers that have no VM of their name in the range.
fn missing(count: u32, machines: &[Machine], in_range: &[VmRow]) -> u32 {
    let has_vm = |machine: &&Machine| in_range.iter().any(|row| row.name.as_deref() == Some(&machine.name));
    count.saturating_sub(u32::try_from(machines.iter().filter(has_vm).count()).unwrap_or(u32::MAX))
}

async fn look(cx: &dyn Context, site: &Reading, count: u32) -> Result<(Found, Vec<Evidence>), Failure> {
    let (plan, tests) = (&site.plan, &site.plan.tests);
    let (host, storage) = (&plan.template.host, &plan.template.storage);
    let (vmids, addresses) =
        tests.machines().ok_or_else(|| Failure::defect("workers stay and the plan has no VMIDs for them"))?;
    let (answers, machines) = machines(site, &KEPT).await?;
    let (all, in_range) = cluster_api::guests(site).await?;
    let failed = |e| failures::proxmox(&e, &format!("read how much room {host} has"));
    let status = site.proxmox.node_status(host).await.map_err(failed)?;
    let stores = site.proxmox.storages(host).await.map_err(failed)?;
    let configs = site.proxmox.storage_configs().await.map_err(failed)?;
    let thick = configs.value.iter().any(|c| c.storage == *storage && c.is_thick());
    let disk_each = tests.worker_disk_gib.saturating_mul(GIB);
    let taken = u32::try_from(in_range.len()).unwrap_or(u32::MAX);
    let found = Found {
        now: machines.iter().map(Now::of).collect(),
        after: count,
        missing: missing(count, &machines, &in_range),
        host: host.clone(),
        storage: storage.clone(),
        cores: tests.worker_cores,
        memory_each: tests.worker_memory_mib << 20,
        disk_each,
        written_each: if thick { disk_each } else { WRITTEN_EARLY.min(disk_each) },
        vmids: (vmids.to_string(), vmids.count().saturating_sub(taken)),
        addresses: (addresses.to_string(), addresses.count()),
        memory: status.value.memory_total.saturating_sub(HOST_MEMORY).saturating_sub(running(host, &all.value)),
        stored: stores.value.iter().find(|s| s.storage == *storage).map_or(0, |s| s.avail),
    };
    let now = cx.clock().now();
    let mut readings = vec![Evidence::of("Proxmox", now, &all), Evidence::of("Proxmox", now, &status)];
    readings.push(Evidence::of("Proxmox", now, &stores));
    readings.extend(answers.iter().map(|answer| seen(cx, answer)));
    Ok((found, readings))
}

#[async_trait]
impl Check<Installation> for Room {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (found, readings) = look(cx, site, self.count).await?;
        let lacks = found.lacks();
        if !lacks.is_empty() {
            return Ok(Observed::Conflict(Failure::person(
                format!("no room for {}, {} are there now: {}", workers(self.count), found.now.len(), lacks.join("; ")),
                "ask for fewer workers, or make room: stop or remove guests that nobody needs; the step looks again by itself",
            )));
        }
        proven(found.to_string(), readings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::guest;

    fn found(now: usize, after: u32, missing: u32) -> Found {
        let one = |n| Now { name: format!("kept-{n}"), vm: Some((9500, "10.0.0.181".into())) };
        Found {
            now: (0..now).map(one).collect(),
            after,
            missing,
            host: "pve".into(),
            storage: "local-lvm".into(),
            cores: 2,
            memory_each: 4 * GIB,
            disk_each: 20 * GIB,
            written_each: 20 * GIB,
            vmids: ("9500-9509".into(), 9),
            addresses: ("10.0.0.180-10.0.0.185".into(), 6),
            memory: 8 * GIB,
            stored: 100 * GIB,
        }
    }

    #[test]
    fn the_number_now_and_after_and_the_room_are_told_before_anything_changes() {
        let told = found(1, 3, 2).to_string();
        for word in [
            "1 worker now, 3 after",
            "2 more",
            "9 VMIDs of 9500-9509",
            "10.0.0.180-10.0.0.185",
            "kept-0 (vm 9500, 10.0.0.181)",
        ] {
            assert!(told.contains(word), "{word}: {told}");
        }
        let told = found(3, 1, 0).to_string();
        assert!(told.contains("2 of them drained") && told.contains("Cluster API chooses which"), "{told}");
        assert!(found(2, 0, 0).to_string().contains("all of them"));
    }

    #[test]
    fn what_is_too_small_for_the_missing_ones_is_named_and_those_that_are_there_need_no_room() {
        assert!(found(1, 3, 2).lacks().is_empty());
        let lacks = found(1, 4, 3).lacks();
        assert!(
            matches!(lacks.as_slice(), [one] if one.starts_with("pve has") && one.contains("12.0 GiB")),
            "{lacks:?}"
        );
        let none = Found { memory: 0, stored: 0, vmids: ("9500-9509".into(), 0), ..found(3, 3, 0) };
        assert!(none.lacks().is_empty());
        let none = Found { missing: 1, ..none };
        assert_eq!(none.lacks().len(), 3);
    }

    #[test]
    fn guests_that_are_stopped_or_elsewhere_take_no_memory_of_the_host() {
        let row = |status: &str, node: &str| VmRow {
            status: status.into(),
            node: node.into(),
            maxmem: Some(GIB),
            ..guest(150, "a")
        };
        assert_eq!(running("pve", &[row("running", "pve"), row("stopped", "pve"), row("running", "pve2")]), GIB);
    }
}
