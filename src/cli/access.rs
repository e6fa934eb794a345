//! The files with the access to a cluster that cozyup did not make, and what to do when they can't be used.
use super::output::with_next;
use crate::base::file::read_text;
use crate::base::secret::Secret;
use crate::kubernetes::{Credentials, Error, Reader, connect};
use crate::talos::secrets::Access;
use std::path::Path;

const FLATTEN: &str = "next: give a kubeconfig with its certificates in it (`kubectl config view --raw --flatten`)";

fn file(path: &Path) -> Result<Secret<String>, String> {
    read_text(path).map(Secret::new).map_err(|e| with_next(&e, &e.next()))
}

/// The reading half of the client, and who it is to the server. Opens no connection yet.
///
/// # Errors
/// When the file can't be used: what, and what to do.
pub fn kubernetes(kubeconfig: &Path) -> Result<(Reader, Credentials), String> {
    let kubeconfig = file(kubeconfig)?;
    let who = Credentials::of(&kubeconfig).map_err(|e| told(&e))?;
    let (reader, _) = connect(&kubeconfig, None).map_err(|e| told(&e))?;
    Ok((reader, who))
}

/// # Errors
/// See [`kubernetes`].
pub fn talos(talosconfig: &Path) -> Result<Access, String> {
    Access::of_talosconfig(&file(talosconfig)?)
        .map_err(|e| format!("{e}\nnext: give the file that `talosctl` uses for it"))
}

/// The error, and what to do about it.
pub fn told(error: &Error) -> String {
    let next = match error {
        Error::Kubeconfig { .. } => FLATTEN,
        Error::Unreachable { .. } => {
            "next: check that this machine reaches the API server of the kubeconfig, then ask again"
        }
        Error::Untrusted { .. } => "next: give the kubeconfig of this cluster; another server answers at its address",
        Error::Unauthorized => {
            "next: give credentials that the cluster still accepts (`talosctl kubeconfig` makes new ones)"
        }
        Error::Forbidden { .. }
        | Error::NotFound
        | Error::Conflict { .. }
        | Error::Invalid { .. }
        | Error::Denied { .. }
        | Error::Webhook { .. }
        | Error::Gone
        | Error::Server { .. }
        | Error::Answer { .. } => "next: check that a Kubernetes API server answers at the kubeconfig's address",
    };
    format!("{error}\n{next}")
}
