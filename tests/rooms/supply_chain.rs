//! What is linked: `.deny.toml` says which licences and sources are taken, and here they are compared with the packages as
//! they are locked, without a network. Known advisories are `cargo deny`'s, which asks for them.
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// The texts in the list behind `key = [`, at the beginning of a line.
fn list(deny: &str, key: &str) -> Vec<String> {
    let (_, after) = deny.split_once(&format!("\n{key} = [")).unwrap_or_else(|| panic!("no {key}"));
    let is_one_line = after.lines().next().is_some_and(|line| line.contains(']'));
    let (list, _) = after.split_once(if is_one_line { "]" } else { "\n]" }).unwrap();
    list.lines().filter(|l| !l.trim_start().starts_with('#')).map(|l| l.to_string() + "\n").collect()
}

fn quoted(line: &str) -> Vec<&str> {
    line.split('"').skip(1).step_by(2).collect()
}

struct Deny {
    allow: Vec<String>,
    exceptions: Vec<(String, String)>,
    registries: Vec<String>,
}

fn deny() -> Deny {
    let text = std::fs::read_to_string(root().join(".deny.toml")).unwrap();
    let all = |key: &str| -> Vec<String> {
        list(&text, key).iter().flat_map(|line| quoted(line).into_iter().map(str::to_string)).collect()
    };
    let exceptions = list(&text, "exceptions")
        .iter()
        .map(|line| quoted(line))
        .filter(|q| q.len() == 2)
        .map(|q| (q[0].to_string(), q[1].to_string()))
        .collect();
    Deny { allow: all("allow"), exceptions, registries: all("allow-registry") }
}

/// An SPDX expression, also with the old `/` for `OR`: one part of an OR, all parts of an AND.
fn is_allowed(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let expression = expression.replace('/', " OR ");
    either(&mut words(&expression).into_iter().peekable(), allowed)
}

fn words(expression: &str) -> Vec<String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ");
    let mut words: Vec<String> = Vec::new();
    for word in spaced.split_whitespace() {
        match words.last_mut() {
            Some(last) if word == "WITH" || last.ends_with(" WITH") => *last = format!("{last} {word}"),
            _ => words.push(word.to_string()),
        }
    }
    words
}

type Words = std::iter::Peekable<std::vec::IntoIter<String>>;

fn either(words: &mut Words, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut any = both(words, allowed);
    while words.next_if(|w| w == "OR").is_some() {
        any |= both(words, allowed);
    }
    any
}

fn both(words: &mut Words, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut all = one(words, allowed);
    while words.next_if(|w| w == "AND").is_some() {
        all &= one(words, allowed);
    }
    all
}

fn one(words: &mut Words, allowed: &dyn Fn(&str) -> bool) -> bool {
    match words.next() {
        Some(open) if open == "(" => {
            let inner = either(words, allowed);
            inner && words.next().as_deref() == Some(")")
        }
        Some(licence) => allowed(&licence),
        None => false,
    }
}

#[test]
fn every_linked_package_has_an_allowed_licence_and_comes_from_the_registry() {
    let deny = deny();
    assert!(deny.allow.len() > 5 && deny.exceptions.len() == 2 && deny.registries.len() == 1);
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let target = "x86_64-unknown-linux-gnu";
    let arguments = ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", target];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100, "{}", packages.len());
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let excepted = |licence: &str| deny.exceptions.iter().any(|(c, l)| c == name && l == licence);
        let allowed = |licence: &str| deny.allow.iter().any(|a| a == licence) || excepted(licence);
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_allowed(licence, &allowed) {
            wrong.push(format!("{name}: licence `{licence}`"));
        }
        // Packages of this workspace have none.
        let source = package["source"].as_str().unwrap_or_default();
        if !source.is_empty() && !deny.registries.iter().any(|r| source == format!("registry+{r}")) {
            wrong.push(format!("{name}: source {source}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// For every platform, which the metadata of one does not show.
#[test]
fn every_locked_package_comes_from_the_registry_with_a_checksum() {
    let registries = deny().registries;
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut foreign = 0;
    for package in lock.split("[[package]]").skip(1) {
        let value =
            |key: &str| package.lines().find_map(|l| l.strip_prefix(&format!("{key} = "))).map(|v| v.trim_matches('"'));
        let Some(source) = value("source") else { continue };
        foreign += 1;
        assert!(registries.iter().any(|r| source == format!("registry+{r}")), "{package}");
        assert!(value("checksum").is_some_and(|sum| sum.len() == 64), "{package}");
    }
    assert!(foreign > 100, "{foreign}");
}

#[test]
fn an_expression_of_licences_is_read_as_spdx_means_it() {
    let allowed = |licence: &str| ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].contains(&licence);
    for good in [
        "MIT",
        "GPL-2.0-only OR MIT",
        "GPL-2.0-only/MIT",
        "ISC AND (GPL-2.0-only OR MIT)",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-2.0-only", "MIT AND GPL-2.0-only", "(MIT OR ISC) AND GPL-2.0-only", "Apache-2.0", "(MIT"] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}
