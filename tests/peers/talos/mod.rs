//! `talosctl` v1.10.6, Talos' own client: it judges what cozyup writes for Talos, and it is a user of the lab's nodes.
mod bundle;
mod configs;
mod facts;
mod handover;
mod life;
pub mod site;
mod verbs;

use crate::peer::{self, Following, Said};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Wall time after which a call of `talosctl` hangs.
const DEADLINE: Duration = Duration::from_secs(20);

/// `talosctl` with a home of its own, so that nobody's `~/.talos` is read or written.
pub struct Talosctl {
    home: tempfile::TempDir,
}

impl Talosctl {
    pub fn new() -> Self {
        Talosctl { home: tempfile::tempdir().unwrap() }
    }

    /// With this text as its talosconfig.
    pub fn with(talosconfig: &str) -> Self {
        let talosctl = Talosctl::new();
        std::fs::write(talosctl.talosconfig(), talosconfig).unwrap();
        talosctl
    }

    pub fn talosconfig(&self) -> PathBuf {
        self.home.path().join("talosconfig")
    }

    /// A file in its home, to be named in arguments.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_string()
    }

    pub fn path(&self, name: &str) -> String {
        self.home.path().join(name).to_str().unwrap().to_string()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(peer::program("talosctl"));
        command.args(args).env("TALOSCONFIG", self.talosconfig()).env("HOME", self.home.path());
        command
    }

    /// Runs it; a hang and a Go panic are faults whatever was expected.
    pub fn say(&self, args: &[&str]) -> Said {
        self.say_in(self.home.path(), args)
    }

    /// [`Talosctl::say`] in a folder.
    pub fn say_in(&self, folder: &Path, args: &[&str]) -> Said {
        let said = peer::say(self.command(args).current_dir(folder), DEADLINE);
        assert!(said.code.is_some(), "talosctl {args:?} hangs:\n{}{}", said.out, said.err);
        assert!(!said.err.contains("goroutine "), "talosctl {args:?} crashes:\n{}", said.err);
        said
    }

    /// What it prints, on both streams: some verbs use the one, some the other.
    pub fn ok(&self, args: &[&str]) -> String {
        let said = self.say(args);
        assert_eq!(said.code, Some(0), "talosctl {args:?}:\n{}{}", said.out, said.err);
        said.out + &said.err
    }

    /// How it refuses.
    pub fn refused(&self, args: &[&str]) -> String {
        let said = self.say(args);
        assert_eq!(said.code, Some(1), "talosctl {args:?}:\n{}{}", said.out, said.err);
        said.err
    }

    /// A call that goes on until it is ended.
    pub fn follow(&self, args: &[&str]) -> Following {
        Following::start(&mut self.command(args))
    }
}
