//! `day0.release`: the CozyStack release is known, has the profile, and gets every setting that it requires.
use super::{Check, of_jump_host, proof};
use crate::cozystack::addons::Provider;
use crate::cozystack::{SettingsInput, settings};
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::Context;
use crate::plan::model::Plan;
use crate::release::{Release, Selection};
use crate::steps::addons::provider_file;
use crate::steps::platform::manifest;
use crate::steps::site::Reading;
use std::collections::BTreeMap;

pub const KIND: &str = "day0.release";

pub fn step(plan: &Plan) -> Check {
    let cozystack = &plan.cozystack;
    let title = format!("CozyStack {} with profile {} is known and complete", cozystack.version, cozystack.profile);
    Check::new(KIND, title, "cozyup plan check PLAN", |cx, site| Box::pin(look(cx, site)))
}

async fn look(cx: &dyn Context, site: &Reading) -> Result<Proof, Failure> {
    let (plan, release) = (&site.plan, &site.release);
    let (selection, data) = judge(plan, release).map_err(|what| {
        Failure::person(what, "correct the plan (`cozyup plan check PLAN` names the key), then run again")
    })?;
    let answer = format!(
        "bundle {}, {} components, left out: {}; settings: {}",
        selection.bundle,
        selection.components.len(),
        selection.disable.join(","),
        data.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
    );
    let (pinned, believed) = trusted(plan, release);
    let answer = format!(
        "{answer}; pinned by SHA-256: {}; trusted on first use: {}; by tag, and fetched by an upgrade of Talos alone: {}",
        if pinned.is_empty() { "nothing".to_string() } else { pinned.join(", ") },
        if believed.is_empty() { "nothing".to_string() } else { believed.join(", ") },
        if is_by_digest(&plan.talos.installer_image) { "nothing" } else { &plan.talos.installer_image }
    );
    let asked = format!("release {} as built into cozyup {}", release.version, env!("CARGO_PKG_VERSION"));
    let summary = format!(
        "CozyStack {} profile {}: {} components, {} settings, Talos {}; {} of {} files and images that get rights are pinned",
        release.version,
        plan.cozystack.profile,
        selection.components.len(),
        data.len(),
        release.talos.version,
        pinned.len(),
        pinned.len() + believed.len()
    );
    let proof = proof(&summary, &[], vec![of_jump_host(cx, asked, answer, "cozyup plan show PLAN")])?;
    Ok(match end_of_life(release) {
        Some(remark) => proof.mind(remark),
        None => proof,
    })
}

/// For the hand-over: the platform gets no further patch, and what would be the last one.
fn end_of_life(release: &Release) -> Option<String> {
    let line = &release.line;
    if line.end_of_life.is_empty() {
        return None;
    }
    let last = release
        .later()
        .map_or(String::new(), |last| format!("; {} is the last patch, and mends {}", last.version, line.mends));
    Some(format!("CozyStack {}: {}{last}", release.version, line.end_of_life))
}

fn is_by_digest(image: &str) -> bool {
    image.contains("@sha256:")
}

/// Lists what gets rights in the cluster or on its machines: first what the plan pins by SHA-256, then what is trusted
/// on first use.
fn trusted(plan: &Plan, release: &Release) -> (Vec<String>, Vec<String>) {
    let installer = manifest::file(plan);
    let mut all = vec![
        ("Talos image".to_string(), true),
        (installer.what.to_string(), installer.is_pinned()),
        // Day 3 refuses another one, unless the plan pins the manifest that names it.
        (format!("installer image of CozyStack {}", release.version), is_by_digest(&release.installer.image)),
    ];
    if plan.integration.capmox.enabled {
        for provider in [Provider::Capmox, Provider::Ipam] {
            let url = provider_file::url(plan, provider);
            let file = provider_file::of(plan, provider, &url);
            all.push((file.what.to_string(), file.is_pinned()));
        }
    }
    if plan.integration.csi.enabled {
        all.push((format!("chart proxmox-csi-plugin {}", plan.integration.csi.chart_version), false));
    }
    let (pinned, believed): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, is)| *is);
    let names = |list: Vec<(String, bool)>| list.into_iter().map(|(name, _)| name).collect();
    (names(pinned), names(believed))
}

fn judge(plan: &Plan, release: &Release) -> Result<(Selection, BTreeMap<String, String>), String> {
    let (wanted, network) = (&plan.cozystack, &plan.network);
    if wanted.version != release.version {
        return Err(format!("the plan names CozyStack {}, and this run has {}", wanted.version, release.version));
    }
    let selection =
        release.select(&wanted.profile, &wanted.disable, &wanted.enable, false).map_err(|e| e.to_string())?;
    if plan.talos.version != release.talos.version {
        return Err(format!(
            "CozyStack {} is built for Talos {}, and the plan names {}",
            release.version, release.talos.version, plan.talos.version
        ));
    }
    let data = settings(&SettingsInput {
        bundle: selection.bundle.clone(),
        disable: selection.disable.clone(),
        enable: selection.enable.clone(),
        pod_cidr: network.pod_cidr,
        service_cidr: network.service_cidr,
        join_cidr: network.join_cidr,
        cluster_domain: network.cluster_domain.clone(),
        root_host: wanted.root_host.clone(),
        endpoint: plan.cluster_endpoint(),
        expose: wanted.expose.clone(),
        telemetry: wanted.telemetry,
        oidc: false,
    });
    let empty = |key: &str| data.get(key).is_none_or(|v| v.trim().is_empty());
    let missing: Vec<&str> =
        release.settings.iter().filter(|s| s.required && empty(&s.key)).map(|s| s.key.as_str()).collect();
    if missing.is_empty() {
        Ok((selection, data))
    } else {
        Err(format!(
            "CozyStack {} requires settings that the plan leaves empty: {}",
            release.version,
            missing.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::day0::tests::plan;

    /// harm.md S11
    #[test]
    fn what_is_pinned_and_what_is_believed_is_told_apart() {
        let mut plan = plan();
        let release = Release::embedded("v0.37.2").unwrap();
        let (pinned, believed) = trusted(&plan, &release);
        assert_eq!(pinned, ["Talos image", "installer image of CozyStack v0.37.2"]);
        assert_eq!(believed.len(), 4, "{believed:?}");
        plan.cozystack.installer_sha256 = Some("a".repeat(64));
        plan.integration.capmox.components_sha256 = Some("a".repeat(64));
        plan.integration.csi.enabled = false;
        let (pinned, believed) = trusted(&plan, &release);
        let all = ["Talos image", "installer manifest", "installer image of CozyStack v0.37.2", "components of capmox"];
        assert_eq!(pinned, all);
        assert_eq!(believed.len(), 1, "{believed:?}");
    }

    #[test]
    fn the_default_plan_is_complete_and_what_is_wrong_is_named() {
        let release = Release::embedded("v0.37.2").unwrap();
        let good = plan();
        let (selection, data) = judge(&good, &release).unwrap();
        assert!(selection.components.len() > 20 && data.contains_key("root-host"));
        let mut plan = good.clone();
        plan.cozystack.root_host = " ".into();
        assert!(judge(&plan, &release).unwrap_err().ends_with("leaves empty: root-host"));
        let mut plan = good.clone();
        plan.talos.version = "v1.8.0".into();
        assert!(judge(&plan, &release).unwrap_err().contains("built for Talos v1.10.6"));
        let mut plan = good;
        plan.cozystack.profile = "paas-nothing".into();
        assert!(judge(&plan, &release).unwrap_err().contains("no profile paas-nothing"));
    }
}
