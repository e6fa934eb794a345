//! `cozyup inventory`: what people have in a cluster and how it moves; `inventory compare`: what of it has arrived elsewhere.
use super::access;
use super::exit::Exit;
use super::output::{print, print_error, print_note, with_next};
use crate::base::file::read_patiently;
use crate::base::json;
use crate::inventory::{self, Fate, Inventory, Readiness};
use crate::kubernetes::Bounds;
use clap::Subcommand;
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Longest file of an inventory, in bytes.
const LONGEST: u64 = 256 << 20;

#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Exit codes: 0 all could be read (with --retired: and nothing is left that serves), 1 parts could not be read \
                  (with --retired: something serves), 2 refused (with --retired: or nobody can tell), 4 not all has arrived \
                  (compare)."
)]
pub struct InventoryCommand {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    read: Option<Read>,
    // Not in `Read`: clap takes an optional group with another one in it for not given.
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// What of OLD has arrived in NEW, has changed or is missing
    Compare {
        /// An inventory of the old cluster (--json)
        old: PathBuf,
        /// An inventory of the new one (--json)
        new: PathBuf,
        /// One JSON object
        #[arg(long, conflicts_with = "markdown")]
        json: bool,
        /// Markdown
        #[arg(long)]
        markdown: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Read {
    /// Access to the cluster; certificates and keys have to be in it, and no program is run for them
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// Exit 0 only when nothing is left that serves, and everything could be read
    #[arg(long)]
    retired: bool,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Form {
    /// One JSON object, for `inventory compare`
    #[arg(long)]
    json: bool,
    /// Markdown
    #[arg(long)]
    markdown: bool,
    /// A table for a spreadsheet, one line a thing
    #[arg(long)]
    csv: bool,
}

impl InventoryCommand {
    pub async fn run(self) -> Exit {
        let done = match (self.command, self.read) {
            (Some(Sub::Compare { old, new, json, markdown }), _) => compared(&old, &new, json, markdown),
            (None, Some(read)) => read.gathered(&self.form).await,
            (None, None) => Err("give --kubeconfig FILE".to_string()),
        };
        done.unwrap_or_else(|why| {
            print_error(&why);
            Exit::Usage
        })
    }
}

impl Read {
    async fn gathered(self, form: &Form) -> Result<Exit, String> {
        let (reader, who) = access::kubernetes(&self.kubeconfig)?;
        let read = inventory::gather(&reader, &who.server, Bounds::default(), Timestamp::now()).await;
        let found = read.map_err(|e| access::told(&e))?;
        print(&match (form.json, form.markdown, form.csv) {
            (true, ..) => inventory::json(&found),
            (_, true, _) => inventory::markdown(&found),
            (.., true) => inventory::csv(&found),
            _ => inventory::text(&found),
        });
        if !found.gaps.is_empty() && form.csv {
            print_note(&format!("{} parts could not be read; --json names them", found.gaps.len()));
        }
        Ok(match (self.retired, found.readiness) {
            (false, _) if found.gaps.is_empty() => Exit::Proven,
            (false, _) | (true, Readiness::Serves { .. }) => Exit::Blocked,
            (true, Readiness::Nothing { .. }) => Exit::Proven,
            (true, Readiness::Unknown { .. }) => Exit::Usage,
        })
    }
}

fn read(path: &Path) -> Result<Inventory, String> {
    let shown = path.display();
    let bytes = read_patiently(path, LONGEST).map_err(|e| with_next(&e, &e.next()))?;
    let next = "next: give a file that `cozyup inventory --json` has written";
    let found: Inventory = json::read(&bytes).map_err(|_| format!("{shown} is no inventory\n{next}"))?;
    if (found.schema, found.kind.as_str()) != (inventory::SCHEMA, "inventory") {
        return Err(format!("{shown} is no inventory of this version\n{next}"));
    }
    Ok(found)
}

fn compared(old: &Path, new: &Path, json: bool, markdown: bool) -> Result<Exit, String> {
    let compared = inventory::compare(&read(old)?, &read(new)?);
    print(&match (json, markdown) {
        (true, _) => inventory::compared_json(&compared),
        (_, true) => inventory::compared_markdown(&compared),
        _ => inventory::compared_text(&compared),
    });
    let differs = compared.count(|fate| matches!(fate, Fate::Missing | Fate::Changed { .. })) > 0;
    Ok(match (differs, compared.has_all_arrived()) {
        (true, _) => Exit::Differs,
        (false, true) => Exit::Proven,
        (false, false) => Exit::Blocked,
    })
}
