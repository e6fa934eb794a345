//! The properties that hold for any bytes that a Talos node sends, and for any file of secrets or configs.
#![allow(clippy::panic, clippy::unwrap_used, reason = "compiled for tests and for fuzzing alone")]
use super::client::facts::{self, MachineStatus};
use super::client::resources::{self, Kind, read};
use super::client::{inventory, secure};
use super::config::redacted;
use super::pem;
use super::secrets::Bundle;
use super::wire::cosi::resource::Resource;
use super::wire::machine::ServiceInfo;
use super::wire::talos::resource::definitions::{block, network, runtime};
use crate::base::properties::harmless;
use prost::Message;
use serde_yaml::Value;
use std::fmt::Debug;

/// Whatever a node sends as a resource or an answer is read or refused, and gives nothing hostile.
pub fn payload(bytes: &[u8]) {
    let machine = spec::<runtime::MachineStatusSpec>(resources::MACHINE_STATUS, bytes);
    assert!(machine.is_none_or(|(_, spec)| !MachineStatus::from(spec).stage.to_string().is_empty()));
    if let Some(link) = spec::<network::LinkStatusSpec>(resources::LINKS, bytes).map(inventory::link) {
        assert!(link.mac.chars().all(|c| c == ':' || c.is_ascii_hexdigit()), "{link:?}");
    }
    if let Some(found) = spec::<network::AddressStatusSpec>(resources::ADDRESSES, bytes).and_then(inventory::address) {
        harmless(&found.address);
    }
    spec::<block::DiskSpec>(resources::DISKS, bytes);
    spec::<block::SystemDiskSpec>(resources::SYSTEM_DISK, bytes);
    spec::<block::DiscoveredVolumeSpec>(resources::DISCOVERED, bytes);
    spec::<runtime::ExtensionStatusSpec>(resources::EXTENSIONS, bytes);
    if let Ok(info) = ServiceInfo::decode(bytes) {
        let id = info.id.clone();
        assert_eq!(secure::service(info).id, id);
    }
    if let Ok(at) = prost_types::Timestamp::decode(bytes) {
        let read = facts::timestamp(Some(at));
        assert!(read.is_none_or(|read| read.as_second().abs_diff(at.seconds) <= 1), "{at:?} is {read:?}");
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        files(text);
    }
}

/// The spec inside a resource; one that stands alone is put into one first.
fn spec<S: Message + Default + Clone + PartialEq + Debug>(kind: Kind, bytes: &[u8]) -> Option<(String, S)> {
    let alone = S::decode(bytes).ok();
    if let Some(spec) = &alone {
        let again = S::decode(spec.encode_to_vec().as_slice());
        assert_eq!(again.as_ref().ok(), Some(spec));
    }
    let inside = Resource::decode(bytes).ok().and_then(|resource| match read::<S>(kind, resource) {
        Ok((id, _, spec)) => Some((id, spec)),
        Err(e) => {
            assert!(e.to_string().contains(kind.name), "{e}");
            None
        }
    });
    inside.or(alone.map(|spec| (String::new(), spec)))
}

fn files(text: &str) {
    if let Some(der) = pem::decode(text) {
        let again = pem::decode(&pem::encode(pem::CERTIFICATE, &der));
        assert_eq!(again.as_deref(), Some(&*der));
    }
    if let Ok(bundle) = Bundle::from_yaml(text) {
        let Ok(written) = bundle.to_yaml() else { panic!("a bundle that was read can't be written") };
        assert_eq!(Bundle::from_yaml(written.expose()).ok(), Some(bundle));
    }
    let shown = redacted(text);
    if let Ok(documents) = serde_saphyr::from_multiple::<Value>(&shown) {
        assert!(documents.iter().all(hides), "{shown}");
    }
}

fn hides(value: &Value) -> bool {
    match value {
        Value::Mapping(entries) => entries.iter().all(|(key, value)| match key.as_str() {
            Some("key" | "token" | "secret" | "password") => value == "******" || value == "",
            Some(_) | None => hides(value),
        }),
        Value::Sequence(items) => items.iter().all(hides),
        Value::Tagged(tagged) => hides(&tagged.value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[test]
fn every_payload_that_was_found_by_fuzzing_keeps_the_property() {
    crate::base::properties::seeds("talos", payload);
}
