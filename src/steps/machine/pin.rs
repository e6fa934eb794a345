//! The key that a machine in maintenance showed when day 1 looked at it. Nobody vouches for it: it is trusted on first
//! use, shown at the gate of day 2, and from then on no other key is given the machine's config.
use crate::base::clock::add;
use crate::engine::failure::Failure;
use crate::engine::proof::Comparison;
use crate::engine::step::StepId;
use crate::plan::model::NodePlan;
use crate::steps::day1::reach;
use crate::talos::SpkiFingerprint;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub key: SpkiFingerprint,
    pub at: Timestamp,
}

impl Pin {
    /// True when the VM, up for `uptime` seconds, was started after the key was seen. Talos makes a new key each time
    /// that it goes into maintenance, so only then may the key be another one.
    pub fn is_of_an_earlier_start(&self, uptime: u64, now: Timestamp) -> bool {
        add(self.at, Duration::from_secs(uptime)) < now
    }
}

/// The pins of a run by machine.
#[derive(Debug, Default)]
pub struct Pins(Mutex<BTreeMap<String, Pin>>);

impl Pins {
    /// Those that earlier sessions' proofs of `day1.reach` hold.
    pub fn of(shown: &BTreeMap<StepId, (String, Timestamp)>) -> Pins {
        let pins = shown.iter().filter(|(id, _)| id.kind() == reach::KIND).filter_map(|(id, (value, at))| {
            // A value that is no key any more is no pin; the machine is then looked at anew.
            Some((id.subject()?.to_string(), Pin { key: value.parse().ok()?, at: *at }))
        });
        Pins(Mutex::new(pins.collect()))
    }

    pub fn get(&self, node: &NodePlan) -> Option<Pin> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&node.name).cloned()
    }

    pub fn set(&self, node: &NodePlan, pin: Pin) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(node.name.clone(), pin);
    }
}

/// Says where the right key can be read: Talos prints it into the kernel log when it goes into maintenance (Talos
/// v1.10.6, `controllers/runtime/maintenance_service.go`), which the image puts on the serial console and on the
/// screen.
pub fn comparison(node: &NodePlan, key: &SpkiFingerprint) -> Comparison {
    Comparison {
        of: format!("{} at {}", node.name, node.address),
        value: key.to_string(),
        with: format!(
            "the line `server certificate issued` (fingerprint) on the console of vm {} (qm terminal {} on {})",
            node.vmid, node.vmid, node.host
        ),
    }
}

/// Another key answers than the one that was seen, or than `shown`, where that is known.
pub fn other_key(node: &NodePlan, pin: &Pin, shown: Option<&SpkiFingerprint>) -> Failure {
    let NodePlan { name, address, vmid, host, .. } = node;
    let other = shown.map_or_else(|| "another key".to_string(), |key| format!("the key {key}"));
    let seen = format!("{} at {}", pin.key, pin.at.strftime("%F %T UTC"));
    Failure::refused(
        format!("{address} shows {other} and not that of {name} ({seen}): it is given no config"),
        format!(
            "compare it with the console of vm {vmid} (qm terminal {vmid} on {host}); if it is that VM's: qm stop {vmid} && \
             qm start {vmid} there, then stop the run and start it again: day 1 looks at it anew; if it is not, another \
             machine has the address: find it and take it away"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    fn key(byte: u8) -> SpkiFingerprint {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode([byte; 32]).parse().unwrap()
    }

    #[test]
    fn a_key_may_change_only_when_the_vm_was_started_since() {
        let at: Timestamp = "2026-11-29T12:00:00Z".parse().unwrap();
        let pin = Pin { key: key(1), at };
        let later = add(at, Duration::from_secs(100));
        assert!(pin.is_of_an_earlier_start(40, later));
        assert!(!pin.is_of_an_earlier_start(130, later));
    }

    #[test]
    fn pins_are_those_of_the_earlier_proofs_and_of_nothing_else() {
        let at = Timestamp::UNIX_EPOCH;
        let shown = BTreeMap::from([
            (StepId::of(reach::KIND, "cp1"), (key(1).to_string(), at)),
            (StepId::of(reach::KIND, "cp2"), ("nonsense".to_string(), at)),
            (StepId::of("day9.other", "cp3"), (key(3).to_string(), at)),
        ]);
        let (pins, plan) = (Pins::of(&shown), plan());
        assert_eq!(pins.get(&plan.nodes[0]).map(|p| p.key), Some(key(1)));
        assert_eq!((pins.get(&plan.nodes[1]), pins.get(&plan.nodes[2])), (None, None));
        assert!(comparison(&plan.nodes[0], &key(1)).with.contains("qm terminal 1001 on pve"));
    }
}
