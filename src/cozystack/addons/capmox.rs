//! Machines from Proxmox VE: the Cluster API provider "capmox" and the address provider it needs, installed by the
//! Cluster API operator that CozyStack brings.
//!
//! Apply once HelmRelease capi-providers-core and the CoreProvider are ready; before that the operator only waits.
use super::access::{AUTHORITY, AUTHORITY_KEY, ProxmoxAccess};
use super::components::{self, Components, Mount, PROVIDER_LABEL, SHA256, VERSION_LABEL};
use super::{Maker, Object};
use crate::kubernetes::Kind;
use serde_json::{Value, json};

pub const CLUSTER_API_NAMESPACE: &str = "cozy-cluster-api";
/// The Secret that capmox's own components make of the variables: what the manager starts with.
pub const CAPMOX_CREDENTIALS: &str = "capmox-manager-credentials";
/// Environment of the manager that tells with which credentials it was started; capmox does not read it.
pub const CREDENTIALS_ENV: &str = "COZYUP_CREDENTIALS";
/// Annotation: whether the manager's Deployment was given the volume with the certificate.
const MOUNTS: &str = "cozyup.dev/mounts-authority";
const VARIABLES: &str = "capmox-variables";
const AUTHORITY_PATH: &str = "/etc/proxmox-authority";

pub struct CapmoxInput {
    pub proxmox: ProxmoxAccess,
    /// `v0.7.7`: 0.8 and later speak a newer contract than the core that CozyStack brings.
    pub version: String,
    /// `v1.0.3`
    pub ipam_version: String,
    /// `v1beta1`
    pub contract: String,
}

/// One of the two providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    Ipam,
    Capmox,
}

impl Provider {
    /// Value of the label by which its object finds its ConfigMap; the ConfigMap's name begins with it.
    pub fn label(self) -> &'static str {
        match self {
            Provider::Ipam => "ipam-in-cluster",
            Provider::Capmox => "infrastructure-proxmox",
        }
    }

    pub fn config_map(self, version: &str) -> String {
        format!("{}-{version}", self.label())
    }

    /// The URL of the components in the provider's release.
    pub fn url(self, version: &str) -> String {
        let (repository, file) = match self {
            Provider::Ipam => ("kubernetes-sigs/cluster-api-ipam-provider-in-cluster", "ipam-components.yaml"),
            Provider::Capmox => ("ionos-cloud/cluster-api-provider-proxmox", "infrastructure-components.yaml"),
        };
        format!("https://github.com/{repository}/releases/download/{version}/{file}")
    }
}

/// The ConfigMap of a provider; without components only what tells whether it is the right one.
///
/// # Errors
/// When the components are not those of such a provider.
pub fn provider_components(
    run: &str,
    provider: Provider,
    input: &CapmoxInput,
    components: Option<&Components>,
) -> Result<Object, components::Error> {
    let version = match provider {
        Provider::Ipam => &input.ipam_version,
        Provider::Capmox => &input.version,
    };
    let mounts = provider == Provider::Capmox && input.proxmox.authority.is_some();
    let metadata = components::metadata(version, &input.contract);
    let mut content =
        json!({"metadata": {"annotations": {MOUNTS: mounts.to_string()}}, "data": {"metadata": metadata}});
    if let Some(found) = components {
        let text = match mounts {
            true => components::with_mount(&found.text, &Mount { config_map: AUTHORITY, path: AUTHORITY_PATH })?,
            false => found.text.clone(),
        };
        content = json!({
            "metadata": {"annotations": {MOUNTS: mounts.to_string(), SHA256: found.sha256}},
            "data": {"metadata": metadata, "components": text},
        });
    }
    let labels = [(VERSION_LABEL, version.as_str()), (PROVIDER_LABEL, provider.label())];
    let maker = Maker::new(run, Some(CLUSTER_API_NAMESPACE));
    Ok(maker.labelled(Kind::CONFIG_MAP, &provider.config_map(version), &labels, content))
}

/// The credentials, what Proxmox VE is verified by, the address provider `in-cluster`, the infrastructure provider
/// `proxmox`. Both providers take their components from [`provider_components`].
///
/// capmox verifies nothing unless its manager is told so: the variable `PROXMOX_INSECURE` of its Secret is read by
/// nobody, so it is set in the Deployment.
pub fn capmox(run: &str, input: &CapmoxInput) -> Vec<Object> {
    let maker = Maker::new(run, Some(CLUSTER_API_NAMESPACE));
    let proxmox = &input.proxmox;
    let variables = json!({"stringData": {
        "PROXMOX_URL": proxmox.url.as_str(),
        "PROXMOX_TOKEN": proxmox.token_id,
        "PROXMOX_SECRET": proxmox.token_secret.expose(),
    }});
    let env = json!([
        {"name": "PROXMOX_INSECURE", "value": proxmox.insecure.to_string()},
        {"name": CREDENTIALS_ENV, "value": proxmox.digest()},
    ]);
    let mut manager = json!({"name": "manager", "env": env});
    let file = format!("{AUTHORITY_PATH}/{AUTHORITY_KEY}");
    let mut objects = vec![maker.object(Kind::SECRET, VARIABLES, variables)];
    if let Some(pem) = &proxmox.authority {
        manager = json!({"name": "manager", "env": env, "args": {"--proxmox-root-cert-file": file}});
        objects.push(maker.object(Kind::CONFIG_MAP, AUTHORITY, json!({"data": {AUTHORITY_KEY: pem}})));
    }
    let infrastructure = json!({"spec": {
        "version": input.version,
        "configSecret": {"name": VARIABLES, "namespace": CLUSTER_API_NAMESPACE},
        "fetchConfig": selector(Provider::Capmox),
        "deployment": {"containers": [manager]},
    }});
    let ipam = json!({"spec": {"version": input.ipam_version, "fetchConfig": selector(Provider::Ipam)}});
    objects.push(maker.object(Kind::IPAM_PROVIDER, "in-cluster", ipam));
    objects.push(maker.object(Kind::INFRASTRUCTURE_PROVIDER, "proxmox", infrastructure));
    objects
}

fn selector(provider: Provider) -> Value {
    json!({"selector": {"matchLabels": {PROVIDER_LABEL: provider.label()}}})
}

/// True when a Deployment's or a pod's manager was started with these credentials.
pub fn has_credentials(pod_spec: &Value, digest: &str) -> bool {
    let containers = pod_spec.get("containers").and_then(Value::as_array);
    let mut env = containers.into_iter().flatten().filter_map(|c| c.get("env")?.as_array()).flatten();
    env.any(|e| {
        e.get("name").and_then(Value::as_str) == Some(CREDENTIALS_ENV)
            && e.get("value").and_then(Value::as_str) == Some(digest)
    })
}
