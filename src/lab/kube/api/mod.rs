//! The Kubernetes API server of the lab, as of Kubernetes 1.33: one connection at a time over TLS, in front of
//! the cluster's store.
mod admission;
mod authorize;
mod decode;
mod discovery;
mod events;
mod eviction;
mod fields;
mod identity;
pub mod kinds;
mod log;
mod manage;
mod patch;
mod path;
mod protobuf;
mod read;
mod refusal;
mod remove;
mod review;
mod scale;
mod schema;
mod security;
mod selector;
mod structural;
mod table;
mod tls;
mod validate;
mod view;
mod watch;
mod write;

pub use kinds::{Kind, served};
pub use structural::misfits;

use super::super::disturb::Line;
use super::super::world::Lab;
use authorize::Attributes;
use axum::body::{Body, to_bytes};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue, USER_AGENT, WARNING};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use identity::Identity;
use patch::PatchType;
use path::{Part, Query, Target};
use refusal::{Refusal, reply};
use serde_json::Value;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use view::Form;

/// Wall time: the other end is real.
const HANDSHAKE: Duration = Duration::from_secs(10);
const BODY: Duration = Duration::from_secs(30);
/// The largest request body that the real server accepts, in bytes.
const LARGEST_BODY: usize = 3 * 1024 * 1024;
const READABLE: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// Serves one connection to its end. Without a cluster, or when TLS fails, it just closes.
pub async fn serve(stream: TcpStream, lab: Lab, line: Line) {
    let local = stream.local_addr().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |at| at.ip());
    let Some(material) = lab.look(|world| tls::Material::of(world, local)) else { return };
    let Ok((config, judge)) = material.config(lab.clock()) else { return };
    let acceptor = tokio_rustls::TlsAcceptor::from(line.tls(Arc::new(config)));
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else { return };
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().filter(|chain| judge.accepts(chain)).and_then(|chain| chain.first());
    let who = certificate.map_or(Identity::Anonymous, |c| Identity::of_certificate(c));
    let caller = Arc::new(Caller { lab, who, local });
    let service = service_fn(move |request| {
        let (caller, line) = (caller.clone(), line.clone());
        async move { Ok::<_, Infallible>(line.answer(request, |request| caller.answer(request)).await) }
    });
    // An error here is the client's going away; there is nobody left to tell.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

struct Caller {
    lab: Lab,
    who: Identity,
    local: IpAddr,
}

fn json(value: &Value) -> Response<Body> {
    reply(StatusCode::OK, "application/json", value.to_string())
}

fn header(headers: &HeaderMap, name: hyper::header::HeaderName) -> &str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

impl Caller {
    async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        if request.method() == Method::GET {
            return self.respond(request).await;
        }
        let name = format!("{} {}", request.method(), request.uri().path());
        let caller = self.clone();
        self.lab.change(name, async move { caller.respond(request).await }).await
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        match self.route(request).await {
            Ok(response) => response,
            Err(refusal) => refusal.response(),
        }
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        let segments = path::segments(request.uri().path());
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let query = Query::parse(request.uri().query().unwrap_or_default());
        // A caller without the right is refused before it is known whether the object exists.
        let asked = Attributes::of(request.method(), &segments, &query);
        self.lab.look(|world| authorize::check(world, &self.who, &asked))?;
        match segments.as_slice() {
            ["version"] => {
                let kubernetes = self.lab.look(|w| w.cluster.as_ref().map(|c| c.kubernetes_version.clone()));
                return Ok(json(&discovery::version(&kubernetes.unwrap_or_default())));
            }
            ["healthz" | "livez" | "readyz", ..] => {
                return Ok(reply(StatusCode::OK, "text/plain; charset=utf-8", "ok"));
            }
            _ => {}
        }
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            other => return self.describe(other, header(request.headers(), ACCEPT)),
        };
        if let ("authorization.k8s.io", "v1", ["selfsubjectaccessreviews" | "selfsubjectrulesreviews"])
        | ("authentication.k8s.io", "v1", ["selfsubjectreviews"]) = (group, version, rest)
        {
            return self.review(request).await;
        }
        if let ("", "v1", ["namespaces", namespace, "pods", name, "eviction"]) = (group, version, rest) {
            return self.evict(request, namespace, name).await;
        }
        let kinds: Vec<&'static Kind> = self.lab.look(served);
        let kinds: Vec<&'static Kind> =
            kinds.into_iter().filter(|k| k.group == group && k.version == version).collect();
        if kinds.is_empty() {
            return Err(if group.is_empty() { Refusal::NoResource } else { Refusal::NoPath });
        }
        let target = path::target(&kinds, rest)?;
        self.resource(request, &target, query).await
    }

    /// A user's question about itself: answered, never stored.
    async fn review(&self, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::MethodNotAllowed);
        }
        let content_type = header(request.headers(), CONTENT_TYPE).to_string();
        let question = decode(request.into_body(), &content_type, "a review").await?;
        let answer = self.lab.look(|world| review::answer(world, &self.who, question)).to_string();
        Ok(reply(StatusCode::CREATED, "application/json", answer))
    }

    async fn evict(&self, request: Request<Incoming>, namespace: &str, name: &str) -> Result<Response<Body>, Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::MethodNotAllowed);
        }
        let content_type = header(request.headers(), CONTENT_TYPE).to_string();
        let body = decode(request.into_body(), &content_type, "an Eviction").await?;
        let done = self.lab.with(|world| eviction::evict(world, namespace, name, &body))?;
        Ok(reply(StatusCode::CREATED, "application/json", done.to_string()))
    }

    /// Discovery and OpenAPI.
    fn describe(&self, segments: &[&str], accept: &str) -> Result<Response<Body>, Refusal> {
        let served = self.lab.look(served);
        let openapi = |kinds: Vec<&'static Kind>| {
            self.lab.look(|world| {
                discovery::openapi(&kinds, |kind| structural::schema(&world.cluster.as_ref()?.store, kind))
            })
        };
        let of = |group: &str, version: &str| -> Vec<&'static Kind> {
            served.iter().copied().filter(|k| k.group == group && k.version == version).collect()
        };
        let aggregated = accept.contains("as=APIGroupDiscoveryList") && accept.contains("v=v2;");
        let found = match segments {
            // Controllers ask for it to know whether the server is well.
            [] => Some(serde_json::json!({"paths": ["/api", "/apis", "/version"]})),
            ["api" | "apis"] if aggregated => {
                let all = discovery::aggregated(&served, segments == ["api"]);
                let content_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
                return Ok(reply(StatusCode::OK, content_type, all.to_string()));
            }
            ["api"] => Some(discovery::core_versions(&format!("{}:6443", self.local))),
            ["apis"] => Some(discovery::group_list(&served)),
            ["api", version] => discovery::resource_list(&of("", version)),
            ["apis", group] => discovery::group(&served, group),
            ["apis", group, version] => discovery::resource_list(&of(group, version)),
            ["openapi", "v2"] if accept.contains("proto-openapi.spec.v2") => {
                let content_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
                return Ok(reply(StatusCode::OK, content_type, discovery::openapi_v2_protobuf()));
            }
            ["openapi", "v2"] => Some(discovery::openapi_v2()),
            ["openapi", "v3"] => Some(discovery::openapi_index(&served)),
            ["openapi", "v3", "api", version] => openapi(of("", version)),
            ["openapi", "v3", "apis", group, version] => openapi(of(group, version)),
            _ => None,
        };
        let missing = if matches!(segments, ["api", _]) { Refusal::NoResource } else { Refusal::NoPath };
        found.map(|value| json(&value)).ok_or(missing)
    }

    async fn resource(
        &self,
        request: Request<Incoming>,
        target: &Target,
        query: Query,
    ) -> Result<Response<Body>, Refusal> {
        if target.part == Part::Inside {
            return Err(Refusal::NoInside);
        }
        let (parts, body) = request.into_parts();
        let read_only = target.part == Part::Log;
        let accept = if read_only { "" } else { header(&parts.headers, ACCEPT) };
        let form = Form::of(accept, &query)?;
        let verb = match (&parts.method, &target.name) {
            (&Method::GET, None) if query.flag("watch") => "watch",
            (&Method::GET, Some(_)) if target.part != Part::Finalize => "get",
            (&Method::GET, None) => "list",
            (&Method::POST, None) => "create",
            (&Method::PUT, Some(_)) if !read_only => "update",
            (&Method::PATCH, Some(_)) if !read_only && target.part != Part::Finalize => "patch",
            (&Method::DELETE, Some(_)) if target.part == Part::Whole => "delete",
            (&Method::DELETE, None) => "deletecollection",
            _ => return Err(Refusal::MethodNotAllowed),
        };
        let ok = |body: Body| reply(StatusCode::OK, "application/json", body);
        match (verb, target.name.as_deref()) {
            ("watch", _) => return watch::watch(&self.lab, target, &query, form).map(ok),
            ("get", _) if target.part == Part::Log => {
                let log = log::log(&self.lab, target, &query)?;
                // A pod that no node has yet has nothing to say.
                let code = if log.is_none() { StatusCode::NO_CONTENT } else { StatusCode::OK };
                return Ok(reply(code, "text/plain", log.unwrap_or_default()));
            }
            ("get", Some(name)) if target.part == Part::Scale => {
                let scale = self.lab.look(|w| scale::get(w, target, name))?;
                return Ok(json(&scale));
            }
            ("get", Some(name)) => return self.lab.look(|w| read::get(w, target, name, form)).map(|b| ok(b.into())),
            ("list", _) => return self.lab.look(|w| read::list(w, target, &query, form)).map(|b| ok(b.into())),
            _ => {}
        }
        let content_type = header(&parts.headers, CONTENT_TYPE);
        let patch_type = if verb == "patch" { Some(PatchType::of(content_type)?) } else { None };
        let body = decode(body, content_type, target.kind.kind).await?;
        let user_agent = header(&parts.headers, USER_AGENT);
        let request = write::Request { target, query: &query, body, user_agent, form, unknown: Vec::new() };
        let written = self.lab.with(|world| match (verb, patch_type) {
            ("create", _) => write::create(world, request),
            ("update", _) => write::update(world, request),
            ("delete", _) => write::delete(world, request),
            ("deletecollection", _) => write::delete_collection(world, request),
            (_, Some(by)) => write::patch(world, request, by),
            (_, None) => Err(Refusal::MethodNotAllowed),
        })?;
        let code = if written.created { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = reply(code, "application/json", written.body);
        for warning in written.warnings {
            let warning = format!("299 - {warning:?}");
            if let Ok(warning) = HeaderValue::from_str(&warning) {
                response.headers_mut().append(WARNING, warning);
            }
        }
        Ok(response)
    }
}

/// The body as JSON, whatever of the accepted forms it came in; `null` when there is none. `kind` is what it should be.
async fn decode(body: Incoming, content_type: &str, kind: &str) -> Result<Value, Refusal> {
    let unreadable = |why: String| {
        Refusal::bad(if content_type.contains("patch+json") {
            format!("error decoding patch: {why}")
        } else {
            format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse \
                 error: {why}"
            )
        })
    };
    let bytes = match tokio::time::timeout(BODY, to_bytes(Body::new(body), LARGEST_BODY)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(Refusal::TooLarge(LARGEST_BODY)),
        Err(_) => return Err(Refusal::bad("the body did not arrive in time")),
    };
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let json = || serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string()));
    match media_type {
        "" | "application/json" => json(),
        "application/yaml" | "application/apply-patch+yaml" => json().or_else(|_| {
            let text = std::str::from_utf8(&bytes).map_err(|e| unreadable(e.to_string()))?;
            serde_saphyr::from_str(text).map_err(|e| unreadable(e.to_string()))
        }),
        other if other.ends_with("+json") => json(),
        "application/vnd.kubernetes.protobuf" => protobuf::decode(&bytes).ok_or(Refusal::MediaType(READABLE)),
        _ => Err(Refusal::MediaType(READABLE)),
    }
}
