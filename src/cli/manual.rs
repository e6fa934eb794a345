//! `cozyup completions SHELL` and `cozyup man`: both are made of the command line itself.
use super::Cli;
use super::exit::Exit;
use super::output::{print_error, written};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man as Page;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell that reads them
    #[arg(value_enum)]
    pub shell: Shell,
}

#[derive(Debug, clap::Args)]
pub struct Man {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

impl Completions {
    pub fn run(self) -> Exit {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "cozyup", &mut text);
        written(io::stdout().write_all(&text));
        Exit::Proven
    }
}

impl Man {
    pub fn run(self) -> Exit {
        let Some(folder) = self.to else {
            let mut text = Vec::new();
            let made = Page::new(Cli::command()).render(&mut text);
            written(made.and_then(|()| io::stdout().write_all(&text)));
            return Exit::Proven;
        };
        match pages(&folder) {
            Ok(()) => Exit::Proven,
            Err(e) => {
                print_error(&format!(
                    "write the man pages into {}: {e}\nnext: name a folder that is there and writable",
                    folder.display()
                ));
                Exit::Usage
            }
        }
    }
}

/// One page for the program and one for each command that its help shows.
fn pages(folder: &Path) -> io::Result<()> {
    let mut program = Cli::command();
    program.build();
    write(folder, program, "cozyup")
}

fn write(folder: &Path, command: Command, name: &str) -> io::Result<()> {
    let below: Vec<Command> =
        command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help").cloned().collect();
    let command = command.disable_help_subcommand(true);
    let mut text = Vec::new();
    Page::new(command).title(name).render(&mut text)?;
    std::fs::write(folder.join(format!("{name}.1")), text)?;
    for one in below {
        let name = format!("{name}-{}", one.get_name());
        write(folder, one, &name)?;
    }
    Ok(())
}
