//! Reading resources (COSI) and the types of those that cozyup reads.
use super::node::Node;
use crate::base::answer::Answer;
use crate::talos::error::Error;
use crate::talos::wire::cosi::resource::{GetRequest, ListRequest, Resource};
use prost::Message;
use std::fmt::Write;

/// A type of resource: where it lives and how a person asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// COSI namespace of the resources: `runtime`, `network`.
    pub namespace: &'static str,
    /// Full COSI name of the type, such as `LinkStatuses.net.talos.dev`.
    pub name: &'static str,
    /// The name that `talosctl get` understands.
    pub alias: &'static str,
}

const fn kind(namespace: &'static str, name: &'static str, alias: &'static str) -> Kind {
    Kind { namespace, name, alias }
}

/// Stage and readiness of the machine.
pub const MACHINE_STATUS: Kind = kind("runtime", "MachineStatuses.runtime.talos.dev", "machinestatus");
pub(in crate::talos) const VERSION: Kind = kind("runtime", "Versions.runtime.talos.dev", "version");
pub(in crate::talos) const EXTENSIONS: Kind = kind("runtime", "ExtensionStatuses.runtime.talos.dev", "extensions");
/// State of each of Talos' own services.
pub const SERVICES: Kind = kind("runtime", "Services.v1alpha1.talos.dev", "services");
pub(in crate::talos) const DISKS: Kind = kind("runtime", "Disks.block.talos.dev", "disks");
pub(in crate::talos) const SYSTEM_DISK: Kind = kind("runtime", "SystemDisks.block.talos.dev", "systemdisk");
pub(in crate::talos) const DISCOVERED: Kind = kind("runtime", "DiscoveredVolumes.block.talos.dev", "discoveredvolumes");
pub(in crate::talos) const VOLUMES: Kind = kind("runtime", "VolumeStatuses.block.talos.dev", "volumestatus");
pub(in crate::talos) const LINKS: Kind = kind("network", "LinkStatuses.net.talos.dev", "links");
pub(in crate::talos) const ADDRESSES: Kind = kind("network", "AddressStatuses.net.talos.dev", "addresses");

/// The limit for all resources of one type on the wire, in bytes; those of a machine have some kilobytes.
const LARGEST_LIST: usize = 8 << 20;

impl Node {
    /// One resource, its spec decoded.
    pub async fn get<S: Message + Default>(&self, kind: Kind, id: &str) -> Result<Answer<S>, Error> {
        let request = GetRequest {
            namespace: kind.namespace.to_string(),
            r#type: kind.name.to_string(),
            id: id.to_string(),
            options: None,
        };
        let mut client = self.resources();
        let answer = self.call(client.get(request)).await?.into_inner();
        let resource = answer.resource.ok_or_else(|| senseless(kind, "no resource in it"))?;
        let (_, yaml, spec) = read(kind, resource)?;
        let by_hand = self.by_hand(&format!("get {} {id} -o yaml", kind.alias));
        Ok(Answer::new(format!("cosi get {}/{id}", kind.name), yaml, by_hand, spec))
    }

    /// All resources of a type as (id, spec), in the node's order.
    pub async fn list<S: Message + Default>(&self, kind: Kind) -> Result<Answer<Vec<(String, S)>>, Error> {
        let request =
            ListRequest { namespace: kind.namespace.to_string(), r#type: kind.name.to_string(), options: None };
        let mut client = self.resources();
        let items = self
            .call(async {
                let mut stream = client.list(request).await?.into_inner();
                let mut items = Vec::new();
                let mut size = 0;
                while let Some(item) = stream.message().await? {
                    size += item.encoded_len();
                    if size > LARGEST_LIST {
                        let what = format!("{}: more than {} MiB", kind.name, LARGEST_LIST >> 20);
                        return Err(tonic::Status::out_of_range(what));
                    }
                    items.extend(item.resource);
                }
                Ok(items)
            })
            .await?;
        let mut raw = String::new();
        let mut specs = Vec::new();
        for item in items {
            let (id, yaml, spec) = read(kind, item)?;
            // Writing to a String does not fail.
            let _ = writeln!(raw, "{id}:");
            for line in yaml.lines() {
                let _ = writeln!(raw, "  {line}");
            }
            specs.push((id, spec));
        }
        let by_hand = self.by_hand(&format!("get {} -o yaml", kind.alias));
        Ok(Answer::new(format!("cosi list {}", kind.name), raw, by_hand, specs))
    }
}

pub(in crate::talos) fn read<S: Message + Default>(
    kind: Kind,
    resource: Resource,
) -> Result<(String, String, S), Error> {
    let metadata = resource.metadata.ok_or_else(|| senseless(kind, "no metadata"))?;
    let spec = resource.spec.ok_or_else(|| senseless(kind, "no spec"))?;
    let decoded = S::decode(spec.proto_spec.as_slice()).map_err(|e| senseless(kind, &e.to_string()))?;
    Ok((metadata.id, spec.yaml_spec, decoded))
}

fn senseless(kind: Kind, what: &str) -> Error {
    Error::Answer { text: format!("{}: {what}", kind.name) }
}
