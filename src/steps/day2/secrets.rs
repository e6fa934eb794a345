//! `day2.secrets`: the cluster's secrets, made once and kept in the run's folder only.
use super::config;
use crate::base::vault;
use crate::engine::failure::Failure;
use crate::engine::made::Origin;
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::plan::model::Plan;
use crate::proxmox::Error;
use crate::steps::addons::access;
use crate::steps::day1::clone;
use crate::steps::site::{Changing, Installation, Reading, address, files};
use crate::steps::teardown;
use crate::steps::{failures, outlines, owner, reset};
use crate::talos::{NodeState, state_of};
use async_trait::async_trait;

pub const KIND: &str = "day2.secrets";
const BAND: Band = Band::new(30, 120);

pub struct Secrets {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Secrets {
    let title = "the cluster's secrets are made, once, and kept on the jump host only";
    Secrets {
        outline: outlines::change(
            StepId::new(KIND),
            2,
            title,
            BAND,
            "talosctl gen secrets -o secrets.yaml && chmod 600 secrets.yaml",
        ),
    }
}

#[async_trait]
impl Step<Installation> for Secrets {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let path = site.vault.path(files::BUNDLE);
        if !path.exists() {
            return Ok(Observed::Absent(format!("there is no {}", path.display())));
        }
        let bundle = site.bundle()?;
        let tested = tokio::task::spawn_blocking(move || bundle.self_test()).await;
        tested.map_err(|e| Failure::broken(format!("test the secrets: {e}"), "run again"))?.map_err(|e| {
            Failure::person(
                format!("{}: {e}", path.display()),
                "restore the file from a backup: its keys do not fit together",
            )
        })?;
        let evidence = Evidence {
            system: "jump host".into(),
            asked: format!("read {}", path.display()),
            answer:
                "each of the four authorities signed and verified a certificate; the service account's key is whole"
                    .into(),
            at: cx.clock().now(),
            by_hand: format!("ls -l {}", path.display()),
        };
        Ok(Observed::Satisfied(Proof::new("the cluster's secrets exist and their keys fit together", evidence)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        // New secrets beside nodes that have others would lock everybody out of them.
        for node in &site.plan.nodes {
            if let NodeState::Foreign(why) = state_of(address(node), None).await.value {
                return Err(Failure::person(
                    format!("{} ({}) is configured with secrets that are not here: {why}", node.name, node.address),
                    format!(
                        "restore {} from a backup; {}",
                        site.vault.path(files::BUNDLE).display(),
                        reset::of_stranger(address(node))
                    ),
                ));
            }
        }
        let bundle = change.new_bundle(cx.clock()).await?;
        let text = bundle.to_yaml();
        let text = text.map_err(|e| Failure::broken(format!("write the cluster's secrets: {e}"), "run again"))?;
        change.keep_secret(files::BUNDLE, &text)
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }
}

/// Refuses while a machine that this run made is still there: without its mark it was left alone, and these are its keys.
/// A copy of one is no machine of the run.
async fn still_needed(cx: &dyn Context, site: &Reading) -> Result<(), Failure> {
    let doing = "look whether the cluster's keys are still needed";
    let failed = |e: Error| failures::proxmox(&e, doing);
    let all = site.proxmox.resources().await.map_err(failed)?;
    for node in &site.plan.nodes {
        let maker = StepId::of(clone::KIND, &node.name);
        let vmid = node.vmid;
        let Some(row) = all.value.iter().find(|row| row.vmid == vmid && row.kind == "qemu") else { continue };
        let config = match site.vm_config(&row.node, vmid).await {
            Ok(config) => config.value,
            Err(Error::NotFound { .. }) => continue,
            Err(e) => return Err(failed(e)),
        };
        let is_it = match cx.made().origin(Some(&maker), &owner::thing(vmid, &config)) {
            Origin::Known => true,
            // Only the name is left to tell by.
            Origin::Open => row.name.as_deref() == Some(&*node.name),
            Origin::Another | Origin::Never => false,
        };
        if is_it {
            return Err(Failure::person(
                format!("{} has lost this run's mark and may run with these keys", owner::named(row)),
                format!(
                    "if it is this run's, put `{}` back into its notes and run the teardown again; if not, rename it or save the keys and remove them yourself",
                    site.mark
                ),
            ));
        }
    }
    Ok(())
}

/// True when a run writes a file of this name there. A person put any other file into the folder.
fn is_a_runs(name: &str) -> bool {
    let plain = name.strip_suffix(".age").unwrap_or(name);
    [files::BUNDLE, files::KUBECONFIG, files::TALOSCONFIG].contains(&plain)
        || plain.starts_with(access::SECRET)
        || (plain.starts_with(config::FILE) && plain.ends_with(".yaml"))
}

/// The files in the folder, apart from those that say how it is sealed: the run's own, and others'.
fn kept(site: &Reading) -> Result<(Vec<String>, Vec<String>), Failure> {
    let mut names = teardown::names_in(&site.secrets)?;
    names.retain(|name| !vault::OWN.contains(&name.as_str()));
    Ok(names.into_iter().partition(|name| is_a_runs(name)))
}

#[async_trait]
impl Removal<Installation> for Secrets {
    fn title(&self) -> String {
        "delete the cluster's secrets, kubeconfig and talosconfig from the jump host".into()
    }

    fn by_hand(&self) -> String {
        "rm secrets/*".into()
    }

    fn is_local(&self) -> bool {
        true
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (own, others) = kept(site)?;
        if !own.is_empty() {
            return Ok(Observed::Absent(format!("{} holds {}", site.secrets.display(), own.join(", "))));
        }
        let asked = format!("list {}", site.secrets.display());
        let summary = "no secret of the cluster is on the jump host";
        let proof = teardown::nothing_here(cx, summary, asked, &site.secrets);
        let others = others.iter().map(|name| {
            let place = site.secrets.join(name);
            Left::new(format!("file {}", place.display()), "is none that a run writes there")
        });
        Ok(Observed::Satisfied(proof.leaving(others)))
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, _change: &Changing) -> Result<(), Failure> {
        still_needed(cx, site).await?;
        for name in kept(site)?.0 {
            let path = site.secrets.join(name);
            teardown::delete(std::fs::remove_file(&path), &path)?;
        }
        Ok(())
    }
}
