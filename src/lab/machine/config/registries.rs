//! Where the node pulls images from, and whom it trusts there.
use super::Reader;
use cozyup_base::secret::Secret;
use serde_yaml::Value;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub struct Registries {
    /// Endpoints by registry.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// `USER:PASSWORD` by server.
    pub logins: BTreeMap<String, Secret<String>>,
    /// Of all documents, in PEM.
    pub trusted: String,
}

pub fn read(main: &Reader<'_>, documents: &[Value]) -> Registries {
    let entries = |path: &str| {
        let all = main.at(path).and_then(Value::as_mapping).into_iter().flatten();
        all.filter_map(|(key, value)| Some((key.as_str()?.to_string(), Reader { root: value })))
    };
    let roots = documents.iter().filter(|d| d.get("kind").and_then(Value::as_str) == Some("TrustedRootsConfig"));
    Registries {
        mirrors: entries("machine.registries.mirrors").map(|(name, entry)| (name, entry.texts("endpoints"))).collect(),
        logins: entries("machine.registries.config")
            .map(|(server, entry)| {
                (server, Secret::new(format!("{}:{}", entry.text("auth.username"), entry.text("auth.password"))))
            })
            .collect(),
        trusted: roots.filter_map(|d| d.get("certificates").and_then(Value::as_str)).collect(),
    }
}
