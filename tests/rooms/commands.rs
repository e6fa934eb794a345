//! The command line has two layers: commands, which read what a person typed, and services, which do it. Commands know
//! services and no other command; services know neither a command nor how the command line is spelled.
use super::layering::sources;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What a command line without a command does.
const HOME: &str = "home";
/// The modules that spell options for several commands, and the one that reads the command line.
const SPELL: [&str; 3] = ["flags", "contact", "mod"];

/// The text of every module right under `src/cli`, folders with all their files; without unit tests.
fn modules() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut modules: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        let first = file.strip_prefix(&root).unwrap().iter().next().unwrap().to_string_lossy().to_string();
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        modules.entry(first.trim_end_matches(".rs").to_string()).or_default().push_str(code);
    }
    modules
}

/// The files that `enum Command` names, and home.
fn commands(main: &str) -> BTreeSet<String> {
    let inside = main.split("enum Command {").nth(1).unwrap().split("\n}").next().unwrap();
    let variants = inside.lines().map(str::trim).filter(|line| !line.starts_with(['/', '#']) && line.contains('('));
    let named = variants.map(|line| line.split(['(', ':']).nth(1).unwrap().to_string());
    named.chain([HOME.to_string()]).collect()
}

/// The modules of the command line that `text` names, of a file right under `src/cli` or deeper.
fn named(text: &str, all: &BTreeMap<String, String>) -> BTreeSet<String> {
    let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for prefix in ["super::", "crate::cli::"] {
        for (at, _) in text.match_indices(prefix) {
            let rest = &text[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(group.split([';', '}']).next().unwrap().split(',').map(|w| word(w.trim()))),
                None => {
                    found.insert(word(rest));
                }
            }
        }
    }
    found.retain(|name| all.contains_key(name));
    found
}

/// house.md section 1: six files of commands named each other in a circle.
#[test]
fn no_command_and_no_service_names_a_command() {
    let modules = modules();
    let commands = commands(&modules["mod"]);
    assert!(commands.len() >= 10 && commands.iter().all(|name| modules.contains_key(name)), "{commands:?}");
    let mut wrong = Vec::new();
    for (module, text) in modules.iter().filter(|(module, _)| *module != "mod") {
        let named = named(text, &modules);
        wrong.extend(named.intersection(&commands).filter(|c| *c != module).map(|c| format!("{module} names {c}")));
    }
    assert!(wrong.is_empty(), "what two commands need is a service of its own:\n{}", wrong.join("\n"));
}

#[test]
fn what_starts_a_run_knows_nothing_of_how_the_command_line_is_spelled() {
    let modules = modules();
    let commands = commands(&modules["mod"]);
    assert!(modules["run"].contains("clap::"), "the test would not see an option");
    for (module, text) in &modules {
        let may = commands.contains(module) || SPELL.contains(&module.as_str());
        assert!(may || !text.contains("clap"), "{module} is a service and names clap");
        assert!(may || !named(text, &modules).contains("flags"), "{module} is a service and names options");
    }
}

#[test]
fn the_modules_of_the_command_line_form_no_circle() {
    let modules = modules();
    let mut left: BTreeMap<&String, BTreeSet<String>> =
        modules.iter().map(|(module, text)| (module, named(text, &modules))).collect();
    left.iter_mut().for_each(|(module, named)| named.retain(|name| name != *module));
    assert!(left.values().map(BTreeSet::len).sum::<usize>() > 30, "the test found hardly any import");
    while !left.is_empty() {
        let free: BTreeSet<String> =
            left.iter().filter(|(_, named)| named.is_empty()).map(|(module, _)| (*module).clone()).collect();
        assert!(!free.is_empty(), "these name each other: {left:?}");
        left.retain(|module, _| !free.contains(*module));
        left.values_mut().for_each(|named| named.retain(|name| !free.contains(name)));
    }
}

#[test]
fn every_way_to_name_a_module_is_seen() {
    let all = ["run", "show", "start", "status"].map(|name| (name.to_string(), String::new())).into();
    let text = "use super::{Exit, run, status};\nsuper::show::x();\nuse crate::cli::start::Start;";
    assert_eq!(named(text, &all), ["run", "show", "start", "status"].map(str::to_string).into());
}
