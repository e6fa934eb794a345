//! `cozyup` without a command: home. A new plan, a plan that is there, or the lab.
use super::exit::Exit;
use super::first_use;
use super::form_site;
use super::known;
use super::lab_site::{self, Place};
use super::output::print_error;
use super::person::who;
use super::runs::{judged, name_of};
use super::show::{Style, cannot_join, no_terminal, show, show_record};
use super::start::{Start, execute, in_lab};
use crate::base::file;
use crate::plan;
use crate::plan::draft::{self, Draft};
use crate::session::client;
use crate::tui::{self, Home, HomeChoice};
use std::path::{Path, PathBuf};

/// Files of a folder that are looked into for plans.
const MOST_FILES: usize = 200;
/// `cozyup`: new plan, open plan, try the lab.
pub async fn home(state_dir: &Path) -> Exit {
    if let Some(exit) = no_terminal() {
        return exit;
    }
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let runs = known::runs(state_dir).await;
    let draft_file = state_dir.join("draft.json");
    let home = Home {
        runs,
        plans: plans_in(&cwd),
        scenarios: lab_site::scenarios(),
        cwd,
        connector: Some(form_site::connector()),
        fetcher: Some(first_use::fetcher()),
        draft: file::read_regular(&draft_file, draft::SIZE).and_then(|text| Draft::of_text(&text)),
        draft_file: Some(draft_file),
    };
    match tui::home(home).await {
        Err(e) => {
            print_error(&format!("the screen can't be used: {e}"));
            Exit::Usage
        }
        Ok(HomeChoice::Quit) => Exit::Proven,
        Ok(HomeChoice::Attach(folder)) => attach(&folder).await,
        Ok(HomeChoice::Look(folder)) => show_record(&folder, None).await,
        Ok(HomeChoice::Open(path)) => execute(Start::of(&path), state_dir).await,
        Ok(HomeChoice::Lab { scenario, speed }) => in_lab(state_dir, &Place { scenario, speed, net: None }).await,
    }
}

async fn attach(folder: &Path) -> Exit {
    let name = name_of(folder);
    if let Err(why) = judged(folder) {
        print_error(&why);
        return Exit::Usage;
    }
    match client::join(folder, &who(), false).await {
        Ok((welcome, attachment)) => show(Style::Screen, &name, folder, welcome, attachment, 0).await,
        Err(e) => cannot_join(&name, &e),
    }
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
