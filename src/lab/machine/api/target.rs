//! `node` and `nodes` in a request's metadata: the machines of a call. Without them it is for the machine dialled.
use super::super::super::world::World;
use super::super::{Api, Machine};
use super::{Node, stream};
use cozyup_talos_wire::common;
use tonic::codegen::BoxStream;
use tonic::metadata::MetadataMap;
use tonic::{Code, Response, Status};

/// apid's message about machined once that has stopped.
const MACHINED_GONE: &str = "connection error: desc = \"transport: Error while dialing: dial unix \
                             /system/run/machined/machine.sock: connect: no such file or directory\"";

/// The machine to ask, and the name to put into the answer (only for `nodes`).
pub struct Target {
    pub vmid: Result<u32, Status>,
    pub named: Option<String>,
}

impl Target {
    pub fn metadata(&self) -> Option<common::Metadata> {
        self.named.as_ref().map(|name| common::Metadata { hostname: name.clone(), ..Default::default() })
    }
}

/// A reply item that carries the name of the node it came from.
pub trait Item: Default {
    fn stamp(&mut self, metadata: Option<common::Metadata>);
}

macro_rules! items {
    ($($name:path),* $(,)?) => {
        $(impl Item for $name {
            fn stamp(&mut self, metadata: Option<common::Metadata>) {
                self.metadata = metadata;
            }
        })*
    };
}

use cozyup_talos_wire::{machine, storage, time};
items!(
    machine::ApplyConfiguration,
    machine::Bootstrap,
    machine::EtcdMembers,
    machine::EtcdRemoveMemberById,
    machine::EtcdStatus,
    machine::GenerateClientConfiguration,
    machine::Hostname,
    machine::LoadAvg,
    machine::Memory,
    machine::Mounts,
    machine::Reboot,
    machine::Reset,
    machine::ServiceList,
    machine::Shutdown,
    machine::Version,
    machine::Event,
    storage::BlockDeviceWipe,
    storage::Disks,
    time::Time,
    common::Data,
    cozyup_talos_wire::cluster::HealthCheckProgress,
);

impl Node {
    /// The targets of a call to any service but COSI; never empty.
    pub fn targets(&self, metadata: &MetadataMap) -> Vec<Target> {
        let texts = |key: &str| -> Vec<String> {
            metadata.get_all(key).iter().filter_map(|v| v.to_str().ok()).map(str::to_string).collect()
        };
        let nodes: Vec<String> = texts("nodes")
            .iter()
            .flat_map(|n| n.split(','))
            .map(|n| n.trim().to_string())
            .filter(|n| !n.is_empty())
            .collect();
        if !nodes.is_empty() {
            return nodes.into_iter().map(|node| Target { vmid: self.find(&node), named: Some(node) }).collect();
        }
        let vmid = match texts("node").into_iter().find(|n| !n.is_empty()) {
            Some(node) => self.find(&node),
            None => Ok(self.vmid),
        };
        vec![Target { vmid, named: None }]
    }

    /// The one target of a call that can't be fanned out.
    pub fn target(&self, metadata: &MetadataMap) -> Result<(u32, Option<common::Metadata>), Status> {
        let mut targets = self.targets(metadata);
        match (targets.pop(), targets.is_empty()) {
            (Some(target), true) => {
                let stamp = target.metadata();
                Ok((target.vmid?, stamp))
            }
            _ => Err(Status::unimplemented("the lab asks one node at a time for this")),
        }
    }

    /// The target of a COSI call, which cannot be fanned out.
    pub fn cosi_target(&self, metadata: &MetadataMap) -> Result<u32, Status> {
        if metadata.get("nodes").is_some() {
            return Err(Status::invalid_argument("one-2-many proxying is not supported for COSI methods"));
        }
        self.target(metadata).map(|(vmid, _)| vmid)
    }

    /// Whoever has this address or name: the machine itself, or through a control plane another of its cluster.
    fn find(&self, node: &str) -> Result<u32, Status> {
        if node.contains(':') {
            return Err(Status::invalid_argument(format!("invalid target {node:?}")));
        }
        let unreachable = || {
            Status::unavailable(format!(
                "connection error: desc = \"transport: Error while dialing: dial tcp {node}:50000: connect: connection refused\""
            ))
        };
        self.lab.look(|world| {
            let own = world.machines.get(&self.vmid).ok_or_else(unreachable)?;
            if is(own, node) {
                return Ok(self.vmid);
            }
            if own.config.is_some() && !own.control_plane() {
                return Err(Status::permission_denied("no request forwarding"));
            }
            let other = world.machines.values().find(|m| is(m, node) && reachable(own, m));
            other.map(|m| m.vmid).ok_or_else(unreachable)
        })
    }

    /// Asks every target; the answers of `nodes` carry their names, and there a failure is an answer too.
    pub fn each<T: Item, R>(
        &self,
        metadata: &MetadataMap,
        reply: impl FnOnce(Vec<T>) -> R,
        mut ask: impl FnMut(u32) -> Result<T, Status>,
    ) -> Result<Response<R>, Status> {
        let mut items = Vec::new();
        for target in self.targets(metadata) {
            let stamp = target.metadata();
            let there = target.vmid.and_then(|vmid| self.read(vmid, |_, _| vmid));
            items.push(match (there.and_then(&mut ask), stamp) {
                (Ok(mut item), stamp) => {
                    item.stamp(stamp);
                    item
                }
                (Err(status), None) => return Err(status),
                (Err(status), Some(stamp)) => failed(stamp, &status),
            });
        }
        Ok(Response::new(reply(items)))
    }

    /// [`Node::each`] for streams: what every target sends, as it comes.
    pub fn stream<T: Item + Send + 'static>(
        &self,
        metadata: &MetadataMap,
        open: impl Fn(u32, Option<common::Metadata>) -> Result<Response<BoxStream<T>>, Status>,
    ) -> Result<Response<BoxStream<T>>, Status> {
        let mut streams: Vec<BoxStream<T>> = Vec::new();
        for target in self.targets(metadata) {
            let stamp = target.metadata();
            match (target.vmid.and_then(|vmid| open(vmid, stamp.clone())), stamp) {
                (Ok(opened), _) => streams.push(opened.into_inner()),
                (Err(status), None) => return Err(status),
                (Err(status), Some(stamp)) => streams.push(stream::once(vec![failed(stamp, &status)]).into_inner()),
            }
        }
        Ok(Response::new(Box::pin(futures::stream::select_all(streams))))
    }

    /// Reads something of a machine.
    pub fn read<T>(&self, vmid: u32, f: impl FnOnce(&World, &Machine) -> T) -> Result<T, Status> {
        self.lab.look(|world| {
            // Whoever dialled the boot before this one talks to nobody any more.
            let same_boot = |m: &Machine| vmid != self.vmid || m.boot_id == self.boot;
            let machine = world.machines.get(&vmid).filter(|m| m.on && same_boot(m));
            let machine = machine.ok_or_else(|| Status::unavailable("the machine is off"))?;
            if machine.machined_gone {
                return Err(Status::unavailable(MACHINED_GONE));
            }
            Ok(f(world, machine))
        })
    }
}

/// The answer of a target that failed, with the status as Go prints it.
fn failed<T: Item>(mut stamp: common::Metadata, status: &Status) -> T {
    let code = match status.code() {
        Code::Cancelled => "Canceled".to_string(),
        code => format!("{code:?}"),
    };
    stamp.error = format!("rpc error: code = {code} desc = {}", status.message());
    stamp.status = Some(cozyup_talos_wire::google::rpc::Status {
        code: status.code() as i32,
        message: status.message().to_string(),
        details: Vec::new(),
    });
    let mut item = T::default();
    item.stamp(Some(stamp));
    item
}

fn is(machine: &Machine, node: &str) -> bool {
    machine.address().0.to_string() == node
        || machine.hostname() == node
        || (machine.vip_held && machine.vip().is_some_and(|vip| vip.to_string() == node))
}

/// True when `from` can pass a call on: the other's API is open and of the same CA.
fn reachable(from: &Machine, to: &Machine) -> bool {
    let ca = |m: &Machine| m.config.as_ref().map(|c| c.os_ca.crt.clone());
    to.on && matches!(to.api, Api::Secure(_)) && ca(from).is_some() && ca(from) == ca(to)
}
