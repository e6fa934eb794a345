//! `day0.registries`: the registries that the platform's images come from answer from this machine.
//!
//! The nodes pull them, maybe on another way out than this machine's: what does not answer is a remark, told before the
//! cluster waits half an hour for an image.
use super::{Check, of_jump_host};
use crate::base::names::Names;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::{MirrorPlan, Plan};
use crate::release::Registry;
use crate::steps::site::Reading;
use crate::steps::web::{self, cause};
use crate::talos::config::Login;
use std::collections::BTreeMap;
use std::time::Duration;

pub const KIND: &str = "day0.registries";
/// For one registry, on the wall; they are asked all at once.
const DEADLINE: Duration = Duration::from_secs(10);

pub fn step(_plan: &Plan) -> Check {
    let title = "the registries of the platform's images answer";
    Check::new(KIND, title, "curl -sI https://ghcr.io/v2/", |cx, site| Box::pin(look(cx, site)))
}

/// The result of asking a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// The server that answered, and its status.
    Answers(String, u16),
    /// The result of each server that was tried.
    Silent(String),
    /// The site has no such name: in a lab nobody asks the real ones.
    NotAsked,
}

/// True when an answer to `/v2/` is a registry's: it lets anybody in, asks who it is, or redirects to another of its
/// servers.
fn is_registry(status: u16) -> bool {
    matches!(status, 200 | 401 | 403) || (300..400).contains(&status)
}

/// Asks as the nodes will: the mirrors of the plan first, then the registry itself.
async fn ask(site: &Reading, registry: &Registry, logins: &BTreeMap<String, Login>) -> Found {
    let (mut said, mut asked) = (Vec::new(), false);
    for mirror in site.plan.mirrors_of(&registry.name) {
        asked = true;
        match ask_mirror(site, mirror, logins.get(mirror.server())).await {
            Ok(status) => return Found::Answers(mirror.server().to_string(), status),
            Err(why) => said.push(format!("{}: {why}", mirror.endpoint)),
        }
    }
    if site.plan.mirrors_of(&registry.name).any(|mirror| mirror.only) {
        return Found::Silent(said.join("; "));
    }
    for server in &registry.servers {
        let Some(url) = probe(site, server) else { continue };
        asked = true;
        match site.web.get(url).timeout(DEADLINE).send().await {
            Ok(response) if is_registry(response.status().as_u16()) => {
                return Found::Answers(server.clone(), response.status().as_u16());
            }
            Ok(response) => said.push(format!("{server} answers {}", response.status().as_u16())),
            Err(e) => said.push(format!("{server}: {}", crate::base::text::clean(&cause(&e.without_url())))),
        }
    }
    if asked { Found::Silent(said.join("; ")) } else { Found::NotAsked }
}

/// The URL at which a registry's server says whether it is one; `None` when the site has no such name. A list of names leads into
/// a lab, whose servers speak plain HTTP; a proxy looks names up itself.
fn probe(site: &Reading, server: &str) -> Option<String> {
    match (&site.names, site.web.proxy()) {
        (Names::System, _) => Some(format!("https://{server}/v2/")),
        (Names::Listed(_), Some(_)) => Some(format!("http://{server}/v2/")),
        (Names::Listed(_), None) => site.names.listed(server).map(|at| format!("http://{at}/v2/")),
    }
}

/// With a login the mirror has to let it in; without one it may still ask who it is, as registries do.
async fn ask_mirror(site: &Reading, mirror: &MirrorPlan, login: Option<&Login>) -> Result<u16, String> {
    let request = site.web.get(mirror.probe()).timeout(DEADLINE);
    let request = match login {
        Some(login) => request.basic_auth(&login.user, Some(login.password.expose())),
        None => request,
    };
    let answer = request.send().await.map_err(|e| crate::base::text::clean(&cause(&e.without_url())))?;
    let status = answer.status().as_u16();
    match login {
        Some(_) if matches!(status, 401 | 403) => Err(format!("it answers {status}: it does not take the login")),
        Some(_) | None if is_registry(status) => Ok(status),
        Some(_) | None => Err(format!("it answers {status}")),
    }
}

/// The remark about what to open, and for whom; `None` when all registries answer.
fn remark(found: &[(Registry, Found)], proxy: Option<&str>) -> Option<String> {
    let silent: Vec<String> = found
        .iter()
        .filter_map(|(registry, found)| match found {
            Found::Silent(said) => {
                Some(format!("{} ({said}), needed by {}", registry.name, registry.needed_by.join(", ")))
            }
            Found::Answers(..) | Found::NotAsked => None,
        })
        .collect();
    (!silent.is_empty()).then(|| {
        format!(
            "from this machine no answer of {}: {} for the nodes, or their releases never become ready",
            silent.join("; of "),
            match proxy {
                Some(proxy) => format!("let the proxy {proxy} lead to them"),
                None => "open TCP 443 to them".to_string(),
            }
        )
    })
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let logins = site.registries()?.logins;
    let asked =
        site.release.registries.iter().map(|registry| async { (registry.clone(), ask(site, registry, &logins).await) });
    let found: Vec<(Registry, Found)> = futures::future::join_all(asked).await;
    let answers = found.iter().filter(|(_, f)| matches!(f, Found::Answers(..))).count();
    let rows: Vec<String> = found
        .iter()
        .map(|(registry, found)| match found {
            Found::Answers(server, status) => format!("{}: {server} answers {status}", registry.name),
            Found::Silent(said) => format!("{}: {said}", registry.name),
            Found::NotAsked => format!("{}: not asked, this site has no such name", registry.name),
        })
        .collect();
    let own = found.iter().flat_map(|(r, _)| &r.servers).map(|server| format!("https://{server}/v2/"));
    let mirrors = site.plan.talos.mirrors.iter().map(MirrorPlan::probe);
    let by_hand: Vec<String> = mirrors.chain(own).map(|url| web::curl(&site.plan, "-sI", &url)).collect();
    let reading = of_jump_host(cx, "GET /v2/ of each registry", rows.join("\n"), by_hand.join("\n"));
    let proof = Proof::new(format!("{answers} of {} registries answer from this machine", found.len()), reading);
    Ok(match remark(&found, site.web.proxy()) {
        Some(remark) => proof.mind(remark),
        None => proof,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Release;

    #[test]
    fn a_silent_registry_is_told_with_what_to_open_and_who_needs_it() {
        let registries = Release::embedded("v0.37.2").unwrap().registries;
        let all = |found: Found| registries.iter().map(|r| (r.clone(), found.clone())).collect::<Vec<_>>();
        assert_eq!(remark(&all(Found::Answers("x".into(), 401)), None), None);
        assert_eq!(remark(&all(Found::NotAsked), None), None);
        let told = remark(&all(Found::Silent("connection refused".into())), None).unwrap();
        assert!(told.contains("cr.fluentbit.io (connection refused), needed by monitoring-agents"), "{told}");
        assert!(told.contains("TCP 443"), "{told}");
    }

    #[test]
    fn whoever_answers_like_a_registry_is_reached_and_an_error_page_is_not() {
        for status in [200, 401, 403, 302, 307] {
            assert!(is_registry(status), "{status}");
        }
        for status in [404, 407, 500, 502, 511] {
            assert!(!is_registry(status), "{status}");
        }
    }
}
