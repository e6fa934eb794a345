//! The streams of one machine's `machine.MachineService`.
use super::super::super::world::World;
use super::super::{Event, Machine, TALOS_VERSION, kubeconfig, status};
use super::Node;
use super::stream::{self, Look};
use cozyup_base::clock::between;
use cozyup_talos_wire::{common, machine as wire};
use tonic::codegen::BoxStream;
use tonic::{Response, Status};

type Stamp = Option<common::Metadata>;
type Opened<T> = Result<Response<BoxStream<T>>, Status>;

fn data(bytes: impl Into<Vec<u8>>, metadata: &Stamp) -> common::Data {
    common::Data { metadata: metadata.clone(), bytes: bytes.into() }
}

pub fn dmesg(node: &Node, vmid: u32, stamp: Stamp, asked: &wire::DmesgRequest) -> Opened<common::Data> {
    let mut position = if asked.tail { node.read(vmid, |_, m| m.dmesg.end())? } else { 0 };
    let (from, follow) = (node.clone(), asked.follow);
    Ok(stream::follow(&node.lab, move |_| {
        let (items, end) = from.read(vmid, |_, m| {
            (m.dmesg.from(position).map(|(_, line)| data(line.as_bytes(), &stamp)).collect(), m.dmesg.end())
        })?;
        position = end;
        Ok(Look { items, more: follow })
    }))
}

pub fn events(node: &Node, vmid: u32, stamp: Stamp, asked: &wire::EventsRequest) -> Opened<wire::Event> {
    let mut position = node.read(vmid, |world, m| tail(world, m, asked))?;
    let (from, actor) = (node.clone(), asked.with_actor_id.clone());
    let mut greeted = false;
    Ok(stream::follow(&node.lab, move |lab| {
        // Readiness comes from Kubernetes, which tells no machine about it.
        if from.read(vmid, status::changed)? {
            lab.with(|world| status::publish(world, vmid));
        }
        let mut items = Vec::new();
        if !std::mem::replace(&mut greeted, true) {
            items.push(wire::Event {
                data: Some(prost_types::Any::default()),
                metadata: stamp.clone(),
                ..Default::default()
            });
        }
        position = from.read(vmid, |_, m| {
            let wanted = |e: &&Event| actor.is_empty() || e.actor == actor;
            items.extend(m.events.from(position).map(|(_, e)| e).filter(wanted).map(|e| wire::Event {
                metadata: stamp.clone(),
                data: Some(prost_types::Any { type_url: e.type_url.clone(), value: e.value.clone() }),
                id: e.id.clone(),
                actor_id: e.actor.clone(),
            }));
            m.events.end()
        })?;
        Ok(Look { items, more: true })
    }))
}

/// The start of a stream of events.
fn tail(world: &World, machine: &Machine, asked: &wire::EventsRequest) -> u64 {
    let ring = &machine.events;
    let first_with =
        |wanted: &dyn Fn(&Event) -> bool| ring.from(0).find(|(_, e)| wanted(e)).map_or(ring.end(), |(at, _)| at);
    if !asked.tail_id.is_empty() {
        first_with(&|e| e.id > asked.tail_id)
    } else if asked.tail_seconds > 0 {
        let seconds = u64::from(asked.tail_seconds.unsigned_abs());
        first_with(&|e| between(e.at, world.now).as_secs() <= seconds)
    } else if asked.tail_events < 0 {
        0
    } else {
        ring.end().saturating_sub(u64::from(asked.tail_events.unsigned_abs()))
    }
}

pub fn kubeconfig(node: &Node, vmid: u32, stamp: Stamp) -> Opened<common::Data> {
    node.control_plane_only(vmid, "kubeconfig")?;
    let text = node.read(vmid, |world, machine| {
        let config = machine.config.as_ref().ok_or_else(|| Status::unavailable("the machine has no config"))?;
        kubeconfig::text(config, world.now).map_err(Status::unknown)
    })??;
    Ok(stream::once(vec![data(kubeconfig::archive(text.as_bytes()), &stamp)]))
}

/// The log of one of Talos' own services; those of pods the lab has not got.
pub fn logs(node: &Node, vmid: u32, stamp: Stamp, asked: &wire::LogsRequest) -> Opened<common::Data> {
    let lines = |machine: &Machine, id: &str| -> Option<Vec<String>> {
        let events = &machine.services.get(id)?.events;
        Some(events.iter().map(|e| format!("{} {}: {}\n", e.at, e.state.as_str(), e.message)).collect())
    };
    let missing = || match asked.namespace.as_str() {
        "system" => Status::unknown(format!("log {:?} was not registered", asked.id)),
        _ => Status::unknown(format!("container {:?} not found", asked.id)),
    };
    let there = node.read(vmid, |_, m| lines(m, &asked.id))?.ok_or_else(missing)?;
    let mut sent = match usize::try_from(asked.tail_lines) {
        Ok(wanted) => there.len().saturating_sub(wanted),
        Err(_) => 0,
    };
    let (from, id, follow) = (node.clone(), asked.id.clone(), asked.follow);
    Ok(stream::follow(&node.lab, move |_| {
        let now = from.read(vmid, |_, m| lines(m, &id))?.unwrap_or_default();
        let skip = std::mem::replace(&mut sent, now.len());
        let items = now.into_iter().skip(skip).map(|line| data(line, &stamp)).collect();
        Ok(Look { items, more: follow })
    }))
}

pub fn read(node: &Node, vmid: u32, stamp: Stamp, path: &str) -> Opened<common::Data> {
    let content = match path {
        "/proc/sys/kernel/random/boot_id" => node.read(vmid, |_, m| format!("{}\n", m.boot_id))?,
        "/etc/os-release" => format!("NAME=\"Talos\"\nID=talos\nVERSION_ID={TALOS_VERSION}\n"),
        "/proc/cmdline" => "talos.platform=nocloud console=tty1 console=ttyS0 net.ifnames=0\n".into(),
        _ => return Err(Status::not_found(format!("stat {path}: no such file or directory"))),
    };
    Ok(stream::once(vec![data(content, &stamp)]))
}
