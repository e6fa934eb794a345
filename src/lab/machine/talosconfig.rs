//! A new client configuration, as `GenerateClientConfiguration` makes it.
use super::certificate::{self, Client};
use super::config::MachineConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

/// The part after `os:` is the name that Talos gives a context of one role.
const PREFIX: &str = "os:";

pub struct Talosconfig {
    pub ca: String,
    pub crt: String,
    pub key: String,
    /// The whole file, without endpoints: the client puts in its own.
    pub text: String,
}

/// A certificate for these roles, signed by the Talos CA of the config.
///
/// # Errors
/// When the CA cannot sign.
pub fn new(
    config: &MachineConfig,
    roles: &[String],
    lasts: time::Duration,
    now: Timestamp,
) -> Result<Talosconfig, String> {
    let ca_key = config.os_ca.key.as_ref().ok_or("no Talos CA key on this node")?;
    let client = Client { name: None, organizations: roles, lasts };
    let (crt, key) = certificate::client(&config.os_ca.crt, ca_key, &client, now).map_err(|e| e.to_string())?;
    let name = match roles {
        [role] => format!("{}@{}", role.trim_start_matches(PREFIX), config.cluster_name),
        _ => config.cluster_name.clone(),
    };
    let encode = |pem: &str| STANDARD.encode(pem);
    let (ca, key) = (config.os_ca.crt.clone(), key.expose().clone());
    let text = format!(
        "context: {name}\ncontexts:\n    {name}:\n        endpoints: []\n        ca: {}\n        crt: {}\n        key: {}\n",
        encode(&ca),
        encode(&crt),
        encode(&key)
    );
    Ok(Talosconfig { ca, crt, key, text })
}
