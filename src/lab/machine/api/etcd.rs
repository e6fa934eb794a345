//! Calls that machined hands on to the etcd of its own machine. Where none runs its client dials until the caller gives
//! up: the call has no answer but that the time is over.
use super::super::super::world::World;
use super::super::{Machine, Membership, Service, State, cluster};
use super::{Node, stream};
use aws_lc_rs::digest::{SHA256, digest};
use cozyup_talos_wire::common;
use std::time::Duration;
use tonic::codegen::BoxStream;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status};

/// The message when the caller's time is over.
pub const LATE: &str = "context deadline exceeded";

/// The membership of a machine whose etcd runs.
pub fn running(machine: &Machine) -> Option<&Membership> {
    machine.etcd.as_ref().filter(|_| machine.services.get("etcd").is_some_and(Service::running))
}

/// Bytes of a page of etcd's database.
const PAGE: usize = 4096;
/// Bytes of a message of the stream.
const CHUNK: usize = 64 << 10;

/// The database of etcd as a member hands it out, and behind it its SHA-256 (etcd v3.5, `server/etcdserver/api/v3rpc`). The
/// pages are none of bbolt's but for the sign at their beginning: they hold the objects as lines.
pub fn snapshot(
    node: &Node,
    vmid: u32,
    stamp: Option<common::Metadata>,
) -> Result<Response<BoxStream<common::Data>>, Status> {
    node.control_plane_only(vmid, "etcd snapshot")?;
    let bytes = node.read(vmid, |world, machine| {
        let runs = running(machine).is_some();
        runs.then(|| database(world)).ok_or_else(|| Status::unknown(format!("failed to snapshot: {LATE}")))
    })??;
    let chunk = |bytes: &[u8]| common::Data { metadata: stamp.clone(), bytes: bytes.to_vec() };
    Ok(stream::once(bytes.chunks(CHUNK).map(chunk).collect()))
}

fn database(world: &World) -> Vec<u8> {
    let mut bytes = vec![0; 16];
    bytes.extend(0xED0C_DAED_u32.to_le_bytes());
    bytes.resize(PAGE, 0);
    let cluster = world.cluster.iter();
    for object in cluster.flat_map(|c| c.store.keys().filter_map(|key| c.store.get(key))) {
        bytes.extend(object.to_string().bytes());
        bytes.push(b'\n');
    }
    bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
    let sum = digest(&SHA256, &bytes);
    bytes.extend(sum.as_ref());
    bytes
}

/// Takes a member out of the list, as the etcd of `vmid` is asked for. A machine that still runs it has its etcd stopped.
///
/// # Errors
/// In etcd's own words, when it knows no such member, or has no majority to decide it.
pub fn remove_member(world: &mut World, vmid: u32, id: u64) -> Result<(), Status> {
    let asked = world.machines.get(&vmid).ok_or_else(|| Status::unavailable("gone"))?;
    let id_of_cluster = asked.etcd.as_ref().map(|etcd| etcd.cluster);
    let id_of_cluster = id_of_cluster.ok_or_else(|| Status::unknown("etcdserver: server stopped"))?;
    if !cluster::has_quorum(world, asked) {
        return Err(Status::unknown("failed to remove member: etcdserver: request timed out"));
    }
    if !cluster::members(world, id_of_cluster).any(|member| member.membership.id == id) {
        return Err(Status::not_found("etcdserver: member not found"));
    }
    let now = world.now;
    for machine in world.machines.values_mut() {
        machine.lost.take_if(|lost| lost.membership.id == id);
        if machine.etcd.take_if(|etcd| etcd.id == id).is_some() {
            machine.service(now, "etcd", State::Finished, "Service finished successfully");
        }
    }
    cluster::settle(world);
    Ok(())
}

/// Returns when every control plane that is asked runs etcd, or when the caller's time is over: without a deadline of the
/// caller that is never, or when it hangs up.
pub async fn dial(node: &Node, metadata: &MetadataMap) {
    let vmids: Vec<u32> = node.targets(metadata).into_iter().filter_map(|t| t.vmid.ok()).collect();
    let mut changed = node.lab.watch();
    let dialled = async {
        loop {
            // Seen before the look: a change during it wakes us again.
            changed.mark_unchanged();
            // A machine that can't be read has its own answer.
            let waits = |vmid: &u32| node.read(*vmid, |_, m| m.control_plane() && running(m).is_none());
            if !vmids.iter().any(|vmid| waits(vmid).unwrap_or(false)) || changed.changed().await.is_err() {
                return;
            }
        }
    };
    match deadline(metadata) {
        // The result does not matter: the caller of this looks again.
        Some(deadline) => drop(tokio::time::timeout(deadline, dialled).await),
        None => dialled.await,
    }
}

/// The caller's `grpc-timeout`: up to eight digits and a unit. Wall time.
fn deadline(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number.checked_mul(3600)?)),
        "M" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}
