//! What a plan's machines take of each host, beside what is free there.
use super::choose::{HOST_MEMORY, Host};
use super::model::Plan;
use super::review::{Review, Share};

const GIB: u64 = 1 << 30;

/// The share of one Proxmox VE node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Name of the node.
    pub host: String,
    /// What the machines there take.
    pub share: Share,
    /// Memory of VMs that Cluster API makes there for a while, in MiB.
    pub for_a_while_mib: u64,
    /// `None`: the site was not asked, or has no such node online.
    pub free: Option<Free>,
}

/// What a host has for machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Free {
    /// Its logical processors; machines share them.
    pub cores: u64,
    /// Memory that neither it nor its running guests may take, in MiB.
    pub memory_mib: u64,
    /// Of each storage that takes disks of VMs: its name, and what is free, in GiB.
    pub disks_gib: Vec<(String, u64)>,
}

impl Taken {
    /// Asks for more memory than there is; day 0 refuses that, unless it is the run's own machines that take it.
    pub fn is_too_much(&self) -> bool {
        let wanted = self.share.memory_mib.saturating_add(self.for_a_while_mib);
        self.free.as_ref().is_some_and(|free| wanted > free.memory_mib)
    }
}

/// By host; `hosts` are those of a site that was asked.
pub fn by_host(plan: &Plan, hosts: &[Host]) -> Vec<Taken> {
    let review = Review::of(plan, |_| true, None);
    let taken = |(host, share): (String, Share)| {
        let first = host == plan.template.host;
        let free = hosts.iter().find(|h| h.name == host).map(free);
        let for_a_while_mib = if first { plan.machines_memory_mib() } else { 0 };
        Taken { host, share, for_a_while_mib, free }
    };
    review.hosts.into_iter().map(taken).collect()
}

fn free(host: &Host) -> Free {
    let images = host.storages.iter().filter(|store| store.images);
    Free {
        cores: host.cores,
        memory_mib: host.memory.saturating_sub(HOST_MEMORY).saturating_sub(host.taken) >> 20,
        disks_gib: images.map(|store| (store.name.clone(), store.free / GIB)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::choose::Store;
    use super::super::defaults::{Defaults, plan};
    use super::*;

    fn host(name: &str, memory_gib: u64, taken_gib: u64) -> Host {
        let store = |name: &str, images| Store {
            name: name.into(),
            images,
            import: !images,
            shared: false,
            thick: false,
            free: 900 * GIB,
        };
        Host {
            name: name.into(),
            unfit: None,
            cores: 48,
            memory: memory_gib * GIB,
            taken: taken_gib * GIB,
            storages: vec![store("local", false), store("local-lvm", true)],
            bridges: Vec::new(),
        }
    }

    #[test]
    fn what_machines_take_stands_beside_what_is_free_on_their_host() {
        let mut plan = plan(&Defaults { workers: 1, ..Defaults::default() });
        plan.nodes[3].host = "other".into();
        let all = by_host(&plan, &[host("pve", 128, 2)]);
        let [other, pve] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!((other.host.as_str(), other.share.machines, other.free.clone()), ("other", 1, None));
        assert_eq!((pve.share.machines, pve.share.cores, pve.share.memory_mib), (3, 24, 3 * 24576));
        let free = pve.free.as_ref().unwrap();
        assert_eq!((free.cores, free.memory_mib), (48, (128 - 2 - 2) << 10), "the host keeps some for itself");
        assert_eq!(free.disks_gib, [("local-lvm".to_string(), 900)]);
        assert!(!pve.is_too_much() && !other.is_too_much());
        assert!(pve.for_a_while_mib > 0 && other.for_a_while_mib == 0);
        assert!(by_host(&plan, &[host("pve", 128, 60)])[1].is_too_much());
    }
}
