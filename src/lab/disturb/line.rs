//! One connection to an API, with whatever disturbs it.
use super::plan::{self, Api, Disturbance, Kind};
use super::{answer, body, certificate};
use crate::net::Endpoint;
use crate::world::Lab;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::{Request, Response};
use rustls::ServerConfig;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// Wall time for the bytes before a cut to leave.
const DEPARTURE: Duration = Duration::from_millis(30);

/// Without disturbances in the scenario it lets everything through.
#[derive(Clone)]
pub struct Line(Option<Arc<Disturbed>>);

struct Disturbed {
    lab: Lab,
    api: Api,
    host: u8,
    strange_certificate: bool,
    /// The same socket, to reset it while the server holds it.
    socket: Option<TcpStream>,
    broken: CancellationToken,
}

impl Line {
    /// One that nothing disturbs.
    pub fn quiet() -> Line {
        Line(None)
    }

    /// `None` when the connection is reset at once.
    pub fn of(stream: &TcpStream, endpoint: &Endpoint, lab: &Lab) -> Option<Line> {
        let (Some(api), Ok(at)) = (Api::of(endpoint), stream.local_addr()) else { return Some(Line::quiet()) };
        if lab.look(|w| w.disturbances.is_empty()) {
            return Some(Line::quiet());
        }
        let host = plan::host(&at);
        let kind = lab.with(|w| w.disturbs_connection(api, host));
        if kind == Some(Kind::Reset) {
            // Without it the client would see an orderly end.
            let _ = stream.set_zero_linger();
            return None;
        }
        let same = stream.as_fd().try_clone_to_owned().map(std::net::TcpStream::from);
        Some(Line(Some(Arc::new(Disturbed {
            lab: lab.clone(),
            api,
            host,
            strange_certificate: kind == Some(Kind::Certificate),
            socket: same.and_then(TcpStream::from_std).ok(),
            broken: CancellationToken::new(),
        }))))
    }

    /// Returns when the connection is to be given up.
    pub async fn broken(&self) {
        match &self.0 {
            Some(line) => line.broken.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// The settings to serve TLS with.
    pub fn tls(&self, config: Arc<ServerConfig>) -> Arc<ServerConfig> {
        match &self.0 {
            Some(line) if line.strange_certificate => certificate::strange(line.host, &config).unwrap_or(config),
            Some(_) | None => config,
        }
    }

    /// The answer of `serve`, or what becomes of it.
    pub async fn answer<F, Served>(&self, request: Request<Incoming>, serve: F) -> Response<Body>
    where
        F: FnOnce(Request<Incoming>) -> Served,
        Served: Future<Output = Response<Body>>,
    {
        let Some(line) = &self.0 else { return serve(request).await };
        let asked = match line.api {
            Api::Talos => request.uri().path().to_string(),
            Api::Proxmox | Api::Kubernetes | Api::Web => format!("{} {}", request.method(), request.uri()),
        };
        let met = line.lab.with(|w| w.disturbs_request(line.api, line.host, &asked));
        let Some(what) = met else { return serve(request).await };
        let keeps_answer = matches!(what.kind, Kind::Cut | Kind::Truncated | Kind::Trickle);
        let answered = if what.done || keeps_answer { Some(serve(request).await) } else { None };
        line.clone().disturb(what, answered.unwrap_or_default()).await
    }
}

impl Disturbed {
    async fn disturb(self: Arc<Self>, what: Disturbance, answered: Response<Body>) -> Response<Body> {
        match what.kind {
            Kind::Refused | Kind::Flaps | Kind::Reset | Kind::Certificate => {
                self.reset();
                std::future::pending().await
            }
            Kind::Silent => std::future::pending().await,
            Kind::Cut => body::with(answered, |body| {
                body::half_then(body, async move {
                    tokio::time::sleep(DEPARTURE).await;
                    self.reset();
                    std::future::pending().await
                })
            }),
            Kind::Truncated => body::with(answered, |body| body::half_then(body, async {})),
            Kind::Trickle => body::with(answered, |_| body::trickle(self.api)),
            Kind::Garbage => answer::garbage(self.api),
            Kind::Answer => answer::of(self.api, &what),
        }
    }

    fn reset(&self) {
        if let Some(socket) = &self.socket {
            // One that is gone already needs no reset.
            let _ = socket.set_zero_linger();
        }
        self.broken.cancel();
    }
}
