//! The sockets of the lab: keeps open exactly those that the world wants open.
use super::disturb::Line;
use super::world::Lab;
use super::{kube, machine, mirror, proxy, pve, releases, scenario};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// On the wall, from one try to open a socket that is taken to the next: another lab may be about to close it.
const AGAIN: Duration = Duration::from_millis(250);

/// The service that answers on a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Proxmox VE's HTTPS API.
    Proxmox,
    /// The Talos API of this VM, maintenance mode: TLS without client certificate.
    TalosMaintenance { vmid: u32 },
    /// The Talos API of this VM, configured: mutual TLS.
    TalosSecure { vmid: u32 },
    /// The Kubernetes API of the cluster, through this control plane.
    Kubernetes { node: String },
    /// A LoadBalancer service: HTTP from a pod behind it.
    Service { namespace: String, name: String, port: u16 },
    /// The Kubernetes API of a tenant's cluster, behind the Service of its control plane.
    TenantKubernetes { namespace: String, name: String },
    /// The release server: image and installer manifest over plain HTTP.
    Releases,
    /// The mirror of all registries, over HTTPS.
    Mirror,
    /// The proxy that leads out of the site.
    Proxy,
    /// Something that is not ours and answers nothing.
    Stranger,
}

/// Opens a socket on a loopback address, with a sentence about what is in the way when that fails.
///
/// # Errors
/// Port in use, port below 1024 without the right to it, address not on this machine.
pub async fn bind(at: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(at).await.map_err(|e| {
        let why = match e.kind() {
            io::ErrorKind::AddrInUse => "another program has this port: stop it, or start the lab with another --net",
            io::ErrorKind::PermissionDenied => "ports below 1024 need root or net.ipv4.ip_unprivileged_port_start=0",
            io::ErrorKind::AddrNotAvailable => "this machine does not have 127.0.0.0/8 on its loopback (Linux does)",
            _ => "the system refused",
        };
        io::Error::new(e.kind(), format!("the lab can't listen on {at}: {why} ({e})"))
    })
}

struct Open {
    endpoint: Endpoint,
    /// Ends when dropped: no connection outlives the lab.
    serving: AbortOnDropHandle<()>,
}

/// Keeps the sockets as the world wants them, for as long as it is polled. Problems go to `problems` as sentences.
pub async fn run(lab: Lab, problems: mpsc::UnboundedSender<String>) {
    let mut changed = lab.watch();
    let mut open: BTreeMap<SocketAddr, Open> = BTreeMap::new();
    let mut refused: BTreeMap<SocketAddr, Endpoint> = BTreeMap::new();
    loop {
        let mut wanted = lab.look(|w| w.listeners.clone());
        lab.look(|w| wanted.retain(|at, endpoint| !w.disturbances.closes(at, endpoint, w.now)));
        for (_, socket) in open.extract_if(.., |at, socket| wanted.get(at) != Some(&socket.endpoint)) {
            socket.serving.abort();
            // Until the task has ended, the address may still be its own.
            let _ = socket.serving.await;
        }
        refused.retain(|at, endpoint| wanted.get(at) == Some(endpoint));
        for (at, endpoint) in wanted {
            if open.contains_key(&at) {
                continue;
            }
            match bind(at).await {
                Ok(listener) => {
                    let serving = AbortOnDropHandle::new(tokio::spawn(accept(listener, endpoint.clone(), lab.clone())));
                    refused.remove(&at);
                    open.insert(at, Open { endpoint, serving });
                }
                Err(e) => {
                    if refused.insert(at, endpoint).is_none() {
                        // The lab goes on without this socket; whoever reads the log sees why.
                        let _ = problems.send(e.to_string());
                    }
                }
            }
        }
        let again = async {
            match refused.is_empty() {
                true => std::future::pending().await,
                false => tokio::time::sleep(AGAIN).await,
            }
        };
        tokio::select! {
            change = changed.changed() => if change.is_err() { return },
            () = again => {}
        }
    }
}

async fn accept(listener: TcpListener, endpoint: Endpoint, lab: Lab) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    // Small answers must not wait for more bytes.
                    let _ = stream.set_nodelay(true);
                    lab.note_contact();
                    connections.spawn(serve(stream, endpoint.clone(), lab.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, endpoint: Endpoint, lab: Lab) {
    let Some(line) = Line::of(&stream, &endpoint, &lab) else { return };
    tokio::select! {
        () = answer(stream, endpoint, lab, line.clone()) => {}
        () = line.broken() => {}
    }
}

async fn answer(stream: TcpStream, endpoint: Endpoint, lab: Lab, line: Line) {
    match endpoint {
        Endpoint::Proxmox => pve::api::serve(stream, lab, line).await,
        Endpoint::TalosMaintenance { vmid } => machine::api::serve(stream, lab, line, vmid, false).await,
        Endpoint::TalosSecure { vmid } => machine::api::serve(stream, lab, line, vmid, true).await,
        Endpoint::Kubernetes { node: _ } => match lab.look(|w| w.kubernetes_elsewhere) {
            Some(at) => pass_on(stream, at).await,
            None => kube::api::serve(stream, lab, line).await,
        },
        Endpoint::TenantKubernetes { namespace, name } => {
            // Without a pod behind it the Service refuses.
            if let Some(tenant) = lab.look(|w| kube::tenant_api(w, &namespace, &name)) {
                kube::api::serve(stream, tenant, line).await;
            }
        }
        Endpoint::Service { namespace, name, port } => kube::service::serve(stream, lab, namespace, name, port).await,
        Endpoint::Releases => releases::serve(stream, lab, line).await,
        Endpoint::Mirror => mirror::serve(stream, lab).await,
        Endpoint::Proxy => proxy::serve(stream, lab, line).await,
        Endpoint::Stranger => {
            if let Ok(at) = stream.local_addr() {
                lab.with(|w| scenario::met_stranger(w, at));
            }
            std::future::pending::<()>().await;
        }
    }
}

/// Everything, both ways, until one side is done; a server that can't be reached looks like one that hangs up.
async fn pass_on(mut from: TcpStream, to: SocketAddr) {
    if let Ok(mut server) = TcpStream::connect(to).await {
        let _ = server.set_nodelay(true);
        // An error here is one side's going away; the other sees it by itself.
        let _ = tokio::io::copy_bidirectional(&mut from, &mut server).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;
    use crate::world::World;
    use cozyup_base::clock::Clock;
    use std::net::Ipv4Addr;
    use std::time::SystemTime;

    fn lab() -> Lab {
        let scenario: Scenario = serde_yaml::from_str(include_str!("../../assets/lab/standard.yaml")).unwrap();
        let clock = Clock::scaled(jiff::Timestamp::now(), SystemTime::now(), 1.0);
        Lab::new(World::new(scenario, Ipv4Addr::new(127, 84, 0, 0), clock.now()), clock)
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_was_taken_is_opened_once_it_is_free_and_told_once() {
        let at = SocketAddr::from(([127, 84, 0, 202], 50000));
        let taken = TcpListener::bind(at).await.unwrap();
        let lab = lab();
        let (say, mut problems) = mpsc::unbounded_channel();
        let running = tokio::spawn(run(lab.clone(), say));
        lab.with(|w| w.listen(at, Endpoint::TalosMaintenance { vmid: 1 }));
        let problem = problems.recv().await.unwrap();
        assert!(problem.contains("another program has this port"), "{problem}");
        tokio::time::sleep(AGAIN * 2).await;
        drop(taken);
        let connected = async { while TcpStream::connect(at).await.is_err() {} };
        tokio::time::timeout(Duration::from_secs(10), connected).await.unwrap();
        assert_eq!(problems.try_recv().ok(), None);
        running.abort();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn an_address_that_changes_hands_is_never_left_closed() {
        let lab = lab();
        let (say, mut problems) = mpsc::unbounded_channel();
        let running = tokio::spawn(run(lab.clone(), say));
        let at = SocketAddr::from(([127, 84, 0, 201], 50000));
        for turn in 0..400 {
            lab.with(|w| match turn % 2 {
                0 => w.listen(at, Endpoint::TalosMaintenance { vmid: 1 }),
                _ => w.listen(at, Endpoint::TalosSecure { vmid: 1 }),
            });
            let connected = async { while TcpStream::connect(at).await.is_err() {} };
            tokio::time::timeout(Duration::from_secs(10), connected).await.unwrap();
        }
        assert_eq!(problems.try_recv().ok(), None);
        running.abort();
    }
}
