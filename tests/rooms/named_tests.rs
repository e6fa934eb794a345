//! The tests of this tree by their full names, for documents that name them.
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every test as `TARGET module::name`: `lib` for a test beside the code, else the folder or file under `tests`. A module
/// `tests` is left out of the name.
pub fn all() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    for top in ["src", "tests"] {
        tests_in(root, &root.join(top), &mut known);
    }
    assert!(known.contains("rooms named_tests::names_are_those_of_files_and_functions") && known.len() > 400);
    known
}

fn tests_in(root: &Path, dir: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_in(root, &path, into);
            continue;
        }
        if path.extension().is_none_or(|e| e != "rs") {
            continue;
        }
        let place = place(path.strip_prefix(root).unwrap());
        let text = fs::read_to_string(&path).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            }
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            if let Some(name) = name.and_then(|rest| rest.split(['(', '<']).next()) {
                if is_test {
                    into.insert(full_name(&place, name));
                }
                is_test = false;
            }
        }
    }
}

/// `src/steps/day1/fetch.rs` is `lib`, `steps`, `day1`, `fetch`; `tests/program/day0.rs` is `program`, `day0`.
fn place(file: &Path) -> Vec<String> {
    let parts = file.with_extension("").iter().map(|part| part.to_str().unwrap().to_string()).collect::<Vec<_>>();
    let (top, inside) = parts.split_first().unwrap();
    let target = (top == "src").then(|| "lib".to_string());
    let kept = inside.iter().filter(|part| !["mod", "main", "lib", "tests"].contains(&part.as_str()));
    target.into_iter().chain(kept.cloned()).collect()
}

fn full_name(place: &[String], name: &str) -> String {
    let (target, modules) = place.split_first().unwrap();
    let path: Vec<&str> = modules.iter().map(String::as_str).chain([name]).collect();
    format!("{target} {}", path.join("::"))
}

/// What stands between single backquotes.
pub fn quoted(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2)
}

/// Names of tests are long.
pub fn is_long(word: &str) -> bool {
    word.matches('_').count() >= 4
}

#[test]
fn names_are_those_of_files_and_functions() {
    let named = |file: &str| full_name(&place(Path::new(file)), "x");
    assert_eq!(named("src/steps/day1/fetch.rs"), "lib steps::day1::fetch::x");
    assert_eq!(named("src/proxmox/mod.rs"), "lib proxmox::x");
    assert_eq!(named("src/engine/journal/tests.rs"), "lib engine::journal::x");
    assert_eq!(named("tests/program/day0.rs"), "program day0::x");
    assert_eq!(named("tests/rooms/engine/doubt.rs"), "rooms engine::doubt::x");
    assert_eq!(named("tests/full_disk.rs"), "full_disk x");
}
