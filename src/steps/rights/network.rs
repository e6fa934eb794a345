//! The path on which Proxmox VE checks the right to use the plan's bridge.
use super::needs::NetworkPlace;
use crate::engine::failure::Failure;
use crate::plan::model::Plan;
use crate::proxmox::{Error, Reader};
use crate::steps::failures;

/// Reads on which path the right to use the bridge is checked.
///
/// # Errors
/// When Proxmox VE does not tell which networks it has.
pub async fn place(proxmox: &Reader, plan: &Plan) -> Result<NetworkPlace, Failure> {
    let bridge = &plan.network.bridge;
    match proxmox.vnets().await {
        Ok(vnets) => {
            if let Some(found) = vnets.value.into_iter().find(|v| v.vnet == *bridge) {
                return Ok(NetworkPlace::Vnet { zone: found.zone });
            }
        }
        // A site without the packages of the software-defined network.
        Err(Error::Server { .. } | Error::Forbidden { .. } | Error::NotFound { .. }) => {}
        Err(e) => return Err(failures::proxmox(&e, "list the networks of the site")),
    }
    match proxmox.bridges(&plan.template.host).await {
        Ok(bridges) if bridges.value.iter().any(|b| b.iface == *bridge && b.kind == "vnet") => {
            Ok(NetworkPlace::UnknownZone)
        }
        // `day0.api_version` reports a missing node.
        Ok(_) | Err(Error::NoSuchNode { .. } | Error::NotFound { .. } | Error::Forbidden { .. }) => {
            Ok(NetworkPlace::Bridge)
        }
        Err(e) => Err(failures::proxmox(&e, &format!("list the bridges of {}", plan.template.host))),
    }
}
