//! What the tests of the plan say of day 6's keys.
use serde_json::{Map, Value};

pub type Edits = Vec<(&'static str, &'static str)>;

/// The rules that are given, and those of day 6.
pub fn and_more(mut rules: Vec<(&'static str, Edits, &'static str)>) -> Vec<(&'static str, Edits, &'static str)> {
    rules.extend(broken());
    rules
}

/// Rules with edits of a good plan that break them, and what the finding's line holds.
fn broken() -> Vec<(&'static str, Edits, &'static str)> {
    vec![
        ("machine-vmids", vec![("machine_vmids: 9500-9509", "machine_vmids: 9000-9100")], "machine_vmids"),
        (
            "machine-addresses",
            vec![("machine_addresses: 10.0.0.180-10.0.0.185", "machine_addresses: 10.0.0.199-10.0.0.203")],
            "machine_addresses",
        ),
        ("machine-test", vec![("  machine_vmids: 9500-9509\n", "")], "machine_addresses"),
        ("drill-machines", vec![("drills: []", "drills: [cozy-new-cp9]")], "drills:"),
        ("worker-template", vec![("workers: 2", "workers: 2\n  worker_template: 9500")], "worker_template: 9500"),
        ("worker-room", vec![("workers: 2", "workers: 6")], "workers: 6"),
    ]
}

/// Removes a key, and with one of day 6's two ranges the other and the machines in them: they come together or not at all.
pub fn remove(section: &mut Map<String, Value>, name: &str) {
    section.remove(name).unwrap();
    if name.starts_with("machine_") {
        section.retain(|other, _| {
            !other.starts_with("machine_") && !["workers", "worker_template"].contains(&other.as_str())
        });
    }
}
