//! The kubelets of the lab's nodes, as far as the API server asks them: what a pod's containers printed.
use crate::pki::Pair;
use axum::body::Body;
use cozyup::lab::kube::pod_log;
use cozyup::lab::world::Lab;
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const PORT: u16 = 10250;

/// Serves on every address until the set is dropped. Who asks is not asked: the API server is the only caller.
pub async fn serve(lab: &Lab, authority: &Pair, addresses: &[IpAddr]) -> JoinSet<()> {
    let mut serving = JoinSet::new();
    for address in addresses {
        let pair = authority.server("kubelet", &[*address]);
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(SocketAddr::from((*address, PORT))).await.unwrap();
        let lab = lab.clone();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, lab) = (acceptor.clone(), lab.clone());
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let answer = answer(&lab, &request);
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    }
    serving
}

fn answer(lab: &Lab, request: &Request<Incoming>) -> Response<Body> {
    let parts: Vec<&str> = request.uri().path().split('/').skip(1).collect();
    let log = match parts.as_slice() {
        ["containerLogs", namespace, pod, _container] => lab.look(|w| pod_log(w, namespace, pod)),
        _ => None,
    };
    match log {
        Some(text) => Response::new(Body::from(text)),
        None => Response::builder().status(StatusCode::NOT_FOUND).body(Body::from("no such container")).unwrap(),
    }
}
