//! `day8.row`: a pod of the tenant writes a row into its database, and another pod reads it from the replica.
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::{Context, Observed, Outline, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::kubernetes::Kind;
use crate::plan::model::Plan;
use crate::steps::cluster::proven;
use crate::steps::objects::{self, PodState};
use crate::steps::site::{Changing, Installation, Reading};
use crate::steps::tenancy::{self, DATABASE, FIRST};
use crate::steps::{follow, outlines, warnings};
use async_trait::async_trait;
use std::time::Duration;

pub const KIND: &str = "day8.row";
const BAND: Band = Band::new(40, 300);
const WRITER: &str = "row-writer";
const READER: &str = "row-reader";
/// The answer of a replica to `pg_is_in_recovery()`.
const REPLICA: &str = "t";

pub struct Row {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Row {
    let namespace = DATABASE.namespace;
    let by_hand = format!("kubectl logs -n {namespace} {WRITER}\nkubectl logs -n {namespace} {READER}");
    let title = format!("a row that a pod of tenant {} writes is read from the replica", FIRST.name);
    let outline = outlines::change(StepId::new(KIND), 8, title, BAND, by_hand)
        .after([StepId::new(super::postgres::KIND)])
        .momentary();
    Row { outline }
}

/// `psql` at one of the database's Services.
fn ask(part: &str, sql: &str) -> String {
    format!("psql -X -q -t -A -w -v ON_ERROR_STOP=1 -h {}-{part} -c \"{sql}\"", DATABASE.release)
}

impl Row {
    fn word(&self, site: &Reading) -> String {
        objects::token(site, &self.outline.id)
    }

    fn script(&self, site: &Reading, name: &str) -> String {
        let word = self.word(site);
        if name == WRITER {
            let table = ask("rw", "CREATE TABLE IF NOT EXISTS proof (word text)");
            let row = ask("rw", &format!("INSERT INTO proof (word) VALUES ('{word}')"));
            return format!("{table} && {row} && echo {word}");
        }
        format!("sleep 2; {} && {}", ask("ro", "SELECT pg_is_in_recovery()"), ask("ro", "SELECT word FROM proof"))
    }

    /// The pod's log and the evidence when it has ended well, or what is to come of it.
    async fn ended(
        &self,
        cx: &dyn Context,
        site: &Reading,
        name: &str,
        what: &str,
    ) -> Result<Result<(Vec<Evidence>, String), Observed>, Failure> {
        let namespace = DATABASE.namespace;
        Ok(match objects::pod_state(cx, site, namespace, name, what).await? {
            PodState::Missing => Err(Observed::Absent(format!("there is no pod {name}"))),
            PodState::Underway(wait) => {
                Err(Observed::Underway(warnings::beside(site, namespace, &[name], wait).await?))
            }
            PodState::Done { evidence, log } => Ok((evidence, log)),
        })
    }
}

#[async_trait]
impl Step<Installation> for Row {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (mut evidence, _) = match self.ended(cx, site, WRITER, "write a row").await? {
            Ok(done) => done,
            Err(observed) => return Ok(observed),
        };
        let (more, log) = match self.ended(cx, site, READER, "read the row").await? {
            Ok(done) => done,
            Err(observed) => return Ok(observed),
        };
        evidence.extend(more);
        let word = self.word(site);
        let has = |wanted: &str| log.lines().any(|line| line.trim() == wanted);
        if !has(&word) || !has(REPLICA) {
            let namespace = DATABASE.namespace;
            return Err(Failure::person(
                format!("the replica of the database does not give back the row `{word}`"),
                format!(
                    "read kubectl logs -n {namespace} {READER}; kubectl delete pod -n {namespace} {READER}: it is made anew"
                ),
            ));
        }
        proven(format!("the row `{word}` was written through the primary and read from the replica"), evidence)
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        let namespace = DATABASE.namespace;
        let make = async |name: &str| {
            let pod = tenancy::client(site, &self.script(site, name));
            objects::apply(site, change, &Kind::POD, Some(namespace), name, pod).await
        };
        // The one that reads comes when there is something to read.
        match self.ended(cx, site, WRITER, "write a row").await? {
            Ok(_) => make(READER).await,
            Err(_) => make(WRITER).await,
        }
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::With(super::cleanup::KIND)
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        follow::object(cx, site, &Kind::POD, Some(DATABASE.namespace), None, Duration::from_secs(3)).await;
    }
}
