//! A storage name that Proxmox VE would refuse.
use super::{Plan, Problem, Rule, Severity};

pub const RULE: Rule = Rule {
    id: "storage-name",
    severity: Severity::Error,
    overridable: false,
    about: "a storage name that Proxmox VE would refuse",
    check,
};

fn check(plan: &Plan) -> Vec<Problem> {
    let csi = plan.integration.csi.enabled.then_some(("integration.csi.storage", &plan.integration.csi.storage));
    let storages = [("image.storage", &plan.image.storage), ("template.storage", &plan.template.storage)];
    let iso = plan.talos.iso_storage.as_ref().map(|name| ("talos.iso_storage", name));
    let named = storages.into_iter().chain(csi).chain(iso).map(|(key, name)| (key.to_string(), name));
    let copies = plan.template.copies.iter().enumerate().flat_map(|(i, copy)| {
        let both = [("storage", copy.storage.as_ref()), ("image_storage", copy.image_storage.as_ref())];
        both.into_iter().filter_map(move |(key, name)| Some((format!("template.copies[{i}].{key}"), name?)))
    });
    let wrong = named.chain(copies).filter(|(_, name)| {
        let inside = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        let ends = name.chars().last().is_some_and(|c| c.is_ascii_alphanumeric());
        !(inside && ends && name.len() >= 2 && name.starts_with(|c: char| c.is_ascii_alphabetic()))
    });
    wrong
        .map(|(key, name)| {
            let why = "a storage id starts with a letter, ends with a letter or digit and has two characters at least (pve-storage)";
            Problem::new(key, format!("`{name}` is no storage id"), why, "a name that `pvesm status` lists")
        })
        .collect()
}
