//! The things that a run of a plan makes, in sums: what a person should have seen before the first change.
use super::model::{AddressRange, Plan};
use crate::base::text::{about, clean};
use crate::base::vmid::{Vmid, VmidRange};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// The share of one Proxmox VE node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Number of machines of the cluster.
    pub machines: usize,
    /// Cores of these machines.
    pub cores: u64,
    /// Memory of these machines, in MiB.
    pub memory_mib: u64,
    /// Sizes of their disks by storage, in GiB.
    pub disks_gib: BTreeMap<String, u64>,
    /// VMIDs of the templates that are built here.
    pub templates: Vec<Vmid>,
}

/// The VMs that Cluster API makes for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ForAWhile {
    /// VMIDs that are kept for them.
    pub vmids: VmidRange,
    /// Addresses that are kept for them.
    pub addresses: AddressRange,
    /// Memory that they take at most at one time, in MiB.
    pub memory_mib: u64,
}

/// The whole of it. Figures are what the plan asks for: a thin storage takes less at first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Review {
    /// By the name of the Proxmox VE node.
    pub hosts: BTreeMap<String, Share>,
    /// VMIDs of the machines and templates.
    pub vmids: Vec<Vmid>,
    /// Addresses of the machines.
    pub addresses: Vec<Ipv4Addr>,
    /// Address of the cluster's API.
    pub vip: Ipv4Addr,
    /// Ranges for the services of the cluster.
    pub pool: Vec<AddressRange>,
    /// Storages to which the Talos image is uploaded.
    pub images: Vec<String>,
    /// The parts of the platform that get a role, a user and a token in Proxmox VE.
    pub accounts: Vec<&'static str>,
    /// Absent when the session does not come to day 6, or the plan leaves it out.
    pub for_a_while: Option<ForAWhile>,
    /// Machines that are powered off and on again, one after the other.
    pub drills: Vec<String>,
    /// Seconds that are left if nothing goes wrong and nobody waits at a gate.
    pub left_s: Option<u64>,
}

impl Review {
    /// The part of it that a session makes; `wants`: whether it comes to a day.
    pub fn of(plan: &Plan, wants: impl Fn(u8) -> bool, left: Option<Duration>) -> Review {
        let mut hosts: BTreeMap<String, Share> = BTreeMap::new();
        for template in plan.templates() {
            hosts.entry(template.host).or_default().templates.push(template.vmid);
        }
        for node in &plan.nodes {
            let share = hosts.entry(node.host.clone()).or_default();
            share.machines += 1;
            share.cores = share.cores.saturating_add(node.cores.into());
            share.memory_mib = share.memory_mib.saturating_add(node.memory_mib);
            let disks = share.disks_gib.entry(plan.storage_of(node).to_string()).or_default();
            *disks = disks.saturating_add(node.system_disk_gib).saturating_add(node.data_disk_gib);
        }
        let mut vmids: Vec<Vmid> = plan.template_vmids().map(|(_, vmid)| vmid).collect();
        vmids.extend(plan.nodes.iter().map(|node| node.vmid));
        vmids.sort_unstable();
        let mut addresses: Vec<Ipv4Addr> = plan.nodes.iter().map(|node| node.address).collect();
        addresses.sort_unstable();
        let parts = [("Proxmox CSI", plan.integration.csi.enabled), ("capmox", plan.integration.capmox.enabled)];
        let own_image = plan.templates().into_iter().filter(|template| template.has_own_image);
        Review {
            hosts,
            vmids,
            addresses,
            vip: plan.network.vip,
            pool: plan.network.address_pool.clone(),
            images: own_image.map(|template| template.image_storage).collect(),
            accounts: parts.into_iter().filter(|(_, on)| *on && wants(4)).map(|(name, _)| name).collect(),
            for_a_while: plan.day_6().filter(|_| wants(6)).map(|(vmids, addresses)| ForAWhile {
                vmids,
                addresses,
                memory_mib: plan.machines_memory_mib(),
            }),
            drills: plan.drills().iter().filter(|_| wants(7)).map(|node| node.name.clone()).collect(),
            left_s: left.map(|left| left.as_secs()),
        }
    }

    /// Cores, memory in MiB and disks in GiB of all machines.
    pub fn together(&self) -> (u64, u64, u64) {
        self.hosts.values().fold((0, 0, 0), |(cores, memory, disks), share| {
            let own = share.disks_gib.values().fold(0, |sum: u64, gib| sum.saturating_add(*gib));
            (cores + share.cores, memory.saturating_add(share.memory_mib), disks.saturating_add(own))
        })
    }

    /// In words: a label and a sentence each, free of control characters.
    pub fn told(&self) -> Vec<(String, String)> {
        let mut told: Vec<(String, String)> =
            self.hosts.iter().map(|(host, share)| (format!("on {}", clean(host)), share.told())).collect();
        let mut tell = |label: &str, text: String| told.push((label.to_string(), clean(&text)));
        if self.hosts.len() > 1 {
            let (cores, memory, disks) = self.together();
            tell("together", format!("{cores} cores, {} of memory, {disks} GiB of disks", gibibytes(memory)));
        }
        tell("VMIDs", in_runs(self.vmids.iter().map(|vmid| u32::from(*vmid)), |id| id.to_string()));
        let addresses = in_runs(self.addresses.iter().map(|a| u32::from(*a)), |a| Ipv4Addr::from(a).to_string());
        let pool: Vec<String> = self.pool.iter().map(ToString::to_string).collect();
        let pool = if pool.is_empty() { String::new() } else { format!(", services {}", pool.join(", ")) };
        tell("addresses", format!("{addresses}, API {}{pool}", self.vip));
        tell("uploaded", format!("the Talos image to storage {}", self.images.join(", ")));
        if !self.accounts.is_empty() {
            tell(
                "accounts",
                format!("a role, a user and a token in Proxmox VE for {}", self.accounts.join(", and for ")),
            );
        }
        if let Some(it) = &self.for_a_while {
            let memory = gibibytes(it.memory_mib);
            tell(
                "for a while",
                format!("VMs by Cluster API with up to {memory}, VMIDs {}, addresses {}", it.vmids, it.addresses),
            );
        }
        if !self.drills.is_empty() {
            tell("powered off", format!("{}, one after the other, and on again", self.drills.join(", ")));
        }
        tell("untouched", "everything that is there now: cozyup changes and removes only what it made".to_string());
        tell(
            "the way back",
            "`cozyup teardown PLAN` removes all of this; what people have put into the cluster by then is lost with it, for good"
                .to_string(),
        );
        if let Some(left) = self.left_s {
            let left = about(Duration::from_secs(left));
            tell("time", format!("about {left}, if nothing goes wrong and nobody waits at a gate"));
        }
        told
    }
}

impl Share {
    fn told(&self) -> String {
        let disks: Vec<String> =
            self.disks_gib.iter().map(|(storage, gib)| format!("{gib} GiB on {}", clean(storage))).collect();
        let machines = match self.machines {
            0 => None,
            n => {
                let machines = if n == 1 { "1 machine".to_string() } else { format!("{n} machines") };
                let memory = gibibytes(self.memory_mib);
                Some(format!("{machines}: {} cores, {memory} of memory, {}", self.cores, disks.join(", ")))
            }
        };
        let templates: Vec<String> = self.templates.iter().map(ToString::to_string).collect();
        let templates = (!templates.is_empty()).then(|| format!("template {}", templates.join(", ")));
        machines.into_iter().chain(templates).collect::<Vec<_>>().join("; ")
    }
}

/// `24 GiB`, or MiB where it is no whole number of them.
pub fn gibibytes(mib: u64) -> String {
    if mib.is_multiple_of(1024) { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }
}

/// `1001-1003, 1011`: neighbours together, of sorted numbers.
fn in_runs(sorted: impl Iterator<Item = u32>, name: impl Fn(u32) -> String) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for n in sorted {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(n) => *last = n,
            Some(_) | None => runs.push((n, n)),
        }
    }
    let run = |(first, last): &(u32, u32)| match first == last {
        true => name(*first),
        false => format!("{}-{}", name(*first), name(*last)),
    };
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::defaults::{Defaults, plan};
    use super::*;

    fn told(plan: &Plan, until: u8) -> String {
        let review = Review::of(plan, |day| day <= until, Some(Duration::from_secs(1610)));
        review.told().into_iter().map(|(label, text)| format!("{label}: {text}\n")).collect()
    }

    #[test]
    fn sums_stand_by_host_and_storage_and_neighbours_are_one_range() {
        let hosts = ["a", "b"].map(String::from).to_vec();
        let mut plan = plan(&Defaults { hosts, workers: 1, ..Defaults::default() });
        plan.template.copies = vec!["b/9101/ssd/files".parse().unwrap()];
        let text = told(&plan, 8);
        for line in [
            "on a: 2 machines: 16 cores, 48 GiB of memory, 612 GiB on local-lvm; template 9100\n",
            "on b: 2 machines: 16 cores, 48 GiB of memory, 612 GiB on ssd; template 9101\n",
            "together: 32 cores, 96 GiB of memory, 1224 GiB of disks\n",
            "VMIDs: 1001-1003, 1011, 9100-9101\n",
            "addresses: 10.0.0.201-10.0.0.203, 10.0.0.211, API ",
            "uploaded: the Talos image to storage local, files\n",
            "accounts: a role, a user and a token in Proxmox VE for Proxmox CSI, and for capmox\n",
            "time: about 27 min, if nothing goes wrong",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_session_that_ends_early_names_only_what_it_comes_to() {
        let mut plan = plan(&Defaults::default());
        plan.tests.machine_vmids = Some("9500-9509".parse().unwrap());
        plan.tests.machine_addresses = Some("10.0.0.180-10.0.0.189".parse().unwrap());
        plan.tests.drills = vec![plan.nodes[1].name.clone()];
        let (all, early) = (told(&plan, 8), told(&plan, 3));
        for part in ["accounts: ", "for a while: VMs by Cluster API with up to 8 GiB, VMIDs 9500-9509", "powered off: "]
        {
            assert!(all.contains(part) && !early.contains(part.split(':').next().unwrap()), "{part}\n{all}\n{early}");
        }
        assert!(all.contains(&format!("powered off: {}, one after the other", plan.nodes[1].name)));
        assert!(early.contains("lost with it, for good"), "{early}");
    }

    #[test]
    fn no_control_character_of_a_plan_gets_into_the_words() {
        let mut plan = plan(&Defaults::default());
        plan.nodes[0].host = "a\u{1b}[2J".into();
        plan.template.storage = "b\u{1b}[2J".into();
        plan.image.storage = "c\u{202e}".into();
        assert!(!told(&plan, 8).contains(['\u{1b}', '\u{202e}']));
    }
}
