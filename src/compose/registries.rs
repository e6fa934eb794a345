//! The files that tell how the nodes reach registries: logins of mirrors, further authorities.
use super::keys::home;
use crate::base::file;
use crate::base::secret::Secret;
use crate::base::trust::Authority;
use crate::engine::failure::Failure;
use crate::plan::model::{MirrorPlan, Plan};
use crate::steps::site::RegistryFiles;
use crate::talos::config::{Login, Mirror, Proxy, Registries};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Reads them anew each time, so that a file that is mended is seen at once.
pub(super) fn files(plan: &Arc<Plan>) -> RegistryFiles {
    let plan = plan.clone();
    Arc::new(move || registries(&plan))
}

/// The authorities of `talos.ca_file` for this machine's own fetches; none when the file can't be read, which day 0 tells.
pub(super) fn authorities(plan: &Plan) -> Vec<reqwest::Certificate> {
    let pem = trusted(plan).ok().flatten().unwrap_or_default();
    reqwest::Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default()
}

fn registries(plan: &Plan) -> Result<Registries, Failure> {
    let mut logins = BTreeMap::new();
    for mirror in &plan.talos.mirrors {
        if let Some(file) = &mirror.login_file {
            logins.insert(mirror.server().to_string(), login(mirror, file)?);
        }
    }
    let proxy = plan.network.proxy.clone().map(|url| Proxy { url, past: plan.past_proxy() });
    Ok(Registries { mirrors: mirrors(plan), logins, trusted: trusted(plan)?, proxy })
}

/// One entry for each registry, its mirrors in the order of the plan.
fn mirrors(plan: &Plan) -> Vec<Mirror> {
    let mut found: Vec<Mirror> = Vec::new();
    for mirror in &plan.talos.mirrors {
        let endpoint = mirror.endpoint.trim_end_matches('/').to_string();
        match found.iter_mut().find(|m| m.registry == mirror.registry) {
            Some(known) => known.endpoints.push(endpoint),
            None => found.push(Mirror {
                registry: mirror.registry.clone(),
                endpoints: vec![endpoint],
                override_path: mirror.is_root(),
                skip_fallback: mirror.only,
            }),
        }
    }
    found
}

fn login(mirror: &MirrorPlan, file: &str) -> Result<Login, Failure> {
    let path = home(file);
    let refuse = |what: String, next: String| {
        Failure::person(format!("the login for {} of talos.mirrors: {what}", mirror.server()), next)
    };
    let wanted = format!("write USER:PASSWORD into {} (chmod 600); the step goes on by itself", path.display());
    let text = file::read_private(&path).map_err(|unfit| match &unfit {
        file::Unfit::Io { .. } => refuse(super::with_cause(&unfit), wanted.clone()),
        other => refuse(other.to_string(), other.next()),
    })?;
    let (user, password) = text
        .expose()
        .trim()
        .split_once(':')
        .filter(|(user, password)| {
            !user.is_empty()
                && !password.is_empty()
                && !password.contains(char::is_control)
                && !user.contains(char::is_control)
        })
        .ok_or_else(|| refuse(format!("{} does not hold one line USER:PASSWORD", path.display()), wanted))?;
    Ok(Login { user: user.to_string(), password: Secret::new(password.to_string()) })
}

fn trusted(plan: &Plan) -> Result<Option<String>, Failure> {
    let Some(file) = &plan.talos.ca_file else { return Ok(None) };
    let path = home(file);
    let refuse = |what: String| {
        Failure::person(
            format!("talos.ca_file: {}: {what}", path.display()),
            "put the authorities' certificates there, in PEM; the step goes on by itself",
        )
    };
    Authority::of_file(&path).map(|authority| Some(authority.pem())).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::defaults::{Defaults, plan};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn mirrors_of_one_registry_are_one_entry_and_a_login_is_the_servers() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("login");
        let mut plan = plan(&Defaults::default());
        let texts = [
            "ghcr.io=https://a/",
            "quay.io=https://h/v2/q;only",
            &format!("ghcr.io=https://b;login={}", file.display()),
        ];
        plan.talos.mirrors = texts.iter().map(|text| text.parse().unwrap()).collect();
        let said = registries(&plan).unwrap_err();
        assert!(said.what.contains("the login for b") && said.next.contains("USER:PASSWORD"), "{said}");
        for wrong in ["nobody", ":x", "x:"] {
            std::fs::write(&file, wrong).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(registries(&plan).unwrap_err().what.contains("does not hold one line"), "{wrong}");
        }
        std::fs::write(&file, "nodes:pass:word\n").unwrap();
        let found = registries(&plan).unwrap();
        assert_eq!(found.mirrors[0].endpoints, ["https://a", "https://b"]);
        assert!(found.mirrors[1].override_path && found.mirrors[1].skip_fallback && !found.mirrors[0].skip_fallback);
        assert_eq!(found.logins["b"].password.expose(), "pass:word");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(registries(&plan).unwrap_err().what.contains("may be read by others"));
    }
}
