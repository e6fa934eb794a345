//! What a run needs to reach its site: the token's secret, and by what the server is recognised.
use super::{Refusal, TOKEN_VARIABLE, with_cause};
use crate::base::file::{self, Unfit};
use crate::base::secret::Secret;
use crate::base::trust::{Authority, Trust};
use crate::plan::model::Plan;
use crate::proxmox;
use std::path::PathBuf;

/// The token in the environment, in whatever form; [`read_token`] reads it.
pub fn token_of_environment() -> Option<Secret<String>> {
    let secret = std::env::var(TOKEN_VARIABLE).ok()?;
    let secret = secret.trim();
    (!secret.is_empty()).then(|| Secret::new(secret.to_string()))
}

/// The token's secret: the environment first, then the plan's file.
///
/// # Errors
/// When there is none, when the file may be read by others or is theirs, or when what is there is no token's secret.
pub fn token_secret(plan: &Plan) -> Result<Secret<String>, Refusal> {
    match token_of_environment() {
        Some(text) => read_token(&text, TOKEN_VARIABLE, plan),
        None => token_of_file(plan),
    }
}

/// The secret in what a person gave for the plan's token. `place` says where it stood.
///
/// # Errors
/// When it is none, before anything is sent.
pub fn read_token(text: &Secret<String>, place: &str, plan: &Plan) -> Result<Secret<String>, Refusal> {
    proxmox::read_token(text.expose(), &plan.site.token_id)
        .map_err(|e| Refusal::Plan(format!("the token's secret in {place}: {e}\nnext: {}", e.next())))
}

pub(super) fn token_of_file(plan: &Plan) -> Result<Secret<String>, Refusal> {
    let refuse = |what: String, next: &str| Refusal::Plan(format!("the token's secret: {what}\nnext: {next}"));
    let path = home(&plan.site.token_file);
    let text = file::read_private(&path).map_err(|unfit| match &unfit {
        Unfit::Io { .. } => refuse(
            with_cause(&unfit),
            &format!("write the secret into {} (chmod 600), or set {TOKEN_VARIABLE}", path.display()),
        ),
        other => refuse(other.to_string(), &other.next()),
    })?;
    read_token(&text, &path.display().to_string(), plan)
}

/// The certificate or authority by which the plan recognises the site's server.
///
/// # Errors
/// When the file with the site's authority can't be used.
pub fn trust_of(plan: &Plan) -> Result<Trust, Refusal> {
    let site = &plan.site;
    match (&site.fingerprint, &site.ca_file) {
        (Some(fingerprint), _) => Ok(Trust::Leaf(fingerprint.clone())),
        (None, None) => Ok(Trust::System),
        (None, Some(file)) => {
            let path = home(file);
            let refuse = |what: String| {
                Refusal::Plan(format!(
                    "site.ca_file: {}: {what}\nnext: put the site's authority there (pve-root-ca.pem of any node, in PEM), \
                     or write site.fingerprint instead",
                    path.display()
                ))
            };
            Authority::of_file(&path).map(Trust::Authority).map_err(refuse)
        }
    }
}

pub(super) fn home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), directories::BaseDirs::new()) {
        (Some(rest), Some(dirs)) => dirs.home_dir().join(rest),
        _ => PathBuf::from(path),
    }
}
