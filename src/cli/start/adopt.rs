//! `cozyup run PLAN --adopt NAME.ID`: takes up a run whose folder or journal was lost, after showing what of it is there.
use super::Start;
use crate::base::text;
use crate::cli::exit::Exit;
use crate::cli::output::print;
use crate::compose::{self, Refusal};
use crate::session::order::Adoption;
use crate::steps::adopt::{self, Lost};
use crate::steps::claim::Claim;
use crate::steps::site::{MARK, files};
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;

/// The reason why nothing is adopted.
pub struct Declined {
    pub exit: Exit,
    pub text: String,
}

fn declined(text: impl Into<String>) -> Declined {
    Declined { exit: Exit::Usage, text: text.into() }
}

impl From<Refusal> for Declined {
    fn from(refusal: Refusal) -> Declined {
        Declined { exit: Exit::from(&refusal), text: refusal.to_string() }
    }
}

/// Shows what of the run `id` is there and asks whether it is to be taken up; `agreed` when that was said beforehand.
///
/// # Errors
/// When there is no such run in the target, another place works on it, this folder has a run, or nobody agrees.
pub async fn ask(start: &Start<'_>, state_dir: &Path, id: &str, agreed: bool) -> Result<Adoption, Declined> {
    let loaded = crate::plan::load(start.plan).map_err(|e| declined(compose::plan_error(&e)))?;
    let plan = loaded.plan;
    let run = run_of(id, &plan.name).map_err(declined)?;
    let folder = start.folder_in(state_dir, &plan.name);
    let journal = folder.join("journal.jsonl");
    if std::fs::metadata(&journal).is_ok_and(|found| found.len() > 0) {
        return Err(compose::has_a_run(&plan.name, &journal).into());
    }
    let keys = start.keys(&folder.join("secrets")).map_err(declined)?;
    let (reader, _) = compose::clients(&plan, keys.token)?;
    let found = adopt::look(&plan, &reader, &format!("{MARK}{id}")).await;
    let lost = found.map_err(|failure| declined(format!("{}\nnext: {}", failure.what, failure.next)))?;
    // A folder without a journal is no place yet: whoever works on the run is elsewhere, or lost with its folder.
    let here = Claim::here(&crate::session::lock::host_name(), &folder, "", start.clock.now());
    if let Some(other) = lost.holder.as_ref().filter(|holder| !holder.is_of(&here) && !start.take_over) {
        return Err(declined(format!(
            "run {id} is worked on from {} since {}, as the template's notes say\n\
             next: if that place is gone for good, start again with --take-over too",
            other.host,
            other.since.strftime("%F %T UTC")
        )));
    }
    print(&shown(id, &lost, &folder.join("secrets")));
    if !agreed {
        question(id).map_err(declined)?;
    }
    Ok(Adoption { run, things: lost.things })
}

/// The id in `NAME.ID`.
fn run_of(id: &str, plan: &str) -> Result<String, String> {
    let is_id = |id: &str| id.len() == 8 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match id.rsplit_once('.') {
        Some((name, run)) if name == plan && is_id(run) => Ok(run.to_string()),
        Some((name, run)) if is_id(run) => Err(format!(
            "--adopt names a run of the plan {}, and this plan is {plan}\nnext: give the plan of that run",
            text::shorten(&text::clean(name), 80)
        )),
        Some(_) | None => Err(format!(
            "--adopt takes NAME.ID, as it stands behind {MARK} in the template's notes: {plan}. and eight hexadecimal digits\n\
             next: qm config VMID on the template's host shows the notes"
        )),
    }
}

fn shown(id: &str, lost: &Lost, secrets: &Path) -> String {
    let mut lines = vec![format!("run {id} is taken up here: from now on these are its own, and nothing else of it:")];
    lines.extend(lost.shown.iter().map(|line| format!("  {line}")));
    if !lost.left.is_empty() {
        lines.push("these carry its mark and are left alone:".to_string());
        lines.extend(lost.left.iter().map(|left| format!("  {}: it {}", left.what, left.why)));
    }
    let has_bundle = ["", ".age"].iter().any(|ending| secrets.join(format!("{}{ending}", files::BUNDLE)).exists());
    lines.push(match has_bundle {
        true => format!("the cluster's secrets are in {}", secrets.display()),
        false => format!(
            "the cluster's secrets are not in {}: without them nobody can administer the cluster. Put them back from a backup, or \
             only take the run back (cozyup teardown PLAN --cluster-is-lost)",
            secrets.display()
        ),
    });
    lines.join("\n")
}

/// # Errors
/// With a sentence when nobody agrees.
fn question(id: &str) -> Result<(), String> {
    if !std::io::stdin().is_terminal() {
        return Err("nobody is here to agree\nnext: say it beforehand with --yes".to_string());
    }
    let mut out = std::io::stdout();
    // A closed terminal answers with nothing below.
    let _ = write!(out, "\nTake it up? Type {id}: ").and_then(|()| out.flush());
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    match line.trim() == id {
        true => Ok(()),
        false => Err("nothing was taken up".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_its_plan_and_eight_digits() {
        assert_eq!(run_of("cozy-new.0a1b2c3d", "cozy-new").as_deref(), Ok("0a1b2c3d"));
        assert_eq!(run_of("a.b.0a1b2c3d", "a.b").as_deref(), Ok("0a1b2c3d"));
        assert!(run_of("other.0a1b2c3d", "cozy-new").unwrap_err().contains("of the plan other"));
        for wrong in ["cozy-new", "cozy-new.", "cozy-new.XYZ", "cozy-new.0A1B2C3D", "0a1b2c3d"] {
            assert!(run_of(wrong, "cozy-new").unwrap_err().contains("NAME.ID"), "{wrong}");
        }
    }

    #[test]
    fn missing_secrets_are_said() {
        let lost = Lost { things: vec![], shown: vec!["vm 9100".into()], left: vec![], holder: None };
        let dir = tempfile::tempdir().unwrap();
        assert!(shown("x.1", &lost, dir.path()).contains("nobody can administer the cluster"));
        std::fs::write(dir.path().join("secrets.yaml"), "").unwrap();
        assert!(shown("x.1", &lost, dir.path()).contains("the cluster's secrets are in"));
    }
}
