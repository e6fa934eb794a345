//! The target of the steps: the plan, the run's folder, and the clients in their two halves.
use crate::base::answer::Answer;
use crate::base::clock::Clock;
use crate::base::names::Names;
use crate::base::secret::Secret;
use crate::base::text::with_cause;
use crate::base::vault::{Vault, VaultError};
use crate::base::vmid::Vmid;
use crate::engine::errand::Errand;
use crate::engine::failure::Failure;
use crate::engine::step::{Context, Site, StepId};
use crate::observed::Fact;
use crate::plan::model::{NodePlan, Plan};
use crate::proxmox::VmConfig;
use crate::release::{Component, Release};
use crate::steps::claim::{self, Claim};
use crate::steps::digests::Digests;
use crate::steps::errands;
use crate::steps::failures;
use crate::steps::hand_over::Scribe;
use crate::steps::machine::pin::Pins;
use crate::steps::web::Web;
use crate::talos::config::Registries;
use crate::talos::secrets::{Bundle, ClientCertificate, Error as SecretsError};
use crate::{kubernetes, proxmox, talos};
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// The installation that the steps bring about.
pub struct Installation;

#[async_trait]
impl Site for Installation {
    type Reading = Reading;
    type Changing = Changing;
    type Fact = Fact;

    async fn may_act(cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        claim::hold(cx, site, change).await
    }

    async fn errand(cx: &dyn Context, site: &Reading, change: &Changing, errand: &Errand) -> Result<(), Failure> {
        errands::run(cx, site, change, errand).await
    }
}

/// The prefix of a run's mark; `NAME.ID` follows.
pub const MARK: &str = "cozyup-run=";

/// Names of the files in the run's `secrets` folder.
pub mod files {
    pub const BUNDLE: &str = "secrets.yaml";
    pub const KUBECONFIG: &str = "kubeconfig";
    pub const TALOSCONFIG: &str = "talosconfig";
}

/// The reading half: nothing in it can change the target.
pub struct Reading {
    pub plan: Arc<Plan>,
    pub clock: Clock,
    /// `cozyup-run=NAME.ID`: stands in the description of every VM and, as far as labels allow it, on every object
    /// that this run makes.
    pub mark: String,
    pub release: Arc<Release>,
    /// The HelmReleases that the plan's profile installs.
    pub components: Arc<Vec<Component>>,
    pub proxmox: proxmox::Reader,
    /// For addresses of the cluster: no proxy, no redirects followed.
    pub http: reqwest::Client,
    /// For servers outside of the site.
    pub web: Web,
    /// Name resolution as seen from this machine.
    pub names: Names,
    registry_files: RegistryFiles,
    /// The folder of the run's secrets; what is in it is read through [`Reading::secret`].
    pub secrets: PathBuf,
    pub vault: Vault,
    pub cache: PathBuf,
    /// The UDP port of time servers: 123, and in a lab a port that needs no root.
    pub ntp_port: u16,
    pub reconnect: Reconnect,
    /// Makes the hand-over record of the run as its journal stands now.
    pub scribe: Scribe,
    /// The place from which this process works on the run.
    pub claim: Claim,
    /// The operator who asked for `--take-over` from another place.
    pub take_over: Option<String>,
    /// VMIDs that a person named for this teardown beside what the journal knows; only those with the run's mark count.
    pub also: BTreeSet<Vmid>,
    /// As [`Reading::made`], and as it stood when the session began.
    made: BTreeSet<StepId>,
    pins: Pins,
    /// True when the run was adopted without its journal, so that more may exist than the journal says.
    pub adopted: bool,
    shared: Arc<Shared>,
    digests: Digests,
}

/// The changing half, which only `act` is handed.
pub struct Changing {
    pub proxmox: proxmox::Changer,
    pub talos: talos::Changer,
    /// When the target last said that the run is worked on from here.
    pub(super) claim: tokio::sync::Mutex<Option<Timestamp>>,
    vault: Vault,
    shared: Arc<Shared>,
    /// Secrets that are being made ahead of their step; in memory only until it writes them.
    ahead: Mutex<Option<JoinHandle<Result<Bundle, SecretsError>>>>,
}

/// Asks this run's own worker for an answer from a session of its own, as a new screen would: what was said, or why
/// there was no answer.
pub type Reconnect = Arc<dyn Fn() -> BoxFuture<'static, Result<String, String>> + Send + Sync>;

/// Reads the files that tell how the nodes reach registries.
pub type RegistryFiles = Arc<dyn Fn() -> Result<Registries, Failure> + Send + Sync>;

/// Clients that can be made only once their secrets exist.
#[derive(Default)]
struct Shared {
    admin: Mutex<Option<ClientCertificate>>,
    kubernetes: Mutex<Option<(kubernetes::Reader, kubernetes::Changer)>>,
}

/// Everything that `compose` knows when it opens a site.
pub struct Parts {
    pub plan: Arc<Plan>,
    pub clock: Clock,
    pub mark: String,
    pub release: Release,
    pub components: Vec<Component>,
    pub proxmox: (proxmox::Reader, proxmox::Changer),
    pub http: reqwest::Client,
    pub web: Web,
    pub names: Names,
    pub registry_files: RegistryFiles,
    pub secrets: PathBuf,
    pub vault: Vault,
    pub cache: PathBuf,
    /// The UDP port of time servers: 123, and in a lab a port that needs no root.
    pub ntp_port: u16,
    pub reconnect: Reconnect,
    pub scribe: Scribe,
    pub claim: Claim,
    pub take_over: Option<String>,
    /// Steps whose act was called, in whichever session of the run.
    pub made: BTreeSet<StepId>,
    /// The values that earlier sessions' proofs asked a person to compare, each with the time at which it was read.
    pub shown: BTreeMap<StepId, (String, Timestamp)>,
    pub adopted: bool,
    pub also: BTreeSet<Vmid>,
    /// The digests that proofs of the run recorded; see [`Digests`].
    pub digests: BTreeMap<String, String>,
    /// True when this session goes as far as the cluster's secrets.
    pub makes_secrets: bool,
}

/// Must be called inside a tokio runtime.
pub fn open(parts: Parts) -> (Reading, Changing) {
    let shared = Arc::new(Shared::default());
    let (reader, changer) = parts.proxmox;
    // A key of the cluster takes up to some seconds of processor time; day 1 has them to spare.
    let ahead = (parts.makes_secrets && !parts.vault.holds(files::BUNDLE)).then(|| making(&parts.clock));
    let reading = Reading {
        plan: parts.plan,
        clock: parts.clock,
        mark: parts.mark,
        release: Arc::new(parts.release),
        components: Arc::new(parts.components),
        proxmox: reader,
        http: parts.http,
        web: parts.web,
        names: parts.names,
        registry_files: parts.registry_files,
        secrets: parts.secrets,
        vault: parts.vault.clone(),
        cache: parts.cache,
        ntp_port: parts.ntp_port,
        reconnect: parts.reconnect,
        scribe: parts.scribe,
        claim: parts.claim,
        take_over: parts.take_over,
        also: parts.also,
        made: parts.made,
        pins: Pins::of(&parts.shown),
        adopted: parts.adopted,
        shared: shared.clone(),
        digests: Digests::new(parts.digests),
    };
    let changing = Changing {
        proxmox: changer,
        talos: talos::Changer::new(),
        claim: tokio::sync::Mutex::new(None),
        vault: parts.vault,
        shared,
        ahead: Mutex::new(ahead),
    };
    (reading, changing)
}

impl Reading {
    /// The digests, as first read, of things that have none in the plan or the release.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// # Errors
    /// When the file can't be read; a person has to bring it back.
    pub fn secret(&self, name: &str) -> Result<Secret<String>, Failure> {
        self.vault.read(name).map_err(|e| vault_failure("read", &e))
    }

    /// The mirrors of the plan with their logins, and the authorities that the nodes trust.
    ///
    /// # Errors
    /// When a file is missing or can't be used; a person has to mend it.
    pub fn registries(&self) -> Result<Registries, Failure> {
        (self.registry_files)()
    }

    /// The secrets bundle of the cluster, read from its file.
    ///
    /// # Errors
    /// When the file is missing or is no bundle; a person has to bring it back, since it exists only once.
    pub fn bundle(&self) -> Result<Bundle, Failure> {
        let text = self.secret(files::BUNDLE)?;
        Bundle::from_yaml(text.expose()).map_err(|e| {
            Failure::person(
                format!("{} is not a Talos secrets bundle: {e}", self.vault.path(files::BUNDLE).display()),
                "restore the file from a backup; without it the cluster can't be administered",
            )
        })
    }

    /// The administrator's certificate for the Talos API; made from the bundle once per process.
    ///
    /// # Errors
    /// See [`Reading::bundle`].
    pub fn admin(&self) -> Result<ClientCertificate, Failure> {
        let mut cached = self.shared.admin.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(admin) = &*cached {
            return Ok(admin.clone());
        }
        let admin = self
            .bundle()?
            .admin_certificate(self.clock.date())
            .map_err(|e| Failure::broken(format!("no administrator certificate: {e}"), "check the secrets bundle"))?;
        *cached = Some(admin.clone());
        Ok(admin)
    }

    /// # Errors
    /// When there is no kubeconfig yet, or it can't be used.
    pub fn kubernetes(&self) -> Result<kubernetes::Reader, Failure> {
        Ok(self.shared.kubernetes(&self.vault)?.0)
    }

    pub fn node(&self, name: &str) -> Result<&NodePlan, Failure> {
        let missing = || Failure::broken(format!("the plan has no node {name}"), "start the run again with this plan");
        self.plan.nodes.iter().find(|n| n.name == name).ok_or_else(missing)
    }

    /// The configuration of a VM. To a token with rights on a pool alone the server refuses to speak of a VM that is not
    /// there; that it is not there, the free VMID tells.
    ///
    /// # Errors
    /// [`proxmox::Error::NotFound`] for one that is not there, and whatever else the server answers.
    pub async fn vm_config(&self, host: &str, vmid: Vmid) -> Result<Answer<VmConfig>, proxmox::Error> {
        let config = self.proxmox.vm_config(host, vmid).await;
        match config {
            Err(proxmox::Error::Forbidden { .. })
                if self.plan.site.pool.is_some() && self.proxmox.vmid_free(vmid).await?.value =>
            {
                Err(proxmox::Error::NotFound { text: format!("VMID {vmid} is free") })
            }
            other => other,
        }
    }

    /// True when the run ever called the act of this step; for things that can't carry a mark.
    pub fn made(&self, step: &StepId) -> bool {
        self.made.contains(step)
    }

    /// The keys that machines in maintenance showed.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// Text of the mark that Kubernetes allows in a label: `NAME.ID`.
    pub fn label(&self) -> &str {
        self.mark.split_once('=').map_or(self.mark.as_str(), |(_, id)| id)
    }

    /// True when a description carries this run's mark. A marked thing may be the run's, but the mark alone is no
    /// proof: see `owner`.
    pub fn is_ours(&self, description: Option<&str>) -> bool {
        description.is_some_and(|d| d.split_whitespace().any(|word| word == self.mark))
    }
}

impl Changing {
    /// # Errors
    /// When there is no kubeconfig yet, or it can't be used.
    pub fn kubernetes(&self) -> Result<kubernetes::Changer, Failure> {
        Ok(self.shared.kubernetes(&self.vault)?.1)
    }

    /// New secrets for a cluster: those made ahead, else made now.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub async fn new_bundle(&self, clock: &Clock) -> Result<Bundle, Failure> {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner).take();
        let making = ahead.unwrap_or_else(|| making(clock));
        let broken =
            |e: &dyn std::fmt::Display| Failure::broken(format!("make the cluster's secrets: {e}"), "run again");
        making.await.map_err(|e| broken(&e))?.map_err(|e| broken(&e))
    }

    /// Writes a secret of the run (mode 0600, whole or not at all).
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn keep_secret(&self, name: &str, secret: &Secret<String>) -> Result<(), Failure> {
        self.vault.keep(name, secret).map_err(|e| vault_failure("write", &e))?;
        // A kubeconfig that was written anew must not be hidden by the client made from the old one.
        *self.shared.kubernetes.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

/// Makes the secrets of a cluster. Other machines judge their certificates, so the date counts and not the run's own time.
fn making(clock: &Clock) -> JoinHandle<Result<Bundle, SecretsError>> {
    let date = clock.date();
    tokio::task::spawn_blocking(move || Bundle::generate(date))
}

impl Shared {
    fn kubernetes(&self, vault: &Vault) -> Result<(kubernetes::Reader, kubernetes::Changer), Failure> {
        let mut cached = self.kubernetes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(clients) = &*cached {
            return Ok(clients.clone());
        }
        let text = vault.read(files::KUBECONFIG).map_err(|e| vault_failure("read", &e))?;
        let clients = kubernetes::connect(&text, None).map_err(|e| failures::kubernetes(&e, "open the kubeconfig"))?;
        *cached = Some(clients.clone());
        Ok(clients)
    }
}

fn vault_failure(doing: &str, error: &VaultError) -> Failure {
    Failure::person(format!("can't {doing} a secret: {}", with_cause(error)), error.next())
}

/// The address as the Talos client wants it.
pub fn address(node: &NodePlan) -> IpAddr {
    IpAddr::V4(node.address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    /// The machine slept for eight hours, or its clock was wrong when the run began.
    #[tokio::test]
    async fn the_clusters_certificates_are_dated_by_the_wall_clock_and_not_by_the_runs_own_time() {
        let even = Clock::real();
        let wall = even.now() + jiff::SignedDuration::from_hours(8);
        let bundle = making(&even.beside(move || wall)).await.unwrap().unwrap();
        let text = bundle.to_yaml().unwrap();
        let lines = text.expose().lines().filter_map(|line| line.trim().strip_prefix("crt: "));
        let certificates: Vec<Vec<u8>> = lines.map(|line| STANDARD.decode(line.trim()).unwrap()).collect();
        assert_eq!(certificates.len(), 4);
        for pem in &certificates {
            let (_, pem) = x509_parser::pem::parse_x509_pem(pem).unwrap();
            let begins = pem.parse_x509().unwrap().validity().not_before.timestamp();
            assert_eq!(begins, wall.as_second() - 3600);
        }
    }
}
