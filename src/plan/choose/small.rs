//! Machines with less memory than CozyStack's documented minimum, and the sum where not even those have room.
use super::{Chosen, HOST_MEMORY, Host, Machines, place};
use crate::base::text::size;
use crate::plan::model::Override;
use std::net::Ipv4Addr;

/// Memory below which the platform does not come up, in bytes: that of CozyStack's smallest documented lab node.
pub const LEAST_MEMORY: u64 = 16 << 30;

/// Machines that only an override lets pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Small {
    /// Memory of each machine, in MiB.
    pub memory_mib: u64,
    /// The reason with which the rule is set aside; it goes into the record.
    pub reason: String,
}

impl Small {
    /// The override in the plan.
    pub fn set_aside(&self) -> Override {
        Override { rule: "size-below-minimum".into(), reason: self.reason.clone() }
    }
}

/// The choice with machines of [`LEAST_MEMORY`], where the site has room for those.
pub(super) fn instead(hosts: &[Host], api: Option<Ipv4Addr>, machines: Machines) -> Option<Chosen> {
    let least = Machines { memory: LEAST_MEMORY.min(machines.memory), ..machines };
    let mut chosen =
        Some(place(hosts, api, least)).filter(|chosen| chosen.has_room && least.memory < machines.memory)?;
    let wanted = size(machines.memory);
    let reason = format!("the site has no memory left for {} machines of {wanted}", machines.count);
    chosen.reasons.push(format!(
        "nodes[].memory_mib: {} each, as CozyStack's smallest documented lab node has, below its minimum of {wanted}: {reason}. The \
         override of size-below-minimum lets it pass; raise both when guests have gone",
        size(least.memory)
    ));
    chosen.small = Some(Small { memory_mib: least.memory >> 20, reason });
    Some(chosen)
}

impl Host {
    /// The sum that says how much is to be freed, where even small machines have no room in its memory.
    pub(super) fn arithmetic(&self, machines: Machines) -> Option<String> {
        let count = u64::try_from(machines.count).unwrap_or(u64::MAX);
        let (free, all) = (self.free(machines), |each: u64| each.saturating_mul(count));
        let (wanted, least) = (all(machines.memory), all(LEAST_MEMORY.min(machines.memory)));
        (free < least).then(|| {
            format!(
                "{} has {} for guests, running ones may take {} and the machines of days 6 and 9 {}, so {} are left, and {count} \
                 machines take {}. Stop guests of {}; or of {}, and write memory_mib: {} with an override of size-below-minimum",
                self.name,
                size(self.memory.saturating_sub(HOST_MEMORY)),
                size(self.taken),
                size(machines.beside),
                size(free),
                size(wanted),
                size(wanted.saturating_sub(free)),
                size(least.saturating_sub(free)),
                LEAST_MEMORY >> 20
            )
        })
    }
}
