//! The access of an add-on in the cluster to Proxmox VE, and the means by which it verifies the server.
use crate::base::api_url::ApiUrl;
use crate::base::secret::Secret;
use crate::base::text::hex;
use aws_lc_rs::digest;

/// Annotation of pod templates, and of what is made with these credentials: it changes when they do, so that running
/// pods are replaced by ones that have the new.
pub const CREDENTIALS: &str = "cozyup.dev/credentials";
/// Name of the ConfigMap with the certificate, and the key in it.
pub const AUTHORITY: &str = "proxmox-authority";
pub const AUTHORITY_KEY: &str = "ca.pem";

#[derive(Debug, Clone)]
pub struct ProxmoxAccess {
    pub url: ApiUrl,
    /// `user@realm!name`
    pub token_id: String,
    pub token_secret: Secret<String>,
    /// PEM of what signed the server's certificate, or of the certificate itself; `None` when any system's authorities
    /// will do, or nothing will.
    pub authority: Option<String>,
    /// The server can't be verified from inside the cluster at all.
    pub insecure: bool,
}

impl ProxmoxAccess {
    /// 32 hexadecimal digits that change with anything that an add-on reads only when it starts. Nothing leads back from
    /// them to the secret, which has 122 random bits.
    pub fn digest(&self) -> String {
        let authority = self.authority.as_deref().unwrap_or_default();
        let secret = self.token_secret.expose();
        let all = [self.url.as_str(), &self.token_id, secret, authority, if self.insecure { "insecure" } else { "" }];
        let full = hex(digest::digest(&digest::SHA256, all.join("\n").as_bytes()).as_ref());
        full.chars().take(32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// cozystack.md 2.14
    #[test]
    fn the_digest_changes_with_the_secret_and_with_the_authority() {
        let access = |secret: &str, authority: Option<&str>, insecure| ProxmoxAccess {
            url: "https://pve:8006".parse().unwrap(),
            token_id: "a@pve!b".into(),
            token_secret: Secret::new(secret.to_string()),
            authority: authority.map(String::from),
            insecure,
        };
        let all = [
            access("one", None, false).digest(),
            access("two", None, false).digest(),
            access("one", Some("pem"), false).digest(),
            access("one", None, true).digest(),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        assert!(all.iter().all(|d| d.len() == 32 && !d.contains("one")), "{all:?}");
        assert_eq!(all[0], access("one", None, false).digest());
    }
}
