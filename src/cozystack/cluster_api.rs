//! The stage of a machine of Cluster API, read from its ProxmoxMachine and its Machine.
//!
//! An object alone makes no VM: capmox waits silently until a Machine owns it, then for the Cluster's infrastructure, then
//! for bootstrap data (capmox v0.7.7). Reasons are those of its `api/v1alpha1/conditions_consts.go`.
use crate::base::clock::add;
use crate::base::vmid::Vmid;
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;

/// The condition that says how far the VM is.
const PROVISIONED: &str = "VMProvisioned";

/// From its start until capmox has looked at every machine. The lease of the one before lasts 15 s (`leader-elect-lease-duration` of capmox
/// v0.7.7), and a pod that ends may hold it for the 30 s of its grace period.
const LOOKS_AGAIN: Duration = Duration::from_secs(120);

/// The stage of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// No Machine owns it: capmox will never look at it.
    NoOwner,
    /// Its owner is there, and capmox has not come to it yet.
    Unseen,
    /// The Cluster's infrastructure is not ready.
    WaitsForInfrastructure,
    /// The Machine names no Secret with bootstrap data.
    WaitsForBootstrapData,
    /// The address provider has not given it an address.
    WaitsForAddress,
    /// Under way: capmox's reason, `Cloning`.
    Working(String),
    /// Proxmox VE refused a request; capmox goes on trying. It writes this once and keeps the time, however often it is refused.
    Refused { reason: String, message: String, since: Option<Timestamp> },
    /// It said so before it was started anew, and has not looked again.
    RefusedBefore { reason: String, message: String },
    /// Proxmox VE refused a request for want of a right, and a look at Proxmox VE itself shows which.
    Denied { reason: String, message: String, why: Denied },
    /// A task in Proxmox VE failed; capmox tries again after a minute, so this may heal by itself.
    TaskFailed(String),
    /// capmox has given up.
    Failed { reason: String, message: String },
    /// It is being deleted.
    Deleting,
    /// The VM is there and runs.
    Made(Made),
}

/// What capmox lacks; all that it says itself is that it is "not authorized".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// Its token is not taken.
    Token,
    /// The template that it is to clone is gone, and with it the rights on it.
    Template(Vmid),
    /// Its token is taken and the template is there.
    Rights,
}

/// Cluster API's account of a finished VM; Proxmox VE shows whether it is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub vmid: Vmid,
    /// SMBIOS uuid, from `proxmox://UUID`.
    pub uuid: String,
    pub node: String,
    pub address: String,
}

impl Progress {
    /// Of a ProxmoxMachine.
    pub fn of(machine: &Value) -> Progress {
        let text = |pointer: &str| machine.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_string();
        if machine.pointer("/metadata/deletionTimestamp").is_some() {
            return Progress::Deleting;
        }
        if !is_owned(machine) {
            return Progress::NoOwner;
        }
        let failure = text("/status/failureReason");
        if !failure.is_empty() {
            return Progress::Failed { reason: failure, message: text("/status/failureMessage") };
        }
        if machine.pointer("/status/ready").and_then(Value::as_bool) == Some(true)
            && let Some(made) = Made::of(machine)
        {
            return Progress::Made(made);
        }
        let conditions = machine.pointer("/status/conditions").and_then(Value::as_array);
        let Some(condition) =
            conditions.into_iter().flatten().find(|c| c.get("type").is_some_and(|t| t == PROVISIONED))
        else {
            return Progress::Unseen;
        };
        let word = |field: &str| condition.get(field).and_then(Value::as_str).unwrap_or_default().to_string();
        let (reason, message) = (word("reason"), word("message"));
        // What once was refused stays there until capmox comes to the next reason: the clone is under way or done.
        let is_taken = machine.pointer("/spec/virtualMachineID").is_some();
        match reason.as_str() {
            "CloningFailed" if is_taken => Progress::Working("Cloning".into()),
            "WaitingForClusterInfrastructure" => Progress::WaitsForInfrastructure,
            "WaitingForBootstrapData" => Progress::WaitsForBootstrapData,
            "WaitingForStaticIPAllocation" => Progress::WaitsForAddress,
            "TaskFailure" => Progress::TaskFailed(message),
            "CloningFailed" | "PoweringOnFailed" | "VMProvisionFailed" | "DeletionFailed" | "NotFound" => {
                Progress::Refused { reason, message, since: word("lastTransitionTime").parse().ok() }
            }
            _ => Progress::Working(reason),
        }
    }
}

impl Progress {
    /// The same, when capmox was started at `started` and it is `now`: until it has looked again, what it said before tells nothing.
    #[must_use]
    pub fn after_start(self, started: Timestamp, now: Timestamp) -> Progress {
        match self {
            Progress::Refused { reason, message, since: Some(since) }
                if since < started && now < add(started, LOOKS_AGAIN) =>
            {
                Progress::RefusedBefore { reason, message }
            }
            other => other,
        }
    }
}

impl Made {
    fn of(machine: &Value) -> Option<Made> {
        let text = |pointer: &str| machine.pointer(pointer).and_then(Value::as_str);
        let vmid = machine.pointer("/spec/virtualMachineID").and_then(Value::as_u64)?;
        Some(Made {
            vmid: Vmid::try_from(vmid).ok()?,
            uuid: text("/spec/providerID")?.strip_prefix("proxmox://")?.to_lowercase(),
            node: text("/status/proxmoxNode").unwrap_or_default().to_string(),
            address: text("/status/ipAddresses/net0/ipv4").unwrap_or_default().to_string(),
        })
    }
}

/// True when a Machine owns it.
fn is_owned(machine: &Value) -> bool {
    let owners = machine.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner.get("kind").is_some_and(|kind| kind == "Machine"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn machine(status: Value) -> Value {
        json!({"metadata": {"ownerReferences": [{"kind": "Machine"}]}, "spec": {}, "status": status})
    }

    fn waiting(reason: &str, message: &str) -> Value {
        machine(json!({"conditions": [{"type": PROVISIONED, "status": "False", "reason": reason, "message": message}]}))
    }

    #[test]
    fn an_object_without_an_owner_never_becomes_a_vm() {
        assert_eq!(Progress::of(&json!({"metadata": {}, "spec": {"templateID": 9100}})), Progress::NoOwner);
        let of_set = json!({"metadata": {"ownerReferences": [{"kind": "Cluster"}]}});
        assert_eq!(Progress::of(&of_set), Progress::NoOwner);
        assert_eq!(Progress::of(&machine(json!({}))), Progress::Unseen);
    }

    #[test]
    fn each_gate_is_told_from_the_others_and_from_a_failure() {
        let of = |reason: &str| Progress::of(&waiting(reason, "why"));
        assert_eq!(of("WaitingForClusterInfrastructure"), Progress::WaitsForInfrastructure);
        assert_eq!(of("WaitingForBootstrapData"), Progress::WaitsForBootstrapData);
        assert_eq!(of("WaitingForStaticIPAllocation"), Progress::WaitsForAddress);
        assert_eq!(of("Cloning"), Progress::Working("Cloning".into()));
        assert_eq!(of("TaskFailure"), Progress::TaskFailed("why".into()));
        let refused = Progress::Refused { reason: "CloningFailed".into(), message: "why".into(), since: None };
        assert_eq!(of("CloningFailed"), refused);
    }

    /// capmox v0.7.7, `ensureVirtualMachine`: the reason is written where there is none, so that its time does not flicker.
    #[test]
    fn a_clone_that_was_taken_after_a_refusal_is_under_way_though_the_refusal_still_stands_there() {
        let mut taken = waiting("CloningFailed", "not authorized to access endpoint");
        taken["spec"] = json!({"virtualMachineID": 9500});
        assert_eq!(Progress::of(&taken), Progress::Working("Cloning".into()));
    }

    #[test]
    fn a_refusal_from_before_capmox_was_started_counts_for_nothing_until_it_has_had_time_to_look() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let refused =
            Progress::Refused { reason: "CloningFailed".into(), message: "why".into(), since: Some(at(1000)) };
        let before = Progress::RefusedBefore { reason: "CloningFailed".into(), message: "why".into() };
        assert_eq!(refused.clone().after_start(at(1010), at(1010 + 119)), before);
        assert_eq!(refused.clone().after_start(at(1010), at(1010 + 120)), refused, "it has looked, and says the same");
        assert_eq!(refused.clone().after_start(at(999), at(1001)), refused, "said by the one that runs");
        assert_eq!(Progress::Unseen.after_start(at(1010), at(1011)), Progress::Unseen);
    }

    #[test]
    fn ready_without_a_vm_is_not_made() {
        assert_eq!(Progress::of(&machine(json!({"ready": true}))), Progress::Unseen);
        let mut done =
            machine(json!({"ready": true, "proxmoxNode": "pve", "ipAddresses": {"net0": {"ipv4": "10.0.0.181"}}}));
        done["spec"] = json!({"virtualMachineID": 9500, "providerID": "proxmox://AB-1"});
        let made = Made { vmid: Vmid::of(9500), uuid: "ab-1".into(), node: "pve".into(), address: "10.0.0.181".into() };
        assert_eq!(Progress::of(&done), Progress::Made(made));
    }
}
