//! A machine config as the lab's Talos reads it: strict about keys, then about meaning.
mod registries;
mod verdict;

use super::known;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cozyup_base::secret::Secret;
use ipnet::Ipv4Net;
use serde::Deserialize;
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// The Kubernetes of a config that pins none (Talos v1.10.6).
const DEFAULT_KUBERNETES: &str = "v1.33.3";
/// A configured node's answer to documents without the main one.
const NO_MAIN_DOCUMENT: &str = "the applied machine configuration doesn't contain v1alpha1 config, did you mean to patch \
                                the machine config instead?";

/// The reason why a config was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// It could not be read.
    Parse(String),
    /// The errors in it.
    Invalid(Vec<String>),
}

impl ConfigError {
    /// Talos' words for it, without what a caller puts in front.
    pub fn why(&self) -> String {
        match self {
            ConfigError::Parse(why) => why.clone(),
            ConfigError::Invalid(complaints) => multierror(complaints),
        }
    }
}

/// Several errors as Talos prints them.
pub fn multierror(errors: &[String]) -> String {
    let noun = if errors.len() == 1 { "error" } else { "errors" };
    let lines: String = errors.iter().map(|e| format!("\t* {e}\n")).collect();
    format!("{} {noun} occurred:\n{lines}\n", errors.len())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// True when this entry is about the VM's one card. MAC patterns are matched with their case, against the lower
    /// case that the kernel prints.
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
    pub time_servers: Vec<String>,
    pub kubelet_subnets: Vec<Ipv4Net>,
    pub node_labels: BTreeMap<String, String>,
    /// Key and effect of the taints with which the kubelet registers.
    pub taints: Vec<(String, String)>,
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
    pub registries: registries::Registries,
    /// `https_proxy` of the environment.
    pub https_proxy: Option<String>,
    pub no_proxy: Vec<String>,
}

impl MachineConfig {
    /// Reads and checks `data` as Talos v1.10.6 does for the nocloud platform.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn read(data: &[u8]) -> Result<Self, ConfigError> {
        let text = std::str::from_utf8(data).map_err(|e| ConfigError::Parse(format!("decode error: yaml: {e}")))?;
        let documents = documents(text)?;
        let Some(main) = documents.iter().find(|d| d.get("kind").is_none()) else {
            return Err(ConfigError::Parse(NO_MAIN_DOCUMENT.into()));
        };
        let read = Reader { root: main };
        let complaints = verdict::complaints(&read);
        if !complaints.is_empty() {
            return Err(ConfigError::Invalid(complaints));
        }
        let mut config = read.config(text);
        config.lldpd = documents.iter().any(|d| {
            d.get("kind").and_then(Value::as_str) == Some("ExtensionServiceConfig")
                && d.get("name").and_then(Value::as_str) == Some("lldpd")
        });
        config.registries = registries::read(&read, &documents);
        Ok(config)
    }

    /// The entry that configures the VM's card.
    pub fn interface(&self, mac: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|i| i.is_for(mac))
    }
}

/// Every document of `text`, none with keys that Talos does not know and none twice.
fn documents(text: &str) -> Result<Vec<Value>, ConfigError> {
    let mut documents: Vec<Value> = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = Value::deserialize(document).map_err(|e| ConfigError::Parse(format!("decode error: yaml: {e}")))?;
        if value.is_null() {
            continue;
        }
        let id = |v: &Value| {
            ["apiVersion", "kind", "name"].map(|key| v.get(key).and_then(Value::as_str).unwrap_or("").to_string())
        };
        let [version, kind, name] = id(&value);
        if documents.iter().any(|d| id(d) == id(&value)) {
            let kind = if kind.is_empty() { "v1alpha1" } else { &kind };
            return Err(ConfigError::Parse(format!("duplicate document {version}/{kind}/{name} is not allowed")));
        }
        decodes(&value, &kind, &version).map_err(ConfigError::Parse)?;
        documents.push(value);
    }
    if documents.is_empty() { Err(ConfigError::Parse("config not found".into())) } else { Ok(documents) }
}

/// The paths of certificates and keys in base64.
const PAIRS: [&str; 5] =
    ["machine.ca", "cluster.ca", "cluster.aggregatorCA", "cluster.serviceAccount", "cluster.etcd.ca"];

/// The position at which a text stops being base64.
fn offset(error: &base64::DecodeError) -> usize {
    match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => *at,
        base64::DecodeError::InvalidLength(at) => at.saturating_sub(at % 4),
        base64::DecodeError::InvalidPadding => 0,
    }
}

/// Checks that Talos' decoder takes a document.
fn decodes(value: &Value, kind: &str, version: &str) -> Result<(), String> {
    let is_main = kind.is_empty() && ["machine", "cluster", "debug", "persist"].iter().any(|k| value.get(k).is_some());
    if kind.is_empty() && !is_main {
        return Err("missing kind".into());
    }
    let known = known::document(kind).filter(|_| is_main || version == "v1alpha1");
    let known = known.ok_or_else(|| format!("{kind:?} {version:?}: not registered"))?;
    let into = |why: String| format!("error decoding {kind} to *v1alpha1.Config: {why}");
    if let Some(why) = known::misfit(known, value) {
        return Err(into(format!("yaml: unmarshal errors:\n  {why}")));
    }
    let read = Reader { root: value };
    for at in PAIRS.iter().flat_map(|pair| [format!("{pair}.crt"), format!("{pair}.key")]) {
        if let Err(wrong) = STANDARD.decode(read.text(&at)) {
            return Err(into(format!("illegal base64 data at input byte {}", offset(&wrong))));
        }
    }
    if let Some(why) = verdict::unreadable_url(&read.text("cluster.controlPlane.endpoint")) {
        return Err(into(why));
    }
    match known::unknown(known, value) {
        None => Ok(()),
        Some(rest) => {
            let mut options = serde_saphyr::SerializerOptions::default();
            options.indent_step = 4;
            options.compact_list_indent = false;
            options.folded_wrap_chars = usize::MAX;
            let rest = serde_saphyr::to_string_with_options(&rest, options).unwrap_or_default();
            Err(format!("unknown keys found during decoding:\n{rest}"))
        }
    }
}

struct Reader<'a> {
    root: &'a Value,
}

impl Reader<'_> {
    /// The value at `path`; a null counts as missing.
    fn at(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(self.root, |value, key| value.get(key)).filter(|v| !v.is_null())
    }

    /// A scalar as a text; Go's decoder takes numbers and flags for one too.
    fn text(&self, path: &str) -> String {
        match self.at(path) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(set)) => set.to_string(),
            Some(Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_)) | None => String::new(),
        }
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

    /// The entries at `path` that the lab can use: it has IPv4 only.
    fn parsed<T: std::str::FromStr>(&self, path: &str) -> Vec<T> {
        self.texts(path).iter().filter_map(|t| t.parse().ok()).collect()
    }

    /// PEM text that stands base64-encoded at `path`; `None` when absent or empty.
    fn pem(&self, path: &str) -> Option<String> {
        // The decoding of the document has checked that it is base64.
        let bytes = STANDARD.decode(self.text(path)).unwrap_or_default();
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn pair(&self, path: &str) -> Pair {
        let key = self.pem(&format!("{path}.key")).map(Secret::new);
        Pair { crt: self.pem(&format!("{path}.crt")).unwrap_or_default(), key }
    }

    fn config(&self, text: &str) -> MachineConfig {
        let endpoint = self.text("cluster.controlPlane.endpoint");
        let (endpoint_host, endpoint_port) = verdict::host_and_port(&endpoint).unwrap_or_default();
        let first =
            |path: &str, otherwise: &str| self.texts(path).into_iter().next().unwrap_or_else(|| otherwise.to_string());
        let or = |value: String, otherwise: &str| if value.is_empty() { otherwise.to_string() } else { value };
        let image = self.text("machine.kubelet.image");
        let hostname = self.text("machine.network.hostname");
        MachineConfig {
            text: Secret::new(text.to_string()),
            role: verdict::role(self).unwrap_or(Role::Worker),
            hostname: (!hostname.is_empty()).then_some(hostname),
            token: self.secret("machine.token"),
            os_ca: self.pair("machine.ca"),
            cert_sans: self.texts("machine.certSANs"),
            interfaces: self.list("machine.network.interfaces").into_iter().map(interface).collect(),
            nameservers: self.parsed("machine.network.nameservers"),
            time_servers: self.texts("machine.time.servers"),
            kubelet_subnets: self.parsed("machine.kubelet.nodeIP.validSubnets"),
            taints: verdict::taints(self),
            node_labels: verdict::labels(self),
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
            kubernetes_ca: self.pair("cluster.ca"),
            etcd_ca: self.at("cluster.etcd.ca").map(|_| self.pair("cluster.etcd.ca")),
            etcd_subnets: self.parsed("cluster.etcd.advertisedSubnets"),
            lldpd: false,
            registries: registries::Registries::default(),
            https_proxy: Some(self.text("machine.env.https_proxy")).filter(|url| !url.is_empty()),
            no_proxy: self.text("machine.env.no_proxy").split(',').map(str::to_string).collect(),
        }
    }
}

fn interface(value: &Value) -> Interface {
    let read = Reader { root: value };
    let selector = read.at("deviceSelector");
    let some = |path: &str| read.at(path).and_then(Value::as_str).map(str::to_string);
    let gateway = read.list("routes").into_iter().rev().find_map(|route| {
        let route = Reader { root: route };
        let network = route.text("network");
        (network.is_empty() || network == "0.0.0.0/0").then(|| route.text("gateway").parse().ok()).flatten()
    });
    let hardware = some("deviceSelector.hardwareAddr").or_else(|| some("deviceSelector.permanentAddr"));
    let driver = some("deviceSelector.driver");
    Interface {
        name: some("interface"),
        by_kind: hardware.is_none() && selector.is_some() && driver.is_none_or(|d| glob(&d, "virtio_net")),
        hardware,
        addresses: read.parsed("addresses"),
        gateway,
        vip: read.text("vip.ip").parse().ok(),
    }
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
mod tests;
