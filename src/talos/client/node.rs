//! One connection to one node: dialling it, and turning whatever goes wrong on it into an [`Error`].
use super::tls;
use crate::base::tls::ByLeaf;
use crate::talos::error::{Distrust, Error};
use crate::talos::secrets::ClientCertificate;
use crate::talos::wire::cosi::resource::state_client::StateClient;
use crate::talos::wire::machine::machine_service_client::MachineServiceClient;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// The port of Talos' API.
pub const API_PORT: u16 = 50000;
/// For TCP and TLS together; wall time.
const CONNECT: Duration = Duration::from_secs(3);
/// For one call with its whole answer; wall time.
const CALL: Duration = Duration::from_secs(10);
/// A node that restarts leaves its half of the connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(5);
/// Talos itself takes and sends up to 32 MiB; nothing that is asked for here comes near this.
const LARGEST_MESSAGE: usize = 8 << 20;

#[derive(Clone)]
pub struct Node {
    address: IpAddr,
    channel: Channel,
    note: Note,
    insecure: bool,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("address", &self.address).field("insecure", &self.insecure).finish_non_exhaustive()
    }
}

impl Node {
    /// Connects without a client certificate.
    pub async fn insecure(address: IpAddr, verifier: Arc<ByLeaf<tls::FirstUse>>) -> Result<Self, Error> {
        Self::connect(address, tls::maintenance(verifier)?, false).await
    }

    /// Connects with a client certificate. That the node accepts it shows only with the first call.
    pub async fn mutual(address: IpAddr, certificate: &ClientCertificate) -> Result<Self, Error> {
        Self::connect(address, tls::mutual(certificate)?, true).await
    }

    async fn connect(address: IpAddr, config: ClientConfig, showed_certificate: bool) -> Result<Self, Error> {
        let note = Note { address, showed_certificate, trouble: Arc::default() };
        let authority = match address {
            IpAddr::V4(a) => format!("{a}:{API_PORT}"),
            IpAddr::V6(a) => format!("[{a}]:{API_PORT}"),
        };
        let setup = |e: tonic::transport::Error| Error::Answer { text: format!("no connection can be set up: {e}") };
        let endpoint = Endpoint::from_shared(format!("http://{authority}"))
            .map_err(setup)?
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_ANSWER);
        let config = Arc::new(config);
        let dialling = note.clone();
        let connector = tower::service_fn(move |_| {
            let (note, config) = (dialling.clone(), config.clone());
            async move { note.dial(config).await.map(TokioIo::new) }
        });
        match endpoint.connect_with_connector(connector).await {
            Ok(channel) => Ok(Node { address, channel, note, insecure: !showed_certificate }),
            Err(e) => Err(note.take().unwrap_or_else(|| Error::Unreachable { address, what: words(&e) })),
        }
    }

    pub fn address(&self) -> IpAddr {
        self.address
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub fn machine(&self) -> MachineServiceClient<Channel> {
        MachineServiceClient::new(self.channel()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    pub fn resources(&self) -> StateClient<Channel> {
        StateClient::new(self.channel()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    /// The same question as a person would ask it: `what` is `get disks -o yaml`.
    pub fn by_hand(&self, what: &str) -> String {
        let insecure = if self.insecure { " --insecure" } else { "" };
        format!("talosctl -n {} {what}{insecure}", self.address)
    }

    /// Runs one call, with its deadline.
    pub async fn call<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Error> {
        self.call_within(CALL, work).await
    }

    pub async fn call_within<T>(
        &self,
        deadline: Duration,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(deadline, work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => Err(self.error(&status)),
            Err(_) => Err(Error::Unreachable {
                address: self.address,
                what: format!("no answer within {} s", deadline.as_secs()),
            }),
        }
    }

    /// The error that a failed call means.
    pub fn error(&self, status: &Status) -> Error {
        // Only errors of our own side carry a source; what the node said does not.
        if status.source().is_some() {
            let lost = || Error::Unreachable { address: self.address, what: words(status) };
            return self.note.take().unwrap_or_else(lost);
        }
        let text = status.message().to_string();
        match status.code() {
            Code::Unavailable => Error::NotReady { text },
            // tonic reports a message that is too long in this way, without a source.
            Code::OutOfRange if text.contains("decoded message length") => Error::Answer { text },
            Code::DeadlineExceeded => Error::Unreachable { address: self.address, what: text },
            code => Error::Refused { code, text },
        }
    }
}

/// The last error on the wire, noted where it is seen: behind hyper and tonic the reason can't be had reliably.
#[derive(Clone)]
struct Note {
    address: IpAddr,
    showed_certificate: bool,
    trouble: Arc<Mutex<Option<Error>>>,
}

impl Note {
    async fn dial(&self, config: Arc<ClientConfig>) -> io::Result<Noted> {
        let dialled = async {
            let tcp = TcpStream::connect((self.address, API_PORT)).await?;
            tcp.set_nodelay(true)?;
            TlsConnector::from(config).connect(ServerName::from(self.address), tcp).await
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} s", CONNECT.as_secs()));
        let stream = tokio::time::timeout(CONNECT, dialled).await.unwrap_or_else(|_| Err(late()));
        stream.inspect_err(|e| self.write(e)).map(|inner| Noted { inner, note: self.clone() })
    }

    fn write(&self, error: &io::Error) {
        let tls = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        let trouble = match tls.and_then(|e| tls::distrust(e, self.showed_certificate).map(|why| (e, why))) {
            Some((e, why)) => Error::Untrusted { what: sentence(self.address, why, e), why },
            None => Error::Unreachable { address: self.address, what: error.to_string() },
        };
        let mut slot = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        // A refusal says more than the broken pipe that follows it.
        if !matches!(*slot, Some(Error::Untrusted { .. })) {
            *slot = Some(trouble);
        }
    }

    fn take(&self) -> Option<Error> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn sentence(address: IpAddr, why: Distrust, error: &rustls::Error) -> String {
    match why {
        Distrust::CertificateAsked => format!("{address} asks for a client certificate: it is configured"),
        Distrust::ServerNotOurs => format!("the certificate of {address} is not one of this cluster ({error})"),
        Distrust::OursRefused => format!("{address} does not accept this cluster's client certificate ({error})"),
        Distrust::Clocks => {
            format!("{address} and this machine do not agree on the time: a certificate is not valid now ({error})")
        }
        Distrust::OtherKey => format!("{address} shows another key than the one pinned"),
    }
}

/// The innermost reason; the outer layers say only "transport error".
fn words(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The TLS stream, with its errors noted as they pass.
struct Noted {
    inner: tokio_rustls::client::TlsStream<TcpStream>,
    note: Note,
}

impl Noted {
    fn seen<T>(&self, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(e)) = &result {
            self.note.write(e);
        }
        result
    }
}

impl AsyncRead for Noted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.seen(result)
    }
}

impl AsyncWrite for Noted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.seen(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.seen(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
