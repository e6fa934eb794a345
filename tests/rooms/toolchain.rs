//! The version of Rust stands in one place, `rust-version` of the top manifest; CI, documents and packages follow it.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn pinned() -> String {
    let manifest = read("Cargo.toml");
    let versions: Vec<&str> = manifest.lines().filter_map(|line| line.strip_prefix("rust-version = ")).collect();
    assert_eq!(versions.len(), 1, "{versions:?}");
    versions[0].trim_matches('"').to_string()
}

#[test]
fn ci_packages_and_the_readme_follow_the_version_of_the_manifest() {
    let version = pinned();
    assert!(read(".ci/run").contains("\n. .ci/toolchain\n"));
    assert!(read("README.md").contains(&format!("[Rust](https://rustup.rs) {version} or newer")));
    for package in ["Cargo.toml", "src/base/Cargo.toml", "src/talos/wire/Cargo.toml", "src/lab/Cargo.toml"] {
        assert!(read(package).contains("\nrust-version.workspace = true\n"), "{package}");
    }
}

/// A machine with these toolchains: `RUSTUP_TOOLCHAIN` that `.ci/toolchain` chooses there, and whether it fetched one.
fn chosen(default: &str, installed: &[(&str, &str)]) -> (String, bool) {
    let folder = tempfile::tempdir().unwrap();
    let script = |name: &str, text: String| {
        let path: &Path = &folder.path().join(name);
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let cases: String = installed.iter().map(|(name, v)| format!("{name}) v={v} ;;\n")).collect();
    script(
        "rustc",
        format!("#!/bin/sh\ncase \"$RUSTUP_TOOLCHAIN\" in\n{cases}*) v={default} ;;\nesac\necho \"rustc $v (x)\"\n"),
    );
    let names: String = installed.iter().map(|(name, _)| format!("echo '{name} (default)'\n")).collect();
    let fetched = folder.path().join("fetched");
    script(
        "rustup",
        format!("#!/bin/sh\nif [ \"$2\" = install ]; then echo \"$3\" > {}; exit; fi\n{names}", fetched.display()),
    );
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let run = "set -euo pipefail; . .ci/toolchain; echo \"${RUSTUP_TOOLCHAIN:-}\"";
    let mut bash = Command::new("bash");
    bash.args(["-c", run]).current_dir(root()).env("PATH", path).env_remove("RUSTUP_TOOLCHAIN");
    let answer = bash.output().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    (String::from_utf8(answer.stdout).unwrap().trim().to_string(), fetched.exists())
}

#[test]
fn a_toolchain_of_the_pinned_version_that_is_there_is_used_and_nothing_is_fetched() {
    let version = pinned();
    let exact = format!("{version}.3");
    assert_eq!(chosen(&exact, &[]), (String::new(), false));
    assert_eq!(chosen("1.200.0", &[("stable", "1.200.0"), ("old", &exact)]), ("old".to_string(), false));
    // `1.9` is no beginning of `1.95`, nor the other way round.
    assert_eq!(chosen(&format!("{version}5.0"), &[("stable", "1.9.0")]), (version, true));
}
