//! `cozyup report [RUN]`: the hand-over record of a run, from its journal alone.
use super::exit::Exit;
use super::output::{print, print_error, with_next};
use super::runs::{find, judged, name_of};
use super::signing::{NAMESPACE, signature};
use crate::base::file::write_private;
use crate::base::text::quoted;
use crate::compose;
use crate::report::handover::{HandOver, html, markdown, svg};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Report {
    /// The plan's name (default: the run that was touched last)
    pub run: Option<String>,
    /// One page that needs nothing else, for reading and printing
    #[arg(long, group = "form")]
    pub html: bool,
    /// For a wiki or a ticket (the default)
    #[arg(long, group = "form")]
    pub markdown: bool,
    /// All of it, for programs
    #[arg(long, group = "form")]
    pub json: bool,
    /// The time line alone
    #[arg(long, group = "form")]
    pub svg: bool,
    /// Write it to this file (0600) instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Sign it with this ssh key, into FILE.sig; a public key's private one comes from the agent
    #[arg(long, value_name = "KEY", requires = "out")]
    pub sign: Option<PathBuf>,
}

impl Report {
    pub async fn run(self, state_dir: &Path) -> Exit {
        let text = match self.text(state_dir) {
            Ok(text) => text,
            Err(why) => {
                print_error(&why);
                return Exit::Usage;
            }
        };
        let Some(file) = &self.out else {
            print(&text);
            return Exit::Proven;
        };
        match self.written(file, &text) {
            Ok(told) => {
                print(&told);
                Exit::Proven
            }
            Err(why) => {
                print_error(&why);
                Exit::Usage
            }
        }
    }

    /// Nothing is written when it can't be signed.
    fn written(&self, file: &Path, text: &str) -> Result<String, String> {
        let write = |file: &Path, text: &str| {
            let next = "next: give a file in a folder that you may write to";
            write_private(file, text.as_bytes())
                .map_err(|e| format!("{} can't be written: {e}\n{next}", file.display()))
        };
        let signature = self.sign.as_deref().map(|key| signature(text.as_bytes(), key)).transpose()?;
        write(file, text)?;
        let told = format!("written: {}", file.display());
        let Some(signature) = signature else { return Ok(told) };
        let mut beside = file.as_os_str().to_owned();
        beside.push(".sig");
        let beside = PathBuf::from(beside);
        write(&beside, &signature)?;
        let [file, beside_shown] = [file, &beside].map(|path| quoted(&path.to_string_lossy()));
        Ok(format!(
            "{told}\nsigned: {}\ncheck it: ssh-keygen -Y verify -n {NAMESPACE} -f SIGNERS -I WHO -s {beside_shown} < {file}",
            beside.display()
        ))
    }

    fn text(&self, state_dir: &Path) -> Result<String, String> {
        let path = find(state_dir, self.run.as_deref())?;
        let folder = judged(&path)?;
        let (records, plan) = compose::told(&folder).map_err(|e| with_next(&e, &e.next()))?;
        let record = HandOver::of(&records, &name_of(&path), plan.as_ref());
        Ok(match (self.html, self.json, self.svg) {
            (true, _, _) => html::page(&record),
            (_, true, _) => record.json(),
            (_, _, true) => svg::document(&record),
            (false, false, false) => markdown::document(&record),
        })
    }
}
