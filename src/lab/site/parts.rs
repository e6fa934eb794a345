//! Parts of the lab's plan that only some scenarios have.
use super::DISKS;
use crate::world::World;
use crate::{mirror, proxy};
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The token's file, and the line that names the site's pool.
pub fn with_pool(world: &World, token_file: &Path) -> String {
    let pool = world.scenario.proxmox.pool.as_ref().map(|pool| format!("\n  pool: {pool}")).unwrap_or_default();
    format!("{}{pool}", token_file.display())
}

/// The plan's section `template`.
pub fn template(world: &World) -> String {
    let host = world.scenario.nodes.first().map_or("pve", |n| n.host.as_str());
    let mut text = format!("template:\n  vmid: 9100\n  name: cozy-talos-v1-10-6\n  host: {host}\n  storage: {DISKS}");
    for (n, copy) in world.scenario.copies.iter().enumerate() {
        let named =
            |key: &str, name: &Option<String>| name.as_ref().map(|n| format!(", {key}: {n}")).unwrap_or_default();
        let (storage, image) = (named("storage", &copy.storage), named("image_storage", &copy.image_storage));
        let head = if n == 0 { "\n  copies:" } else { "" };
        text.push_str(&format!("{head}\n    - {{ host: {}, vmid: {}{storage}{image} }}", copy.host, copy.vmid));
    }
    text
}

/// Opens the mirror and the proxy, where the scenario has them.
///
/// # Errors
/// When the mirror's files can't be written.
pub fn ways_out(world: &mut World, dir: &Path) -> io::Result<()> {
    proxy::set_up(world);
    mirror::set_up(world, dir)
}

/// Where the release server is found.
pub fn releases(world: &World, at: SocketAddr) -> String {
    if world.scenario.proxy { format!("http://{}", proxy::RELEASES) } else { format!("http://{at}") }
}

/// The lines about the bridge's MTU and the proxy, where they are not the usual.
pub fn way_out(world: &World) -> String {
    let mtu = world.scenario.proxmox.bridges.first().and_then(|bridge| bridge.mtu);
    let mtu = mtu.map(|mtu| format!("\n  mtu: {mtu}")).unwrap_or_default();
    let proxy = proxy::url(world).map(|url| format!("\n  proxy: {url}")).unwrap_or_default();
    format!("{mtu}{proxy}")
}

/// How configs are delivered, and the lines about the mirror that the nodes have to go through.
pub fn with_mirror(world: &World) -> String {
    let lines = world.mirror.as_ref().map(|mirror| {
        format!(
            "\n  mirrors:\n    - {{ registry: \"*\", endpoint: \"{}\", login_file: {} }}\n  ca_file: {}",
            mirror.url(),
            mirror.login_file.display(),
            mirror.ca_file.display()
        )
    });
    format!("{}{}", world.scenario.delivery, lines.unwrap_or_default())
}
