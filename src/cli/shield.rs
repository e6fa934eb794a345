//! Keeps secrets from leaving this process by other ways: core dumps, other processes, files that everybody can read.
use super::output::print_error;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};

/// No copy of the memory on a disk, and none for other processes: with `NotDumpable` the kernel writes no core, not even
/// for a crash reporter (which no limit stops), and gives `/proc/PID` (environment, memory, open files) to root alone. Every
/// program that is started sets it for itself. A process may still read its own.
pub fn shield() {
    // Either is there on every Linux; where one is missing the other still holds.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Every file that this process makes from now on is its owner's alone.
pub fn private_files() {
    umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Reports of panics: what and where, never the environment, and through the same cleaning as every other text.
///
/// # Errors
/// When a reporter is installed already.
pub fn install_reports() -> Result<(), String> {
    let (panics, errors) = color_eyre::config::HookBuilder::default()
        .theme(color_eyre::config::Theme::new())
        .display_env_section(false)
        .panic_section("this is a defect in cozyup; the run's journal is whole: run the same command again to go on")
        .try_into_hooks()
        .map_err(|e| e.to_string())?;
    errors.install().map_err(|e| e.to_string())?;
    std::panic::set_hook(Box::new(move |info| print_error(&panics.panic_report(info).to_string())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use rustix::process::{dumpable_behavior, getrlimit};
    use std::process::Command;

    const CHILD: &str = "COZYUP_TEST_PANICS";

    /// Run by the next test in a process of its own.
    #[test]
    fn a_process_that_panics_with_a_secret_in_its_words() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        shield();
        install_reports().unwrap();
        let secret = Secret::new("0f1e2d3c-panic-4b5a-6978".to_string());
        panic!("can't use {} \u{1b}]0;owned\u{7} at \u{202e}", secret.expose());
    }

    #[test]
    fn a_panic_is_told_without_secrets_and_without_what_a_terminal_obeys() {
        let name = "cli::shield::tests::a_process_that_panics_with_a_secret_in_its_words";
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([name, "--exact", "--nocapture"]).env(CHILD, "1").env("RUST_BACKTRACE", "full");
        let output = child.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("can't use [secret] ]0;owned  at"), "{said}");
        assert!(said.contains("a defect in cozyup") && !said.contains("4b5a"), "{said}");
        assert!(!said.contains(|c: char| c != '\n' && (c.is_control() || c == '\u{202e}')), "{said:?}");
    }

    #[test]
    fn a_shielded_process_leaves_no_core() {
        shield();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
