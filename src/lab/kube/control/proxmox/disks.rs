//! The driver's calls for a volume and a VM: put into a free SCSI slot, taken out, made larger
//! (sergelogvinov/proxmox-csi-plugin v0.14.0, pkg/csi/{controller,utils}.go).
use super::{release, sites};
use crate::kube::control::cluster_api::proxmox::{Client, Job, job};
use crate::kube::settle;
use crate::world::World;
use serde_json::Value;

/// After how long the driver looks again at a task, in seconds.
const AGAIN_S: f64 = 1.0;

/// A VM as the driver finds it by the node's name; a node of a test may have none.
struct Vm {
    client: Client,
    path: String,
}

/// # Errors
/// When the driver has no configuration.
fn vm(world: &World, node: &str) -> Result<Option<Vm>, String> {
    let Some((vmid, host)) = world.pve.vm_named(node) else { return Ok(None) };
    let release = release(world).ok_or("the driver is not running")?;
    let site = sites(world, &release)?.into_iter().next().ok_or("failed to read cloud config: no clusters in it")?;
    let client = Client { token: site.token_id, secret: site.token_secret };
    Ok(Some(Vm { client, path: format!("/nodes/{host}/qemu/{vmid}") }))
}

impl Vm {
    /// # Errors
    /// Proxmox VE's words.
    fn ask(&self, world: &mut World, method: &str, what: &str, given: &[(&str, String)]) -> Result<Value, String> {
        let path = format!("{}/{what}", self.path);
        self.client.ask(world, method, &path, given).map_err(|e| e.as_text())
    }

    /// The slot that holds the volume, or the first one without anything.
    ///
    /// # Errors
    /// Proxmox VE's words.
    fn slot(&self, world: &mut World, volume: Option<&str>) -> Result<Option<u32>, String> {
        let config = self.ask(world, "GET", "config", &[])?;
        let held = |lun: &u32| config[format!("scsi{lun}")].as_str();
        Ok((1..30).find(|lun| match volume {
            Some(volume) => held(lun).is_some_and(|drive| drive.contains(volume)),
            None => held(lun).is_none(),
        }))
    }
}

fn volid(world: &mut World, volume: &str) -> Result<String, String> {
    let known = world.state().and_then(|s| s.volume_ids.get(volume).cloned());
    known.ok_or_else(|| "volume not found".to_string())
}

/// Calls `then` when the task has ended.
fn follow(world: &mut World, upid: String, then: impl FnOnce(&mut World, Result<(), String>) + Send + 'static) {
    match job(world, &upid) {
        Job::Done => then(world, Ok(())),
        Job::Failed(why) => then(world, Err(why)),
        Job::Unknown => then(world, Err(format!("no such task {upid}"))),
        Job::Running => world.after(AGAIN_S, move |world| {
            follow(world, upid, then);
            settle(world);
        }),
    }
}

fn task(answer: Result<Value, String>) -> Result<Option<String>, String> {
    answer.map(|upid| upid.as_str().map(str::to_string))
}

/// Puts the volume into the VM of this node; `then` is called when it is there.
pub fn attach(
    world: &mut World,
    node: &str,
    volume: &str,
    then: impl FnOnce(&mut World, Result<(), String>) + Send + 'static,
) {
    match begin_attach(world, node, volume) {
        Ok(Some(upid)) => follow(world, upid, then),
        Ok(None) => then(world, Ok(())),
        Err(why) => then(world, Err(format!("failed to attach disk: {why}"))),
    }
}

fn begin_attach(world: &mut World, node: &str, volume: &str) -> Result<Option<String>, String> {
    let Some(vm) = vm(world, node)? else { return Ok(None) };
    if vm.slot(world, Some(volume))?.is_some() {
        return Ok(None);
    }
    let lun = vm.slot(world, None)?.ok_or("no free lun found")?;
    let name: String = format!("PVC-ID{lun:02}").bytes().map(|byte| format!("{byte:02x}")).collect();
    let drive = format!("{},backup=0,iothread=1,wwn=0x{name}", volid(world, volume)?);
    let slot = format!("scsi{lun}");
    task(vm.ask(world, "POST", "config", &[(slot.as_str(), drive)]))
}

/// Takes the volume out of the VM of this node.
///
/// # Errors
/// Proxmox VE's words.
pub fn detach(world: &mut World, node: &str, volume: &str) -> Result<(), String> {
    let Some(vm) = vm(world, node)? else { return Ok(()) };
    let Some(lun) = vm.slot(world, Some(volume))? else { return Ok(()) };
    vm.ask(world, "PUT", "unlink", &[("idlist", format!("scsi{lun}"))]).map(drop)
}

/// Makes the volume so large; `then` is called when it is. A volume that no VM has is refused.
pub fn expand(
    world: &mut World,
    volume: &str,
    gib: u64,
    then: impl FnOnce(&mut World, Result<(), String>) + Send + 'static,
) {
    match begin_expand(world, volume, gib) {
        Ok(Some(upid)) => follow(world, upid, then),
        Ok(None) => then(world, Ok(())),
        Err(why) => then(world, Err(why)),
    }
}

fn begin_expand(world: &mut World, volume: &str, gib: u64) -> Result<Option<String>, String> {
    let unpublished = "cannot resize unpublished volumeID";
    let node = crate::kube::control::attach::node_of(world, volume).ok_or(unpublished)?;
    let Some(vm) = vm(world, &node)? else { return Ok(None) };
    let lun = vm.slot(world, Some(volume))?.ok_or(unpublished)?;
    let size = format!("{}M", gib * 1024);
    task(vm.ask(world, "PUT", "resize", &[("disk", format!("scsi{lun}")), ("size", size)]))
}
