//! From a kubeconfig's text to the two halves of the client.
use super::changer::Changer;
use super::error::Error;
use super::limit::Limits;
use super::reader::Reader;
use super::wire::Wire;
use crate::base::{secret::Secret, text};
use base64::Engine;
use jiff::Timestamp;
use kube::client::ClientBuilder;
use kube::config::{Cluster, Kubeconfig};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Makes the client of the kubeconfig's current context. `server_override` (`https://host:6443`) replaces the
/// context's server and is verified against the same authority. Opens no connection yet.
///
/// Must be called inside a tokio runtime.
///
/// # Errors
/// [`Error::Kubeconfig`] when the text is no kubeconfig, names what it does not hold, or switches verification off.
pub fn connect(kubeconfig_yaml: &Secret<String>, server_override: Option<String>) -> Result<(Reader, Changer), Error> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(wrong("the client needs a running tokio runtime"));
    }
    let config = configuration(kubeconfig_yaml, server_override)?;
    let builder = ClientBuilder::try_from(config).map_err(|e| wrong(&e.to_string()))?;
    let client = builder.with_layer(&Limits).build();
    let wire = Wire::new(client);
    Ok((Reader::new(wire.clone()), Changer::new(wire)))
}

/// Who a kubeconfig makes us, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// URL of the API server.
    pub server: String,
    /// Name of the context's user; empty without one.
    pub user: String,
    /// End of the client certificate; `None` for other credentials, and where it can't be read.
    pub not_after: Option<Timestamp>,
}

impl Credentials {
    /// Of the kubeconfig's current context.
    ///
    /// # Errors
    /// As [`connect`].
    pub fn of(kubeconfig_yaml: &Secret<String>) -> Result<Credentials, Error> {
        let config = configuration(kubeconfig_yaml, None)?;
        let certificate = config.auth_info.client_certificate_data.as_ref();
        let pem = certificate.and_then(|data| base64::engine::general_purpose::STANDARD.decode(data.trim()).ok());
        let der = pem.and_then(|pem| CertificateDer::from_pem_slice(&pem).ok());
        let not_after = der.as_ref().and_then(|der| {
            let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
            Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
        });
        let file =
            Kubeconfig::from_yaml(kubeconfig_yaml.expose()).map_err(|_| wrong("the text is not a kubeconfig"))?;
        let context = file.contexts.iter().find(|c| Some(&c.name) == file.current_context.as_ref());
        let user = context.and_then(|c| c.context.as_ref()?.user.clone()).unwrap_or_default();
        Ok(Credentials { server: text::clean(&config.cluster_url.to_string()), user: text::clean(&user), not_after })
    }
}

/// Longest kubeconfig, in bytes.
const LONGEST: usize = 1 << 20;

fn wrong(why: &str) -> Error {
    Error::Kubeconfig { text: text::clean(why) }
}

// kube's own loader also reads the proxy variables of the environment and refuses to start when one is set.
pub(super) fn configuration(yaml: &Secret<String>, server_override: Option<String>) -> Result<kube::Config, Error> {
    if yaml.expose().len() > LONGEST {
        return Err(wrong("it is larger than 1 MiB"));
    }
    // The parser's error quotes the text around the fault, which may be a key.
    let file = Kubeconfig::from_yaml(yaml.expose()).map_err(|_| wrong("the text is not a kubeconfig"))?;
    let name = file.current_context.as_deref().ok_or_else(|| wrong("no current-context"))?;
    let context = file
        .contexts
        .iter()
        .find(|c| c.name == name)
        .and_then(|c| c.context.as_ref())
        .ok_or_else(|| wrong(&format!("context `{name}` is not in it")))?;
    let cluster = file
        .clusters
        .iter()
        .find(|c| c.name == context.cluster)
        .and_then(|c| c.cluster.as_ref())
        .ok_or_else(|| wrong(&format!("cluster `{}` is not in it", context.cluster)))?;
    if cluster.insecure_skip_tls_verify == Some(true) {
        return Err(wrong("insecure-skip-tls-verify is set; cozyup talks to verified servers only"));
    }
    let server = server_override.or_else(|| cluster.server.clone()).ok_or_else(|| wrong("no server"))?;
    if !server.starts_with("https://") {
        return Err(wrong(&format!("server `{server}` is not an https URL")));
    }
    let url = server.parse().map_err(|_| wrong(&format!("server `{server}` is not a URL")))?;
    let mut config = kube::Config::new(url);
    config.root_cert = authority(cluster)?;
    config.tls_server_name = cluster.tls_server_name.clone();
    if let Some(user) = &context.user {
        config.auth_info = file
            .auth_infos
            .iter()
            .find(|u| &u.name == user)
            .and_then(|u| u.auth_info.clone())
            .ok_or_else(|| wrong(&format!("user `{user}` is not in it")))?;
        if config.auth_info.exec.is_some() || config.auth_info.auth_provider.is_some() {
            return Err(wrong(&format!("user `{user}` gets its credentials from a program; cozyup runs none")));
        }
        let auth = &config.auth_info;
        let files = [&auth.token_file, &auth.client_certificate, &auth.client_key];
        in_place(["tokenFile", "client-certificate", "client-key"].into_iter().zip(files))?;
    }
    config.proxy_url = None;
    // Retrying is the engine's, where it can be seen.
    config.default_retry = false;
    config.connect_timeout = Some(super::wire::DEADLINE);
    Ok(config)
}

/// What is in a kubeconfig counts, and no file that it names: that may be a pipe, a device, or another one tomorrow.
fn in_place<'a>(files: impl IntoIterator<Item = (&'a str, &'a Option<String>)>) -> Result<(), Error> {
    match files.into_iter().find(|(_, path)| path.is_some()) {
        None => Ok(()),
        Some((key, _)) => Err(wrong(&format!(
            "`{key}` names a file, and cozyup reads none: `kubectl config view --raw --flatten` puts it into the kubeconfig"
        ))),
    }
}

/// The certificates that the server's must chain to; `None` leaves the system's roots.
fn authority(cluster: &Cluster) -> Result<Option<Vec<Vec<u8>>>, Error> {
    in_place([("certificate-authority", &cluster.certificate_authority)])?;
    let Some(data) = &cluster.certificate_authority_data else { return Ok(None) };
    let pem = base64::engine::general_purpose::STANDARD
        .decode(data.trim())
        .map_err(|_| wrong("certificate-authority-data is not base64"))?;
    let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&pem)
        .map(|c| c.map(|c| c.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|_| wrong("the certificate authority is not PEM"))?;
    if certificates.is_empty() {
        return Err(wrong("the certificate authority holds no certificate"));
    }
    Ok(Some(certificates))
}
