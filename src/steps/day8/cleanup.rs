//! `day8.cleanup`: the database and both tenants are removed, and nothing of them is left: no namespace, policy, account, Ingress or
//! volume, in no system.
//!
//! The database goes first: its volumes are asked for while its namespace can still tell of them. CozyStack v0.37.2 makes no
//! certificate and no DNS entry for a tenant without an ingress of its own.
use crate::base::text::shorten;
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Left, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::plan::model::Plan;
use crate::steps::applications::Application;
use crate::steps::cluster::{is_deleting, seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::tenancy::{self, DATABASE, TestTenant, going};
use crate::steps::{outlines, teardown, volumes};
use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

pub const KIND: &str = "day8.cleanup";
const BAND: Band = Band::new(60, 600);
pub struct Cleanup {
    outline: Outline,
}

pub fn step(_plan: &Plan, tests: Vec<StepId>) -> Cleanup {
    let by_hand = format!(
        "kubectl delete -n {} {} {}\nkubectl delete -n tenant-root tenants.apps.cozystack.io {}\nkubectl get \
         namespaces,persistentvolumes,ciliumclusterwidenetworkpolicies",
        DATABASE.namespace,
        DATABASE.kind.resource(),
        DATABASE.name,
        tenancy::ALL.map(|t| t.name).join(" ")
    );
    let title = "the tenants are removed, and nothing of them is left in any system";
    let outline = outlines::change(StepId::new(KIND), 8, title, BAND, by_hand).after(tests).cleanup();
    Cleanup { outline }
}

fn wait(seen: impl AsRef<str>) -> Observed {
    Observed::Underway(Wait::new("nothing is left of the tenants", seen, BAND))
}

/// Every application of the tests with the step that makes it, in the order in which they go.
fn applications() -> Vec<(Application, StepId)> {
    let tenants = tenancy::ALL.map(|tenant| (tenant.application(), tenant.made_by()));
    [(DATABASE, StepId::new(super::postgres::KIND))].into_iter().chain(tenants).collect()
}

/// The tenant of an application; `None` for the database.
fn of_application(application: &Application) -> Option<&'static TestTenant> {
    tenancy::ALL.into_iter().find(|tenant| tenant.application() == *application)
}

/// Made by CozyStack's own chart or operator for what the run asked for, or by the run.
fn is_of_the_tests(tenant: &TestTenant, object: &Value) -> bool {
    let of_database = tenant.namespace == DATABASE.namespace
        && (text(object, "/metadata/labels/cnpg.io~1cluster") == DATABASE.release
            || text(object, "/metadata/labels/helm.toolkit.fluxcd.io~1name") == DATABASE.release
            || text(object, "/metadata/name") == DATABASE.release
            || text(object, "/metadata/name").starts_with(&format!("{}-init-job", DATABASE.release)));
    of_database || text(object, "/metadata/labels/app") == tenancy::WEB
}

async fn inhabited(site: &Reading, tenant: &TestTenant) -> Result<Option<Failure>, Failure> {
    going::inhabited(site, tenant, |object| is_of_the_tests(tenant, object)).await
}

/// The names of the volumes that proofs named, and of those that were there before the deletion, kept as the handle.
fn made(cx: &dyn Context) -> Vec<String> {
    let mut names: Vec<String> =
        cx.handle().map(|h| h.split_whitespace().map(str::to_string).collect()).unwrap_or_default();
    names.extend(cx.made().named(&volumes::kind_in(DATABASE.namespace)).map(str::to_string));
    names.sort();
    names.dedup();
    names
}

impl Cleanup {
    async fn volumes(&self, cx: &dyn Context, site: &Reading) -> Result<(Vec<String>, Vec<Evidence>), Failure> {
        volumes::left(cx, site, DATABASE.namespace, &made(cx)).await
    }
}

#[async_trait]
impl Step<Installation> for Cleanup {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let mut going = None;
        for (application, made_by) in applications() {
            let Some(found) = application.find(site).await? else { continue };
            if let Some(why) = application.strange(cx, site, &made_by, &found.value) {
                return Ok(Observed::Conflict(application.refusal(why)));
            }
            if is_deleting(&found.value) {
                let seen = format!("{} is being deleted", application.told());
                if application == DATABASE {
                    return Ok(wait(seen));
                }
                going = Some(seen);
                continue;
            }
            if let Some(tenant) = of_application(&application) {
                let (left, _) = self.volumes(cx, site).await?;
                if !left.is_empty() {
                    return Ok(wait(shorten(&left.join(", "), 600)));
                }
                if let Some(failure) = inhabited(site, tenant).await? {
                    return Ok(Observed::Conflict(failure));
                }
            }
            let seen = format!("{} is still there", application.told());
            // The tenants go when the database has gone.
            return Ok(if application == DATABASE { Observed::Absent(seen) } else { Observed::Unfinished(seen) });
        }
        if let Some(seen) = going {
            return Ok(wait(seen));
        }
        let (mut left, mut readings) = going::traces(cx, site, &tenancy::ALL).await?;
        let (volumes, more) = self.volumes(cx, site).await?;
        left.extend(volumes);
        if !left.is_empty() {
            return Ok(wait(shorten(&left.join(", "), 600)));
        }
        readings.extend(more);
        let mut readings = readings.into_iter();
        let first = readings.next().ok_or_else(|| Failure::defect("a step found no reading to show"))?;
        let names = tenancy::ALL.map(|t| t.namespace).join(" and ");
        let proof = Proof::new(format!("{names}, their policies and the volumes of the database are gone"), first);
        Ok(Observed::Satisfied(readings.fold(proof, Proof::and)))
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        for (application, made_by) in applications() {
            let Some(found) = application.find(site).await? else { continue };
            if let Some(why) = application.strange(cx, site, &made_by, &found.value) {
                return Err(application.refusal(why));
            }
            if let Some(tenant) = of_application(&application)
                && let Some(failure) = inhabited(site, tenant).await?
            {
                return Err(failure);
            }
            if application == DATABASE {
                let mut names = made(cx);
                names.extend(volumes::of_namespace(site, DATABASE.namespace).await?);
                names.sort();
                names.dedup();
                if !names.is_empty() {
                    cx.keep_handle(&names.join(" ")).await?;
                }
                return application.delete(change, &found.value).await;
            }
            application.delete(change, &found.value).await?;
        }
        Ok(())
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }

    async fn changed(&self, cx: &dyn Context, _site: &Reading) {
        cx.clock().sleep(Duration::from_secs(1)).await;
    }
}

impl Cleanup {
    /// Satisfied when what is there is another's.
    async fn left_alone(&self, cx: &dyn Context, site: &Reading) -> Result<Option<Observed>, Failure> {
        for (application, made_by) in applications() {
            let Some(found) = application.find(site).await? else { continue };
            let Some(why) = application.strange(cx, site, &made_by, &found.value) else { return Ok(None) };
            let proof = Proof::new(format!("{} is not this run's: left alone", application.told()), seen(cx, &found));
            return Ok(Some(Observed::Satisfied(proof.leaving([Left::new(application.told(), why)]))));
        }
        Ok(None)
    }
}

/// The tenants go with the cluster anyway; their volumes may lie in Proxmox VE, and would not.
#[async_trait]
impl Removal<Installation> for Cleanup {
    fn title(&self) -> String {
        "delete the tenants of the tests".into()
    }

    fn by_hand(&self) -> String {
        self.outline.by_hand.clone()
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        match teardown::by_the_cluster(cx, site, self.observe(cx, site)).await? {
            Observed::Conflict(failure) => Ok(self.left_alone(cx, site).await?.unwrap_or(Observed::Conflict(failure))),
            observed => Ok(observed),
        }
    }

    async fn remove(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        self.act(cx, site, change).await
    }
}
