//! `secrets.yaml`: key names, encodings and order as `talosctl gen secrets` of Talos v1.10 writes them.
use super::Error;
use super::authority::{Authority, KeyKind, key_pair, rsa_4096};
use crate::base::secret::Secret;
use crate::talos::config::yaml;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// All secrets of a cluster. Losing it means losing the cluster: there is no other copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    pub(in crate::talos) cluster_id: String,
    pub(in crate::talos) cluster_secret: Secret<String>,
    pub(in crate::talos) bootstrap_token: Secret<String>,
    pub(in crate::talos) secretbox: Secret<String>,
    pub(in crate::talos) trustd_token: Secret<String>,
    pub(in crate::talos) etcd: Authority,
    pub(in crate::talos) kubernetes: Authority,
    pub(in crate::talos) aggregator: Authority,
    pub(in crate::talos) service_account: Secret<String>,
    pub(in crate::talos) os: Authority,
}

impl Bundle {
    /// Makes new secrets, valid from an hour before `now`. Seconds of processor time: call it in `spawn_blocking`.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn generate(now: Timestamp) -> Result<Self, Error> {
        Ok(Bundle {
            cluster_id: URL_SAFE.encode(random()?),
            cluster_secret: Secret::new(STANDARD.encode(random()?)),
            bootstrap_token: token()?,
            secretbox: Secret::new(STANDARD.encode(random()?)),
            trustd_token: token()?,
            etcd: Authority::generate(KeyKind::P256, "etcd", now)?,
            kubernetes: Authority::generate(KeyKind::P256, "kubernetes", now)?,
            aggregator: Authority::generate(KeyKind::P256, "", now)?,
            service_account: rsa_4096()?,
            os: Authority::generate(KeyKind::Ed25519, "talos", now)?,
        })
    }

    /// The text of `secrets.yaml`.
    ///
    /// # Errors
    /// When the YAML writer fails.
    pub fn to_yaml(&self) -> Result<Secret<String>, Error> {
        let file = File {
            cluster: Cluster { id: self.cluster_id.clone(), secret: self.cluster_secret.expose().clone() },
            secrets: Tokens {
                bootstraptoken: self.bootstrap_token.expose().clone(),
                secretboxencryptionsecret: self.secretbox.expose().clone(),
            },
            trustdinfo: Trustd { token: self.trustd_token.expose().clone() },
            certs: Certs {
                etcd: Pair::of(&self.etcd),
                k8s: Pair::of(&self.kubernetes),
                k8saggregator: Pair::of(&self.aggregator),
                k8sserviceaccount: Key { key: STANDARD.encode(self.service_account.expose()) },
                os: Pair::of(&self.os),
            },
        };
        yaml::text(&file).map(Secret::new).map_err(|what| Error::Yaml { what })
    }

    /// Reads a bundle that [`Bundle::to_yaml`] or `talosctl gen secrets` wrote.
    ///
    /// # Errors
    /// When a part is missing or no base64; the error never quotes a value.
    pub fn from_yaml(text: &str) -> Result<Self, Error> {
        // The reader's own error quotes the source, and the source is secret.
        let file: File = serde_saphyr::from_str(text)
            .map_err(|_| Error::Form { what: "not the YAML of `talosctl gen secrets`".to_string() })?;
        Ok(Bundle {
            cluster_id: file.cluster.id.clone(),
            cluster_secret: Secret::new(file.cluster.secret.clone()),
            bootstrap_token: Secret::new(file.secrets.bootstraptoken.clone()),
            secretbox: Secret::new(file.secrets.secretboxencryptionsecret.clone()),
            trustd_token: Secret::new(file.trustdinfo.token.clone()),
            etcd: file.certs.etcd.authority("certs.etcd")?,
            kubernetes: file.certs.k8s.authority("certs.k8s")?,
            aggregator: file.certs.k8saggregator.authority("certs.k8saggregator")?,
            service_account: Secret::new(pem_text(&file.certs.k8sserviceaccount.key, "certs.k8sserviceaccount.key")?),
            os: file.certs.os.authority("certs.os")?,
        })
    }

    /// Signs and verifies a leaf with each CA and reads the service account's key. Talos itself finds a broken key
    /// only when the node runs.
    ///
    /// # Errors
    /// Names the first CA whose certificate and key do not belong together.
    pub fn self_test(&self) -> Result<(), Error> {
        self.etcd.self_test("etcd")?;
        self.kubernetes.self_test("kubernetes")?;
        self.aggregator.self_test("aggregator")?;
        self.os.self_test("os")?;
        key_pair(&self.service_account).map(|_| ())
    }
}

fn random() -> Result<Zeroizing<[u8; 32]>, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(bytes.as_mut_slice()).map_err(|_| Error::Crypto { what: "no randomness" })?;
    Ok(bytes)
}

/// `abcdef.0123456789abcdef`, as kubeadm's tokens: every character equally likely.
fn token() -> Result<Secret<String>, Error> {
    const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    // The largest multiple of 36 below 256: bytes above it would prefer the first letters.
    const FAIR: u8 = 252;
    let mut text = String::with_capacity(23);
    while text.len() < 23 {
        for byte in random()?.iter().filter(|b| **b < FAIR) {
            if text.len() == 6 {
                text.push('.');
            }
            if let (true, Some(letter)) = (text.len() < 23, LETTERS.get(usize::from(byte % 36))) {
                text.push(char::from(*letter));
            }
        }
    }
    Ok(Secret::new(text))
}

fn pem_text(base64: &str, at: &str) -> Result<String, Error> {
    let bytes = STANDARD.decode(base64).map_err(|_| Error::Form { what: format!("{at} is no base64") })?;
    String::from_utf8(bytes).map_err(|e| {
        e.into_bytes().zeroize();
        Error::Form { what: format!("{at} is no PEM") }
    })
}

#[derive(Serialize, Deserialize)]
struct File {
    cluster: Cluster,
    secrets: Tokens,
    trustdinfo: Trustd,
    certs: Certs,
}

#[derive(Serialize, Deserialize)]
struct Cluster {
    id: String,
    secret: String,
}

#[derive(Serialize, Deserialize)]
struct Tokens {
    bootstraptoken: String,
    secretboxencryptionsecret: String,
}

#[derive(Serialize, Deserialize)]
struct Trustd {
    token: String,
}

#[derive(Serialize, Deserialize)]
struct Certs {
    etcd: Pair,
    k8s: Pair,
    k8saggregator: Pair,
    k8sserviceaccount: Key,
    os: Pair,
}

#[derive(Serialize, Deserialize)]
struct Pair {
    crt: String,
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Key {
    key: String,
}

impl Pair {
    fn of(authority: &Authority) -> Self {
        Pair { crt: STANDARD.encode(&authority.certificate), key: STANDARD.encode(authority.key.expose()) }
    }

    fn authority(&self, at: &str) -> Result<Authority, Error> {
        Ok(Authority {
            certificate: pem_text(&self.crt, &format!("{at}.crt"))?,
            key: Secret::new(pem_text(&self.key, &format!("{at}.key"))?),
        })
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.bootstraptoken.zeroize();
        self.secretboxencryptionsecret.zeroize();
    }
}

impl Drop for Trustd {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}
