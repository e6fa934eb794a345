//! The HTTPS API of the simulated Proxmox VE.
mod access;
mod call;
mod cluster;
mod config;
mod nodes;
mod qemu;
mod reply;
mod request;
mod route;
mod sign_in;
mod storage;
mod tasks;
mod upload;

use self::call::{Call, Failure, Outcome, Params};
use self::reply::Reply;
use self::request::Style;
use self::route::Need;
use super::rights::Who;
use crate::lab::world::Lab;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How long pveproxy keeps an idle connection (wall time).
const IDLE: Duration = Duration::from_secs(5);
/// How long a client may take to begin (wall time).
const GREETING: Duration = Duration::from_secs(10);
/// What every refused credential costs, in lab time.
const UNAUTHORISED_DELAY: Duration = Duration::from_secs(3);
/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

/// Serves one connection of port 8006 until either side closes it.
pub async fn serve(stream: TcpStream, lab: Lab) {
    let mut first = [0_u8];
    let Ok(Ok(1)) = timeout(GREETING, stream.peek(&mut first)).await else { return };
    let local = local_node(&stream, &lab);
    // Both sides may end a connection at any time; nobody is there to be told.
    if first != [HANDSHAKE] {
        let service = service_fn(|request| async move { Ok::<_, Infallible>(reply::to_https(&request)) });
        let _ = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service).await;
        return;
    }
    let Some(config) = lab.look(|w| w.pve.certificate.as_ref().map(|c| c.server.clone())) else { return };
    let Ok(Ok(stream)) = timeout(GREETING, TlsAcceptor::from(config).accept(stream)).await else { return };
    let service = service_fn(|request| answer(request, lab.clone(), local.clone()));
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// The node whose address was called; the first when none has it.
fn local_node(stream: &TcpStream, lab: &Lab) -> String {
    let address = stream.local_addr().ok().map(|a| a.ip());
    lab.look(|w| {
        let nodes = &w.pve.nodes;
        let found = nodes.iter().find(|n| Some(IpAddr::V4(n.address)) == address).or(nodes.first());
        found.map(|n| n.name.clone()).unwrap_or_default()
    })
}

async fn answer(request: Request<Incoming>, lab: Lab, local: String) -> Result<Response<Body>, Infallible> {
    let reply = reply_to(request, &lab, local).await;
    if reply.is_unauthorised() {
        lab.clock().sleep(UNAUTHORISED_DELAY).await;
    }
    let version = lab.look(|w| w.pve.version);
    Ok(reply.into_response(version))
}

async fn reply_to(request: Request<Incoming>, lab: &Lab, local: String) -> Reply {
    let (parts, body) = request.into_parts();
    let body = Body::new(body);
    if let Err(failure) = request::acceptable(&parts) {
        return Reply::Plain(failure);
    }
    let Some((style, segments)) = request::path(parts.uri.path()) else {
        return Reply::Plain(Failure::new(404, "Not Found"));
    };
    let method = parts.method.as_str().to_string();
    let found = route::find(&method, &segments);
    let uploads = method == "POST" && segments.last().is_some_and(|s| s == "upload");

    let open = found.as_ref().is_some_and(|(route, _)| matches!(route.need, Need::Nobody));
    let who = if open {
        Who { user: String::new(), token: None }
    } else {
        match lab.look(|w| sign_in::caller(w, &parts.headers, &method, uploads)) {
            Ok(who) => who,
            Err(why) => return Reply::Plain(Failure::new(401, why)),
        }
    };
    let received = match request::content_type(&parts) {
        form if uploads && form.starts_with("multipart/form-data") => match upload::boundary(form) {
            Some(boundary) => upload::receive(body, boundary).await.map(|(params, file)| (params, Some(file))),
            None => Err(Failure::new(400, "multipart form without boundary")),
        },
        _ => request::params(&parts, body).await.map(|params| (params, None)),
    };
    let (params, file) = match received {
        Ok(received) => received,
        // What is wrong with the body itself is answered before any handler: without JSON, except a bad JSON body.
        Err(failure) if failure.status == 500 => return Reply::Answer(style, Err(failure)),
        Err(failure) => return Reply::Plain(failure),
    };
    let Some((route, in_path)) = found else {
        let path = segments.join("/");
        return Reply::Answer(style, Err(Failure::new(501, format!("Method '{method} /{path}' not implemented"))));
    };
    if open && method == "POST" && parts.headers.get("authorization").is_some() {
        let why = "URI '/access/ticket' not available with API token, need proper ticket.";
        // The missing parenthesis is the product's own.
        return Reply::Answer(style, Err(Failure::new(403, format!("Permission check failed ({why}"))));
    }
    let outcome =
        call_for(who, local, params, in_path, file).and_then(|call| lab.with(|world| route::run(world, route, &call)));
    Reply::Answer(style, outcome)
}

/// Path parameters and the others together; one that comes twice is refused.
fn call_for(
    who: Who,
    local: String,
    mut params: Params,
    in_path: Vec<(&'static str, String)>,
    upload: Option<upload::Received>,
) -> Result<Call, Failure> {
    let names = in_path.iter().map(|(name, _)| *name).collect();
    for (name, value) in in_path {
        if params.contains_key(name) {
            return Err(Failure::parameter(
                name,
                "duplicate parameter (already defined in URI) with conflicting values!",
            ));
        }
        params.insert(name.into(), value);
    }
    Ok(Call { who, local, params, in_path: names, upload })
}

#[cfg(test)]
mod tests;
