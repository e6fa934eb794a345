//! Proxmox VE asked from inside the cluster, with an add-on's own credentials and by what the add-on verifies the server:
//! a pod that asks `/version` until it is answered. An add-on may be installed and its objects Ready while this fails.
use crate::base::text::shorten;
use crate::cozystack::addons::{AUTHORITY, AUTHORITY_KEY, CREDENTIALS, MANAGED_BY, RUN_LABEL};
use crate::engine::failure::Failure;
use crate::engine::proof::Evidence;
use crate::engine::step::Context;
use crate::kubernetes::Kind;
use crate::steps::addons::access::Access;
use crate::steps::addons::trust::Trust;
use crate::steps::cluster::{self, get, is_deleting, is_ours, seen, text};
use crate::steps::failures;
use crate::steps::objects::{CONTAINER, IMAGE};
use crate::steps::site::{Changing, Reading};
use serde_json::{Value, json};

pub const POD: &str = "cozyup-proxmox-probe";
/// Begins the line that tells how an attempt ended: exit status of curl, status of the answer.
const WORD: &str = "cozyup-probe";
/// Attempts that may fail before it is called a failure: a network or a Secret may be on its way.
const PATIENCE: i64 = 2;
/// Lines of the log that are looked through.
const TAIL: u32 = 20;

/// The Secret from which an add-on reads its credentials, and the keys in it.
pub struct Credentials {
    pub access: Access,
    pub namespace: &'static str,
    pub secret: &'static str,
    /// Keys of the URL, the token's id and its secret.
    pub keys: [&'static str; 3],
    /// The path that the add-on puts behind the URL before `/version`.
    pub path: &'static str,
}

/// The state of the probe.
#[derive(Debug)]
pub enum State {
    /// There is none with these credentials.
    Missing(String),
    Underway(String),
    Answered(Vec<Evidence>),
    Refused(Failure),
}

/// The end of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct End {
    /// Exit status of curl; see its manual.
    curl: u32,
    /// HTTP status, 0 without an answer.
    status: u16,
}

/// No word of the credentials stands in a command: `printf` is a part of the shell.
fn script(credentials: &Credentials, trust: &Trust) -> String {
    let verify = match (&trust.access.authority, trust.access.insecure) {
        (_, true) => "--insecure".to_string(),
        (Some(_), false) => format!("--cacert /authority/{AUTHORITY_KEY}"),
        (None, false) => String::new(),
    };
    let config = "header = \"Authorization: PVEAPIToken=%s=%s\"\\nurl = \"%s";
    format!(
        "printf '{config}{}/version\"\\n' \"$TOKEN\" \"$SECRET\" \"$URL\" > /scratch/request && \
         curl --config /scratch/request --silent --show-error --fail --max-time 20 --noproxy '*' {verify} \
         --output /scratch/answer --write-out '{WORD} %{{exitcode}} %{{http_code}}\\n'",
        credentials.path
    )
}

fn pod(site: &Reading, credentials: &Credentials, trust: &Trust) -> Value {
    let of = |name: &str, key: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": credentials.secret, "key": key}}});
    let [url, token, secret] = credentials.keys;
    let mut volumes = vec![json!({"name": "scratch", "emptyDir": {"medium": "Memory"}})];
    let mut mounts = vec![json!({"name": "scratch", "mountPath": "/scratch"})];
    if trust.access.authority.is_some() {
        volumes.push(json!({"name": "authority", "configMap": {"name": AUTHORITY}}));
        mounts.push(json!({"name": "authority", "mountPath": "/authority", "readOnly": true}));
    }
    json!({
        "metadata": {
            "labels": {MANAGED_BY.0: MANAGED_BY.1, RUN_LABEL: site.label()},
            "annotations": {CREDENTIALS: trust.access.digest()},
        },
        "spec": {
            "restartPolicy": "OnFailure",
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": CONTAINER,
                "image": IMAGE,
                "command": ["sh", "-c", script(credentials, trust)],
                "env": [of("URL", url), of("TOKEN", token), of("SECRET", secret)],
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
                "volumeMounts": mounts,
            }],
            "volumes": volumes,
        },
    })
}

/// Makes the pod, in place of one that was made with other credentials.
///
/// # Errors
/// When a pod of that name is somebody else's, or the cluster refuses.
pub async fn ensure(
    site: &Reading,
    change: &Changing,
    credentials: &Credentials,
    trust: &Trust,
) -> Result<(), Failure> {
    let place = Some(credentials.namespace);
    let changer = change.kubernetes()?;
    if let Some(found) = get(&site.kubernetes()?, &Kind::POD, place, POD).await? {
        if !is_ours(site, &found.value) {
            return Err(cluster::foreign(&Kind::POD, place, POD, &found.value));
        }
        if is_current(&found.value, trust) {
            return Ok(());
        }
        let gone = changer.delete(&Kind::POD, place, POD, text(&found.value, "/metadata/uid")).await;
        gone.map_err(|e| failures::kubernetes(&e, &format!("delete pod {POD}")))?;
        if text(&found.value, "/status/phase") != "Succeeded" {
            // It may take its time to end; the next act makes the new one.
            return Ok(());
        }
    }
    let made = changer.apply(&Kind::POD, place, POD, pod(site, credentials, trust)).await;
    made.map(drop).map_err(|e| failures::kubernetes(&e, &format!("make pod {POD}")))
}

fn is_current(pod: &Value, trust: &Trust) -> bool {
    let with = pod.pointer("/metadata/annotations").and_then(|a| a.get(CREDENTIALS)).and_then(Value::as_str);
    with == Some(trust.access.digest().as_str()) && !is_deleting(pod)
}

/// # Errors
/// When the cluster can't be asked.
pub async fn look(
    cx: &dyn Context,
    site: &Reading,
    credentials: &Credentials,
    trust: &Trust,
) -> Result<State, Failure> {
    let (reader, place) = (site.kubernetes()?, credentials.namespace);
    let Some(found) = get(&reader, &Kind::POD, Some(place), POD).await? else {
        return Ok(State::Missing(format!("there is no pod {place}/{POD}")));
    };
    if !is_ours(site, &found.value) {
        return Ok(State::Refused(cluster::foreign(&Kind::POD, Some(place), POD, &found.value)));
    }
    if !is_current(&found.value, trust) {
        return Ok(State::Missing(format!("pod {place}/{POD} was made with other credentials")));
    }
    let phase = text(&found.value, "/status/phase");
    let restarts = found.value.pointer("/status/containerStatuses/0/restartCount").and_then(Value::as_i64).unwrap_or(0);
    if phase != "Succeeded" && restarts == 0 {
        let why = text(&found.value, "/status/containerStatuses/0/state/waiting/reason");
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        return Ok(State::Underway(format!(
            "pod {place}/{POD} is {}{why}",
            if phase.is_empty() { "new" } else { phase }
        )));
    }
    let log = reader.logs(place, POD, CONTAINER, TAIL).await;
    let log = log.map_err(|e| failures::kubernetes(&e, &format!("read the log of pod {POD}")))?;
    match ended(&log.value) {
        Some(End { curl: 0, status: 200 }) => Ok(State::Answered(vec![seen(cx, &found), seen(cx, &log)])),
        Some(end) if restarts >= PATIENCE => Ok(State::Refused(failure(end, credentials, trust, &log.value))),
        Some(end) => Ok(State::Underway(format!("pod {place}/{POD}: {}", what(end)))),
        None => Ok(State::Underway(format!("pod {place}/{POD} has not asked yet"))),
    }
}

/// The last attempt that the log tells of.
fn ended(log: &str) -> Option<End> {
    let line = log.lines().rev().find_map(|line| line.trim().strip_prefix(WORD))?;
    let mut numbers = line.split_whitespace();
    Some(End { curl: numbers.next()?.parse().ok()?, status: numbers.next()?.parse().ok()? })
}

/// The reason why an attempt brought no answer, in words.
fn what(end: End) -> String {
    match (end.curl, end.status) {
        (6, _) => "its host name is not known in the cluster".to_string(),
        (7, _) => "nobody accepts a connection".to_string(),
        (28, _) => "no answer within 20 s".to_string(),
        (35, _) => "the TLS handshake fails".to_string(),
        (60, _) => "its certificate can't be verified".to_string(),
        (_, 401) => "the token is not accepted".to_string(),
        (_, 501 | 404) => format!("it knows no such path (status {})", end.status),
        (_, 0) => format!("curl ends with {}", end.curl),
        (_, status) => format!("it answers {status}"),
    }
}

/// The next action for a person, by curl's exit status and the HTTP status, which are documented, not by words.
fn failure(end: End, credentials: &Credentials, trust: &Trust, log: &str) -> Failure {
    let url = &trust.access.url;
    let Credentials { access, namespace, secret, .. } = credentials;
    let read = format!("kubectl -n {namespace} logs {POD}");
    let again = "the pod asks again by itself";
    let next = match (end.curl, end.status) {
        (6, _) => format!("write the address into site.url, or make the name known to the cluster's DNS; {again}"),
        (7 | 28, _) => format!(
            "let the cluster's nodes reach {url}: pods come from the nodes' addresses (firewall of Proxmox VE, routes); {again}"
        ),
        (35 | 60, _) => {
            let by = match (&trust.access.authority, &trust.anchor.value) {
                (None, _) => {
                    "set site.fingerprint in the plan, so that cozyup hands the site's own authority to the cluster"
                }
                (Some(_), _) => "see whether something between the cluster and Proxmox VE answers in its place",
            };
            format!("{by}; the server's certificate as pods see it: {read}")
        }
        (_, 401) => format!(
            "see whether somebody made the token anew (pveum user token list {}); the step day4.proxmox_token/{} then makes \
             one that fits, and Secret {namespace}/{secret} gets it",
            access.user, access.name
        ),
        (_, 403) => format!("see what it may do: pveum user token permissions {} {}", access.user, access.token),
        _ => format!("read it with {read}, and correct site.url if another server answers there; {again}"),
    };
    let said = log.lines().rev().find(|line| line.trim().starts_with("curl:")).map(|line| shorten(line.trim(), 200));
    let said = said.map(|line| format!(" ({line})")).unwrap_or_default();
    let what = format!("pods in the cluster can't use {url} as {}: {}{said}", access.token_id(), what(end));
    Failure::person(what, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::answer::Answer;
    use crate::base::secret::Secret;
    use crate::cozystack::addons::{CSI_CONFIG, CSI_NAMESPACE, ProxmoxAccess};
    use crate::proxmox::Anchor;
    use crate::steps::addons::access::CSI;

    fn credentials() -> Credentials {
        Credentials {
            access: CSI,
            namespace: CSI_NAMESPACE,
            secret: CSI_CONFIG,
            keys: ["url", "token", "secret"],
            path: "",
        }
    }

    fn trust(authority: Option<&str>, insecure: bool) -> Trust {
        let access = ProxmoxAccess {
            url: "https://10.0.0.1:8006".parse().unwrap(),
            token_id: CSI.token_id(),
            token_secret: Secret::new("the-secret-of-the-token".to_string()),
            authority: authority.map(String::from),
            insecure,
        };
        Trust { access, anchor: Answer::new("", "", "", Anchor::Public) }
    }

    #[test]
    fn the_script_verifies_by_what_the_add_on_verifies_by_and_names_no_secret() {
        let with = |authority, insecure| script(&credentials(), &trust(authority, insecure));
        assert!(
            with(Some("pem"), false).contains("--cacert /authority/ca.pem")
                && !with(Some("pem"), false).contains("insecure")
        );
        assert!(!with(None, false).contains("--cacert") && !with(None, false).contains("insecure"));
        assert!(with(None, true).contains("--insecure"));
        assert!(!with(Some("pem"), false).contains("the-secret"));
    }

    /// reports.md B41
    #[test]
    fn each_cause_has_its_own_next_action() {
        let told = |log: &str| failure(ended(log).unwrap(), &credentials(), &trust(Some("pem"), false), log);
        let refused = told("curl: (7) Failed to connect\ncozyup-probe 7 000\n");
        assert!(refused.what.contains("nobody accepts") && refused.next.contains("firewall"), "{refused}");
        let late = told("cozyup-probe 28 000\n");
        assert!(late.what.contains("within 20 s") && late.next.contains("reach"), "{late}");
        let token = told("curl: (22) The requested URL returned error: 401\ncozyup-probe 22 401\n");
        assert!(token.what.contains("not accepted") && token.next.contains("day4.proxmox_token/csi"), "{token}");
        let path = told("cozyup-probe 22 501\n");
        assert!(path.what.contains("no such path") && path.next.contains("site.url"), "{path}");
        let authority = told("cozyup-probe 60 000\n");
        assert!(authority.what.contains("can't be verified") && authority.next.contains("in its place"), "{authority}");
        let public = failure(End { curl: 60, status: 0 }, &credentials(), &trust(None, false), "");
        assert!(public.next.contains("site.fingerprint"), "{public}");
    }

    #[test]
    fn the_last_attempt_counts_and_other_lines_do_not() {
        assert_eq!(ended("cozyup-probe 7 000\ncozyup-probe 0 200\n"), Some(End { curl: 0, status: 200 }));
        assert_eq!(ended("curl: (7)\n"), None);
        assert_eq!(ended("cozyup-probe none\n"), None);
    }
}
