//! One call of the API as handlers see it, and what they answer.
use crate::pve::rights::{self, Who};
use crate::world::World;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub type Params = BTreeMap<String, String>;

/// A handler's answer; `total` goes beside `data`.
pub struct Good {
    pub data: Value,
    pub total: Option<usize>,
}

impl From<Value> for Good {
    fn from(data: Value) -> Self {
        Good { data, total: None }
    }
}

/// A refusal or a failure, in Proxmox's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub status: u16,
    pub message: String,
    pub errors: BTreeMap<String, String>,
}

pub type Outcome = Result<Good, Failure>;

impl Failure {
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Failure { status, message: message.into(), errors: BTreeMap::new() }
    }

    /// Status 500, as everything that dies inside a handler.
    pub fn died(message: impl Into<String>) -> Self {
        Failure::new(500, message)
    }

    pub fn parameter(name: &str, error: impl Into<String>) -> Self {
        Failure::parameters(BTreeMap::from([(name.to_string(), error.into())]))
    }

    pub fn parameters(errors: BTreeMap<String, String>) -> Self {
        Failure { errors, ..Failure::new(400, "Parameter verification failed.") }
    }

    pub fn denied(what: &str) -> Self {
        Failure::new(403, format!("Permission check failed ({what})"))
    }

    /// The refusal of a check with alternatives, which names none of them.
    pub fn denied_plainly() -> Self {
        Failure::new(403, "Permission check failed")
    }

    /// Something failed in a worker or under a lock, where only the exception's text is left. Proxmox writes the status
    /// in front of it, and the errors of parameters behind it, a line each.
    pub fn as_text(&self) -> String {
        let mut text = match self.status {
            500 => self.message.clone(),
            status => format!("{status} {}", self.message),
        };
        for (name, error) in &self.errors {
            text.push_str(&format!("\n{name}: {error}"));
        }
        text
    }

    /// The same under the name of what was tried: `update role failed: ...`, always a 500.
    pub fn under(self, what: &str) -> Self {
        Failure::died(format!("{what}: {}", self.as_text()))
    }

    /// The message as bodies carry it, with the line end that Perl's messages have.
    pub fn text(&self) -> String {
        match self.status {
            // The only one that the server writes without it.
            501 => self.message.clone(),
            _ => format!("{}\n", self.message.trim_end()),
        }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Failure::died(message)
    }
}

/// An answer without content.
pub fn done() -> Outcome {
    Ok(Value::Null.into())
}

pub fn rows(rows: Vec<Value>) -> Outcome {
    Ok(json!(rows).into())
}

/// A UPID.
pub fn task(upid: String) -> Outcome {
    Ok(json!(upid).into())
}

#[derive(Clone)]
pub struct Call {
    /// Nobody on endpoints that ask for no credentials.
    pub who: Who,
    /// The node whose address was called.
    pub local: String,
    /// Parameters of path, query and body together.
    pub params: Params,
    /// Names of those that stand in the path.
    pub in_path: Vec<&'static str>,
    /// Names of those that came more than once, or as a JSON list; their values are joined by commas.
    pub lists: BTreeSet<String>,
    /// The file of an upload.
    pub upload: Option<super::upload::Received>,
}

impl Call {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// A parameter that the route has checked to be there.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    pub fn owned(&self, name: &str) -> Option<String> {
        self.params.get(name).cloned()
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.get(name).map(|v| v == "1")
    }

    pub fn node(&self) -> &str {
        self.text("node")
    }

    pub fn vmid(&self) -> u32 {
        self.get("vmid").and_then(|v| v.parse().ok()).unwrap_or(0)
    }

    pub fn allowed(&self, world: &mut World, path: &str, privilege: &str) -> bool {
        rights::allowed(world, &self.who, path, privilege)
    }

    pub fn allowed_any(&self, world: &mut World, path: &str, privileges: &[&str]) -> bool {
        privileges.iter().any(|p| self.allowed(world, path, p))
    }

    /// # Errors
    /// 403 with the first privilege that is missing.
    pub fn check(&self, world: &mut World, path: &str, privileges: &[&str]) -> Result<(), Failure> {
        match privileges.iter().find(|p| !self.allowed(world, path, p)) {
            Some(missing) => Err(Failure::denied(&format!("{path}, {missing}"))),
            None => Ok(()),
        }
    }

    /// # Errors
    /// 403 with all of them, when the caller has none.
    pub fn check_any(&self, world: &mut World, path: &str, privileges: &[&str]) -> Result<(), Failure> {
        if self.allowed_any(world, path, privileges) {
            return Ok(());
        }
        Err(Failure::denied(&format!("{path}, {}", privileges.join("|"))))
    }
}
