//! `:` and a name: goes to a pane, or does what a key does.
use super::keymap::Action;
use super::model::Screen;

/// A name that can be typed.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    pub name: &'static str,
    /// Other names that people bring along.
    also: &'static [&'static str],
    pub action: Action,
}

const fn command(name: &'static str, also: &'static [&'static str], action: Action) -> Command {
    Command { name, also, action }
}

static OF_RUN: [Command; 10] = [
    command("steps", &["days"], Action::Go(1)),
    command("proxmox", &["pve", "vms"], Action::Go(2)),
    command("talos", &["machines", "nodes"], Action::Go(3)),
    command("releases", &["hr", "helmreleases"], Action::Go(4)),
    command("pods", &["po"], Action::Go(5)),
    command("events", &["ev", "warnings"], Action::Go(6)),
    command("log", &["logs"], Action::Go(7)),
    command("problems", &[], Action::Problems),
    command("help", &["h", "?"], Action::Help),
    command("quit", &["q", "q!", "exit"], Action::Quit),
];

static OF_CLUSTER: [Command; 8] = [
    command("nodes", &["no"], Action::Go(1)),
    command("releases", &["hr", "helmreleases"], Action::Go(2)),
    command("pods", &["po"], Action::Go(3)),
    command("events", &["ev", "warnings"], Action::Go(4)),
    command("log", &["logs", "changes"], Action::Go(5)),
    command("problems", &[], Action::Problems),
    command("help", &["h", "?"], Action::Help),
    command("quit", &["q", "q!", "exit"], Action::Quit),
];

/// All that can be typed on a screen.
fn of(screen: &Screen) -> &'static [Command] {
    match screen {
        Screen::Run(_) => &OF_RUN,
        Screen::Cluster(_) => &OF_CLUSTER,
        Screen::Home(_) => &[],
    }
}

/// The commands of which a name begins with the text, in the order of their digits.
pub fn matching(screen: &Screen, typed: &str) -> Vec<&'static Command> {
    let typed = typed.trim().to_lowercase();
    let begins = |command: &&Command| {
        command.name.starts_with(&typed) || command.also.iter().any(|name| name.starts_with(&typed))
    };
    of(screen).iter().filter(begins).collect()
}

/// What the text means: a whole name, or the beginning of one command alone.
///
/// # Errors
/// With what could be meant.
pub fn find(screen: &Screen, typed: &str) -> Result<Action, String> {
    let name = typed.trim().to_lowercase();
    let is_it = |command: &&Command| command.name == name || command.also.contains(&name.as_str());
    if let Some(command) = of(screen).iter().find(is_it) {
        return Ok(command.action);
    }
    match matching(screen, typed).as_slice() {
        [] => Err(format!("there is no `{name}` here: {}", names(of(screen).iter()))),
        [only] => Ok(only.action),
        several => Err(format!("which one: {}", names(several.iter().copied()))),
    }
}

fn names<'a>(commands: impl Iterator<Item = &'a Command>) -> String {
    commands.map(|command| command.name).collect::<Vec<_>>().join(", ")
}

/// The text with everything that is sure behind it.
pub fn completed(screen: &Screen, typed: &str) -> String {
    let names: Vec<&str> = matching(screen, typed).iter().map(|command| command.name).collect();
    let Some(first) = names.first() else { return typed.to_string() };
    let common = |length: &usize| first.get(..*length).is_some_and(|head| names.iter().all(|n| n.starts_with(head)));
    let longest = (0..=first.len()).filter(common).max().unwrap_or(0);
    let sure = first.get(..longest).unwrap_or_default();
    if longest >= typed.trim().len() { sure.to_string() } else { typed.to_string() }
}
