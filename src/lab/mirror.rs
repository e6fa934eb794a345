//! A mirror of all registries, the only one that the nodes of such a site reach: TLS by the site's own authority, and a login.
use super::machine::config::MachineConfig;
use super::net::Endpoint;
use super::pve::certificate::Certificate;
use super::world::{Lab, World};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cozyup_base::file::write_private;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// Last octet of its address.
const ADDRESS: u8 = 3;
const PORT: u16 = 5000;
const LOGIN: &str = "nodes:hush-mirror-login";
/// What containerd says of a registry that the firewall does not let it reach.
const NO_WAY: &str = "i/o timeout";

pub struct Mirror {
    at: SocketAddr,
    certificate: Certificate,
    pub login_file: PathBuf,
    pub ca_file: PathBuf,
}

impl Mirror {
    pub fn url(&self) -> String {
        format!("https://{}", self.at)
    }
}

/// Opens it where the scenario has one, with the login and its authority in files of the lab's folder.
///
/// # Errors
/// When the files can't be written, or no certificate can be made.
pub fn set_up(world: &mut World, dir: &Path) -> io::Result<()> {
    if !world.scenario.mirror {
        return Ok(());
    }
    let address: Ipv4Addr = world.address(ADDRESS);
    let certificate = Certificate::make(&[("mirror".to_string(), address)]).map_err(io::Error::other)?;
    let mirror = Mirror {
        at: SocketAddr::from((address, PORT)),
        certificate,
        login_file: dir.join("mirror.login"),
        ca_file: dir.join("mirror-ca.pem"),
    };
    write_private(&mirror.login_file, LOGIN.as_bytes())?;
    write_private(&mirror.ca_file, mirror.certificate.authority_pem.as_bytes())?;
    world.listen(mirror.at, Endpoint::Mirror);
    world.mirror = Some(mirror);
    Ok(())
}

/// The reason why a node with this config can't pull an image of this registry, in containerd's words; `None` when it can, as
/// everywhere without a mirror.
pub fn refusal(world: &World, config: &MachineConfig, image: &str) -> Option<String> {
    let mirror = world.mirror.as_ref()?;
    let (registry, _) = image.split_once('/')?;
    let failed =
        |why: String| Some(format!("failed to pull image \"{image}\": failed to resolve reference \"{image}\": {why}"));
    let registries = &config.registries;
    let endpoints = registries.mirrors.get(registry).or_else(|| registries.mirrors.get("*"));
    if !endpoints.is_some_and(|all| all.iter().any(|url| url.trim_end_matches('/') == mirror.url())) {
        return failed(format!(
            "failed to do request: Head \"https://{registry}/v2/\": dial tcp {registry}:443: {NO_WAY}"
        ));
    }
    let lines = |pem: &str| pem.split_whitespace().collect::<String>();
    if !lines(&registries.trusted).contains(&lines(&mirror.certificate.authority_pem)) {
        let why = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
        return failed(format!("failed to do request: Head \"{}/v2/\": {why}", mirror.url()));
    }
    let login = registries.logins.get(&mirror.at.to_string());
    if login.is_none_or(|login| login.expose() != LOGIN) {
        return failed(format!("unexpected status from HEAD request to {}/v2/: 401 Unauthorized", mirror.url()));
    }
    None
}

/// Serves one connection: whoever has the login is let in.
pub async fn serve(stream: TcpStream, lab: Lab) {
    let Some(config) = lab.look(|w| w.mirror.as_ref().map(|m| m.certificate.server.clone())) else { return };
    let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
    let router = Router::new().route("/v2/", get(|headers: HeaderMap| async move { answer(&headers) }));
    let service = TowerToHyperService::new(router);
    // A connection that breaks is the client's business.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn answer(headers: &HeaderMap) -> Response<Body> {
    let wanted = format!("Basic {}", STANDARD.encode(LOGIN));
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let is_in = given == Some(wanted.as_str());
    let mut response =
        Response::new(Body::from(if is_in { "{}" } else { "{\"errors\":[{\"code\":\"UNAUTHORIZED\"}]}\n" }));
    if !is_in {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        let realm = header::HeaderValue::from_static("Basic realm=\"mirror\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::fixture::Secrets;
    use crate::scenario::Scenario;

    #[test]
    fn a_node_pulls_only_by_the_mirror_with_its_authority_and_its_login() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::in_net(0);
        let scenario = Scenario::load("behind-a-mirror").unwrap();
        let mut world = World::new(scenario, Ipv4Addr::new(127, 86, 0, 0), "2026-03-01T12:00:00Z".parse().unwrap());
        set_up(&mut world, dir.path()).unwrap();
        {
            let world = &world;
            let mirror = world.mirror.as_ref().unwrap();
            let (url, pem) = (mirror.url(), mirror.certificate.authority_pem.replace('\n', "\n  "));
            let config = |registries: &str, trusted: bool| {
                let text = secrets.control_plane("cp1", "127.86.0.201");
                let text = text.replace("cluster:\n  id", &format!("  registries: {registries}\ncluster:\n  id"));
                let root =
                    format!("---\napiVersion: v1alpha1\nkind: TrustedRootsConfig\nname: x\ncertificates: |\n  {pem}");
                MachineConfig::read(format!("{text}{}", if trusted { root.as_str() } else { "" }).as_bytes()).unwrap()
            };
            let says = |config: &MachineConfig| {
                refusal(world, config, "ghcr.io/siderolabs/kubelet:v1.33.3").unwrap_or_default()
            };
            let mirrors = format!("mirrors: {{\"*\": {{endpoints: [\"{url}\"]}}}}");
            let login = |word: &str| {
                let server = url.trim_start_matches("https://");
                format!("{{{mirrors}, config: {{\"{server}\": {{auth: {{username: nodes, password: {word}}}}}}}}}")
            };
            assert!(says(&config("{}", true)).contains(NO_WAY));
            assert!(says(&config(&login("hush-mirror-login"), false)).contains("unknown authority"));
            assert!(says(&config(&format!("{{{mirrors}}}"), true)).contains("401"));
            assert!(says(&config(&login("other"), true)).contains("401"));
            assert_eq!(says(&config(&login("hush-mirror-login"), true)), "");
        }
    }
}
