//! The answers on a LoadBalancer's address: plain HTTP/1.1 from the pods behind the Service.
//!
//! Pods of an `agnhost netexec` image answer `/hostname` with their name. The root ingress controller redirects the hosts
//! of Ingresses with a certificate to HTTPS, serves them there as long as their pods do, and answers 404 for all others, as
//! ingress-nginx does with its own certificate. Everything else gets a short page.
use super::control::objects::{items, text};
use super::control::{balancer, cilium, workloads};
use super::store::Key;
use crate::world::{Lab, World};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// Wall time that a client has for its request.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);
const LARGEST_HEAD: usize = 16 * 1024;

const INGRESS: &str = "root-ingress-controller";
const TENANT_ROOT: &str = "tenant-root";

#[derive(Debug, PartialEq)]
struct Answer {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Answer {
    fn new(status: &'static str, body: impl Into<String>) -> Self {
        Answer { status, headers: Vec::new(), body: body.into() }
    }
}

/// Answers requests on one connection until the client closes it.
pub async fn serve(stream: TcpStream, lab: Lab, namespace: String, name: String, port: u16) {
    if name != INGRESS || port != 443 {
        return speak(stream, lab, namespace, name, port).await;
    }
    let Some(config) = super::fake_certificate::server() else { return };
    if let Ok(Ok(stream)) = tokio::time::timeout(REQUEST_DEADLINE, TlsAcceptor::from(config).accept(stream)).await {
        speak(stream, lab, namespace, name, port).await;
    }
}

async fn speak(mut stream: impl AsyncRead + AsyncWrite + Unpin, lab: Lab, namespace: String, name: String, port: u16) {
    let mut buffer = Vec::new();
    loop {
        let Ok(Some(head)) = tokio::time::timeout(REQUEST_DEADLINE, head(&mut stream, &mut buffer)).await else {
            return;
        };
        let (path, host, close) = request(&head);
        let turn = lab.with(|world| world.random.usize(..));
        let answer = lab.look(|world| answer(world, &namespace, &name, port, &path, &host, turn));
        let mut text = format!("HTTP/1.1 {}\r\n", answer.status);
        for (header, value) in &answer.headers {
            text.push_str(&format!("{header}: {value}\r\n"));
        }
        let connection = if close { "close" } else { "keep-alive" };
        text.push_str(&format!(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{}",
            answer.body.len(),
            answer.body
        ));
        let written = tokio::time::timeout(REQUEST_DEADLINE, stream.write_all(text.as_bytes())).await;
        if close || !matches!(written, Ok(Ok(()))) {
            return;
        }
    }
}

/// The next request's head; `None` when the client is done or talks nonsense. Bodies are not read: nobody sends one.
async fn head(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            let head = std::mem::replace(buffer, rest);
            return String::from_utf8(head).ok();
        }
        let mut chunk = [0; 1024];
        let read = stream.read(&mut chunk).await.ok()?;
        buffer.extend_from_slice(chunk.get(..read)?);
        if read == 0 || buffer.len() > LARGEST_HEAD {
            return None;
        }
    }
}

/// Path, host without port, and whether the client wants the connection closed.
fn request(head: &str) -> (String, String, bool) {
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let target = first.split(' ').nth(1).unwrap_or("/");
    let path = target.split('?').next().unwrap_or("/").to_string();
    let mut host = String::new();
    let mut close = first.ends_with("HTTP/1.0");
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("host") {
            host = value.rsplit_once(':').map_or(value, |(h, _)| h).to_string();
        } else if name.eq_ignore_ascii_case("connection") {
            close |= value.eq_ignore_ascii_case("close");
        }
    }
    (path, host, close)
}

/// The answer of the pod chosen by `turn`.
fn answer(world: &World, namespace: &str, name: &str, port: u16, path: &str, host: &str, turn: usize) -> Answer {
    let unavailable = || Answer::new("503 Service Unavailable", "no endpoints available\n");
    let Some(service) = world.object(&Key::new("", "services", namespace, name)) else { return unavailable() };
    let ready: Vec<String> =
        balancer::backends(world, service).into_iter().filter(|b| b.2).map(|(pod, _, _)| pod).collect();
    let Some(pod) = turn.checked_rem(ready.len()).and_then(|n| ready.get(n)) else { return unavailable() };
    if name == INGRESS {
        return ingress(world, port, path, host);
    }
    of_pod(world, namespace, name, pod, port, path)
}

/// The answer of this pod behind the Service.
fn of_pod(world: &World, namespace: &str, name: &str, pod: &str, port: u16, path: &str) -> Answer {
    let Some(pod) = world.object(&Key::new("", "pods", namespace, pod)) else {
        return Answer::new("503 Service Unavailable", "no endpoints available\n");
    };
    if !is_netexec(pod) {
        return Answer::new("200 OK", format!("{namespace}/{name} port {port}\n"));
    }
    match path {
        "/hostname" => Answer::new("200 OK", text(pod, "/metadata/name")),
        "/" => Answer::new("200 OK", format!("NOW: {}\n", world.now)),
        _ => Answer::new("404 Not Found", "404 page not found\n"),
    }
}

/// Status and body of a pod's answer to another pod.
pub fn from_pod(world: &World, namespace: &str, name: &str, pod: &str, port: u16, path: &str) -> (u16, String) {
    let answer = of_pod(world, namespace, name, pod, port, path);
    let status = answer.status.split(' ').next().and_then(|s| s.parse().ok());
    (status.unwrap_or(500), answer.body)
}

fn is_netexec(pod: &Value) -> bool {
    items(pod, "/spec/containers").any(|c| {
        let words = |part: &str| items(c, part).any(|w| w == "netexec");
        text(c, "/image").contains("agnhost") && (words("/args") || words("/command"))
    })
}

/// The answer of the pods behind an Ingress's Service, as far as the ingress controller's own pods reach them; `None` for a backend
/// of the platform, of which the lab shows a page.
fn through(world: &World, namespace: &str, backend: &str, path: &str) -> Option<Answer> {
    let service = world.object(&Key::new("", "services", namespace, backend))?;
    let pods = balancer::backends(world, service);
    let pod_of = |name: &str| world.object(&Key::new("", "pods", namespace, name));
    if !pods.iter().any(|(name, _, _)| pod_of(name).is_some_and(is_netexec)) {
        return None;
    }
    let port = items(service, "/spec/ports").find_map(|p| p["port"].as_u64()).and_then(|p| u16::try_from(p).ok())?;
    let Some((name, _, _)) = pods.iter().find(|b| b.2) else {
        return Some(Answer::new("503 Service Temporarily Unavailable", "<center>nginx</center>\n"));
    };
    let own = world.object(&Key::new("", "services", TENANT_ROOT, INGRESS))?;
    let controller = balancer::backends(world, own).into_iter().find(|b| b.2)?.0;
    let controller = world.object(&Key::new("", "pods", TENANT_ROOT, &controller))?;
    if !cilium::reaches(world, controller, pod_of(name)?, port) {
        return Some(Answer::new("504 Gateway Time-out", "<center>nginx</center>\n"));
    }
    Some(of_pod(world, namespace, backend, name, port, path))
}

fn ingress(world: &World, port: u16, path: &str, host: &str) -> Answer {
    let serves = |i: &Value| items(i, "/spec/rules").any(|r| r["host"] == host);
    let Some((key, found)) = world.select("networking.k8s.io", "ingresses", None, serves).into_iter().next() else {
        return Answer::new("404 Not Found", "default backend - 404");
    };
    let has_certificate = items(&found, "/spec/tls").any(|t| items(t, "/hosts").any(|h| h == host));
    if port == 80 && has_certificate {
        let mut answer =
            Answer::new("308 Permanent Redirect", "<center><h1>308 Permanent Redirect</h1></center>nginx\n");
        answer.headers.push(("Location", format!("https://{host}{path}")));
        return answer;
    }
    let backend = text(&found, "/spec/rules/0/http/paths/0/backend/service/name");
    if backend == "kubernetes" {
        return match port {
            443 => Answer::new("403 Forbidden", "{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":403}\n"),
            _ => Answer::new("400 Bad Request", "Client sent an HTTP request to an HTTPS server.\n"),
        };
    }
    if let Some(answer) = through(world, &key.namespace, backend, path) {
        return answer;
    }
    let deployment = Key::new("apps", "deployments", &key.namespace, backend);
    if world.object(&deployment).is_some_and(|d| !workloads::is_available(&deployment, d)) {
        return Answer::new("503 Service Temporarily Unavailable", "<center>nginx</center>\n");
    }
    Answer::new("200 OK", format!("<!doctype html><title>{host}</title>\n"))
}
