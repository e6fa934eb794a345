//! Reads what is there, page by page, and keeps of each object the few fields that an item needs.
use super::item::{Gap, Inventory, Readiness, SCHEMA};
use super::known;
use super::stock::{Found, Stock, Volume};
use crate::assess::snapshot::{Missing, kept};
use crate::kubernetes::{Bounds, Cut, Discovered, Error, Kind, Reader, Served};
use jiff::Timestamp;
use serde_json::Value;

const HELM: &str = "helm.toolkit.fluxcd.io";

/// Reads all of it. What can't be read is a gap.
///
/// # Errors
/// When the API server does not answer, or does not know these credentials.
pub async fn gather(reader: &Reader, server: &str, bounds: Bounds, now: Timestamp) -> Result<Inventory, Error> {
    let version = reader.version().await?.value;
    let discovered = reader.discover().await?;
    let mut of = Gatherer { reader, bounds, gaps: Vec::new(), stock: Stock::new(now) };
    let cluster = match reader.get(&Kind::NAMESPACE, None, "kube-system").await {
        Ok(found) => found.map(|n| text(&n.value, "/metadata/uid")).unwrap_or_default(),
        Err(e @ (Error::Unreachable { .. } | Error::Unauthorized)) => return Err(e),
        Err(_) => String::new(),
    };
    of.silent(&discovered);
    of.all(&discovered).await?;
    let Gatherer { gaps, mut stock, .. } = of;
    stock.unread = gaps.iter().map(|gap| gap.what.clone()).collect();
    let left_out = stock.left_out();
    let inventory = Inventory {
        schema: SCHEMA,
        kind: "inventory".into(),
        at: now,
        server: server.to_string(),
        cluster,
        kubernetes: kept(&version.git_version),
        items: stock.items(),
        gaps,
        left_out,
        readiness: Readiness::Unknown { gaps: 0 },
        calls: reader.calls(),
    };
    Ok(inventory.of())
}

/// A text of an object, safe to show.
pub fn text(object: &Value, at: &str) -> String {
    object.pointer(at).and_then(Value::as_str).map(kept).unwrap_or_default()
}

struct Gatherer<'a> {
    reader: &'a Reader,
    bounds: Bounds,
    gaps: Vec<Gap>,
    stock: Stock,
}

/// What is made of an object.
type Take = fn(&mut Stock, &Value);

/// Kinds that every cluster has.
const ALWAYS: [(Kind, Take); 10] = [
    (Kind::POD, |stock, o| stock.pod(o)),
    (Kind::PERSISTENT_VOLUME, |stock, o| stock.volumes.push(Volume::read(o))),
    (Kind::PERSISTENT_VOLUME_CLAIM, |stock, o| stock.claim(o)),
    (Kind::SERVICE, |stock, o| stock.service(o)),
    (Kind::INGRESS, |stock, o| stock.ingress(o)),
    (Kind::DEPLOYMENT, |stock, o| stock.workload("deployments.apps", o)),
    (Kind::STATEFUL_SET, |stock, o| stock.workload("statefulsets.apps", o)),
    (Kind::DAEMON_SET, |stock, o| stock.workload("daemonsets.apps", o)),
    (CRON_JOB, |stock, o| stock.workload("cronjobs.batch", o)),
    (JOB, |stock, o| stock.job(o)),
];

const CRON_JOB: Kind = Kind { group: "batch", version: "v1", kind: "CronJob", plural: "cronjobs", namespaced: true };
const JOB: Kind = Kind { group: "batch", version: "v1", kind: "Job", plural: "jobs", namespaced: true };

impl Gatherer<'_> {
    /// Groups behind which nobody answers, of those that may hold what people have.
    fn silent(&mut self, discovered: &Discovered) {
        for (what, error) in &discovered.silent {
            let group = what.split('/').next().unwrap_or_default();
            if known::may_hold(group) || group == HELM || !what.contains('/') {
                self.gaps.push(Gap { what: what.clone(), missing: error.clone().into() });
            }
        }
    }

    async fn all(&mut self, discovered: &Discovered) -> Result<(), Error> {
        // First, since the others are left out by it.
        if !self.walk(&Served::from(&Kind::NAMESPACE), |stock, o| stock.namespace(o)).await? {
            self.stock.forget_namespaces();
        }
        for (kind, take) in &ALWAYS {
            self.walk(&Served::from(kind), *take).await?;
        }
        let releases = discovered.kinds.iter().find(|k| k.group == HELM && k.plural == "helmreleases");
        if let Some(kind) = releases {
            self.walk(kind, |stock, o| stock.release(o)).await?;
        }
        for kind in &discovered.kinds {
            let resource = kind.resource();
            if known::is_route(&kind.group, &kind.plural) {
                self.walk(kind, |stock, o| stock.route(&resource, o)).await?;
            }
            if let Some(known) = known::known(&kind.group, &kind.plural) {
                self.walk(kind, |stock, o| stock.found(Found::read(&resource, kind, known, o))).await?;
            }
        }
        Ok(())
    }

    /// False when it could not be read to its end.
    async fn walk(&mut self, kind: &Served, take: impl Fn(&mut Stock, &Value)) -> Result<bool, Error> {
        let read = self.reader.walk_served(kind, &self.bounds, |o: Value| {
            take(&mut self.stock, &o);
            None::<()>
        });
        let missing = match read.await {
            Ok(walked) => walked.cut.map(|cut: Cut| Missing::Cut { limit: cut.into() }),
            Err(e @ (Error::Unreachable { .. } | Error::Unauthorized)) => return Err(e),
            Err(e) => Some(Missing::from(e)),
        };
        let is_whole = missing.is_none();
        self.gaps.extend(missing.map(|missing| Gap { what: kind.resource(), missing }));
        Ok(is_whole)
    }
}
