//! The Talos API of one machine on one connection: TLS, then the gRPC services over HTTP/2.
mod apply;
mod cosi;
mod difference;
mod etcd;
mod gate;
mod health;
mod machine;
mod other;
mod stream;
mod streams;
mod target;
mod tls;

use super::super::disturb::Line;
use super::super::world::Lab;
use super::Service;
use gate::Gate;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

/// Wall time that a client has for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Wall time that a client has to go after its handshake was refused.
const LINGER: Duration = Duration::from_secs(2);
/// Largest message of the Talos API (`constants.GRPCMaxMessageSize`).
const MESSAGE_LIMIT: usize = 32 << 20;

/// Serves one connection to machine `vmid` until the client closes it: in maintenance mode anybody's,
/// `secure` only with a client certificate of the cluster. Dropping the future closes the connection.
pub async fn serve(stream: TcpStream, lab: Lab, line: Line, vmid: u32, secure: bool) {
    let Some(config) = tls::config(&lab, vmid, secure) else { return };
    let Some(boot) = lab.look(|world| world.machines.get(&vmid).map(|m| m.boot_id.clone())) else { return };
    let handshake = TlsAcceptor::from(line.tls(config)).accept(stream).into_fallible();
    let stream = match tokio::time::timeout(HANDSHAKE, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err((_, refused))) => return linger(refused).await,
        Err(_) => return,
    };
    let roles = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).map(|leaf| tls::roles(leaf));
    // A clone of the handler in each service; all of it is a view on the lab.
    let node = Node { lab, vmid, boot };
    let routes = Routes::new(
        cozyup_talos_wire::machine::machine_service_server::MachineServiceServer::new(machine::Api(node.clone()))
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT),
    )
    .add_service(cozyup_talos_wire::cosi::resource::state_server::StateServer::new(cosi::Api {
        node: node.clone(),
        admin: roles.as_ref().is_some_and(|r| r.iter().any(|r| r == gate::ADMIN)),
    }))
    .add_service(cozyup_talos_wire::storage::storage_service_server::StorageServiceServer::new(other::Storage(
        node.clone(),
    )))
    .add_service(cozyup_talos_wire::cluster::cluster_service_server::ClusterServiceServer::new(health::Cluster(
        node.clone(),
    )))
    .add_service(cozyup_talos_wire::time::time_service_server::TimeServiceServer::new(other::Time(node)));
    let gate = Gate { inner: routes.prepare(), roles };
    let service = service_fn(move |request| {
        let (mut gate, line) = (gate.clone(), line.clone());
        async move { Ok::<_, Infallible>(line.answer(request, |request| gate.answer(request)).await) }
    });
    let stop = CancellationToken::new();
    let _stops_with_us = stop.clone().drop_guard();
    let served =
        hyper::server::conn::http2::Builder::new(Executor(stop)).serve_connection(TokioIo::new(stream), service);
    // However the client left, the connection is over.
    let _ = served.await;
}

/// Closes a refused connection only once the client has: closing on what it still sends would be a reset, and the alert
/// that says why would be lost on it.
async fn linger(mut stream: TcpStream) {
    let mut rest = [0; 1024];
    let drained = async {
        let _ = stream.shutdown().await;
        while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {}
    };
    let _ = tokio::time::timeout(LINGER, drained).await;
}

/// Runs a connection's requests as tasks that end with the connection.
#[derive(Clone)]
struct Executor(CancellationToken);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Executor {
    fn execute(&self, task: F) {
        let stop = self.0.clone();
        tokio::spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }
}

/// The machine that a connection is for.
#[derive(Clone)]
pub struct Node {
    lab: Lab,
    vmid: u32,
    /// Of the boot that the connection was made to: it ends with it.
    boot: String,
}

pub fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

/// The result of the last health check.
pub fn health(service: &Service) -> cozyup_talos_wire::machine::ServiceHealth {
    match &service.health {
        Some(health) => cozyup_talos_wire::machine::ServiceHealth {
            unknown: false,
            healthy: health.healthy,
            last_message: health.message.clone(),
            last_change: Some(timestamp(health.at)),
        },
        None => cozyup_talos_wire::machine::ServiceHealth { unknown: true, ..Default::default() },
    }
}
