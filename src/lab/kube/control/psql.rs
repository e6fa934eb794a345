//! `psql` in the lab's containers, and the databases that it asks: enough SQL for a test.
//!
//! Options `-h`, `-p`, `-U`, `-d`, `-v`, `-c` and the letters `A`, `q`, `t`, `w`, `X` together with them; the rest of the connection
//! from `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD` and `PGDATABASE`. SQL: `CREATE TABLE [IF NOT EXISTS] T (…)`, `INSERT INTO T …
//! VALUES ('…')`, `SELECT … FROM T` of tables with one column, and `SELECT pg_is_in_recovery()`. Anything else is a syntax error.
use super::curl::{Asked, Request};
use super::shell::Machine;
use std::collections::BTreeMap;

/// A server with its users and databases; every instance of its cluster has the same.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Server {
    /// The pod that may write, by its name.
    pub primary: String,
    /// Pods of the cluster, the primary among them.
    pub instances: Vec<String>,
    pub passwords: BTreeMap<String, String>,
    /// Rows by database and table.
    pub databases: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// Servers by namespace and name of their Cluster.
pub type Servers = BTreeMap<(String, String), Server>;

fn failed(code: i32, words: String) -> Asked {
    Asked { lines: vec![words], code, ..Asked::default() }
}

struct Connection {
    host: String,
    port: String,
    user: String,
    password: String,
    database: String,
    commands: Vec<String>,
}

fn connection(arguments: &[&str], env: &BTreeMap<String, String>) -> Option<Connection> {
    let own = |name: &str| env.get(name).cloned().unwrap_or_default();
    let mut connection = Connection {
        host: own("PGHOST"),
        port: env.get("PGPORT").cloned().unwrap_or_else(|| "5432".into()),
        user: own("PGUSER"),
        password: own("PGPASSWORD"),
        database: own("PGDATABASE"),
        commands: Vec::new(),
    };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let letters = argument.strip_prefix('-')?;
        let (flags, last) = letters.split_at_checked(letters.len().checked_sub(1)?)?;
        if !flags.chars().all(|c| "AqtwX".contains(c)) {
            return None;
        }
        match last {
            "h" => connection.host = (*rest.next()?).to_string(),
            "p" => connection.port = (*rest.next()?).to_string(),
            "U" => connection.user = (*rest.next()?).to_string(),
            "d" => connection.database = (*rest.next()?).to_string(),
            "c" => connection.commands.push((*rest.next()?).to_string()),
            "v" => drop(rest.next()?),
            "A" | "q" | "t" | "w" | "X" => {}
            _ => return None,
        }
    }
    Some(connection)
}

pub fn run(arguments: &[&str], machine: &mut Machine<'_>) -> Asked {
    let Some(to) = connection(arguments, machine.env) else {
        return failed(1, "psql: error: the lab does not know these options".into());
    };
    let url = format!("postgres://{}:{}/", to.host, to.port);
    let request = Request { url, headers: Vec::new(), authority: None, insecure: false };
    let place = match machine.answers.get(&request) {
        None => {
            machine.wanted = Some(request);
            return Asked::default();
        }
        Some(Err((_, words))) => {
            let why = format!("psql: error: connection to server at \"{}\", port {} failed: {words}", to.host, to.port);
            return failed(2, why);
        }
        Some(Ok((_, place))) => place.clone(),
    };
    let (namespace, pod) = place.split_once('/').unwrap_or_default();
    let mut servers = machine.servers.iter_mut();
    let found = servers.find(|((place, _), server)| place == namespace && server.instances.iter().any(|i| i == pod));
    let Some((_, server)) = found else {
        return failed(2, "psql: error: server closed the connection unexpectedly".into());
    };
    let refused = |why: String| failed(2, format!("psql: error: FATAL:  {why}"));
    if server.passwords.get(&to.user).is_none_or(|password| *password != to.password) {
        return refused(format!("password authentication failed for user \"{}\"", to.user));
    }
    let writes = server.primary == pod;
    let Some(tables) = server.databases.get_mut(&to.database) else {
        return refused(format!("database \"{}\" does not exist", to.database));
    };
    let mut asked = Asked::default();
    for statement in to.commands.iter().flat_map(|c| c.split(';')).map(str::trim).filter(|s| !s.is_empty()) {
        match execute(statement, tables, writes) {
            Ok(rows) => asked.out.extend(rows),
            Err(why) => {
                asked.lines.push(format!("ERROR:  {why}"));
                asked.code = 1;
                break;
            }
        }
    }
    asked
}

/// # Errors
/// In the server's words.
fn execute(statement: &str, tables: &mut BTreeMap<String, Vec<String>>, writes: bool) -> Result<Vec<String>, String> {
    let words: Vec<&str> = statement.split_whitespace().collect();
    let upper: Vec<String> = words.iter().map(|w| w.to_uppercase()).collect();
    let starts = |wanted: &[&str]| upper.len() >= wanted.len() && upper.iter().zip(wanted).all(|(a, b)| a == b);
    let table = |at: usize| words.get(at).map(|w| w.split('(').next().unwrap_or(w).to_lowercase()).unwrap_or_default();
    let unknown = |name: &str| format!("relation \"{name}\" does not exist");
    let read_only = |verb: &str| format!("cannot execute {verb} in a read-only transaction");
    if starts(&["CREATE", "TABLE"]) {
        let tolerant = starts(&["CREATE", "TABLE", "IF", "NOT", "EXISTS"]);
        let name = table(if tolerant { 5 } else { 2 });
        if !writes {
            return Err(read_only("CREATE TABLE"));
        }
        if tables.contains_key(&name) && !tolerant {
            return Err(format!("relation \"{name}\" already exists"));
        }
        tables.entry(name).or_default();
        return Ok(Vec::new());
    }
    if starts(&["INSERT", "INTO"]) {
        let name = table(2);
        if !writes {
            return Err(read_only("INSERT"));
        }
        let value = statement.split('\'').nth(1).ok_or("syntax error at end of input")?;
        tables.get_mut(&name).ok_or_else(|| unknown(&name))?.push(value.to_string());
        return Ok(Vec::new());
    }
    if starts(&["SELECT", "PG_IS_IN_RECOVERY()"]) {
        return Ok(vec![if writes { "f" } else { "t" }.to_string()]);
    }
    if let (true, Some(from)) = (starts(&["SELECT"]), upper.iter().position(|w| w == "FROM")) {
        let name = table(from + 1);
        return tables.get(&name).cloned().ok_or_else(|| unknown(&name));
    }
    Err(format!("syntax error at or near \"{}\"", words.first().copied().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_where_it_was_written_and_a_replica_takes_none() {
        let mut tables = BTreeMap::new();
        execute("CREATE TABLE IF NOT EXISTS proof (word text)", &mut tables, true).unwrap();
        execute("INSERT INTO proof VALUES ('a word')", &mut tables, true).unwrap();
        assert_eq!(execute("SELECT word FROM proof", &mut tables, false).unwrap(), ["a word"]);
        let refused = execute("INSERT INTO proof VALUES ('b')", &mut tables, false).unwrap_err();
        assert_eq!(refused, "cannot execute INSERT in a read-only transaction");
        assert!(execute("SELECT x FROM other", &mut tables, true).unwrap_err().contains("does not exist"));
    }
}
