//! `day10.record`: the hand-over record lies beside the journal, whole, and tells of the proofs that the run has now.
use crate::base::file::{private_dir, write_private};
use crate::engine::failure::Failure;
use crate::engine::proof::{Evidence, Proof};
use crate::engine::step::{Context, Observed, Outline, Removal, Step, StepId, Undo};
use crate::engine::wait::Band;
use crate::plan::model::Plan;
use crate::steps::hand_over::{self, HandOverFiles, Kept, SUMS};
use crate::steps::outlines;
use crate::steps::site::{Changing, Installation, Reading};
use async_trait::async_trait;
use std::io::ErrorKind;
use std::path::Path;

pub const KIND: &str = "day10.record";
const BAND: Band = Band::new(5, 60);

pub struct Record {
    outline: Outline,
}

pub fn step(_plan: &Plan) -> Record {
    let by_hand = "cozyup report RUN --html --out record.html\ncd HANDOVER-FOLDER && sha256sum -c SHA256SUMS";
    Record {
        outline: outlines::change(StepId::new(KIND), 10, "the hand-over record tells of every proof", BAND, by_hand),
    }
}

/// A long journal takes a while to read, which must hold up nothing else.
async fn written(site: &Reading) -> Result<HandOverFiles, Failure> {
    let scribe = site.scribe.clone();
    let made = tokio::task::spawn_blocking(move || scribe()).await;
    let failed = |why: String| {
        let next = "mend what stands there; the step goes on by itself";
        Failure::person(format!("make the hand-over record: {why}"), next)
    };
    made.map_err(|e| failed(e.to_string()))?.map_err(failed)
}

fn disk(doing: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::person(
        format!("{doing} {}: {error}", path.display()),
        "make room, or make the run's folder writable; the step goes on by itself",
    )
}

#[async_trait]
impl Step<Installation> for Record {
    fn outline(&self) -> &Outline {
        &self.outline
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let (folder, now) = (hand_over::folder(site), written(site).await?);
        let names: Vec<&str> = now.files.iter().map(|(name, _)| *name).collect();
        let (proofs, sums) = match hand_over::kept(&folder, &names) {
            Kept::Nothing => return Ok(Observed::Absent("there is no hand-over record".into())),
            Kept::Broken(name) => {
                return Ok(Observed::Absent(format!("{name} of the record is not as it was written")));
            }
            Kept::Whole { proofs, sums } => (proofs, sums),
        };
        if proofs != now.proofs {
            return Ok(Observed::Absent("the record tells of other proofs than the run has now".into()));
        }
        let by_hand = format!("cd {} && sha256sum -c {SUMS}", crate::base::text::quoted(&folder.display().to_string()));
        let summary = format!(
            "{} is whole and tells of every proof; SHA-256 of {SUMS}: {}",
            folder.display(),
            hand_over::sha256(sums.as_bytes())
        );
        let evidence = Evidence {
            system: "jump host".into(),
            asked: format!("sha256 of the files in {}", folder.display()),
            answer: sums,
            at: cx.clock().now(),
            by_hand,
        };
        Ok(Observed::Satisfied(Proof::new(summary, evidence)))
    }

    /// The list of sums goes last: without it there is no record.
    async fn act(&self, _cx: &dyn Context, site: &Reading, _change: &Changing) -> Result<(), Failure> {
        let (folder, now) = (hand_over::folder(site), written(site).await?);
        private_dir(&folder).map_err(|e| disk("make", &folder, &e))?;
        let sums = hand_over::sums(&now.files);
        for (name, text) in now.files.iter().map(|(name, text)| (*name, text)).chain([(SUMS, &sums)]) {
            let path = folder.join(name);
            write_private(&path, text.as_bytes()).map_err(|e| disk("write", &path, &e))?;
        }
        Ok(())
    }

    fn undo(&self) -> Undo<'_, Installation> {
        Undo::By(self)
    }
}

#[async_trait]
impl Removal<Installation> for Record {
    fn title(&self) -> String {
        "delete the hand-over record from the jump host".into()
    }

    fn by_hand(&self) -> String {
        "rm -r handover".into()
    }

    fn is_local(&self) -> bool {
        true
    }

    async fn gone(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        let path = hand_over::folder(site).join(SUMS);
        if path.exists() {
            return Ok(Observed::Absent(format!("{} is there", path.display())));
        }
        let evidence = Evidence {
            system: "jump host".into(),
            asked: format!("stat {}", path.display()),
            answer: "it is not there".into(),
            at: cx.clock().now(),
            by_hand: "ls handover".into(),
        };
        Ok(Observed::Satisfied(Proof::new("there is no hand-over record", evidence)))
    }

    /// Only the files that the step writes; whatever a person laid beside them stays, with the folder.
    async fn remove(&self, _cx: &dyn Context, site: &Reading, _change: &Changing) -> Result<(), Failure> {
        let (folder, now) = (hand_over::folder(site), written(site).await?);
        for name in now.files.iter().map(|(name, _)| *name).chain([SUMS]) {
            let path = folder.join(name);
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(disk("delete", &path, &e)),
                Ok(()) | Err(_) => {}
            }
        }
        // It stays where something else lies in it.
        let _ = std::fs::remove_dir(&folder);
        Ok(())
    }
}
