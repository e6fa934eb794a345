//! Questions that a screen asks about one thing of the site, once, and their answers. Whoever owns the clients reads; nothing
//! is changed, and nothing of it goes into the journal.
use crate::base::vmid::Vmid;
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A thing that can be asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "thing", rename_all = "snake_case")]
pub enum Object {
    Node {
        name: String,
    },
    Release {
        namespace: String,
        name: String,
    },
    Pod {
        namespace: String,
        name: String,
    },
    /// A VM of the plan, as Proxmox VE has it.
    Vm {
        vmid: Vmid,
    },
    /// A machine of the plan, as its Talos has it.
    Machine {
        name: String,
    },
    /// A task of Proxmox VE.
    Task {
        upid: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Matter {
    /// The whole of it as its system has it, without what is secret.
    Raw,
    /// The end of its log.
    Log,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub matter: Matter,
    pub about: Object,
}

/// An earlier run of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierRun {
    pub exit_code: i64,
    /// `Error`, `OOMKilled`, ...
    pub reason: String,
    pub ended: Option<Timestamp>,
}

/// Where the text of an answer is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// The API of its system.
    Api,
    Container {
        name: String,
        /// The container has not begun again, or has said nothing since: the text is of the run before.
        earlier: Option<EarlierRun>,
    },
    /// A service of Talos that is not up.
    Service {
        id: String,
    },
    Kernel,
    Task,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub origin: Origin,
    /// Several lines, free of control characters.
    pub text: String,
    /// A part was left out: of a log the beginning, of an object the end.
    pub cut: bool,
    /// The command with which a person asks the same.
    pub by_hand: String,
}

/// The reason why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Untold {
    /// The thing is not there, or no more.
    Gone,
    /// It has nothing of the kind.
    Nothing,
    /// A container that has not run yet.
    NotBegun { container: String, says: String },
    /// There is no access to the system yet: its day has not come.
    NoAccess,
    /// The system refuses it to these credentials, in its own words.
    Forbidden { says: String },
    /// No answer that can be used, and the reason.
    Failed { says: String },
    /// No answer within the time that one may take.
    Silent,
    /// The worker that asks for the screens is gone.
    NoWorker,
    /// Too many questions are open.
    Busy,
    /// Of a newer worker.
    #[serde(other)]
    Unknown,
}

pub type Answer = Result<Told, Untold>;

/// Asks one question. It can be dropped at any time.
#[derive(Clone)]
pub struct Asker(pub Arc<dyn Fn(Question) -> BoxFuture<'static, Answer> + Send + Sync>);

impl Asker {
    pub fn ask(&self, question: Question) -> BoxFuture<'static, Answer> {
        (self.0)(question)
    }
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asker")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_and_both_kinds_of_answer_are_read_back_as_they_were_written() {
        let about = Object::Pod { namespace: "cozy-a".into(), name: "a-1".into() };
        let question = Question { matter: Matter::Log, about };
        let text = serde_json::to_string(&question).unwrap();
        assert_eq!(text, r#"{"matter":"log","about":{"thing":"pod","namespace":"cozy-a","name":"a-1"}}"#);
        assert_eq!(serde_json::from_str::<Question>(&text).unwrap(), question);
        let earlier = Some(EarlierRun { exit_code: 1, reason: "Error".into(), ended: None });
        let told = Told {
            origin: Origin::Container { name: "a".into(), earlier },
            text: "one\ntwo".into(),
            cut: true,
            by_hand: "kubectl logs".into(),
        };
        for answer in [Ok(told), Err(Untold::Gone), Err(Untold::Forbidden { says: "no".into() })] {
            let text = serde_json::to_string(&answer).unwrap();
            assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer, "{text}");
        }
        let newer = r#"{"Err":{"why":"eclipse"}}"#;
        assert_eq!(serde_json::from_str::<Answer>(newer).unwrap(), Err(Untold::Unknown));
    }
}
