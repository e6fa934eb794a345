//! A machine config as the lab's Talos reads it: strict about keys, then about meaning.
use super::known;
use super::outside::Vm;
use crate::base::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::Ipv4Net;
use serde::Deserialize;
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The Kubernetes of a config that pins none (Talos v1.10.6).
const DEFAULT_KUBERNETES: &str = "v1.33.3";

/// Why a config was not taken, with the sentence that Talos answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("failed to parse config: {0}")]
    Parse(String),
    #[error("configuration validation failed: {}", listed(.0))]
    Invalid(Vec<String>),
    #[error("runtime configuration validation failed: {}", listed(.0))]
    Runtime(Vec<String>),
}

/// Several errors the way Talos prints them.
fn listed(errors: &[String]) -> String {
    let noun = if errors.len() == 1 { "error" } else { "errors" };
    let lines: String = errors.iter().map(|e| format!("\t* {e}\n")).collect();
    format!("{} {noun} occurred:\n{lines}\n", errors.len())
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    ControlPlane,
    Worker,
}

impl Role {
    pub fn as_str(&self) -> &'static str {
        match self {
            Role::ControlPlane => "controlplane",
            Role::Worker => "worker",
        }
    }
}

/// A certificate and, on control planes, its key; both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    pub crt: String,
    pub key: Option<Secret<String>>,
}

#[derive(Debug, Clone)]
pub struct Interface {
    /// `eth0`, or the selector's `hardwareAddr` pattern.
    name: Option<String>,
    hardware: Option<String>,
    /// Selects by what every virtio card of Proxmox VE has: driver, bus, `physical`.
    by_kind: bool,
    pub addresses: Vec<Ipv4Net>,
    pub gateway: Option<Ipv4Addr>,
    pub vip: Option<Ipv4Addr>,
}

impl Interface {
    /// Whether this entry is about the VM's one card. MAC patterns are matched with their case,
    /// against the lower case that the kernel prints.
    pub fn is_for(&self, mac: &str) -> bool {
        match (&self.name, &self.hardware) {
            (Some(name), _) => name == "eth0",
            (None, Some(pattern)) => glob(pattern, mac),
            (None, None) => self.by_kind,
        }
    }
}

#[derive(Debug, Clone)]
pub struct MachineConfig {
    /// The documents as they were given.
    pub text: Secret<String>,
    pub role: Role,
    pub hostname: Option<String>,
    pub token: Secret<String>,
    /// Of the Talos API.
    pub os_ca: Pair,
    pub cert_sans: Vec<String>,
    pub interfaces: Vec<Interface>,
    pub nameservers: Vec<Ipv4Addr>,
    pub install_disk: Option<String>,
    pub kubelet_subnets: Vec<Ipv4Net>,
    pub node_labels: BTreeMap<String, String>,
    pub kubernetes_version: String,
    pub cluster_id: String,
    pub cluster_name: String,
    pub bootstrap_token: Secret<String>,
    /// `https://host:port`
    pub endpoint: String,
    pub endpoint_host: String,
    pub endpoint_port: u16,
    pub pod_cidr: String,
    pub service_cidr: String,
    pub dns_domain: String,
    pub kubernetes_ca: Pair,
    pub etcd_ca: Option<Pair>,
    pub etcd_subnets: Vec<Ipv4Net>,
    /// The `ExtensionServiceConfig` that the lldpd extension waits for is there.
    pub lldpd: bool,
}

impl MachineConfig {
    /// Reads and checks `data` as Talos v1.10.6 does for the nocloud platform.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn read(data: &[u8]) -> Result<Self, ConfigError> {
        let text = std::str::from_utf8(data).map_err(|e| ConfigError::Parse(format!("yaml: {e}")))?;
        let documents = documents(text)?;
        let Some(main) = documents.iter().find(|d| d.get("kind").is_none()) else {
            return Err(ConfigError::Parse("no v1alpha1 configuration document".into()));
        };
        let read = Reader { root: main };
        let mut config = read.config(text)?;
        config.lldpd = documents.iter().any(|d| {
            d.get("kind").and_then(Value::as_str) == Some("ExtensionServiceConfig")
                && d.get("name").and_then(Value::as_str) == Some("lldpd")
        });
        config.validate(&read)?;
        Ok(config)
    }

    /// What can only be checked on the machine.
    ///
    /// # Errors
    /// [`ConfigError::Runtime`] for an install disk that this VM does not have.
    pub fn check_on(&self, vm: &Vm) -> Result<(), ConfigError> {
        match &self.install_disk {
            Some(disk) if !vm.devices().any(|d| d == *disk) => {
                Err(ConfigError::Runtime(vec![format!("specified install disk does not exist: {disk:?}")]))
            }
            _ => Ok(()),
        }
    }

    /// The entry that configures the VM's card.
    pub fn interface(&self, mac: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|i| i.is_for(mac))
    }

    fn validate(&self, read: &Reader<'_>) -> Result<(), ConfigError> {
        let mut wrong = Vec::new();
        if read.at("persist").is_some_and(|p| p.as_bool() == Some(false)) {
            wrong.push("persist should be true".to_string());
        }
        match self.role {
            Role::Worker => {
                for (pair, path) in [(&self.os_ca, "machine.ca"), (&self.kubernetes_ca, "cluster.ca")] {
                    if pair.key.is_some() {
                        wrong.push(format!("issuing CA key is not allowed on non-controlplane nodes (.{path})"));
                    }
                }
                if self.interfaces.iter().any(|i| i.vip.is_some()) {
                    wrong.push("virtual (shared) IP is not allowed on non-controlplane nodes".into());
                }
            }
            Role::ControlPlane => {
                for (pair, path) in [(&self.os_ca, "machine.ca"), (&self.kubernetes_ca, "cluster.ca")] {
                    if pair.key.is_none() {
                        wrong.push(format!("issuing CA with a key is required on controlplane nodes (.{path})"));
                    }
                }
            }
        }
        if self.endpoint.is_empty() {
            wrong.push("cluster controlplane endpoint is required".into());
        } else if self.endpoint_host.is_empty() {
            wrong.push(format!("invalid cluster endpoint URL {:?}", self.endpoint));
        }
        if self.cluster_id.is_empty() {
            wrong.push("cluster identity is required (.cluster.id)".into());
        }
        if self.token.expose().is_empty() {
            wrong.push("machine token is required (.machine.token)".into());
        }
        if self.hostname.as_deref().is_some_and(|h| !valid_hostname(h)) {
            wrong.push(format!("invalid hostname {:?}", self.hostname.as_deref().unwrap_or_default()));
        }
        for interface in &self.interfaces {
            let selected = interface.hardware.is_some() || interface.by_kind;
            if interface.name.is_some() == selected {
                wrong.push("exactly one of [interface, deviceSelector] is required (networking.os.device)".into());
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(wrong)) }
    }
}

/// Every document of `text`, none with keys that Talos does not know.
fn documents(text: &str) -> Result<Vec<Value>, ConfigError> {
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = Value::deserialize(document).map_err(|e| ConfigError::Parse(format!("yaml: {e}")))?;
        if value.is_null() {
            continue;
        }
        if let Some(kind) = value.get("kind") {
            let kind = kind.as_str().unwrap_or_default();
            let version = value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
            if !known::KINDS.contains(&kind) || version != "v1alpha1" {
                return Err(ConfigError::Parse(format!("{kind:?} {version:?}: not registered")));
            }
        } else if let Some(unknown) = known::unknown(&value) {
            return Err(ConfigError::Parse(format!("unknown keys found during decoding:\n{unknown}")));
        }
        documents.push(value);
    }
    Ok(documents)
}

struct Reader<'a> {
    root: &'a Value,
}

impl Reader<'_> {
    fn at(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(self.root, |value, key| value.get(key))
    }

    fn text(&self, path: &str) -> String {
        self.at(path).and_then(Value::as_str).unwrap_or_default().to_string()
    }

    fn secret(&self, path: &str) -> Secret<String> {
        Secret::new(self.text(path))
    }

    fn list(&self, path: &str) -> Vec<&Value> {
        self.at(path).and_then(Value::as_sequence).map(|s| s.iter().collect()).unwrap_or_default()
    }

    fn texts(&self, path: &str) -> Vec<String> {
        self.list(path).iter().filter_map(|v| v.as_str()).map(str::to_string).collect()
    }

    fn parsed<T: std::str::FromStr>(&self, path: &str) -> Result<Vec<T>, ConfigError> {
        self.texts(path)
            .iter()
            .map(|t| t.parse().map_err(|_| ConfigError::Parse(format!("{path}: cannot read {t:?}"))))
            .collect()
    }

    /// PEM text that stands base64-encoded at `path`; `None` when absent or empty.
    fn pem(&self, path: &str) -> Result<Option<String>, ConfigError> {
        let encoded = self.text(path);
        if encoded.is_empty() {
            return Ok(None);
        }
        let wrong = |e: String| ConfigError::Parse(format!("{path}: {e}"));
        let bytes = STANDARD.decode(encoded.trim()).map_err(|e| wrong(e.to_string()))?;
        String::from_utf8(bytes).map(Some).map_err(|e| wrong(e.to_string()))
    }

    fn pair(&self, path: &str) -> Result<Pair, ConfigError> {
        let crt = self.pem(&format!("{path}.crt"))?.unwrap_or_default();
        Ok(Pair { crt, key: self.pem(&format!("{path}.key"))?.map(Secret::new) })
    }

    fn config(&self, text: &str) -> Result<MachineConfig, ConfigError> {
        let role = match self.text("machine.type").as_str() {
            "controlplane" => Role::ControlPlane,
            "worker" => Role::Worker,
            other => return Err(ConfigError::Invalid(vec![format!("invalid machine type: {other:?}")])),
        };
        let endpoint = self.text("cluster.controlPlane.endpoint");
        let (endpoint_host, endpoint_port) = endpoint_parts(&endpoint);
        let first =
            |path: &str, otherwise: &str| self.texts(path).into_iter().next().unwrap_or_else(|| otherwise.to_string());
        let or = |value: String, otherwise: &str| if value.is_empty() { otherwise.to_string() } else { value };
        let image = self.text("machine.kubelet.image");
        let hostname = self.text("machine.network.hostname");
        Ok(MachineConfig {
            text: Secret::new(text.to_string()),
            role,
            hostname: (!hostname.is_empty()).then_some(hostname),
            token: self.secret("machine.token"),
            os_ca: self.pair("machine.ca")?,
            cert_sans: self.texts("machine.certSANs"),
            interfaces: self
                .list("machine.network.interfaces")
                .into_iter()
                .map(interface)
                .collect::<Result<_, ConfigError>>()?,
            nameservers: self.parsed("machine.network.nameservers")?,
            install_disk: self.at("machine.install.disk").and_then(Value::as_str).map(str::to_string),
            kubelet_subnets: self.parsed("machine.kubelet.nodeIP.validSubnets")?,
            node_labels: self
                .at("machine.nodeLabels")
                .and_then(Value::as_mapping)
                .into_iter()
                .flatten()
                .filter_map(|(k, v)| Some((k.as_str()?.to_string(), v.as_str().unwrap_or_default().to_string())))
                .collect(),
            kubernetes_version: image
                .rsplit_once(':')
                .map(|(_, tag)| tag.to_string())
                .filter(|t| t.starts_with('v'))
                .unwrap_or_else(|| DEFAULT_KUBERNETES.to_string()),
            cluster_id: self.text("cluster.id"),
            cluster_name: self.text("cluster.clusterName"),
            bootstrap_token: self.secret("cluster.token"),
            endpoint,
            endpoint_host,
            endpoint_port,
            pod_cidr: first("cluster.network.podSubnets", "10.244.0.0/16"),
            service_cidr: first("cluster.network.serviceSubnets", "10.96.0.0/12"),
            dns_domain: or(self.text("cluster.network.dnsDomain"), "cluster.local"),
            kubernetes_ca: self.pair("cluster.ca")?,
            etcd_ca: self.at("cluster.etcd.ca").map(|_| self.pair("cluster.etcd.ca")).transpose()?,
            etcd_subnets: self.parsed("cluster.etcd.advertisedSubnets")?,
            lldpd: false,
        })
    }
}

fn interface(value: &Value) -> Result<Interface, ConfigError> {
    let read = Reader { root: value };
    let selector = read.at("deviceSelector");
    let some = |path: &str| read.at(path).and_then(Value::as_str).map(str::to_string);
    let ip = |text: Option<String>, what: &str| {
        text.map(|t| t.parse::<Ipv4Addr>().map_err(|_| ConfigError::Parse(format!("{what}: cannot read {t:?}"))))
            .transpose()
    };
    let mut gateway = None;
    for route in read.list("routes") {
        let route = Reader { root: route };
        let network = route.text("network");
        if network.is_empty() || network == "0.0.0.0/0" {
            gateway = ip(route.at("gateway").and_then(Value::as_str).map(str::to_string), "gateway")?;
        }
    }
    let hardware = some("deviceSelector.hardwareAddr").or_else(|| some("deviceSelector.permanentAddr"));
    let driver = some("deviceSelector.driver");
    Ok(Interface {
        name: some("interface"),
        by_kind: hardware.is_none() && selector.is_some() && driver.is_none_or(|d| glob(&d, "virtio_net")),
        hardware,
        addresses: read.parsed("addresses")?,
        gateway,
        vip: ip(some("vip.ip"), "vip")?,
    })
}

/// Host and port of a control plane endpoint; an empty host when it is no URL with scheme and host.
fn endpoint_parts(url: &str) -> (String, u16) {
    let Some(rest) = url.strip_prefix("https://") else { return (String::new(), 0) };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((host, port)) => match port.parse() {
            Ok(port) => (host.to_string(), port),
            Err(_) => (String::new(), 0),
        },
        None => (authority.to_string(), 443),
    }
}

/// A DNS label or several with dots between (RFC 1123).
fn valid_hostname(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

/// `*` is any run of characters, `?` any one.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = pattern.get(1..).unwrap_or_default();
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| glob(rest, text.get(at..).unwrap_or("")))
        }
        Some(c) => {
            let mut left = text.chars();
            left.next().is_some_and(|t| t == c || c == '?')
                && glob(pattern.get(c.len_utf8()..).unwrap_or_default(), left.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::machine::fixture;

    fn error(text: &str) -> String {
        MachineConfig::read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_control_plane_config_is_read_with_its_second_document() {
        let secrets = fixture::Secrets::in_net(0);
        let config = MachineConfig::read(secrets.control_plane("cp1", "127.86.0.201").as_bytes()).unwrap();
        assert_eq!(config.role, Role::ControlPlane);
        assert!(config.lldpd);
        assert_eq!(config.endpoint_host, "127.86.0.100");
        let entry = config.interface("bc:24:11:00:03:e9").unwrap();
        assert_eq!(entry.addresses[0].to_string(), "127.86.0.201/24");
    }

    #[test]
    fn a_key_that_talos_does_not_know_is_refused_with_its_place() {
        let text = fixture::Secrets::in_net(0)
            .control_plane("cp1", "127.86.0.201")
            .replace("dnsDomain:", "dnsDomian: x\n    dnsDomain:");
        let shown = error(&text);
        assert!(shown.starts_with("failed to parse config: unknown keys found during decoding:"), "{shown}");
        assert!(shown.contains("dnsDomian"), "{shown}");
    }

    #[test]
    fn a_worker_with_a_ca_key_or_a_vip_is_refused() {
        let secrets = fixture::Secrets::in_net(0);
        let text = secrets.control_plane("w1", "127.86.0.211").replace("type: controlplane", "type: worker");
        let shown = error(&text);
        assert!(shown.contains("3 errors occurred"), "{shown}");
        assert!(shown.contains("virtual (shared) IP is not allowed"), "{shown}");
    }

    #[test]
    fn an_endpoint_without_scheme_is_refused() {
        let text = fixture::Secrets::in_net(0)
            .control_plane("cp1", "127.86.0.201")
            .replace("https://127.86.0.100:6443", "127.86.0.100:6443");
        assert!(error(&text).contains("invalid cluster endpoint URL"));
    }

    #[test]
    fn documents_of_later_talos_versions_are_not_registered() {
        let text = format!(
            "{}---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: x\n",
            fixture::Secrets::in_net(0).control_plane("cp1", "127.86.0.201")
        );
        assert!(error(&text).contains("\"HostnameConfig\" \"v1alpha1\": not registered"));
    }

    #[test]
    fn an_upper_case_mac_selects_nothing() {
        assert!(glob("bc:24:*", "bc:24:11:00:00:01"));
        assert!(!glob("BC:24:11:00:00:01", "bc:24:11:00:00:01"));
    }
}
