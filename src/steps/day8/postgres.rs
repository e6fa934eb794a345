//! `day8.postgres`: a Postgres of the tenant runs, as CozyStack's application and as its operator have it, on volumes of the platform.
use crate::base::answer::Answer;
use crate::engine::failure::Failure;
use crate::engine::proof::Proof;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::{Band, Wait};
use crate::kubernetes::Kind;
use crate::plan::day_8::NO_BACKUP;
use crate::plan::model::Plan;
use crate::steps::applications::Standing;
use crate::steps::cluster::{get, is_true, number, part, seen, text};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::tenancy::{self, DATABASE, FIRST, INSTANCES};
use crate::steps::volumes::Bound;
use crate::steps::{failures, follow, outlines, volumes};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::time::Duration;

pub const KIND: &str = "day8.postgres";
/// Two images are pulled, and two instances made one after the other.
const BAND: Band = Band::new(120, 900);

pub struct Postgres {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Postgres {
    let (namespace, name) = (DATABASE.namespace, DATABASE.release);
    let by_hand = format!(
        "kubectl get -n {namespace} {} {}\nkubectl get -n {namespace} {} {name}\nkubectl get -n {namespace} pods,pvc",
        DATABASE.kind.resource(),
        DATABASE.name,
        Kind::POSTGRES_CLUSTER.resource()
    );
    let title = format!("a Postgres of tenant {} runs with {INSTANCES} instances", FIRST.name);
    // One of the tenant's own, but for its quota: the tests of that come first.
    let outline = outlines::change(StepId::new(KIND), 8, title, BAND, by_hand)
        .after([FIRST.made_by(), StepId::new(super::quota::KIND)])
        .momentary();
    Postgres { outline }
}

/// The claims that its operator made.
pub async fn claims(site: &Reading) -> Result<(Answer<()>, Vec<Value>), Failure> {
    let namespace = DATABASE.namespace;
    let all = site.kubernetes()?.list(&Kind::PERSISTENT_VOLUME_CLAIM, Some(namespace), None).await;
    let all = all.map_err(|e| failures::kubernetes(&e, &format!("list the claims of {namespace}")))?;
    let is_of_it = |claim: &&Value| text(claim, "/metadata/labels/cnpg.io~1cluster") == DATABASE.release;
    let found: Vec<Value> = all.value.iter().filter(is_of_it).cloned().collect();
    let rows =
        found.iter().map(|c| json!([text(c, "/metadata/name"), text(c, "/status/phase"), text(c, "/spec/volumeName")]));
    Ok((part(&all, "those of the database", rows), found))
}

#[async_trait]
impl Step<Installation> for Postgres {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let wait = |seen: String| Ok(Observed::Underway(Wait::new("the database is ready", seen, BAND)));
        let (found, evidence) = match DATABASE.look(cx, site, &self.outline.id).await? {
            Standing::Missing => return Ok(Observed::Absent(format!("there is no {}", DATABASE.told()))),
            Standing::Strange(_, why) => return Ok(Observed::Conflict(DATABASE.refusal(why))),
            Standing::Going => return wait("the former one is being deleted".into()),
            Standing::Lacks(lack) => return wait(lack),
            Standing::Ready(found, evidence) => (found, evidence),
        };
        let namespace = DATABASE.namespace;
        let cluster = get(&site.kubernetes()?, &Kind::POSTGRES_CLUSTER, Some(namespace), DATABASE.release).await?;
        let Some(cluster) = cluster else { return wait("the operator has no Cluster of it yet".into()) };
        let ready = number(&cluster.value, "/status/readyInstances").unwrap_or_default();
        if ready < INSTANCES || !is_true(&cluster.value, "Ready") {
            let phase = text(&cluster.value, "/status/phase");
            let wait = Wait::new(
                "the database is ready",
                format!("{ready} of {INSTANCES} instances are ready: {phase}"),
                BAND,
            );
            return Ok(Observed::Underway(wait));
        }
        let (shown, claims) = claims(site).await?;
        let mut bound: Vec<Bound> = Vec::new();
        for claim in &claims {
            bound.push(volumes::bound(site, namespace, text(claim, "/metadata/name")).await?);
        }
        let named: Vec<&str> = bound.iter().map(Bound::name).collect();
        let primary = text(&cluster.value, "/status/currentPrimary");
        let summary = format!("{ready} instances are ready, {primary} is the primary, on {}", named.join(" and "));
        let proof = Proof::new(summary, evidence)
            .and(seen(cx, &cluster))
            .and(seen(cx, &shown))
            .owning(DATABASE.thing(&found.value));
        let proof = bound.iter().fold(proof, |proof, bound| proof.owning(bound.thing(namespace)));
        Ok(Observed::Satisfied(proof.mind(format!("nothing saves this database: {NO_BACKUP}"))))
    }

    async fn act(&self, _cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        DATABASE.create(site, change, tenancy::database()).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        let namespace = Some(DATABASE.namespace);
        follow::object(cx, site, &Kind::POSTGRES_CLUSTER, namespace, None, Duration::from_secs(3)).await;
    }
}
