//! Golden screens: each view of the program as it is drawn at the usual sizes, with colour and without, kept as text files
//! that a person can read in a review. `COZYUP_WRITE_SCREENS=1` writes them anew.
mod answers;
mod asked;
mod drawn;
mod person;
mod pictures;
mod runs;
mod site;
mod views;

use cozyup::tui::theme::Theme;
use cozyup::tui::view::SMALLEST;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (160, 45), (40, 10)];
const WRITE: &str = "COZYUP_WRITE_SCREENS";
const HOW: &str = "If the change is meant: COZYUP_WRITE_SCREENS=1 cargo test --test rooms screens::, then read `git diff \
                   tests/screens`.";
/// Lines of one difference that are shown.
const SHOWN: usize = 40;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens")
}

/// One view is about a screen that has no room for any view.
fn sizes_of(view: &views::View) -> Vec<(u16, u16)> {
    if view.name == "too-small" { vec![(SMALLEST.0 - 1, SMALLEST.1)] } else { SIZES.to_vec() }
}

/// Every golden file: its name and its text.
fn all() -> BTreeMap<String, String> {
    let themes = [
        ("in colour, with Unicode marks", Theme::new(true, true)),
        ("without colour (NO_COLOR), with ASCII marks", Theme::new(false, false)),
    ];
    let views = views::all();
    let one = |view: &views::View| -> Vec<(String, String)> {
        let of_size = |size: (u16, u16)| {
            let mut text = format!("{} at {}x{}: {}\n", view.name, size.0, size.1, view.about);
            for (words, theme) in &themes {
                let person = (view.build)(*theme, size);
                text.push_str(&format!("\n== {words}\n{}", drawn::text(&person.draw())));
            }
            (format!("{}.{}x{}.txt", view.name, size.0, size.1), text)
        };
        sizes_of(view).into_iter().map(of_size).collect()
    };
    let one = &one;
    // Some hundred screens: four threads draw them.
    std::thread::scope(|scope| {
        let parts = views.chunks(views.len().div_ceil(4));
        let threads: Vec<_> =
            parts.map(|part| scope.spawn(move || part.iter().flat_map(one).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Screens are grids, so lines are compared by their place.
fn difference(kept: &str, drawn: &str) -> String {
    let (kept, drawn): (Vec<&str>, Vec<&str>) = (kept.lines().collect(), drawn.lines().collect());
    let mut out = Vec::new();
    for n in 0..kept.len().max(drawn.len()) {
        let (old, new) = (kept.get(n).copied(), drawn.get(n).copied());
        if old != new {
            out.extend(old.map(|line| format!("{:>4} - {line}", n + 1)));
            out.extend(new.map(|line| format!("{:>4} + {line}", n + 1)));
        }
    }
    let left = out.len().saturating_sub(SHOWN);
    out.truncate(SHOWN);
    if left > 0 {
        out.push(format!("     ... and {left} more lines"));
    }
    out.join("\n")
}

/// house.md 4: views had no picture of themselves that a review could read.
#[test]
fn every_view_is_drawn_as_its_golden_file_shows_it() {
    let drawn = all();
    if std::env::var_os(WRITE).is_some() {
        fs::create_dir_all(folder()).unwrap();
        for (name, text) in &drawn {
            fs::write(folder().join(name), text).unwrap();
        }
        return;
    }
    let mut wrong = Vec::new();
    for (name, text) in &drawn {
        let kept = fs::read_to_string(folder().join(name)).unwrap_or_default();
        if &kept != text {
            wrong.push(format!("tests/screens/{name}:\n{}", difference(&kept, text)));
        }
    }
    let left = wrong.len().saturating_sub(5);
    wrong.truncate(5);
    assert!(wrong.is_empty(), "{}\n{left} more files differ. {HOW}", wrong.join("\n\n"));
}

#[test]
fn no_golden_file_is_left_of_a_view_that_is_gone() {
    let mut known: BTreeSet<String> = BTreeSet::new();
    for view in views::all() {
        known.extend(sizes_of(&view).iter().map(|(width, height)| format!("{}.{width}x{height}.txt", view.name)));
    }
    let there: BTreeSet<String> =
        fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().to_string()).collect();
    assert_eq!(there.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "remove these files");
    assert_eq!(known.difference(&there).collect::<Vec<_>>(), Vec::<&String>::new(), "{HOW}");
}

#[test]
fn a_difference_is_told_by_its_lines() {
    assert_eq!(difference("a\nb\nc\n", "a\nB\nc\nd\n"), "   2 - b\n   2 + B\n   4 + d");
    let long = "x\n".repeat(100);
    assert!(difference("", &long).ends_with("... and 60 more lines"));
}

/// house.md 2 (d): a test drove the id `day3.wave/2`, which no run ever makes, so that it showed nothing of real runs.
#[test]
fn the_screens_own_tests_name_only_steps_that_exist() {
    let mut with_drills = runs::the_plan();
    with_drills.tests.drills = with_drills.nodes.iter().take(1).map(|node| node.name.clone()).collect();
    let drills = cozyup::compose::outlines(&with_drills).unwrap();
    let real: BTreeSet<String> = runs::outlines().iter().chain(&drills).map(|o| o.id.kind().to_string()).collect();
    let mut files = Vec::new();
    super::layering::sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tui"), &mut files);
    let mut wrong = Vec::new();
    let mut found = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (at, _) in text.match_indices("\"day") {
            let id: String =
                text[at + 1..].chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '.').collect();
            if id.split_once('.').is_some_and(|(day, name)| day.len() == 4 && !name.is_empty()) {
                found += 1;
                if !real.contains(&id) {
                    wrong.push(format!("{}: {id}", file.display()));
                }
            }
        }
    }
    assert!(found > 10, "found only {found} ids");
    assert!(wrong.is_empty(), "no run makes these steps:\n{}", wrong.join("\n"));
}
