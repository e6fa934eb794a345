//! Where a node pulls images from, and whom it trusts there.
use super::yaml::{map, words};
use crate::base::secret::Secret;
use serde_yaml::Value;
use std::collections::BTreeMap;

/// The name of a registry that stands for every one without mirrors of its own.
const EVERY: &str = "*";
/// A registry that limits strangers' pulls, and its mirror.
const LIMITED: (&str, &str) = ("docker.io", "https://mirror.gcr.io");

/// The mirrors of one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The registry as images name it, or `*`.
    pub registry: String,
    /// URLs, in the order in which they are asked.
    pub endpoints: Vec<String>,
    /// True when the path of each endpoint is the root of the images: no `/v2` is put behind it.
    pub override_path: bool,
    /// True when the registry itself is not asked.
    pub skip_fallback: bool,
}

/// A login at a mirror's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Shown in evidence.
    pub user: String,
    /// Never shown.
    pub password: Secret<String>,
}

/// The HTTP proxy through which a machine asks for what is outside of its site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `http://HOST:PORT`
    pub url: String,
    /// Names, `.DOMAIN`, addresses and networks that are asked past it.
    pub past: Vec<String>,
}

/// The part of a machine config that is about registries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registries {
    /// One entry for each registry.
    pub mirrors: Vec<Mirror>,
    /// By the mirror's server, `HOST[:PORT]`.
    pub logins: BTreeMap<String, Login>,
    /// Certificates of further authorities, in PEM.
    pub trusted: Option<String>,
    /// `None`: every server is asked itself.
    pub proxy: Option<Proxy>,
}

/// `machine.env`: the variables of machined and all of its services; the kubelet, containerd and the installer go by them (Talos
/// v1.10.6, `SetUserEnvVars`, `environment.Get`). Static pods and the pods of the cluster do not get them.
pub(super) fn environment(registries: &Registries) -> Value {
    let Some(Proxy { url, past }) = &registries.proxy else { return Value::Null };
    map([
        ("http_proxy", url.as_str().into()),
        ("https_proxy", url.as_str().into()),
        ("no_proxy", past.join(",").into()),
    ])
}

/// `machine.registries`. Talos takes the login of a mirror's server from `config` (`GenerateHosts`, v1.10.6).
pub(super) fn section(registries: &Registries) -> Value {
    let named = |name: &str| registries.mirrors.iter().any(|m| m.registry == name);
    // The mirror of a registry goes before the one of all; whoever names one for all means that one.
    let usual = (!named(LIMITED.0) && !named(EVERY)).then(|| (LIMITED.0, map([("endpoints", words([LIMITED.1]))])));
    let own = registries.mirrors.iter().map(|mirror| (mirror.registry.as_str(), entry(mirror)));
    let logins = registries.logins.iter().map(|(server, login)| {
        let auth = [("username", login.user.as_str().into()), ("password", login.password.expose().as_str().into())];
        (server.as_str(), map([("auth", map(auth))]))
    });
    let config = if registries.logins.is_empty() { Value::Null } else { map(logins) };
    map([("mirrors", map(own.chain(usual))), ("config", config)])
}

fn entry(mirror: &Mirror) -> Value {
    let only_if = |set: bool| if set { Value::Bool(true) } else { Value::Null };
    map([
        ("endpoints", words(&mirror.endpoints)),
        ("overridePath", only_if(mirror.override_path)),
        ("skipFallback", only_if(mirror.skip_fallback)),
    ])
}

/// The document with further authorities (Talos v1.10, `TrustedRootsConfig`): Talos and its containerd trust them.
pub(super) fn trusted(pem: &str) -> Value {
    map([
        ("apiVersion", "v1alpha1".into()),
        ("kind", "TrustedRootsConfig".into()),
        ("name", "site".into()),
        ("certificates", pem.into()),
    ])
}
