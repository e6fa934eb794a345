//! Access to the Talos API of a cluster that cozyup did not make, from its `talosconfig`.
use super::ClientCertificate;
use crate::base::secret::Secret;
use crate::base::text;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// The reason why a `talosconfig` can't be used; it never quotes a value but names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("talosconfig: {what}")]
pub struct Unreadable {
    /// The fault, with the key at which it is.
    pub what: String,
}

/// Where the control planes are, and who we are to them.
#[derive(Clone)]
pub struct Access {
    /// Addresses of control planes, in the file's order.
    pub endpoints: Vec<IpAddr>,
    /// The client certificate with the authority of the cluster's Talos APIs.
    pub certificate: ClientCertificate,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    context: String,
    #[serde(default)]
    contexts: BTreeMap<String, Context>,
}

#[derive(Deserialize)]
struct Context {
    #[serde(default)]
    endpoints: Vec<String>,
    #[serde(default)]
    ca: String,
    #[serde(default)]
    crt: String,
    #[serde(default)]
    key: String,
}

fn wrong(what: impl Into<String>) -> Unreadable {
    Unreadable { what: text::clean(&what.into()) }
}

fn pem(value: &str, key: &str) -> Result<String, Unreadable> {
    let bytes = STANDARD.decode(value.trim()).map_err(|_| wrong(format!("`{key}` is no base64")))?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN"));
    text.ok_or_else(|| wrong(format!("`{key}` is no PEM")))
}

impl Access {
    /// Of the file's current context.
    ///
    /// # Errors
    /// When the text is no talosconfig, or its context lacks a part. Endpoints have to be addresses.
    pub fn of_talosconfig(yaml: &Secret<String>) -> Result<Access, Unreadable> {
        // The parser's error quotes the text around the fault, which may be a key.
        let file: File = serde_saphyr::from_str(yaml.expose()).map_err(|_| wrong("the text is not a talosconfig"))?;
        let context = file.contexts.get(&file.context);
        let context = context.ok_or_else(|| wrong(format!("context `{}` is not in it", file.context)))?;
        let mut endpoints = Vec::new();
        for endpoint in &context.endpoints {
            let address = endpoint.parse();
            endpoints.push(address.map_err(|_| wrong(format!("endpoint `{endpoint}` is not an address")))?);
        }
        if endpoints.is_empty() {
            return Err(wrong("no endpoints"));
        }
        let certificate = ClientCertificate {
            ca_pem: pem(&context.ca, "ca")?,
            crt_pem: pem(&context.crt, "crt")?,
            key_pem: Secret::new(pem(&context.key, "key")?),
        };
        Ok(Access { endpoints, certificate })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Bundle;
    use super::*;
    use jiff::Timestamp;
    use std::net::Ipv4Addr;

    #[test]
    fn the_talosconfig_that_cozyup_writes_is_read_back_and_a_fault_is_named_without_a_value() {
        let bundle = Bundle::generate(Timestamp::now()).unwrap();
        let node = Ipv4Addr::new(10, 0, 0, 41);
        let text = bundle.talosconfig("old", &[node], &[node], Timestamp::now()).unwrap();
        let access = Access::of_talosconfig(&text).unwrap();
        assert_eq!(access.endpoints, [IpAddr::from(node)]);
        assert!(access.certificate.crt_pem.contains("BEGIN CERTIFICATE"));
        let fault = |from: &str, to: &str| {
            let text = Secret::new(text.expose().replacen(from, to, 1));
            Access::of_talosconfig(&text).unwrap_err().to_string()
        };
        assert_eq!(fault("10.0.0.41", "cp1.example.org"), "talosconfig: endpoint `cp1.example.org` is not an address");
        assert_eq!(fault("context: old", "context: new"), "talosconfig: context `new` is not in it");
        assert_eq!(fault("crt: ", "crt: =="), "talosconfig: `crt` is no base64");
        assert_eq!(
            Access::of_talosconfig(&Secret::new("[".into())).unwrap_err().to_string(),
            "talosconfig: the text is not a talosconfig"
        );
    }
}
