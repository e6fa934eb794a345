//! etcd, which only Talos shows.
use super::super::snapshot::{Etcd, Missing, Part, kept};
use crate::talos::secrets::Access;
use crate::talos::{Error, Secure};
use futures::future::join_all;
use std::net::IpAddr;

/// Machines that are asked; a cluster has three or five control planes.
const MOST: usize = 16;

/// The way to the machines.
pub type Machines = Access;

/// Asks each control plane's etcd; without access nothing is known of it.
pub async fn etcd(access: Option<&Machines>) -> Part<Vec<Etcd>> {
    let Some(access) = access else { return Part::missing(Missing::NoAccess) };
    let asked = access.endpoints.iter().take(MOST).map(|address| one(access, *address));
    let read: Vec<Etcd> = join_all(asked).await;
    let missing = match read.iter().all(|e| e.fault.is_some()) {
        true => Some(Missing::Unanswered {
            text: read.iter().find_map(|e| e.fault.clone()).unwrap_or_else(|| "no endpoint is in it".to_string()),
        }),
        false => None,
    };
    Part { read, missing }
}

async fn one(access: &Machines, address: IpAddr) -> Etcd {
    let blank = Etcd {
        address: address.to_string(),
        talos: String::new(),
        fault: None,
        has_leader: false,
        is_learner: false,
        database: 0,
        members: 0,
        errors: Vec::new(),
    };
    match read(access, address).await {
        Ok(etcd) => etcd,
        Err(e) => Etcd { fault: Some(crate::base::text::line(&e.to_string())), ..blank },
    }
}

async fn read(access: &Machines, address: IpAddr) -> Result<Etcd, Error> {
    let node = Secure::connect(address, &access.certificate).await?;
    let talos = node.version().await?.value;
    let status = node.etcd_status().await?.value;
    let members = node.etcd_members().await?.value;
    Ok(Etcd {
        address: address.to_string(),
        talos: kept(&talos),
        fault: None,
        has_leader: status.leader != 0,
        is_learner: status.learner,
        database: status.database_size,
        members: members.len(),
        errors: status.errors.iter().map(|e| kept(e)).collect(),
    })
}
