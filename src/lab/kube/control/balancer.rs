//! Services: addresses in the cluster, endpoints, and MetalLB's addresses with their sockets.
use super::objects::{is_deleting, is_true, items, selects, suffix, text, uid};
use super::shell::Names;
use super::{namespaces, nodes};
use crate::kube::settle;
use crate::kube::store::Key;
use crate::net::Endpoint;
use crate::world::World;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub fn reconcile(world: &mut World, key: &Key, gone: Option<&Value>) {
    let Some(service) = world.object(key).cloned().filter(|_| gone.is_none()) else { return forget(world, key) };
    if is_deleting(&service) {
        world.remove_object(key);
        return;
    }
    if namespaces::is_terminating(world, &key.namespace) {
        return;
    }
    number(world, key, &service);
    endpoints(world, key);
    balance(world, key);
    sockets(world, key);
}

/// Closes what was open for a Service that is gone.
fn forget(world: &mut World, key: &Key) {
    let name = (key.namespace.clone(), key.name.clone());
    for at in world.state().and_then(|s| s.sockets.remove(&name)).unwrap_or_default() {
        world.close(at);
    }
    world.remove_object(&Key::new("", "endpoints", &key.namespace, &key.name));
    let slices = world.select("discovery.k8s.io", "endpointslices", Some(&key.namespace), |s| {
        s["metadata"]["labels"]["kubernetes.io/service-name"] == key.name.as_str()
    });
    for (slice, _) in slices {
        world.remove_object(&slice);
    }
    // Its address is free again.
    wake(world);
}

/// Cluster address and node ports.
fn number(world: &mut World, key: &Key, service: &Value) {
    let kind = service["spec"]["type"].as_str().unwrap_or("ClusterIP").to_string();
    if kind == "ExternalName" {
        return;
    }
    let all = world.objects("", "services", None);
    let address = service["spec"]["clusterIP"].as_str().map(str::to_string).or_else(|| {
        let taken: BTreeSet<&str> = all.iter().map(|(_, s)| text(s, "/spec/clusterIP")).collect();
        // The first addresses are those that the cluster gives out itself (1 is the API, 10 is DNS).
        (11..0xff00).map(|n| nodes::service_address(world, n)).find(|a| !taken.contains(a.as_str()))
    });
    let mut ports = service["spec"]["ports"].as_array().cloned().unwrap_or_default();
    if kind != "ClusterIP" {
        let mut used: BTreeSet<u64> =
            all.iter().flat_map(|(_, s)| items(s, "/spec/ports")).filter_map(|p| p["nodePort"].as_u64()).collect();
        for port in ports.iter_mut().filter(|p| p["nodePort"].is_null()) {
            let free = (30_000..32_768).find(|n| used.insert(*n));
            port["nodePort"] = json!(free);
        }
    }
    world.change_object(key, |s| {
        s["spec"]["type"] = json!(kind);
        s["spec"]["clusterIP"] = json!(address);
        s["spec"]["clusterIPs"] = json!([address]);
        if !ports.is_empty() {
            s["spec"]["ports"] = json!(ports);
        }
        if s["status"].is_null() {
            s["status"] = json!({"loadBalancer": {}});
        }
    });
}

/// The pods behind a Service: name, address, and whether they are ready.
pub fn backends(world: &World, service: &Value) -> Vec<(String, String, bool)> {
    let selector = &service["spec"]["selector"];
    let namespace = text(service, "/metadata/namespace");
    let pods = world.select("", "pods", Some(namespace), |p| {
        selects(selector, &p["metadata"]["labels"]) && !text(p, "/status/podIP").is_empty()
    });
    pods.into_iter().map(|(k, p)| (k.name, text(&p, "/status/podIP").to_string(), is_true(&p, "Ready"))).collect()
}

fn endpoints(world: &mut World, key: &Key) {
    let Some(service) = world.object(key).cloned() else { return };
    let own_api = key.namespace == "default" && key.name == "kubernetes";
    let backends = if own_api {
        let planes = world.state().map(|s| s.control_planes.clone()).unwrap_or_default();
        planes.into_iter().map(|(name, address)| (name, address, true)).collect()
    } else if service["spec"]["selector"].as_object().is_some_and(|s| !s.is_empty()) {
        backends(world, &service)
    } else {
        return;
    };
    let ports: Vec<Value> = items(&service, "/spec/ports")
        .map(|p| {
            let target = if p["targetPort"].is_u64() { &p["targetPort"] } else { &p["port"] };
            let protocol = p["protocol"].as_str().unwrap_or("TCP");
            json!({"name": p["name"].as_str().unwrap_or_default(), "port": target, "protocol": protocol})
        })
        .collect();
    let reference = |name: &str| {
        if own_api { Value::Null } else { json!({"kind": "Pod", "namespace": key.namespace, "name": name}) }
    };
    let list = |ready: bool| -> Vec<Value> {
        let chosen = backends.iter().filter(|b| b.2 == ready);
        chosen.map(|(name, ip, _)| json!({"ip": ip, "targetRef": reference(name)})).collect()
    };
    let mut subset = json!({"ports": ports});
    for (field, addresses) in [("addresses", list(true)), ("notReadyAddresses", list(false))] {
        if !addresses.is_empty() {
            subset[field] = json!(addresses);
        }
    }
    let subsets = if backends.is_empty() { json!([]) } else { json!([subset]) };
    let old = json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {}, "subsets": subsets});
    world.apply_object(Key::new("", "endpoints", &key.namespace, &key.name), old);
    let members: Vec<Value> = backends
        .iter()
        .map(|(name, ip, ready)| {
            json!({"addresses": [ip], "conditions": {"ready": ready, "serving": ready, "terminating": false},
                "targetRef": reference(name)})
        })
        .collect();
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"labels": {"kubernetes.io/service-name": key.name}},
        "addressType": "IPv4", "ports": ports, "endpoints": members});
    let name = format!("{}-{}", key.name, suffix(&uid(&service), 5));
    world.apply_object(Key::new("discovery.k8s.io", "endpointslices", &key.namespace, &name), slice);
}

/// Services that select the pod get their endpoints anew.
pub fn pod_changed(world: &mut World, key: &Key, gone: Option<&Value>) {
    let Some(labels) = gone.or_else(|| world.object(key)).map(|p| p["metadata"]["labels"].clone()) else { return };
    let chosen = |s: &Value| selects(&s["spec"]["selector"], &labels);
    for (service, _) in world.select("", "services", Some(&key.namespace), chosen) {
        endpoints(world, &service);
    }
}

pub fn control_planes_changed(world: &mut World) {
    endpoints(world, &Key::new("", "services", "default", "kubernetes"));
}

/// Looks again at every LoadBalancer: a pool, an advertisement or the nodes changed, or an address came free.
pub fn wake(world: &mut World) {
    let answers = |s: &Value| s["spec"]["type"] == "LoadBalancer" || s["spec"]["externalIPs"].is_array();
    for (key, _) in world.select("", "services", None, answers) {
        balance(world, &key);
        sockets(world, &key);
    }
}

pub fn close_all(world: &mut World) {
    let all = world.state().map(|s| std::mem::take(&mut s.sockets)).unwrap_or_default();
    for at in all.into_values().flatten() {
        world.close(at);
    }
}

/// True when all machines of the cluster are switched off: then nothing announces its addresses.
fn is_dark(world: &World) -> bool {
    let off = |vmid: u32| world.machines.get(&vmid).is_some_and(|m| !m.on);
    world.cluster.as_ref().is_some_and(|c| !c.nodes.is_empty() && c.nodes.values().all(|n| off(n.vmid)))
}

fn address_of(service: &Value) -> Option<String> {
    service.pointer("/status/loadBalancer/ingress/0/ip").and_then(Value::as_str).map(str::to_string)
}

/// Starts giving the Service an address, if it needs one and a pool has one.
fn balance(world: &mut World, key: &Key) {
    let metallb = world.state().is_some_and(|s| s.groups.contains("metallb.io"));
    let Some(service) = world.object(key).cloned() else { return };
    if !metallb || service["spec"]["type"] != "LoadBalancer" || address_of(&service).is_some() {
        return;
    }
    if free_address(world, &service).is_none() {
        let message = format!("Failed to allocate IP for \"{}/{}\": no available IPs", key.namespace, key.name);
        return world.emit(key, "Warning", "AllocationFailed", &message);
    }
    let uid = uid(&service);
    let mark = format!("balancer {uid}");
    if !world.begin(mark.clone()) {
        return;
    }
    let key = key.clone();
    let after = world.scenario.latency.load_balancer_s;
    world.after(after, move |world| {
        world.done(&mark);
        let free = world.object(&key).cloned().filter(|_| world.is_still(&key, &uid));
        let Some((address, pool)) = free.and_then(|s| free_address(world, &s)) else { return };
        world.change_object(&key, |s| {
            s["status"] = json!({"loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]}});
            if !s["metadata"]["annotations"].is_object() {
                s["metadata"]["annotations"] = json!({});
            }
            s["metadata"]["annotations"]["metallb.io/ip-allocated-from-pool"] = json!(pool);
        });
        world.emit(&key, "Normal", "IPAllocated", &format!("Assigned IP [\"{address}\"]"));
        settle(world);
    });
}

/// The first address that no Service holds, and its pool. A Service may ask for one.
fn free_address(world: &World, service: &Value) -> Option<(String, String)> {
    let taken: BTreeSet<String> =
        world.objects("", "services", None).iter().filter_map(|(_, s)| address_of(s)).collect();
    let notes = &service["metadata"]["annotations"];
    let asked = [&notes["metallb.io/loadBalancerIPs"], &notes["metallb.universe.tf/loadBalancerIPs"]]
        .into_iter()
        .chain([&service["spec"]["loadBalancerIP"]])
        .find_map(Value::as_str);
    for (pool, object) in world.objects("metallb.io", "ipaddresspools", None) {
        if object["spec"]["autoAssign"] == false && asked.is_none() {
            continue;
        }
        for range in items(&object, "/spec/addresses").filter_map(Value::as_str) {
            let Some((first, last)) = range_of(range) else { continue };
            let free = (u32::from(first)..=u32::from(last)).map(|n| Ipv4Addr::from(n).to_string());
            let found = free.into_iter().find(|a| !taken.contains(a) && asked.is_none_or(|want| want == a));
            if let Some(address) = found {
                return Some((address, pool.name));
            }
        }
    }
    None
}

/// `10.0.0.1-10.0.0.9` or `10.0.0.0/28`.
fn range_of(text: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    if let Some((first, last)) = text.split_once('-') {
        return Some((first.trim().parse().ok()?, last.trim().parse().ok()?));
    }
    let network: ipnet::Ipv4Net = text.trim().parse().ok()?;
    Some((network.network(), network.broadcast()))
}

/// True when an L2Advertisement announces the pool: without names it announces them all.
fn is_announced(world: &World, pool: &str) -> bool {
    world.objects("metallb.io", "l2advertisements", None).iter().any(|(_, a)| {
        let named = a["spec"]["ipAddressPools"].as_array().filter(|l| !l.is_empty());
        named.is_none_or(|l| l.iter().any(|p| p == pool))
    })
}

/// Opens exactly the sockets that the Service should answer on.
fn sockets(world: &mut World, key: &Key) {
    let Some(service) = world.object(key).cloned() else { return };
    let pool = text(&service, "/metadata/annotations/metallb.io~1ip-allocated-from-pool");
    let balanced = address_of(&service).filter(|_| is_announced(world, pool));
    let external = items(&service, "/spec/externalIPs").filter_map(Value::as_str).map(str::to_string);
    let dark = is_dark(world);
    let addresses: Vec<IpAddr> =
        balanced.into_iter().chain(external).filter(|_| !dark).filter_map(|a| a.parse().ok()).collect();
    let ports: Vec<u16> =
        items(&service, "/spec/ports").filter_map(|p| p["port"].as_u64().and_then(|p| u16::try_from(p).ok())).collect();
    let wanted: Vec<SocketAddr> =
        addresses.iter().flat_map(|a| ports.iter().map(|p| SocketAddr::new(*a, *p))).collect();
    let name = (key.namespace.clone(), key.name.clone());
    let before = world.state().and_then(|s| s.sockets.insert(name, wanted.clone())).unwrap_or_default();
    for at in before.iter().filter(|a| !wanted.contains(a)) {
        world.close(*at);
    }
    for at in wanted.into_iter().filter(|a| !before.contains(a)) {
        let (namespace, name) = (key.namespace.clone(), key.name.clone());
        let endpoint = match world.tenants.contains_key(&(namespace.clone(), name.clone())) {
            true => Endpoint::TenantKubernetes { namespace, name },
            false => Endpoint::Service { namespace, name, port: at.port() },
        };
        world.listen(at, endpoint);
    }
}

/// The names that the cluster's DNS knows; `None` while CoreDNS is missing.
pub fn names(world: &World) -> Option<Names> {
    let cluster = world.cluster.as_ref()?;
    let server = world.object(&Key::new("", "services", "kube-system", "kube-dns"))?;
    if !backends(world, server).iter().any(|b| b.2) {
        return None;
    }
    let mut services = BTreeMap::new();
    for (key, service) in world.objects("", "services", None) {
        let address = text(&service, "/spec/clusterIP").to_string();
        if !address.is_empty() && address != "None" {
            let short = format!("{}.{}.svc", key.name, key.namespace);
            services.insert(format!("{short}.{}", cluster.dns_domain), address);
        }
    }
    Some(Names { server: text(server, "/spec/clusterIP").to_string(), services })
}
