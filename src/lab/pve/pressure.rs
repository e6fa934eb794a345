//! The fields that rows of VMs have since Proxmox VE 9.0.
use super::vm::{Vm, is_numbered};
use serde_json::{Value, json};

/// Fields of a running VM since 9.0: how much of the last ten seconds it waited, in percent.
pub const PRESSURES: [&str; 6] = [
    "pressurecpusome",
    "pressurecpufull",
    "pressureiosome",
    "pressureiofull",
    "pressurememorysome",
    "pressurememoryfull",
];

/// Adds it to a row that has all the rest.
pub fn since_nine(vm: &Vm, row: &mut Value) {
    row["memhost"] = row["mem"].clone();
    if vm.running() {
        for pressure in PRESSURES {
            row[pressure] = json!(0);
        }
    }
    if vm.config.keys().any(|key| is_numbered(key, "serial", 3)) {
        row["serial"] = json!(1);
    }
}
