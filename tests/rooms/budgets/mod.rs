//! Sizes that the house keeps. What was over its budget when the budget came stands in a list beside this file with its
//! figure; such a list only ever gets shorter. `COZYUP_LOWER_BUDGETS=1` lowers its figures to what they are now and takes out
//! what keeps its budget; it never adds a line and never raises a figure.
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file.
const FILE: usize = 400;
/// Lines of a function, from its name to its last brace.
const FUNCTION: usize = 50;
/// A listed figure may be this far above the truth before it has to be lowered.
const SLACK: usize = 25;
const LOWER: &str = "COZYUP_LOWER_BUDGETS";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of `src` and `tests` with its path from the top level.
fn sources() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["src", "tests"] {
        super::layering::sources(&root().join(folder), &mut files);
    }
    files.sort();
    let named = files.into_iter().map(|file| {
        let name = file.strip_prefix(root()).unwrap().display().to_string();
        (name, fs::read_to_string(&file).unwrap())
    });
    // What the fuzzer's own package and the peers' builds put beside their sources is not the house's.
    let built =
        |name: &str| name.split('/').any(|part| part == "target" || (part == "build" && name.starts_with("tests")));
    named.filter(|(name, _)| !built(name)).collect()
}

/// `PATH FIGURE` or `PATH NAME FIGURE` a line; `#` begins a comment.
fn listed(text: &str) -> BTreeMap<String, usize> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let (what, figure) = line.rsplit_once(' ').unwrap_or_else(|| panic!("`{line}` has no figure"));
            (what.to_string(), figure.parse().unwrap_or_else(|_| panic!("`{line}` ends with no figure")))
        })
        .collect()
}

/// What is wrong with what was found, against the budget and the list of exceptions.
fn breaches(list: &str, text: &str, budget: usize, slack: usize, found: &BTreeMap<String, usize>) -> Vec<String> {
    let exceptions = listed(text);
    let mut wrong = Vec::new();
    for (what, figure) in found.iter().filter(|(_, figure)| **figure > budget) {
        match exceptions.get(what) {
            None => wrong.push(format!("{what}: {figure}, the budget is {budget}: make it smaller")),
            Some(listed) if figure > listed => {
                wrong.push(format!("{what}: {figure}, it was let off with {listed}: make it smaller"));
            }
            Some(listed) if figure + slack < *listed => {
                wrong.push(format!("{what}: {figure}: lower its figure in {list} from {listed} ({LOWER}=1 does)"));
            }
            Some(_) => {}
        }
    }
    for what in exceptions.keys() {
        if found.get(what).is_none_or(|figure| *figure <= budget) {
            wrong.push(format!("{what}: keeps the budget now: take it out of {list} ({LOWER}=1 does)"));
        }
    }
    wrong
}

/// The list with the figures of today where they are lower, and without what keeps the budget.
fn lowered(text: &str, budget: usize, found: &BTreeMap<String, usize>) -> String {
    let comments = text.lines().filter(|line| line.starts_with('#')).map(str::to_string);
    let entries = listed(text).into_iter().filter_map(|(what, listed)| {
        let figure = found.get(&what).copied().filter(|figure| *figure > budget)?;
        Some(format!("{what} {}", figure.min(listed)))
    });
    comments.chain(entries).map(|line| line + "\n").collect()
}

fn hold(list: &str, budget: usize, slack: usize, found: &BTreeMap<String, usize>) {
    let path = root().join("tests/rooms/budgets").join(list);
    let text = fs::read_to_string(&path).unwrap();
    if std::env::var_os(LOWER).is_some() {
        fs::write(&path, lowered(&text, budget, found)).unwrap();
        return;
    }
    let wrong = breaches(list, &text, budget, slack, found);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_the_budget() {
    let found = sources().into_iter().map(|(name, text)| (name, text.lines().count())).collect();
    hold("files.txt", FILE, SLACK, &found);
}

#[test]
fn no_function_is_longer_than_the_budget() {
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    for (name, text) in sources() {
        for (function, lines) in source::functions(&source::blanked(&text)) {
            // Functions of one name in a file share an entry, the longest counts.
            let most = found.entry(format!("{name} {function}")).or_default();
            *most = lines.max(*most);
        }
    }
    assert!(found.len() > 2000, "found only {} functions", found.len());
    hold("functions.txt", FUNCTION, SLACK, &found);
}

/// A new variant of an enum of ours must be thought of wherever the enum is matched; `_ =>` hides it from the compiler.
#[test]
fn no_match_over_an_enum_of_ours_has_an_arm_for_the_rest() {
    let all = sources();
    let product = || all.iter().filter(|(name, _)| name.starts_with("src/") && !name.starts_with("src/lab/"));
    let ours: BTreeSet<String> = product().flat_map(|(_, text)| source::enums(&source::blanked(text))).collect();
    assert!(ours.contains("Status") && ours.len() > 80, "found only {} enums", ours.len());
    let mut found = BTreeMap::new();
    let mut places = Vec::new();
    for (name, text) in product() {
        let lines = source::wildcards(&source::blanked(text), &ours);
        if !lines.is_empty() {
            places.push(format!("{name}:{lines:?}"));
            found.insert(name.clone(), lines.len());
        }
    }
    println!("arms `_ =>` beside variants of ours:\n{}", places.join("\n"));
    hold("wildcards.txt", 0, 0, &found);
}

#[test]
fn a_list_that_is_out_of_date_is_refused_and_can_only_be_lowered() {
    let found = BTreeMap::from([("a.rs".to_string(), 450), ("c.rs".to_string(), 500)]);
    let wrong = |text: &str| breaches("list", text, 400, 25, &found).len();
    assert_eq!(wrong("# why\na.rs 460\nc.rs 500"), 0);
    assert_eq!(wrong("a.rs 449\nc.rs 500"), 1, "a.rs has grown");
    assert_eq!(wrong("a.rs 480\nc.rs 500"), 1, "its figure is to be lowered");
    assert_eq!(wrong("a.rs 450\nb.rs 500\nc.rs 500"), 1, "b.rs is not over the budget");
    assert_eq!(wrong("a.rs 450"), 1, "c.rs is not listed");
    assert_eq!(lowered("# why\na.rs 480\nb.rs 500\nc.rs 499\n", 400, &found), "# why\na.rs 450\nc.rs 499\n");
}
