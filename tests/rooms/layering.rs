//! Who may import whom. A room that reaches where it must not breaks this test, not a reviewer's patience.
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may name in `crate::…`; `base` may be named by all.
fn allowed() -> BTreeMap<&'static str, Vec<&'static str>> {
    let all = vec![
        "plan",
        "engine",
        "steps",
        "proxmox",
        "talos",
        "kubernetes",
        "cozystack",
        "release",
        "assess",
        "backup",
        "inventory",
        "lab",
        "observe",
        "observed",
        "session",
        "tui",
        "report",
        "integrity",
        "cli",
        "compose",
    ];
    BTreeMap::from([
        ("release", vec![]),
        ("plan", vec!["release"]),
        ("proxmox", vec![]),
        ("talos", vec![]),
        ("kubernetes", vec![]),
        ("cozystack", vec!["kubernetes", "release"]),
        ("assess", vec!["kubernetes", "talos", "cozystack"]),
        ("backup", vec!["kubernetes", "talos", "assess"]),
        ("inventory", vec!["kubernetes", "assess"]),
        ("engine", vec![]),
        ("observed", vec!["engine"]),
        ("observe", vec!["engine", "plan", "proxmox", "talos", "kubernetes", "cozystack", "backup", "observed"]),
        ("steps", vec!["engine", "plan", "proxmox", "talos", "kubernetes", "cozystack", "release", "observed"]),
        ("session", vec!["engine", "observed"]),
        ("tui", vec!["engine", "plan", "session", "observed"]),
        ("integrity", vec!["engine", "plan", "proxmox", "kubernetes", "cozystack", "steps"]),
        ("report", vec!["engine", "plan", "observed", "integrity"]),
        ("cli", all.clone()),
        ("compose", all),
    ])
}

/// Rooms that are packages of their own: the compiler keeps what they may import, their manifests say it.
const PACKAGES: [(&str, &[&str]); 3] =
    [("base", &[]), ("talos/wire", &[]), ("lab", &["cozyup-base", "cozyup-talos-wire"])];
/// The screen folds records and shows them; it never reaches into the driver or the journal.
const TUI_ENGINE: [&str; 12] = [
    "course", "errand", "state", "record", "request", "proof", "standing", "step", "describe", "wait", "failure",
    "estimate",
];

pub fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Every `crate::a::b` in `text`, grouped imports opened up one level.
fn imports(text: &str) -> Vec<(String, String)> {
    let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let inside: String = group.chars().take_while(|c| *c != ';').collect();
            let mut depth = 0;
            for part in inside.split(|c| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                c == ',' && depth == 0
            }) {
                let part = part.trim();
                let room = word(part);
                if !room.is_empty() {
                    let second = part.strip_prefix(&format!("{room}::")).map(word).unwrap_or_default();
                    found.push((room, second));
                }
            }
            continue;
        }
        let room = word(rest);
        let after = rest.strip_prefix(&format!("{room}::")).unwrap_or_default();
        if let Some(group) = after.strip_prefix('{') {
            for part in group.chars().take_while(|c| *c != ';').collect::<String>().split(',') {
                found.push((room.clone(), word(part.trim())));
            }
        } else {
            found.push((room.clone(), word(after)));
        }
    }
    found
}

#[test]
fn no_room_imports_what_the_house_forbids() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the test found only {} sources", files.len());
    let allowed = allowed();
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_string_lossy().to_string();
        let room = first.trim_end_matches(".rs");
        if room == "lib" || room == "main" || PACKAGES.iter().any(|(folder, _)| relative.starts_with(folder)) {
            continue;
        }
        let may = allowed
            .get(room)
            .unwrap_or_else(|| panic!("src/{room} is no room of the house: add it here and to docs/ARCHITECTURE.md"));
        for (target, second) in imports(&fs::read_to_string(&file).unwrap()) {
            let shown = format!("{}: crate::{target}::{second}", relative.display());
            let fine = target == room
                || target == "base"
                || (may.contains(&target.as_str())
                    && !(room == "tui" && target == "engine" && !TUI_ENGINE.contains(&second.as_str()))
                    && !(room == "tui" && target == "session" && !["protocol", "client"].contains(&second.as_str())));
            if !fine {
                wrong.push(shown);
            }
        }
    }
    assert!(wrong.is_empty(), "forbidden imports:\n{}", wrong.join("\n"));
}

#[test]
fn a_package_depends_on_no_other_room_than_the_house_allows() {
    for (folder, may) in PACKAGES {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        let rooms =
            text.lines().filter(|line| line.starts_with("cozyup")).filter_map(|line| line.split(['.', ' ']).next());
        let rooms: Vec<&str> = rooms.collect();
        assert_eq!(rooms, may, "{}", manifest.display());
    }
}

#[test]
fn grouped_imports_are_opened() {
    assert_eq!(
        imports("use crate::{engine::step::Step, plan::Plan};\nuse crate::talos::{wire, client};"),
        [("engine", "step"), ("plan", "Plan"), ("talos", "wire"), ("talos", "client")]
            .map(|(a, b)| (a.to_string(), b.to_string()))
    );
}

/// house.md 3: helpers stood among the steps, so that nobody could tell the ones from the others.
#[test]
fn every_file_of_a_day_is_the_step_that_it_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/steps");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut wrong = Vec::new();
    let mut steps = 0;
    for file in files {
        let relative = file.strip_prefix(&root).unwrap().with_extension("");
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        let holds = format!("const KIND: &str = \"{}\";", parts.join("."));
        let text = fs::read_to_string(&file).unwrap();
        let in_steps =
            parts.len() == 2 && (parts[0].starts_with("day") || ["kept", "node", "teardown"].contains(&&*parts[0]));
        // `mod.rs` lists the steps of its day, `tests.rs` holds what its unit tests share.
        let wanted = in_steps && parts[1] != "mod" && parts[1] != "tests";
        steps += usize::from(wanted);
        if wanted != text.contains(&holds) || (!wanted && text.contains("const KIND")) {
            wrong.push(format!("src/steps/{}.rs", relative.display()));
        }
    }
    assert!(steps > 50, "found only {steps} steps");
    assert!(
        wrong.is_empty(),
        "dayN/NAME.rs holds the step `dayN.NAME` and nothing else does; helpers stand beside the day folders:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_top_level_holds_only_what_the_house_has() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let known = [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "assets",
        "tests",
        "docs",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "target",
    ];
    for entry in fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().to_string();
        assert!(name.starts_with('.') || known.contains(&name.as_str()), "{name} does not belong at the top level");
    }
}

#[test]
fn every_direct_dependency_has_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let reasons = fs::read_to_string(root.join("docs/DEPENDENCIES.md")).unwrap();
    let mut section = "";
    let mut names = std::collections::BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]")
            && let Some((name, _)) = line.split_once([' ', '.'])
            && !name.starts_with("cozyup-")
        {
            names.insert(name.trim());
        }
    }
    assert!(names.len() > 30, "read only {} dependencies", names.len());
    let words: Vec<&str> = reasons.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).collect();
    let missing: Vec<&&str> = names.iter().filter(|n| !words.contains(n)).collect();
    assert!(missing.is_empty(), "docs/DEPENDENCIES.md gives no reason for {missing:?}");
}
