//! The proxy of a company: the only way from the site to the world. It alone knows the world's names.
use super::disturb::Line;
use super::machine::config::MachineConfig;
use super::net::Endpoint;
use super::releases::{self, REGISTRIES};
use super::world::{Lab, World};
use axum::body::Body;
use axum::http::{Method, Response, StatusCode, Uri};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tower::ServiceExt;

/// Last octet of its address.
const ADDRESS: u8 = 4;
const PORT: u16 = 3128;
/// The name of the release server, which no resolver of the site knows.
pub const RELEASES: &str = "releases.example.org";

fn at(world: &World) -> SocketAddr {
    SocketAddr::from((world.address(ADDRESS), PORT))
}

/// URL of the proxy; `None` where the scenario has none.
pub fn url(world: &World) -> Option<String> {
    world.scenario.proxy.then(|| format!("http://{}", at(world)))
}

/// Opens it where the scenario has one.
pub fn set_up(world: &mut World) {
    if world.scenario.proxy {
        world.listen(at(world), Endpoint::Proxy);
    }
}

/// The reason why a node with this config can't pull an image, in containerd's words; `None` when it can, as everywhere without a
/// proxy. Whoever has the proxy and no exception for the API's address would ask the proxy for it, which refuses.
pub fn refusal(world: &World, config: &MachineConfig, image: &str) -> Option<String> {
    let url = url(world)?;
    let (registry, _) = image.split_once('/')?;
    let (by, past) = (&config.https_proxy, &config.no_proxy);
    let asked = format!("failed to do request: Head \"https://{registry}/v2/\"");
    let why = if by.as_deref() != Some(url.as_str()) {
        format!("{asked}: dial tcp: lookup {registry}: no such host")
    } else if past
        .iter()
        .any(|entry| entry == registry || registry.ends_with(&format!(".{}", entry.trim_start_matches('.'))))
    {
        format!("{asked}: dial tcp {registry}:443: i/o timeout")
    } else {
        return None;
    };
    Some(format!("failed to pull image \"{image}\": failed to resolve reference \"{image}\": {why}"))
}

/// Serves one connection: plain HTTP to the names of the release server and of the registries.
pub async fn serve(stream: TcpStream, lab: Lab, line: Line) {
    let router = releases::router(lab);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let (router, line) = (router.clone(), line.clone());
        async move {
            let host = request.uri().host().unwrap_or_default().to_string();
            let known =
                request.method() != Method::CONNECT && (host == RELEASES || REGISTRIES.contains(&host.as_str()));
            let path = request.uri().path_and_query().cloned();
            let Some(path) = path.filter(|_| known) else {
                let mut refused = Response::new(Body::from(format!("no way to {host}\n")));
                *refused.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                return Ok(refused);
            };
            *request.uri_mut() = Uri::from(path);
            let served = |request| async { router.oneshot(request).await.unwrap_or_else(|never| match never {}) };
            Ok::<_, Infallible>(line.answer(request, served).await)
        }
    });
    // A connection that breaks is the client's business.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fixture::Secrets;
    use crate::scenario::Scenario;
    use std::net::Ipv4Addr;

    #[test]
    fn a_node_pulls_only_by_the_proxy_and_asks_it_for_what_is_outside() {
        let scenario = Scenario::load("behind-a-proxy").unwrap();
        let world = World::new(scenario, Ipv4Addr::new(127, 86, 0, 0), "2026-03-01T12:00:00Z".parse().unwrap());
        let url = url(&world).unwrap();
        let says = |env: &str| {
            let text = Secrets::in_net(0).control_plane("cp1", "127.86.0.201");
            let text = text.replace("cluster:\n  id", &format!("  env: {env}\ncluster:\n  id"));
            let config = MachineConfig::read(text.as_bytes()).unwrap();
            refusal(&world, &config, "ghcr.io/siderolabs/kubelet:v1.33.3").unwrap_or_default()
        };
        assert!(says("{}").contains("no such host"));
        assert!(says("{https_proxy: \"http://127.86.0.9:3128\"}").contains("no such host"));
        assert!(says(&format!("{{https_proxy: \"{url}\", no_proxy: \".io\"}}")).contains("i/o timeout"));
        assert_eq!(says(&format!("{{https_proxy: \"{url}\", no_proxy: \"127.86.0.0/24,.svc\"}}")), "");
    }
}
