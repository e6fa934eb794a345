//! The reasons why a backup can't be made, or not to its end.
use super::folder::UNFINISHED;
use super::manifest::{NAME, is_inside};
use crate::base::file::Unfit;
use crate::base::text::quoted;
use crate::kubernetes::Error;
use std::io::{self, ErrorKind};
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Api(#[from] Error),
    #[error(transparent)]
    Talos(#[from] crate::talos::Error),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("{path} can't be written or read")]
    Io { path: String, source: io::Error },
    #[error("{dir} holds other things, and no backup")]
    Stranger { dir: String },
    #[error("{dir} is a whole backup already")]
    Complete { dir: String },
    #[error("another cozyup writes to {dir}")]
    Busy { dir: String },
    #[error("{dir} is a backup of another cluster: {there}, and this is {here}")]
    OtherCluster { dir: String, there: String, here: String },
    #[error("{dir} was begun {there} Secrets, and now it is to be {here} them")]
    OtherSecrets { dir: String, there: &'static str, here: &'static str },
    #[error("{dir} was begun for another key of age")]
    OtherRecipient { dir: String },
    #[error("the key can't be kept: {why}")]
    Key { why: String },
    #[error("{dir} is a backup that is not finished")]
    Unfinished { dir: String },
    #[error("{dir} is no backup: it has no {NAME}")]
    NoBackup { dir: String },
    #[error("{path}: {why}")]
    Manifest { path: String, why: &'static str },
    #[error("the talosconfig is of another cluster: none of its endpoints is a node of this one")]
    OtherTalos,
    #[error("the snapshot of etcd is damaged: {why}")]
    Snapshot { why: &'static str },
    #[error("nothing in the backup is a {kind}")]
    NoKind { kind: String },
    #[error("{kind} may be each of: {all}")]
    ManyKinds { kind: String, all: String },
    #[error("no {resource} in the backup has the name {name}")]
    NoObject { resource: String, name: String },
    #[error("{resource} {name} is in the namespaces {all}")]
    ManyNamespaces { resource: String, name: String, all: String },
    #[error("{path} is not as it was written: {what}")]
    Changed { path: String, what: &'static str },
    #[error("Secrets are sealed in this backup")]
    Sealed,
}

impl Fault {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Fault {
        let path = path.display().to_string();
        move |source| Fault::Io { path: path.clone(), source }
    }

    pub(super) fn no_manifest(dir: &Path) -> Fault {
        let shown = dir.display().to_string();
        if dir.join(UNFINISHED).exists() { Fault::Unfinished { dir: shown } } else { Fault::NoBackup { dir: shown } }
    }

    /// True when what is whole so far stays, and the same command goes on behind it.
    pub fn is_passing(&self) -> bool {
        match self {
            Fault::Api(e) => e.is_transient(),
            Fault::Io { .. } => true,
            Fault::Talos(_)
            | Fault::Unfit(_)
            | Fault::Stranger { .. }
            | Fault::Complete { .. }
            | Fault::Busy { .. }
            | Fault::OtherCluster { .. }
            | Fault::OtherSecrets { .. }
            | Fault::OtherRecipient { .. }
            | Fault::Key { .. }
            | Fault::Unfinished { .. }
            | Fault::NoBackup { .. }
            | Fault::Manifest { .. }
            | Fault::OtherTalos
            | Fault::Snapshot { .. }
            | Fault::NoKind { .. }
            | Fault::ManyKinds { .. }
            | Fault::NoObject { .. }
            | Fault::ManyNamespaces { .. }
            | Fault::Changed { .. }
            | Fault::Sealed => false,
        }
    }

    /// The next action for a person.
    pub fn next(&self) -> String {
        match self {
            Fault::Api(Error::Unreachable { .. }) => {
                "check that this machine reaches the API server of the kubeconfig, then the same command again".into()
            }
            Fault::Api(_) => "check the kubeconfig and its rights, then the same command again".into(),
            Fault::Talos(_) | Fault::Snapshot { .. } => {
                "look at etcd (talosctl etcd status), then the same command again".into()
            }
            Fault::Unfit(unfit) => unfit.next(),
            Fault::Io { source, .. } if is_full(source) => {
                "make room, then the same command goes on where it was".into()
            }
            Fault::Io { .. } => "check the folder, its permissions and free space, then the same command again".into(),
            Fault::Stranger { .. } | Fault::Complete { .. } | Fault::OtherCluster { .. } => {
                "give a folder of its own: --to DIR".into()
            }
            Fault::Busy { .. } => "wait for it, or give another folder".into(),
            Fault::OtherSecrets { .. } | Fault::OtherRecipient { .. } => {
                "go on as it was begun, or give another folder".into()
            }
            Fault::Key { .. } => {
                "give an age key or a passphrase with --secrets-key FILE, or --recipient age1...".into()
            }
            Fault::Unfinished { dir } => {
                format!("`cozyup backup --kubeconfig FILE --to {}` goes on with it", quoted(dir))
            }
            Fault::NoBackup { .. } => "give the folder that `cozyup backup --to` was given".into(),
            Fault::Manifest { .. } => {
                "do not trust this backup: take another copy of it, or look who has changed it".into()
            }
            Fault::OtherTalos => {
                "give the talosconfig of this cluster; its endpoints have to be addresses of its nodes".into()
            }
            Fault::NoKind { .. } => "the folder objects has a folder for each kind".into(),
            Fault::ManyKinds { .. } => "name one of them in full".into(),
            Fault::NoObject { .. } => "look into the kind's files in the folder objects".into(),
            Fault::ManyNamespaces { .. } => "name one of them: --namespace NAME".into(),
            Fault::Changed { .. } => "`cozyup backup verify` names all that was changed; take another copy".into(),
            Fault::Sealed => "give the key or passphrase: --secrets-key FILE".into(),
        }
    }
}

fn is_full(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// The path from the backup's folder on that a manifest names, or none.
pub fn within(dir: &Path, path: &str) -> Option<std::path::PathBuf> {
    is_inside(path).then(|| dir.join(path))
}
