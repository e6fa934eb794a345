//! The Secret by which capmox reaches Proxmox VE for one cluster of its own (`ProxmoxCluster.spec.credentialsRef`).
//!
//! Keys after capmox 0.7.7 (pkg/scope/cluster.go): `url`, `token`, `secret`, `insecure`, `root_ca`. Without `insecure` it verifies
//! nothing, whatever its manager was told, so that key is always written. `root_ca` is added to the system's authorities; an
//! empty one counts as none.
use super::access::{CREDENTIALS, ProxmoxAccess};
use super::{Maker, Object};
use crate::kubernetes::Kind;
use serde_json::json;
use std::collections::BTreeMap;

/// `namespace` is the `ProxmoxCluster`'s own, unless its reference names another one.
pub fn cluster_credentials(run: &str, namespace: &str, name: &str, proxmox: &ProxmoxAccess) -> Object {
    let insecure = proxmox.insecure.to_string();
    let mut data = BTreeMap::from([
        // capmox appends /api2/json itself.
        ("url", proxmox.url.as_str()),
        ("token", &proxmox.token_id),
        ("secret", proxmox.token_secret.expose()),
        ("insecure", &insecure),
    ]);
    data.extend(proxmox.authority.as_deref().filter(|_| !proxmox.insecure).map(|pem| ("root_ca", pem)));
    let content = json!({"metadata": {"annotations": {CREDENTIALS: proxmox.digest()}}, "stringData": data});
    Maker::new(run, Some(namespace)).object(Kind::SECRET, name, content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;

    fn secret(authority: Option<&str>, insecure: bool) -> Object {
        let proxmox = ProxmoxAccess {
            url: "https://10.0.0.1:8006".parse().unwrap(),
            token_id: "capmox@pve!capi".into(),
            token_secret: Secret::new("the-secret-of-the-token".to_string()),
            authority: authority.map(String::from),
            insecure,
        };
        cluster_credentials("run-1", "tenant-a", "tenant-a-proxmox", &proxmox)
    }

    /// issue 10 A5, cozystack.md 2.3: a cluster's Secret without `insecure` switches verification off.
    #[test]
    fn a_clusters_secret_always_says_whether_proxmox_is_verified_and_by_what() {
        let by_authority = secret(Some("pem"), false);
        let data = &by_authority.body["stringData"];
        assert_eq!((&data["insecure"], &data["root_ca"]), (&json!("false"), &json!("pem")));
        assert_eq!(data["url"], "https://10.0.0.1:8006", "without the path, which capmox adds");
        assert_eq!((&data["token"], &data["secret"]), (&json!("capmox@pve!capi"), &json!("the-secret-of-the-token")));
        let public = secret(None, false);
        assert_eq!(public.body["stringData"]["insecure"], "false");
        assert!(public.body["stringData"].get("root_ca").is_none());
        let nothing = secret(Some("pem"), true);
        assert_eq!(nothing.body["stringData"]["insecure"], "true");
        assert!(nothing.body["stringData"].get("root_ca").is_none(), "it would not be looked at");
    }

    #[test]
    fn it_lies_where_it_is_asked_for_with_the_runs_marks_and_shows_no_secret() {
        let made = secret(None, false);
        assert_eq!((made.namespace.as_deref(), made.name.as_str()), (Some("tenant-a"), "tenant-a-proxmox"));
        assert_eq!(made.body["metadata"]["labels"][super::super::RUN_LABEL], "run-1");
        assert_eq!(made.body["metadata"]["annotations"][CREDENTIALS].as_str().unwrap().len(), 32);
        assert!(!format!("{made:?}").contains("the-secret"));
    }
}
