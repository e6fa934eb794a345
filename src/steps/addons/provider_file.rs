//! The components of the two Cluster API providers: where the jump host takes them from.
use crate::cozystack::addons::Provider;
use crate::cozystack::addons::components::{Components, Error, LIMIT};
use crate::engine::failure::Failure;
use crate::plan::model::Plan;
use crate::steps::release_file::ReleaseFile;
use crate::steps::site::Reading;

/// The plan's place, else the one of the provider's release.
pub fn url(plan: &Plan, provider: Provider) -> String {
    let capmox = &plan.integration.capmox;
    let (own, version) = match provider {
        Provider::Ipam => (&capmox.ipam_components_url, &capmox.ipam_version),
        Provider::Capmox => (&capmox.components_url, &capmox.version),
    };
    own.clone().unwrap_or_else(|| provider.url(version))
}

/// `at` is what [`url`] gives.
pub fn of<'a>(plan: &'a Plan, provider: Provider, at: &'a str) -> ReleaseFile<'a> {
    let capmox = &plan.integration.capmox;
    let (what, url_key, sha256, sha256_key) = match provider {
        Provider::Ipam => (
            "components of IPAM",
            "integration.capmox.ipam_components_url",
            capmox.ipam_components_sha256.as_deref(),
            "integration.capmox.ipam_components_sha256",
        ),
        Provider::Capmox => (
            "components of capmox",
            "integration.capmox.components_url",
            capmox.components_sha256.as_deref(),
            "integration.capmox.components_sha256",
        ),
    };
    ReleaseFile { what, url: at, url_key, sha256, sha256_key, limit: LIMIT }
}

/// # Errors
/// See [`ReleaseFile::fetch`].
pub async fn fetch(site: &Reading, provider: Provider) -> Result<Components, Failure> {
    let url = url(&site.plan, provider);
    let fetched = of(&site.plan, provider, &url).fetch(site).await?;
    Ok(Components { text: fetched.text, sha256: fetched.sha256 })
}

/// A file that holds something else than the components of such a provider.
pub fn unfit(plan: &Plan, provider: Provider, error: &Error) -> Failure {
    let url = url(plan, provider);
    let file = of(plan, provider, &url);
    Failure::person(format!("{url} holds no {}: {error}", file.what), format!("correct {} in the plan", file.url_key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    #[test]
    fn a_mirror_of_the_plan_stands_in_for_the_release() {
        let mut plan = plan();
        let release = url(&plan, Provider::Capmox);
        assert!(release.ends_with("/releases/download/v0.7.7/infrastructure-components.yaml"), "{release}");
        assert!(url(&plan, Provider::Ipam).ends_with("/releases/download/v1.0.3/ipam-components.yaml"));
        plan.integration.capmox.components_url = Some("/srv/capmox.yaml".into());
        plan.integration.capmox.components_sha256 = Some("a".repeat(64));
        let at = url(&plan, Provider::Capmox);
        let file = of(&plan, Provider::Capmox, &at);
        assert!(file.is_pinned() && file.url == "/srv/capmox.yaml");
        assert!(url(&plan, Provider::Ipam).starts_with("https://github.com/"));
    }
}
