//! The credentials of people and other tools: the admin certificate, `talosconfig` and `kubeconfig`.
use super::{Bundle, ClientCertificate, Error};
use crate::base::secret::Secret;
use crate::talos::config::yaml::{self, list, map, words};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_yaml::Value;
use std::net::Ipv4Addr;

impl Bundle {
    /// A certificate for the Talos API with the role `os:admin`, valid for a year.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn admin_certificate(&self, now: Timestamp) -> Result<ClientCertificate, Error> {
        self.os.sign_client(None, "os:admin", now)
    }

    /// A `talosconfig` with one context. `endpoints` are addresses of control planes, never the VIP.
    ///
    /// # Errors
    /// When the cryptographic library or the YAML writer fails.
    pub fn talosconfig(
        &self,
        context: &str,
        endpoints: &[Ipv4Addr],
        nodes: &[Ipv4Addr],
        now: Timestamp,
    ) -> Result<Secret<String>, Error> {
        let admin = self.admin_certificate(now)?;
        let entry = map([
            ("endpoints", words(endpoints)),
            ("nodes", words(nodes)),
            ("ca", base64(&admin.ca_pem)),
            ("crt", base64(&admin.crt_pem)),
            ("key", base64(admin.key_pem.expose())),
        ]);
        written(&map([("context", context.into()), ("contexts", map([(context, entry)]))]))
    }

    /// A certificate for the Kubernetes API as `system:masters`, valid for a year.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn kubernetes_admin(&self, now: Timestamp) -> Result<ClientCertificate, Error> {
        self.kubernetes.sign_client(Some("admin"), "system:masters", now)
    }

    /// A `kubeconfig` with the names that Talos gives its own: user and context `admin@CLUSTER`.
    ///
    /// # Errors
    /// When the cryptographic library or the YAML writer fails.
    pub fn kubeconfig(&self, cluster_name: &str, server_url: &str, now: Timestamp) -> Result<Secret<String>, Error> {
        let admin = self.kubernetes_admin(now)?;
        let context = format!("admin@{cluster_name}");
        let cluster = map([("server", server_url.into()), ("certificate-authority-data", base64(&admin.ca_pem))]);
        let user = map([
            ("client-certificate-data", base64(&admin.crt_pem)),
            ("client-key-data", base64(admin.key_pem.expose())),
        ]);
        let uses =
            map([("cluster", cluster_name.into()), ("namespace", "default".into()), ("user", context.as_str().into())]);
        written(&map([
            ("apiVersion", "v1".into()),
            ("kind", "Config".into()),
            ("clusters", list([map([("name", cluster_name.into()), ("cluster", cluster)])])),
            ("users", list([map([("name", context.as_str().into()), ("user", user)])])),
            ("contexts", list([map([("context", uses), ("name", context.as_str().into())])])),
            ("current-context", context.as_str().into()),
        ]))
    }
}

fn base64(text: &str) -> Value {
    STANDARD.encode(text).into()
}

fn written(value: &Value) -> Result<Secret<String>, Error> {
    yaml::text(value).map(Secret::new).map_err(|what| Error::Yaml { what })
}
