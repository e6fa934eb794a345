//! Requests of pods to the cluster's own Services: by the name in the cluster's DNS or the cluster address, past the policies of
//! Cilium, to a ready pod.
use super::curl::{self, Answer, Request};
use super::objects::{items, text};
use super::shell::Names;
use super::{balancer, cilium};
use crate::kube::service;
use crate::kube::store::Key;
use crate::world::World;
use serde_json::Value;

const COULD_NOT_RESOLVE: i32 = 6;
const COULD_NOT_CONNECT: i32 = 7;

/// The Service that the host names, seen from a pod of `namespace`; `Err` when the cluster's DNS knows no such name, `None` when
/// the host is none of the cluster.
fn target(world: &World, namespace: &str, host: &str) -> Option<Result<Key, ()>> {
    let by_address = |s: &Value| text(s, "/spec/clusterIP") == host;
    if let Some((key, _)) = world.select("", "services", None, by_address).into_iter().next() {
        return Some(Ok(key));
    }
    let domain = world.cluster.as_ref()?.dns_domain.clone();
    let short = host.strip_suffix(&format!(".{domain}")).unwrap_or(host);
    let is_named = short.ends_with(".svc");
    let short = short.strip_suffix(".svc").unwrap_or(short);
    let mut parts = short.split('.');
    let (name, place, more) = (parts.next()?, parts.next().unwrap_or(namespace), parts.next());
    let key = Key::new("", "services", place, name);
    let is_there = more.is_none() && world.object(&key).is_some();
    match (is_there, is_named) {
        (true, _) => Some(balancer::names(world).map(|_| key).ok_or(())),
        (false, true) => Some(Err(())),
        (false, false) => None,
    }
}

/// The port of the pod behind the Service's port.
fn target_port(service: &Value, pod: &Value, port: u16) -> u16 {
    let Some(entry) = items(service, "/spec/ports").find(|p| p["port"] == port) else { return port };
    let target = &entry["targetPort"];
    let by_name = |name: &str| {
        let mut ports = items(pod, "/spec/containers").flat_map(|c| items(c, "/ports"));
        ports.find(|p| p["name"] == name).and_then(|p| p["containerPort"].as_u64())
    };
    let found = target.as_u64().or_else(|| target.as_str().and_then(by_name));
    found.and_then(|p| u16::try_from(p).ok()).unwrap_or(port)
}

/// The answer to a pod's request, when it is to the cluster itself. One for `postgres:` has namespace and name of the pod that
/// takes the connection as its body.
pub fn answer(world: &World, pod: &Value, request: &Request) -> Option<Answer> {
    let url = reqwest::Url::parse(&request.url).ok()?;
    let host = url.host_str()?.to_string();
    let is_postgres = url.scheme() == "postgres";
    let port = url.port_or_known_default().unwrap_or(80);
    let key = match target(world, text(pod, "/metadata/namespace"), &host)? {
        Ok(key) => key,
        Err(()) => return Some(Err((COULD_NOT_RESOLVE, format!("Could not resolve host: {host}")))),
    };
    let service = world.object(&key)?;
    let has_port = items(service, "/spec/ports").any(|p| p["port"] == port);
    let backend = balancer::backends(world, service).into_iter().find(|b| b.2).filter(|_| has_port);
    let Some((name, _, _)) = backend else {
        return Some(Err((COULD_NOT_CONNECT, format!("Failed to connect to {host} port {port}: Connection refused"))));
    };
    let to = world.object(&Key::new("", "pods", &key.namespace, &name))?;
    if !cilium::reaches(world, pod, to, target_port(service, to, port)) {
        return Some(Err((curl::TIMED_OUT, "Connection timed out".to_string())));
    }
    Some(if is_postgres {
        Ok((200, format!("{}/{name}", key.namespace)))
    } else {
        Ok(service::from_pod(world, &key.namespace, &key.name, &name, port, url.path()))
    })
}

/// What `nslookup` prints, and its status.
pub fn look_up(asked: &str, names: &Option<Names>) -> (Vec<String>, i32) {
    let Some(names) = names else {
        return (vec![";; connection timed out; no servers could be reached".into()], 1);
    };
    let mut lines =
        vec![format!("Server:\t\t{}", names.server), format!("Address:\t{}:53", names.server), String::new()];
    match names.services.get(asked.trim_end_matches('.')) {
        Some(address) => {
            lines.push(format!("Name:\t{}", asked.trim_end_matches('.')));
            lines.push(format!("Address: {address}"));
            (lines, 0)
        }
        None => {
            lines.push(format!("** server can't find {asked}: NXDOMAIN"));
            (lines, 1)
        }
    }
}
