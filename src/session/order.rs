//! The order to a worker: everything that it is told when it starts, as one JSON value on its standard input. The secrets
//! go the same way and not by arguments or environment, where a list of processes would show them.
use crate::base::secret::Secret;
use crate::base::vmid::Vmid;
use crate::engine::course::Course;
use crate::engine::made::Adopted;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;
use zeroize::Zeroizing;

/// Bytes that an order takes beside the text of its plan, unless it adopts a large run.
const USUAL: usize = 16 * 1024;

/// The task of a worker. It holds no secrets, so it may be shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The plan's file, for messages. A path need not be UTF-8.
    pub plan: OsString,
    /// The text of the plan as the starter has read it: a pipe can be read only once.
    pub text: String,
    /// The title that a screen writes above the run.
    pub title: String,
    /// The course: forward to the end of a day, back, or verify.
    pub course: Course,
    /// The operator who takes the run from another place or process.
    pub take_over: Option<String>,
    /// VMIDs that a teardown takes with it beside what the journal knows.
    pub also: BTreeSet<Vmid>,
    /// A run whose journal was lost, to be taken up.
    pub adopt: Option<Adoption>,
    /// The operator who opened every gate beforehand.
    pub gates_by: Option<String>,
    /// The time that the run may have only blocked steps; `None`: any.
    pub patience: Option<Duration>,
    /// The run ends when no screen is attached any more.
    pub with_screen: bool,
    /// The shortest time that the run could take, in seconds of its clock, where somebody knows it.
    pub critical_path_s: Option<f64>,
    /// Seconds of the run's clock in a second of the wall, where they differ.
    pub speed: Option<f64>,
}

/// The secrets that a person gave beside the plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// The token's secret, where it does not come from the plan's file.
    pub token: Option<Secret<String>>,
    /// The key of sealed secrets.
    pub identity: Option<Secret<String>>,
}

/// A run that is taken up without its journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adoption {
    /// The id of the lost run, which its mark ends in.
    pub run: String,
    /// The things that a person saw and agreed to.
    pub things: Vec<Adopted>,
}

/// The input of a worker is no order. The message repeats no piece of the input, since that may be a secret.
#[derive(Debug, thiserror::Error)]
#[error("the order that this worker read at its start is not one that it knows (line {line}, column {column})")]
pub struct NoOrder {
    line: usize,
    column: usize,
}

impl NoOrder {
    /// The next action for the person who started the worker.
    pub fn next(&self) -> &'static str {
        "start the same command again (`cozyup run PLAN` starts workers); the program's file may have been replaced meanwhile"
    }
}

#[derive(Serialize)]
struct Written<'a> {
    order: &'a Order,
    // Last: what grows the buffer before has no copy of them.
    token: Option<&'a str>,
    identity: Option<&'a str>,
}

#[derive(Deserialize)]
struct Read {
    order: Order,
    token: Option<String>,
    identity: Option<String>,
}

impl Order {
    /// The bytes for the worker's standard input.
    ///
    /// # Errors
    /// When serde can't write the value, which no value of these types brings about.
    pub fn write(&self, keys: &Keys) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(USUAL + 2 * self.text.len()));
        let text =
            |key: &'_ Option<Secret<String>>| key.as_ref().map(|key| Zeroizing::new(key.expose().trim().to_string()));
        let (token, identity) = (text(&keys.token), text(&keys.identity));
        let written = Written {
            order: self,
            token: token.as_ref().map(|text| text.as_str()),
            identity: identity.as_ref().map(|text| text.as_str()),
        };
        serde_json::to_writer(&mut *bytes, &written)?;
        Ok(bytes)
    }

    /// The order and the keys in what a worker has read from its standard input.
    ///
    /// # Errors
    /// When it is something else, or the order of another version of this program.
    pub fn read(bytes: &[u8]) -> Result<(Order, Keys), NoOrder> {
        let read: Read = serde_json::from_slice(bytes).map_err(|e| NoOrder { line: e.line(), column: e.column() })?;
        let key = |text: Option<String>| {
            let text = Zeroizing::new(text?);
            (!text.trim().is_empty()).then(|| Secret::new(text.trim().to_string()))
        };
        Ok((read.order, Keys { token: key(read.token), identity: key(read.identity) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::day::Day;
    use std::os::unix::ffi::OsStringExt;

    fn order() -> Order {
        Order {
            plan: OsString::from_vec(b"a plan \xff.yaml".to_vec()),
            text: "version: 1\n\nname: \"x\"\n".into(),
            title: "plan x".into(),
            course: Course::Forward { until: Day::Number(5) },
            take_over: Some("ann on pts/3".into()),
            also: BTreeSet::from([1001, 1002].map(Vmid::of)),
            adopt: Some(Adoption { run: "0a1b2c3d".into(), things: Vec::new() }),
            gates_by: Some("--yes".into()),
            patience: Some(Duration::from_millis(1500)),
            with_screen: true,
            critical_path_s: Some(812.25),
            speed: Some(15.0),
        }
    }

    fn secret(text: &str) -> Option<Secret<String>> {
        Some(Secret::new(text.to_string()))
    }

    /// house.md section 2: the order went through five shapes, one of them arguments made by hand.
    #[test]
    fn a_worker_reads_the_order_and_the_keys_that_were_written() {
        for (token, identity) in [
            (None, None),
            (secret("order-token-1"), None),
            (None, secret("order-identity-1")),
            (secret("order \"token\" 2"), secret("order-identity-2")),
        ] {
            let keys = Keys { token, identity };
            let read = Order::read(&order().write(&keys).unwrap()).unwrap();
            assert_eq!(read, (order(), keys));
        }
    }

    #[test]
    fn keys_lose_the_line_end_of_their_file() {
        let keys = Keys { token: secret("order-token-3\n"), identity: secret(" \n") };
        let (_, read) = Order::read(&order().write(&keys).unwrap()).unwrap();
        assert_eq!(read, Keys { token: secret("order-token-3"), identity: None });
    }

    #[test]
    fn what_is_no_order_is_refused_without_being_shown() {
        for text in ["", "order-token-4\n\nversion: 1\n", r#"{"order":"order-token-4","token":null,"identity":null}"#] {
            let error = Order::read(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("not one that it knows"), "{error}");
            assert!(!format!("{error} {error:?} {}", error.next()).contains("order-token-4"));
        }
    }
}
