//! The tiny shell of the lab's containers.
//!
//! It understands lists of commands joined by `&&`, `||`, `;` and line ends; single and double quotes; redirection with
//! `>`, `>>`, `<` and `2>&1` (to a file or `/dev/null`); and these commands: `echo`, `printf` (no formats but `%s` and
//! `\n`), `cat`, `sleep`, `sync`, `true`, `false`, `:`, `exit`, `set -e`, `mkdir`, `touch`, `rm`, `ls`, `nslookup`, `hostname`,
//! `test` and `[` with `-f`, `-e`, `-s`, `-n`, `-z`, `=` and `!=`, `curl` (see [`super::curl`]), which really asks, and `psql`
//! (see `psql.rs`).
//! Variables of the container's environment are put in; no substitution, no pipes, no loops: anything else ends with 127
//! and `sh: X: not found`.
use super::curl::{self, Answers, Request};
use super::{inside, psql};
use std::collections::BTreeMap;
use std::time::Duration;

/// Commands that a container may also run without a shell.
pub const PLAIN: [&str; 8] = ["cat", "echo", "false", "hostname", "ls", "nslookup", "sleep", "true"];

/// Files by path below the mount.
pub type Files = BTreeMap<String, String>;

/// The part of the world that a script can reach.
pub struct Machine<'a> {
    pub hostname: &'a str,
    /// Mount path and the volume mounted there.
    pub mounts: &'a [(String, String)],
    /// Files of every volume.
    pub files: &'a mut BTreeMap<String, Files>,
    /// The names of the cluster's DNS; `None` while it does not answer.
    pub names: &'a Option<Names>,
    /// The container's environment.
    pub env: &'a BTreeMap<String, String>,
    /// Databases that `psql` can ask.
    pub servers: &'a mut psql::Servers,
    /// The servers' answers to this pod.
    pub answers: &'a Answers,
    /// The first request of the script that has no answer yet: what the script did then does not count.
    pub wanted: Option<Request>,
}

/// The cluster's DNS.
pub struct Names {
    pub server: String,
    /// Address by full name, e.g. `kubernetes.default.svc.cozy.local`.
    pub services: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Printed lines and how long after the start.
    pub lines: Vec<(Duration, String)>,
    pub lasted: Duration,
    pub code: i32,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    And,
    Or,
    Next,
    /// `>` or, appending, `>>`
    To {
        append: bool,
    },
    From,
    /// `2>&1`: there is only one output anyway.
    Merge,
}

/// Runs a script; `strict` as with `sh -e`.
pub fn run(script: &str, mut strict: bool, machine: &mut Machine<'_>) -> Outcome {
    let mut outcome = Outcome { lines: Vec::new(), lasted: Duration::ZERO, code: 0 };
    let mut command: Vec<Token> = Vec::new();
    let mut runs = true;
    for token in tokens(script, machine.env).into_iter().chain([Token::Next]) {
        match token {
            Token::Word(_) | Token::To { .. } | Token::From | Token::Merge => command.push(token),
            Token::And | Token::Or | Token::Next => {
                if runs && !command.is_empty() {
                    let (code, ended) = one(&command, machine, &mut outcome);
                    outcome.code = code;
                    strict |= command.starts_with(&[Token::Word("set".into()), Token::Word("-e".into())]);
                    if ended || (strict && code != 0 && token == Token::Next) {
                        return outcome;
                    }
                }
                command.clear();
                runs = match token {
                    Token::And => outcome.code == 0,
                    Token::Or => outcome.code != 0,
                    Token::Word(_) | Token::To { .. } | Token::From | Token::Merge | Token::Next => true,
                };
            }
        }
    }
    outcome
}

/// The name of a variable behind a `$`, and what it holds; a `$` alone stands for itself.
fn variable(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, env: &BTreeMap<String, String>) -> String {
    let braced = chars.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    if braced {
        chars.next_if_eq(&'}');
    }
    if name.is_empty() { "$".to_string() } else { env.get(&name).cloned().unwrap_or_default() }
}

fn tokens(script: &str, env: &BTreeMap<String, String>) -> Vec<Token> {
    let mut found = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        if matches!(c, ' ' | '\t' | ';' | '\n' | '<') || (matches!(c, '&' | '|') && chars.peek() == Some(&c)) {
            found.extend(word.take().map(Token::Word));
        }
        match c {
            '\'' => {
                let inside: String = chars.by_ref().take_while(|d| *d != c).collect();
                word.get_or_insert_default().push_str(&inside);
            }
            '"' => {
                let mut inside = String::new();
                while let Some(d) = chars.next().filter(|d| *d != '"') {
                    if d == '$' {
                        inside.push_str(&variable(&mut chars, env));
                    } else {
                        inside.push(d);
                    }
                }
                word.get_or_insert_default().push_str(&inside);
            }
            '$' => word.get_or_insert_default().push_str(&variable(&mut chars, env)),
            '\\' => word.get_or_insert_default().extend(chars.next().filter(|d| *d != '\n')),
            '#' if word.is_none() => {
                chars.by_ref().take_while(|d| *d != '\n').for_each(drop);
                found.push(Token::Next);
            }
            ' ' | '\t' => {}
            ';' | '\n' => found.push(Token::Next),
            '&' if chars.next_if_eq(&'&').is_some() => found.push(Token::And),
            '|' if chars.next_if_eq(&'|').is_some() => found.push(Token::Or),
            '<' => found.push(Token::From),
            '>' => {
                // `2>` and `1>`: the number belongs to the redirection.
                let stream = word.take();
                let number = stream.as_deref().is_some_and(|w| w == "1" || w == "2");
                if !number {
                    found.extend(stream.map(Token::Word));
                }
                if chars.next_if_eq(&'&').is_some() {
                    chars.next();
                    found.push(Token::Merge);
                } else {
                    found.push(Token::To { append: chars.next_if_eq(&'>').is_some() });
                }
            }
            other => word.get_or_insert_default().push(other),
        }
    }
    found.extend(word.map(Token::Word));
    found
}

/// Runs one command; the code, and whether it ends the script.
fn one(command: &[Token], machine: &mut Machine<'_>, outcome: &mut Outcome) -> (i32, bool) {
    let mut words: Vec<&str> = Vec::new();
    let mut target: Option<(&str, bool)> = None;
    let mut rest = command.iter();
    while let Some(token) = rest.next() {
        match token {
            Token::Word(word) => words.push(word),
            Token::To { append } => {
                if let Some(Token::Word(path)) = rest.next() {
                    target = Some((path, *append));
                }
            }
            Token::From | Token::Merge | Token::And | Token::Or | Token::Next => {}
        }
    }
    let Some((name, arguments)) = words.split_first() else { return (0, false) };
    let mut ended = false;
    let mut out: Vec<String> = Vec::new();
    let code = match *name {
        "echo" => {
            let newline = arguments.first() != Some(&"-n");
            out.push(if newline { arguments.join(" ") } else { arguments.get(1..).unwrap_or_default().join(" ") });
            0
        }
        "printf" => {
            let (format, values) = arguments.split_first().map_or(("", [].as_slice()), |(f, v)| (*f, v));
            let mut text = format.replace("\\n", "\n");
            for value in values {
                text = text.replacen("%s", value, 1);
            }
            out.extend(text.lines().map(str::to_string));
            0
        }
        "cat" => arguments.iter().fold(0, |code, path| match machine.read(path) {
            Some(text) => {
                out.extend(text.lines().map(str::to_string));
                code
            }
            None => {
                outcome.say(format!("cat: can't open '{path}': No such file or directory"));
                1
            }
        }),
        "sleep" => {
            let seconds = match arguments.first() {
                Some(&"infinity") => 1e9,
                Some(text) => duration(text),
                None => 0.0,
            };
            outcome.lasted += Duration::try_from_secs_f64(seconds).unwrap_or_default();
            0
        }
        "test" | "[" => i32::from(!holds(arguments, machine)),
        "touch" => {
            for path in arguments {
                if machine.read(path).is_none() {
                    machine.write(path, String::new());
                }
            }
            0
        }
        "rm" => {
            for path in arguments.iter().filter(|a| !a.starts_with('-')) {
                machine.remove(path);
            }
            0
        }
        "ls" => {
            for path in arguments.iter().filter(|a| !a.starts_with('-')) {
                out.extend(machine.names_below(path));
            }
            0
        }
        "nslookup" => {
            // busybox takes the server as a second word.
            let asked = arguments.iter().find(|a| !a.starts_with('-')).copied().unwrap_or_default();
            let (answer, code) = inside::look_up(asked, machine.names);
            out.extend(answer);
            code
        }
        "curl" | "psql" => {
            let asked = client(name, arguments, machine);
            asked.lines.into_iter().for_each(|line| outcome.say(line));
            out.extend(asked.out);
            outcome.lasted += asked.lasted;
            ended = machine.wanted.is_some();
            asked.code
        }
        "hostname" => {
            out.push(machine.hostname.to_string());
            0
        }
        "sync" | "true" | ":" | "set" | "mkdir" => 0,
        "false" => 1,
        "exit" => {
            ended = true;
            arguments.first().and_then(|a| a.parse().ok()).unwrap_or(outcome.code)
        }
        other => {
            outcome.say(format!("sh: {other}: not found"));
            127
        }
    };
    match target {
        Some(("/dev/null", _)) => {}
        Some((path, append)) => {
            let mut text: String = if append { machine.read(path).unwrap_or_default() } else { String::new() };
            out.iter().for_each(|line| text.push_str(&format!("{line}\n")));
            machine.write(path, text);
        }
        None => out.into_iter().for_each(|line| outcome.say(line)),
    }
    (code, ended)
}

/// One of the programs that ask a server. Without an answer nothing that follows in the script is true.
fn client(name: &str, arguments: &[&str], machine: &mut Machine<'_>) -> curl::Asked {
    if name == "curl" { curl::run(arguments, machine) } else { psql::run(arguments, machine) }
}

/// `5`, `0.5`, `2m`.
fn duration(text: &str) -> f64 {
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) if text.ends_with('m') => (number, 60.0),
        Some(number) if text.ends_with('h') => (number, 3600.0),
        Some(number) => (number, 1.0),
        None => (text, 1.0),
    };
    number.parse::<f64>().unwrap_or_default() * unit
}

fn holds(arguments: &[&str], machine: &Machine<'_>) -> bool {
    match arguments.strip_suffix(&["]"]).unwrap_or(arguments) {
        ["-f" | "-e", path] => machine.read(path).is_some(),
        ["-s", path] => machine.read(path).is_some_and(|t| !t.is_empty()),
        ["-n", text] => !text.is_empty(),
        ["-z", text] => text.is_empty(),
        [a, "=" | "==", b] => a == b,
        [a, "!=", b] => a != b,
        _ => false,
    }
}

impl Outcome {
    fn say(&mut self, line: String) {
        self.lines.push((self.lasted, line));
    }
}

impl Machine<'_> {
    /// The volume that holds `path`, and the path in it; what no mount covers is the container's own.
    fn place(&self, path: &str) -> (String, String) {
        let mounted = self
            .mounts
            .iter()
            .filter(|(at, _)| path.strip_prefix(at.as_str()).is_some_and(|rest| rest.starts_with('/')))
            .max_by_key(|(at, _)| at.len());
        match mounted {
            Some((at, volume)) => (volume.clone(), path.strip_prefix(at.as_str()).unwrap_or(path).to_string()),
            None => (String::new(), path.to_string()),
        }
    }

    pub(super) fn read(&self, path: &str) -> Option<String> {
        let (volume, path) = self.place(path);
        self.files.get(&volume)?.get(&path).cloned()
    }

    pub(super) fn write(&mut self, path: &str, text: String) {
        let (volume, path) = self.place(path);
        self.files.entry(volume).or_default().insert(path, text);
    }

    fn remove(&mut self, path: &str) {
        let (volume, path) = self.place(path);
        if let Some(files) = self.files.get_mut(&volume) {
            files.remove(&path);
        }
    }

    fn names_below(&self, path: &str) -> Vec<String> {
        let (volume, path) = self.place(&format!("{}/", path.trim_end_matches('/')));
        let files = self.files.get(&volume).into_iter().flat_map(BTreeMap::keys);
        files.filter_map(|f| f.strip_prefix(path.as_str())).map(str::to_string).collect()
    }
}

#[cfg(test)]
mod tests;
