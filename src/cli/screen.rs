//! The terminal UI's way in: home, the lab's wizard, the run screen.
use super::lab::{self, Where};
use super::run::{Start, execute, lost};
use super::{Exit, tell};
use crate::base::clock::Clock;
use crate::base::file;
use crate::plan;
use crate::session::protocol::{Attachment, Welcome};
use crate::steps::catalogue::LAST_DAY;
use crate::tui::{self, Home, HomeChoice, RunEnd, RunScreen};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The speed at which `cozyup lab` shows the simulated site when nobody says otherwise: an install in a minute or two.
const SHOW_SPEED: f64 = 15.0;
/// Files of a folder that are looked into for plans.
const MOST_FILES: usize = 200;
/// The time that running acts get to end after the screen was left.
const LEAVE: Duration = Duration::from_secs(20);

/// Without a terminal there is no screen: says what to type instead.
fn no_terminal() -> Option<Exit> {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return None;
    }
    tell(
        "this is no terminal, so there is no screen to show\n\
         next: `cozyup lab run` tries everything in lines, `cozyup run PLAN --yes` runs a plan, `cozyup --help` shows the rest",
    );
    Some(Exit::Usage)
}

/// `cozyup`: new plan, open plan, try the lab.
pub async fn home(state_dir: &Path) -> Exit {
    if let Some(exit) = no_terminal() {
        return exit;
    }
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let home = Home { plans: plans_in(&cwd), scenarios: lab::scenarios(), cwd };
    match tui::home(home).await {
        Err(e) => {
            tell(&format!("the screen can't be used: {e}"));
            Exit::Usage
        }
        Ok(HomeChoice::Quit) => Exit::Proven,
        Ok(HomeChoice::Open(path)) => execute(Start::of(&path), state_dir).await,
        Ok(HomeChoice::Lab { scenario, speed }) => in_lab(state_dir, &Where { scenario, speed, net: None }).await,
    }
}

/// `cozyup lab`: the simulated site with the screen on it; every day asks at its gate.
pub async fn lab(state_dir: &Path) -> Exit {
    if let Some(exit) = no_terminal() {
        return exit;
    }
    in_lab(state_dir, &Where { scenario: "standard".to_string(), speed: SHOW_SPEED, net: None }).await
}

async fn in_lab(state_dir: &Path, at: &Where) -> Exit {
    let opened = match lab::open(state_dir, at, false).await {
        Ok(opened) => opened,
        Err(why) => {
            tell(&why);
            return Exit::Usage;
        }
    };
    let start = Start {
        folder: Some(opened.run_folder()),
        clock: opened.site.clock(),
        names: Some(opened.site.names.clone()),
        figures: opened.figures(LAST_DAY),
        token_file: Some(opened.site.token_file.clone()),
        ..Start::of(&opened.site.plan)
    };
    let exit = execute(start, state_dir).await;
    // A site whose run goes on, or was stopped half way, stays for the next `cozyup lab`; it ends by itself when idle.
    if exit == Exit::Proven && opened.is_over() {
        opened.end();
    }
    exit
}

/// Plan files of a folder, each with a short description of its state.
fn plans_in(dir: &Path) -> Vec<(PathBuf, String)> {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    let yaml = files.filter(|p| p.extension().is_some_and(|e| e == "yaml" || e == "yml"));
    let mut plans: Vec<(PathBuf, String)> = yaml
        .take(MOST_FILES)
        .filter_map(|path| {
            // Only files that can be read at once: a pipe would be waited for, a device has no end.
            let text = file::read_regular(&path, plan::load::SIZE_LIMIT)?;
            // Other YAML files of the folder are none of our business.
            let looks_like_one = ["version:", "site:", "nodes:"].iter().all(|k| text.lines().any(|l| l.starts_with(k)));
            let word = match plan::of_text(&text, &path) {
                Ok(loaded) => format!("plan {}", loaded.plan.name),
                Err(e) => e.to_string(),
            };
            looks_like_one.then_some((path, word))
        })
        .collect();
    plans.sort();
    plans
}

/// The run screen over a run that has been joined.
pub async fn run(name: &str, folder: &Path, welcome: Welcome, attachment: Attachment) -> Exit {
    let plan = match plan::load(&folder.join("plan.yaml")) {
        Ok(loaded) => loaded,
        Err(e) => {
            tell(&format!("the run's own copy of its plan can't be used: {e}\nnext: `cozyup attach {name} --lines`"));
            return Exit::Usage;
        }
    };
    let pid = welcome.pid;
    let (end, finished) = oneshot::channel();
    let Attachment { history, records, requests, control, views, denials, ended } = attachment;
    let lost_text = lost(name);
    let mut ending = tokio::spawn(async move {
        let ended = ended.await.ok();
        // The screen may have been left already.
        let _ = end.send(ended.as_ref().map_or(lost_text, |e| e.text.clone()));
        ended
    });
    let (_, nothing) = oneshot::channel();
    let screen = RunScreen {
        findings: plan.findings.iter().map(ToString::to_string).collect(),
        plan: Arc::new(plan.plan),
        clock: welcome.clock.as_deref().and_then(Clock::of_spec).unwrap_or_else(Clock::real),
        attachment: Attachment { history, records, requests, control, views, denials, ended: nothing },
        folder: folder.to_path_buf(),
        title: welcome.title,
    };
    let left = tui::run(screen, finished).await;
    let goes_on = || {
        super::say(&format!("run {name} goes on in process {pid}; `cozyup attach {name}` comes back to it"));
        Exit::Proven
    };
    let wait = match left {
        Ok(RunEnd::Left) => return goes_on(),
        Ok(RunEnd::Quit) => Duration::ZERO,
        Ok(RunEnd::Stopped) => LEAVE,
        Err(e) => {
            tell(&format!("the screen can't be used: {e}\nnext: `cozyup attach {name} --lines`"));
            return goes_on();
        }
    };
    match tokio::time::timeout(wait, &mut ending).await {
        Ok(Ok(Some(ended))) => {
            super::say(&ended.text);
            Exit::of(ended.exit)
        }
        Ok(Ok(None) | Err(_)) => {
            tell(&lost(name));
            Exit::Blocked
        }
        Err(_) => {
            super::say(&format!("run {name} still stops, in process {pid}; `cozyup status {name}` tells when it has"));
            Exit::Stopped
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// harm.md S15
    #[test]
    fn what_lies_in_the_folder_beside_plans_is_neither_waited_for_nor_read_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let text = plan::defaults::write(&plan::defaults::Defaults::default());
        std::fs::write(at("plan.yaml"), &text).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("a.yaml")).status().unwrap().success());
        std::os::unix::fs::symlink("/dev/zero", at("b.yaml")).unwrap();
        std::os::unix::fs::symlink(at("plan.yaml"), at("c.yml")).unwrap();
        std::os::unix::fs::symlink("/dev/stdin", at("d.yaml")).unwrap();
        std::fs::create_dir(at("e.yaml")).unwrap();
        let large = std::fs::File::create(at("f.yaml")).unwrap();
        large.set_len(1 << 40).unwrap();
        std::fs::write(at("g.yaml"), [0xff, 0xfe]).unwrap();
        let found: Vec<PathBuf> = plans_in(dir.path()).into_iter().map(|(path, _)| path).collect();
        assert_eq!(found, [at("c.yml"), at("plan.yaml")]);
    }
}
