//! `cozyup teardown PLAN`: lists what is the run's own, asks by the run's name, removes it and proves each removal.
use super::run::{Start, Style, execute, who};
use super::{Exit, say, takeover, tell, worker};
use crate::base::text;
use crate::compose::{self, Options, Refusal};
use crate::engine::course::Course;
use crate::engine::failure::Failure;
use crate::engine::proof::Left;
use crate::engine::step::{Observed, Outline};
use crate::steps::teardown::{also, nothing_left, strays};
use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub struct Teardown {
    /// The plan file
    pub plan: PathBuf,
    #[command(flatten)]
    pub flags: TeardownFlags,
}

#[derive(Debug, Clone, clap::Args)]
pub struct TeardownFlags {
    /// The plan's name, to say beforehand that its run is to be removed
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
    /// The cluster answers no more: remove it without asking it for volumes and machines that depend on it
    #[arg(long)]
    pub cluster_is_lost: bool,
    /// Remove this VM too: it carries the run's mark, and the journal does not know it (may be given several times)
    #[arg(long, value_name = "VMID", value_parser = clap::value_parser!(u32).range(100..=999_999_999))]
    pub also: Vec<u32>,
    /// Only list what would be removed
    #[arg(long, conflicts_with_all = ["confirm"])]
    pub list: bool,
    /// Plain lines even on a terminal
    #[arg(long)]
    pub lines: bool,
    /// One JSON object a line; needs --confirm
    #[arg(long, requires = "confirm")]
    pub json: bool,
    /// Give up when nothing but blocked steps is left for this long, e.g. 90s, 30m, 2h (default: never on a screen, 30m without)
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    pub patience: Option<Duration>,
    /// Take the run from the jump host or process that works on it, when that one is gone or hangs
    #[arg(long)]
    pub take_over: bool,
}

impl Teardown {
    pub async fn run(self, state_dir: &Path) -> Exit {
        tear_down(Start::of(&self.plan), &self.flags, state_dir).await
    }
}

/// `start` says which run, and in whose time.
pub async fn tear_down(start: Start<'_>, flags: &TeardownFlags, state_dir: &Path) -> Exit {
    let name = match start.load() {
        Ok(loaded) => loaded.plan.name,
        Err(e) => {
            tell(&compose::plan_error(&e));
            return Exit::Usage;
        }
    };
    let folder = start.folder.clone().unwrap_or_else(|| state_dir.join("runs").join(&name));
    if !folder.join("journal.jsonl").is_file() {
        tell(&format!(
            "there is no run of plan {name} in {}, so nothing is known to be its own\n\
             next: run the teardown on the jump host that made it, or give its state with --state-dir DIR",
            folder.display()
        ));
        return Exit::Usage;
    }
    let keys = match super::status::judged(&folder).and_then(|folder| start.keys(&folder.secrets())) {
        Ok(keys) => keys,
        Err(why) => {
            tell(&why);
            return Exit::Usage;
        }
    };
    let course = Course::Back { cluster_is_lost: flags.cluster_is_lost };
    let also: BTreeSet<u32> = flags.also.iter().copied().collect();
    let options = Options {
        plan: start.plan.to_path_buf(),
        text: start.text.get().cloned(),
        folder: folder.clone(),
        course,
        take_over: None,
        also: also.clone(),
        adopt: None,
        gates_by: None,
        patience: None,
        clock: start.clock.clone(),
        reconnect: Arc::new(|| Box::pin(async { Err("no worker is at work".to_string()) })),
        keys: keys.clone(),
    };
    if !flags.json || !also.is_empty() {
        let mut seen = survey(options.clone()).await;
        if matches!(seen, Err(Refusal::Locked(_))) && !flags.list {
            if let Err(why) = takeover::make_way(&name, &folder, flags.take_over).await {
                tell(&why);
                return Exit::Locked;
            }
            seen = survey(options).await;
        }
        match seen {
            Ok(Survey { refused: Some(why), .. }) => {
                tell(&why);
                return Exit::Usage;
            }
            Ok(_) if flags.json => {}
            Ok(survey) => {
                say(&survey.text);
                if flags.list || survey.is_over {
                    return if survey.is_held { Exit::Blocked } else { Exit::Proven };
                }
            }
            Err(refusal) => {
                tell(&refusal.to_string());
                return Exit::from(&refusal);
            }
        }
    }
    if let Err(why) = agree(&name, flags.confirm.as_deref()) {
        tell(&why);
        return Exit::Usage;
    }
    let start = Start {
        course,
        keys: Some(keys),
        take_over: flags.take_over,
        also,
        gates_by: Some(format!("{}, who typed the name", who())),
        patience: flags.patience,
        style: Style::of(flags.lines, flags.json),
        ..start
    };
    execute(start, state_dir).await
}

/// Reads what would be removed, what would stay, and what can't be determined; the run is locked meanwhile.
async fn survey(options: Options) -> Result<Survey, Refusal> {
    let prepared = worker::prepare(options).await?;
    let found = prepared.work.survey().await;
    Ok(list(&prepared.plan.name, &found))
}

struct Survey {
    text: String,
    /// The VM that was named with `--also` and can't be taken.
    refused: Option<String>,
    /// There is nothing to remove.
    is_over: bool,
    /// Something is in the way, or can't be told.
    is_held: bool,
}

fn list(name: &str, found: &[(Outline, Result<Observed, Failure>)]) -> Survey {
    let (mut there, mut not, mut unknown, mut left) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut refused = None;
    let is_last = |outline: &Outline| outline.id.kind() == nothing_left::KIND;
    let nothing_is_left =
        found.iter().any(|(outline, observed)| is_last(outline) && matches!(observed, Ok(Observed::Satisfied(_))));
    for (outline, observed) in found {
        match observed {
            Ok(Observed::Satisfied(proof)) => left.extend(proof.left().iter().map(line_of)),
            Ok(Observed::Conflict(failure)) if outline.id.kind() == also::KIND => {
                refused = Some(format!("{}\nnext: {}", failure.what, failure.next));
            }
            Ok(_) | Err(_) => {}
        }
    }
    // Several steps may come upon the same thing.
    left.sort();
    left.dedup();
    // The rest can be read only after all removals.
    for (outline, observed) in found.iter().filter(|(outline, _)| !is_last(outline)) {
        match observed {
            // Things that the plan does not name have to be listed by name.
            Ok(Observed::Absent(seen)) if outline.id.kind() == strays::KIND => there.push(format!("  destroy {seen}")),
            Ok(Observed::Absent(_)) => there.push(format!("  {}", outline.title)),
            Ok(Observed::Satisfied(proof)) if outline.changes && proof.left().is_empty() => {
                not.push(format!("  {}", proof.summary()));
            }
            Ok(Observed::Satisfied(_)) => {}
            Ok(Observed::Underway(wait)) => there.push(format!("  {}  ({})", outline.title, wait.seen)),
            Ok(Observed::Conflict(failure)) | Err(failure) => {
                unknown.push(format!("  {}: {}\n    next: {}", outline.title, failure.what, failure.next));
            }
        }
    }
    let is_over = there.is_empty() && unknown.is_empty() && nothing_is_left;
    let mut out = Vec::new();
    if is_over {
        out.push(format!("nothing of {name} is there to be removed"));
    }
    for (title, lines) in [
        (format!("the teardown of {name} removes, last made first:"), there),
        ("not there:".to_string(), not),
        (
            "left alone, because the run's journal and the target do not both say that this run made it:".to_string(),
            left,
        ),
        ("in the way:".to_string(), unknown),
    ] {
        if !lines.is_empty() {
            out.push(title);
            out.extend(lines);
        }
    }
    Survey { text: out.join("\n"), refused, is_over, is_held: is_held(found) }
}

fn is_held(found: &[(Outline, Result<Observed, Failure>)]) -> bool {
    let counts = found.iter().filter(|(outline, _)| outline.id.kind() != nothing_left::KIND);
    counts.into_iter().any(|(_, observed)| matches!(observed, Ok(Observed::Conflict(_)) | Err(_)))
}

fn line_of(left: &Left) -> String {
    format!("  {}: it {}", left.what, left.why)
}

/// # Errors
/// With a sentence when nobody agrees.
fn agree(name: &str, confirmed: Option<&str>) -> Result<(), String> {
    let typed = match confirmed {
        Some(typed) => typed.to_string(),
        None if std::io::stdin().is_terminal() => {
            let mut out = std::io::stdout();
            // A closed terminal answers with nothing below.
            let _ = write!(out, "\nThis can't be taken back. Type the run's name to remove it: ")
                .and_then(|()| out.flush());
            let mut line = String::new();
            let _ = std::io::stdin().lock().read_line(&mut line);
            line.trim().to_string()
        }
        None => return Err(format!("nobody is here to agree\nnext: say it beforehand with --confirm {name}")),
    };
    match typed == name {
        true => Ok(()),
        false => Err(format!("`{}` is not {name}: nothing was removed", text::shorten(&text::clean(&typed), 80))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_with_something_in_the_way_is_no_success() {
        let outline = crate::engine::state::tests::outline("day1.clone/cp1", 1, &[]);
        let away = || Failure::retryable("no answer", "look at the network");
        for (observed, is_held) in [
            (Err(away()), true),
            (Ok(Observed::Conflict(away())), true),
            (Ok(Observed::Absent("vm 1001 is there".into())), false),
        ] {
            let survey = list("cozy", &[(outline.clone(), observed)]);
            assert_eq!((survey.is_held, survey.text.contains("in the way:")), (is_held, is_held), "{}", survey.text);
        }
    }

    #[test]
    fn only_the_runs_own_name_agrees() {
        assert!(agree("cozy-new", Some("cozy-new")).is_ok());
        let refused = agree("cozy-new", Some("cozy\u{1b}[31m")).unwrap_err();
        assert!(refused.contains("nothing was removed") && !refused.contains('\u{1b}'), "{refused}");
    }
}
