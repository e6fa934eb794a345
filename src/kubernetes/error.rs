//! The errors of a call to the API. Texts are the server's own words, cleaned.
use super::limit::TooLong;
use crate::base::{text, tls};
use kube::core::Status;
use std::error::Error as _;

/// The reason why a call to the Kubernetes API gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The kubeconfig can't be used.
    #[error("kubeconfig: {text}")]
    Kubeconfig {
        /// The reason, without any piece of the kubeconfig's credentials.
        text: String,
    },
    /// No answer: no connection, a cut one, or none within the deadline.
    #[error("kubernetes api not reached: {text}")]
    Unreachable {
        /// The chain of causes from the connection, or the deadline that passed.
        text: String,
    },
    /// The server's certificate does not belong to the cluster of the kubeconfig.
    #[error("the server's certificate is not the cluster's: {text}")]
    Untrusted {
        /// rustls' reason.
        text: String,
    },
    /// 401: the server does not know the client certificate or token.
    #[error("the api server does not accept the kubeconfig's credentials")]
    Unauthorized,
    /// 403: the server knows the client, and it lacks the right.
    #[error("forbidden: {text}")]
    Forbidden {
        /// The server's message: user, verb and resource.
        text: String,
    },
    /// The object, or its whole kind while the definition is not installed yet.
    #[error("not found")]
    NotFound,
    /// Another field manager owns the field, the object exists already, or it is not the one that was meant.
    #[error("conflict: {text}")]
    Conflict {
        /// The server's message; it names the other field manager when there is one.
        text: String,
    },
    /// 400 or 422: the server does not take the object, or the request could not be made from what was given.
    #[error("refused as invalid: {text}")]
    Invalid {
        /// The server's message with the field at fault, or ours.
        text: String,
    },
    /// An admission webhook was asked and refused, with whichever status it chose.
    #[error("a webhook refuses it: {text}")]
    Denied {
        /// The server's message: the webhook's name and its own words.
        text: String,
    },
    /// An admission webhook could not be asked.
    #[error("a webhook did not answer: {text}")]
    Webhook {
        /// The server's message; it names the webhook.
        text: String,
    },
    /// The resourceVersion is too old: list again.
    #[error("the resource version is too old")]
    Gone,
    /// Every other status: 429 when the server is overtaxed, 5xx when it, or a server behind it, fails.
    #[error("the api server answered {code}: {text}")]
    Server {
        /// HTTP status code.
        code: u16,
        /// The server's message, or its reason when it gave no message.
        text: String,
    },
    /// The answer was not what the API promises.
    #[error("unexpected answer: {text}")]
    Answer {
        /// The fault of the answer, with the call where it is known.
        text: String,
    },
}

impl Error {
    /// True when the same call may well succeed a little later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Unreachable { .. } | Error::Webhook { .. } | Error::Gone => true,
            Error::Server { code, .. } => *code == 429 || *code >= 500,
            Error::Kubeconfig { .. }
            | Error::Untrusted { .. }
            | Error::Unauthorized
            | Error::Forbidden { .. }
            | Error::NotFound
            | Error::Conflict { .. }
            | Error::Invalid { .. }
            | Error::Denied { .. }
            | Error::Answer { .. } => false,
        }
    }

    pub(super) fn of_status(status: &Status) -> Self {
        let text = text::clean(if status.message.is_empty() { &status.reason } else { &status.message });
        match status.code {
            // Else a proxy's page would pass for the absence of an object.
            404 if is_page(status) => Error::Answer { text: "a page (404) that is not the API server's".to_string() },
            400.. if text.starts_with("admission webhook ") && text.contains(" denied the request") => {
                Error::Denied { text }
            }
            401 => Error::Unauthorized,
            403 => Error::Forbidden { text },
            404 => Error::NotFound,
            409 => Error::Conflict { text },
            410 => Error::Gone,
            400 | 422 => Error::Invalid { text },
            _ if text.contains("failed calling webhook") || text.contains("failed to call webhook") => {
                Error::Webhook { text }
            }
            code => Error::Server { code, text },
        }
    }

    pub(super) fn of_kube(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Error::of_status(&status),
            kube::Error::SerdeError(e) => Error::Answer { text: text::clean(&e.to_string()) },
            kube::Error::FromUtf8(_) => Error::Answer { text: "not UTF-8".to_string() },
            other => Error::of_transport(&other),
        }
    }

    fn of_transport(error: &kube::Error) -> Self {
        let mut text = String::new();
        let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
        while let Some(e) = cause {
            if let Some(long) = e.downcast_ref::<TooLong>() {
                return Error::Answer { text: text::clean(&long.to_string()) };
            }
            if let Some(rustls::Error::InvalidCertificate(why)) = find_tls(e) {
                return Error::Untrusted { text: text::clean(&why.to_string()) };
            }
            let shown = tls::without_manual(&e.to_string()).to_string();
            if !text.contains(&shown) {
                if !text.is_empty() {
                    text.push_str(": ");
                }
                text.push_str(&shown);
            }
            cause = e.source();
        }
        Error::Unreachable { text: text::clean(&if text.is_empty() { error.to_string() } else { text }) }
    }
}

/// True when the answer was not a Status, and is not what the API server says of a path that it does not serve.
fn is_page(status: &Status) -> bool {
    status.reason == "Failed to parse error data" && status.message.trim() != "404 page not found"
}

/// True when the answer was ended because it was longer than any of the API's.
pub(super) fn is_too_long(error: &kube::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(e) = cause {
        if e.is::<TooLong>() {
            return true;
        }
        cause = e.source();
    }
    false
}

/// The TLS error inside `e`; `io::Error` hides its payload from `source`, so it is asked for it.
fn find_tls<'a>(e: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = e.downcast_ref::<rustls::Error>() {
        return Some(tls);
    }
    let inner = e.downcast_ref::<std::io::Error>()?.get_ref()?;
    find_tls(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, message: &str) -> Error {
        Error::of_status(&Status { code, message: message.to_string(), ..Status::default() })
    }

    #[test]
    fn a_page_of_something_in_front_is_no_absence() {
        let page = |text: &str| Status {
            code: 404,
            message: text.to_string(),
            reason: "Failed to parse error data".to_string(),
            ..Status::default()
        };
        assert!(matches!(Error::of_status(&page("<html>404</html>")), Error::Answer { .. }));
        assert_eq!(Error::of_status(&page("404 page not found")), Error::NotFound);
        assert_eq!(status(404, "pods \"a\" not found"), Error::NotFound);
    }

    #[test]
    fn a_refusal_of_a_webhook_is_told_from_a_missing_right_and_from_a_wrong_object() {
        let text = "admission webhook \"validation.proxmoxcluster\" denied the request: no address is free";
        for code in [400, 403, 422, 500] {
            assert_eq!(status(code, text), Error::Denied { text: text.into() });
        }
        assert!(
            !status(403, text).is_transient() && matches!(status(403, "nodes is forbidden"), Error::Forbidden { .. })
        );
    }

    #[test]
    fn a_webhook_that_can_not_be_asked_is_transient_and_a_refusal_is_not() {
        let webhook = status(500, "Internal error occurred: failed calling webhook \"v.metallb.io\": no endpoints");
        assert!(matches!(&webhook, Error::Webhook { text } if text.contains("v.metallb.io")));
        assert!(webhook.is_transient());
        assert!(status(503, "etcd leader changed").is_transient());
        assert!(status(429, "too many requests").is_transient());
        assert!(!status(403, "nodes is forbidden").is_transient());
        assert!(!status(422, "spec.x: required").is_transient());
        assert_eq!(status(410, "too old resource version"), Error::Gone);
    }
}
