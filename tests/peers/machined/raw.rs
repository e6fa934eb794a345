//! Questions to a Talos node that cozyup's client never asks, and answers as texts that can be compared.
use base64::Engine;
use cozyup::base::tls::{ByLeaf, Judge};
use cozyup::talos::secrets::ClientCertificate;
use cozyup::talos::wire::cosi::resource as cosi;
use cozyup::talos::wire::machine::machine_service_client::MachineServiceClient;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// Wall time for one answer.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Raw {
    channel: Channel,
}

impl Raw {
    /// Trusts any server: what is asked here is no secret, and who answers is the test's own.
    pub async fn open(address: IpAddr, certificate: Option<&ClientCertificate>) -> Raw {
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().dangerous();
        let config = config.with_custom_certificate_verifier(ByLeaf::new(Anyone));
        let mut config = match certificate {
            None => config.with_no_client_auth(),
            Some(own) => {
                let leaf = CertificateDer::from(der(&own.crt_pem));
                let key = PrivateKeyDer::try_from(der(own.key_pem.expose())).unwrap();
                config.with_client_auth_cert(vec![leaf], key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let config = Arc::new(config);
        let dial = tower::service_fn(move |_| {
            let config = config.clone();
            async move {
                let tcp = TcpStream::connect((address, 50000)).await?;
                let tls = TlsConnector::from(config).connect(ServerName::from(address), tcp).await?;
                Ok::<_, std::io::Error>(TokioIo::new(tls))
            }
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}:50000")).unwrap();
        Raw { channel: endpoint.connect_with_connector(dial).await.unwrap() }
    }

    pub fn machine(&self) -> MachineServiceClient<Channel> {
        MachineServiceClient::new(self.channel.clone())
    }

    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    fn resources(&self) -> cosi::state_client::StateClient<Channel> {
        cosi::state_client::StateClient::new(self.channel.clone())
    }

    /// Owner and YAML of one resource, or how it is refused.
    pub async fn get(&self, kind: &str, namespace: &str, id: &str) -> String {
        let (namespace, r#type, id) = (namespace.into(), kind.into(), id.into());
        let asked = cosi::GetRequest { namespace, r#type, id, options: None };
        match self.resources().get(within(PATIENCE, asked)).await {
            Ok(answer) => resource(answer.into_inner().resource.unwrap_or_default()),
            Err(status) => refusal(&status),
        }
    }

    /// The ids of all resources of a type, or how the list is refused.
    pub async fn ids(&self, kind: &str, namespace: &str) -> String {
        let asked = cosi::ListRequest { namespace: namespace.into(), r#type: kind.into(), options: None };
        let mut ids = Vec::new();
        let read = async {
            let mut stream = self.resources().list(within(PATIENCE, asked)).await?.into_inner();
            while let Some(item) = stream.message().await? {
                ids.push(item.resource.and_then(|r| r.metadata).unwrap_or_default().id);
            }
            Ok::<_, Status>(())
        };
        match read.await {
            Ok(()) => {
                ids.sort();
                format!("{ids:?}")
            }
            Err(status) => refusal(&status),
        }
    }

    /// How a watch begins: the kinds of its first `count` events, or how it is refused.
    pub async fn watch(&self, asked: cosi::WatchRequest, count: usize) -> String {
        let mut seen = Vec::new();
        let read = async {
            let mut stream = self.resources().watch(within(PATIENCE, asked)).await?.into_inner();
            while seen.len() < count {
                match stream.message().await? {
                    None => break,
                    Some(answer) if answer.event.is_empty() => seen.push("(no event)".to_string()),
                    Some(answer) => seen.extend(answer.event.iter().map(|e| {
                        let metadata = e.resource.as_ref().and_then(|r| r.metadata.clone()).unwrap_or_default();
                        format!("{:?} {}/{}", e.event_type(), metadata.r#type, metadata.id)
                    })),
                }
            }
            Ok::<_, Status>(())
        };
        match read.await {
            Ok(()) => seen.join(", "),
            Err(status) => refusal(&status),
        }
    }
}

/// A request with a deadline that the node is told.
pub fn within<T>(deadline: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

pub fn refusal(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

/// `OK`, or how it is refused.
pub fn taken<T>(answer: Result<T, Status>) -> String {
    answer.map_or_else(|status| refusal(&status), |_| "OK".to_string())
}

fn resource(resource: cosi::Resource) -> String {
    let metadata = resource.metadata.unwrap_or_default();
    let yaml = resource.spec.unwrap_or_default().yaml_spec;
    format!("of {:?} in {}\n{yaml}", metadata.owner, metadata.namespace)
}

fn der(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

#[derive(Debug)]
struct Anyone;

impl Judge for Anyone {
    fn judge(&self, _: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        Ok(())
    }
}
