//! The HTTPS API of the simulated Proxmox VE.
mod access;
mod acl;
mod call;
mod cluster;
mod config;
mod delay;
mod groups;
mod inside;
mod kind;
mod nodes;
mod pools;
mod qemu;
mod reply;
mod request;
mod route;
mod schema;
mod sign_in;
mod storage;
mod tasks;
mod upload;

pub use self::call::Failure;
use self::call::{Call, Outcome};
use self::delay::Patience;
pub use self::inside::{inside, upload_inside};
use self::reply::{HungUp, Reply};
use self::request::{Given, Style, Target};
use self::route::Need;
use super::rights::{self, Who};
use crate::disturb::Line;
use crate::world::{Lab, World};
use axum::body::Body;
use futures::StreamExt;
use hyper::body::Incoming;
use hyper::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// The time that pveproxy keeps an idle connection (wall time).
const IDLE: Duration = Duration::from_secs(5);
/// The time that a client may take to begin (wall time).
const GREETING: Duration = Duration::from_secs(10);
/// The delay of every refused credential, in lab time.
const UNAUTHORISED_DELAY: Duration = Duration::from_secs(3);
/// The part of a refused upload that the server takes before it closes the connection, in bytes.
const UPLOAD_BUFFER: usize = 1 << 20;
/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

/// Serves one connection of port 8006 until either side closes it.
pub async fn serve(stream: TcpStream, lab: Lab, line: Line) {
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
    let Ok(Ok(stream)) = timeout(GREETING, TlsAcceptor::from(line.tls(config)).accept(stream)).await else { return };
    let service = service_fn(|request| async {
        let response = line.answer(request, |request| answer(request, lab.clone(), local.clone())).await;
        match response.extensions().get::<HungUp>() {
            Some(_) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
            None => Ok(response),
        }
    });
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

async fn answer(request: Request<Incoming>, lab: Lab, local: String) -> Response<Body> {
    let keep = keeps(&request);
    let reply = reply_to(request, &lab, local).await;
    if reply.is_delayed() {
        lab.clock().sleep(UNAUTHORISED_DELAY).await;
    }
    let version = lab.look(|w| w.pve.version);
    reply.into_response(version, lab.clock().now(), keep)
}

/// True when the client wants to go on with the connection. After an upload the server does not.
fn keeps(request: &Request<Incoming>) -> bool {
    let says = request.headers().get(CONNECTION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let upload = request.method() == hyper::Method::POST && request.uri().path().ends_with("/upload");
    !says.to_ascii_lowercase().contains("close") && !upload
}

async fn reply_to(request: Request<Incoming>, lab: &Lab, local: String) -> Reply {
    answered(request, lab, local).await.unwrap_or_else(|refused| refused)
}

/// Readable at all, then who calls, then the body, then the call: the server's own order.
async fn answered(request: Request<Incoming>, lab: &Lab, local: String) -> Result<Reply, Reply> {
    let (parts, body) = request.into_parts();
    let body = Body::new(body);
    request::readable(&parts)?;
    let plain = |status, message: String| Reply::Plain(Failure::new(status, message));
    let (style, segments) = match request::target(parts.uri.path()) {
        Target::Call(style, segments) => (style, segments),
        Target::NoUri => return Err(plain(501, "no such uri".into())),
        Target::File(path) => return Err(plain(500, format!("no such file '{path}'"))),
        Target::NoFormatter { format, path } => {
            lab.look(|w| sign_in::caller(w, &parts.headers, parts.method.as_str(), false)).map_err(unknown)?;
            return Err(plain(501, format!("no formatter for uri {path}, {format}")));
        }
    };
    let method = parts.method.as_str();
    let found = route::find(method, &segments);
    let open = found.as_ref().is_some_and(|(route, _)| matches!(route.need, Need::Nobody));
    let uploads = storage_of_upload(method, &segments);
    let who = match open {
        true => Who { user: String::new(), token: None },
        false => match lab.look(|w| sign_in::caller(w, &parts.headers, method, uploads.is_some())) {
            Ok(who) => who,
            Err(why) if uploads.is_some() => return Err(reading_on(lab, body, unknown(why)).await),
            Err(why) => return Err(unknown(why)),
        },
    };
    if let Some(storage) = uploads
        && let Err(refused) = lab.with(|world| may_upload(world, &who, storage))
    {
        return Err(reading_on(lab, body, Reply::Bare(refused)).await);
    }
    let multipart = request::content_type(&parts).starts_with("multipart/form-data");
    let (given, file) = match upload::boundary(request::content_type(&parts)).filter(|_| uploads.is_some()) {
        Some(boundary) if multipart => {
            let (params, file) = upload::receive(body, boundary).await.map_err(Reply::Plain)?;
            (Given { params, ..Given::default() }, Some(file))
        }
        Some(_) | None => (request::given(&parts, body).await.map_err(Reply::Plain)?, None),
    };
    let Some((route, in_path)) = found else {
        let why = format!("Method '{method} /{}' not implemented", segments.join("/"));
        return Err(Reply::Answer(style, Err(Failure::new(501, why))));
    };
    if open && method == "POST" && sign_in::has_token(&parts.headers) {
        // The line end before the closing parenthesis is the product's own.
        let why = "URI '/access/ticket' not available with API token, need proper ticket.\n";
        return Err(Reply::Answer(style, Err(Failure::denied(why))));
    }
    let call = call_for(who, local, given, in_path, file);
    let doing = lab.clone();
    let lists = matches!(segments.as_slice(), [nodes, _, storage] if nodes == "nodes" && storage == "storage");
    let run = async move {
        if let (true, Ok(call)) = (lists, &call) {
            let pause = doing.look(|world| delay::of_storages(world, call));
            doing.clock().sleep(pause).await;
        }
        let patience = call.as_ref().ok().and_then(Patience::of);
        let outcome = call.and_then(|call| doing.with(|world| route::run(world, route, &call)));
        match patience {
            Some(patience) => patience.wait(&doing, outcome).await,
            None => outcome,
        }
    };
    let outcome =
        if method == "GET" { run.await } else { lab.change(format!("{method} /{}", segments.join("/")), run).await };
    Ok(Reply::of(style, outcome))
}

/// While the server holds a refusal of an upload back, it takes no more of the body than its buffer holds, and then the
/// connection ends: of a large body nobody learns why it was refused (measured on 8.4.1 and 9.1.2).
async fn reading_on(lab: &Lab, body: Body, refused: Reply) -> Reply {
    let mut pieces = body.into_data_stream();
    let mut taken = 0;
    let reading = async {
        while let Some(Ok(piece)) = pieces.next().await {
            taken += piece.len();
            if taken > UPLOAD_BUFFER {
                return;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = reading => Reply::HungUp,
        () = lab.clock().sleep(UNAUTHORISED_DELAY) => refused.at_once(),
    }
}

fn unknown(why: String) -> Reply {
    Reply::Bare(Failure::new(401, why))
}

fn storage_of_upload<'a>(method: &str, segments: &'a [String]) -> Option<&'a str> {
    match segments {
        [nodes, _, storage, name, upload]
            if method == "POST" && nodes == "nodes" && storage == "storage" && upload == "upload" =>
        {
            Some(name)
        }
        _ => None,
    }
}

/// An upload needs no cross-site guard, so the server looks at its right before it reads the body.
fn may_upload(world: &mut World, who: &Who, storage: &str) -> Result<(), Failure> {
    let path = format!("/storage/{storage}");
    match rights::allowed(world, who, &path, "Datastore.AllocateTemplate") {
        true => Ok(()),
        false => Err(Failure::denied(&format!("{path}, Datastore.AllocateTemplate"))),
    }
}

/// Path parameters and the others together; one that comes twice must say the same.
fn call_for(
    who: Who,
    local: String,
    given: Given,
    in_path: Vec<(&'static str, String)>,
    upload: Option<upload::Received>,
) -> Result<Call, Failure> {
    let names = in_path.iter().map(|(name, _)| *name).collect();
    let Given { mut params, lists } = given;
    for (name, value) in in_path {
        if params.get(name).is_some_and(|other| *other != value) {
            let why = "duplicate parameter (already defined in URI) with conflicting values!";
            return Err(Failure::parameter(name, why));
        }
        params.insert(name.into(), value);
    }
    Ok(Call { who, local, params, in_path: names, lists, upload })
}

#[cfg(test)]
mod tests;
