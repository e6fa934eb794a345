//! Calls of the simulated cluster's controllers: over no socket, by the same table.
use super::call::{Call, Failure};
use super::request::Given;
use super::upload::Received;
use super::{call_for, may_upload, route, sign_in};
use crate::pve::rights::Who;
use crate::releases::sha256;
use crate::world::World;
use serde_json::Value;
use std::collections::BTreeSet;

/// A call that comes over no socket, from a controller of the simulated cluster: the same table of endpoints, the same
/// rights and parameters. `token` is `user@realm!name=secret`.
///
/// # Errors
/// With the answer that Proxmox VE would give.
pub fn inside(
    world: &mut World,
    token: &str,
    method: &str,
    path: &str,
    given: &[(&str, String)],
) -> Result<Value, Failure> {
    let who = caller(world, token)?;
    let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(str::to_string).collect();
    let unknown = || Failure::new(501, format!("Method '{method} {path}' not implemented"));
    let (route, in_path) = route::find(method, &segments).ok_or_else(unknown)?;
    let params = given.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
    let call = call_for(who, first_node(world), Given { params, ..Given::default() }, in_path, None)?;
    route::run(world, route, &call).map(|good| good.data)
}

/// As [`inside`], with an ISO image for a storage; the task that puts it there.
///
/// # Errors
/// With the answer that Proxmox VE would give.
pub fn upload_inside(
    world: &mut World,
    token: &str,
    node: &str,
    storage: &str,
    name: &str,
    image: Vec<u8>,
) -> Result<String, Failure> {
    let who = caller(world, token)?;
    may_upload(world, &who, storage)?;
    let params = [("node", node), ("storage", storage), ("content", "iso"), ("filename", name)];
    let params = params.map(|(key, value)| (key.to_string(), value.to_string())).into_iter().collect();
    let local = first_node(world);
    let size = u64::try_from(image.len()).unwrap_or(u64::MAX);
    let upload =
        Received { size, sha256: sha256(&image), checksum: None, bytes: Some(image), qcow2: false, disk: size };
    let call =
        Call { who, local, params, in_path: vec!["node", "storage"], lists: BTreeSet::new(), upload: Some(upload) };
    let task = super::upload::store(world, &call)?.data;
    Ok(task.as_str().unwrap_or_default().to_string())
}

fn caller(world: &World, token: &str) -> Result<Who, Failure> {
    sign_in::by_token(world, token).map_err(|why| Failure::new(401, why))
}

fn first_node(world: &World) -> String {
    world.pve.nodes.first().map(|n| n.name.clone()).unwrap_or_default()
}
