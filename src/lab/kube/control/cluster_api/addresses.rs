//! The in-cluster address provider: a claim gets the first free address of its pool.
use super::{CLUSTER_LABEL, CORE, IPAM, gate, hold, own, release};
use crate::kube::control::objects::{is_deleting, items, text};
use crate::kube::store::Key;
use crate::world::World;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

const RELEASE: &str = "ipam.cluster.x-k8s.io/ReleaseAddress";
const PROTECT: &str = "ipam.cluster.x-k8s.io/ProtectAddress";

pub fn reconcile(world: &mut World, key: &Key, claim: &Value) {
    if !gate::ipam(world) {
        return;
    }
    let address_key = Key::new(IPAM, "ipaddresses", &key.namespace, &key.name);
    if is_deleting(claim) {
        if world.object(&address_key).is_some() {
            super::delete(world, &address_key);
            release(world, &address_key, PROTECT);
        }
        return release(world, key, RELEASE);
    }
    if claim["status"]["addressRef"]["name"].is_string() {
        return;
    }
    // It looks at no claim whose Cluster is not there, and says nothing of any: neither is it ready nor why not.
    let cluster = claim["metadata"]["labels"][CLUSTER_LABEL].as_str().unwrap_or_default();
    if !cluster.is_empty() && world.object(&Key::new(CORE, "clusters", &key.namespace, cluster)).is_none() {
        return;
    }
    hold(world, key, RELEASE);
    let pool_key = Key::new(IPAM, "inclusterippools", &key.namespace, text(claim, "/spec/poolRef/name"));
    let Some(pool) = world.object(&pool_key).cloned() else { return };
    let taken: Vec<String> = world
        .select(IPAM, "ipaddresses", Some(&key.namespace), |a| a["spec"]["poolRef"]["name"] == pool_key.name.as_str())
        .into_iter()
        .map(|(_, address)| text(&address, "/spec/address").to_string())
        .collect();
    let ranges: Vec<&str> = items(&pool, "/spec/addresses").filter_map(Value::as_str).collect();
    let gateway = text(&pool, "/spec/gateway");
    let free = ranges.iter().flat_map(|r| expand(r)).map(|a| a.to_string());
    let Some(free) = free.into_iter().find(|a| a != gateway && !taken.contains(a)) else { return };
    let address = json!({
        "apiVersion": "ipam.cluster.x-k8s.io/v1beta1", "kind": "IPAddress",
        "metadata": {"finalizers": [PROTECT], "labels": {(CLUSTER_LABEL): cluster}},
        "spec": {"address": free, "prefix": pool["spec"]["prefix"], "gateway": pool["spec"]["gateway"],
            "claimRef": {"name": key.name}, "poolRef": claim["spec"]["poolRef"]},
    });
    world.put_object(address_key.clone(), address);
    own(world, &address_key, claim, true);
    world.change_object(key, |c| {
        c["status"]["addressRef"] = json!({"name": key.name});
    });
}

/// The addresses of `a-b`, of a network, or the one that is given.
fn expand(text: &str) -> Vec<Ipv4Addr> {
    if let Some((from, to)) = text.split_once('-') {
        let (Ok(from), Ok(to)) = (from.trim().parse::<Ipv4Addr>(), to.trim().parse::<Ipv4Addr>()) else {
            return Vec::new();
        };
        return (u32::from(from)..=u32::from(to)).map(Ipv4Addr::from).collect();
    }
    if let Ok(net) = text.parse::<ipnet::Ipv4Net>() {
        return net.hosts().collect();
    }
    text.parse().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_networks_and_single_addresses_are_read() {
        let four = |last: [u8; 4]| last.map(|n| Ipv4Addr::new(127, 0, 0, n)).to_vec();
        assert_eq!(expand("127.0.0.5-127.0.0.8"), four([5, 6, 7, 8]));
        assert_eq!(expand("127.0.0.4/30"), [Ipv4Addr::new(127, 0, 0, 5), Ipv4Addr::new(127, 0, 0, 6)]);
        assert_eq!(expand("127.0.0.9"), [Ipv4Addr::new(127, 0, 0, 9)]);
        assert!(expand("none").is_empty());
    }
}
