//! Every kind of answer that Proxmox VE, its proxy, and what may stand in front of it give to a refused call: what the client
//! makes of it, and what a person is then told to do. Sources: pve-http-server (`AnyEvent.pm`), pve-manager (`HTTPServer.pm`),
//! AnyEvent::HTTP, and what nginx, HAProxy, Traefik, Envoy, Cloudflare and login gateways answer.
use super::proxmox::{Reply, error_for};
use cozyup::engine::failure::{Class, Failure};
use cozyup::proxmox::{Cause, Error, Front, TokenFault, Unreached};
use cozyup::steps::failures;

/// An answer as it comes over the wire: status line, other headers, body.
fn answer(status: &str, headers: &str, body: &str) -> Reply {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    Reply::Says((head + body).into_bytes())
}

const OWN: &str = "Server: pve-api-daemon/3.0\r\nContent-Type: application/json;charset=UTF-8\r\n";
const NGINX: &str = "Server: nginx\r\nContent-Type: text/html\r\n";
const PLAIN: &str = "Content-Type: text/plain\r\n";
const JSON: &str = "Content-Type: application/json\r\n";
const PAGE: &str = "<html><body>no</body></html>";

/// Shortly, what the client takes an error for.
fn kind(error: &Error) -> String {
    match error {
        Error::Unauthorized { fault, .. } => format!("token {fault:?}"),
        Error::Forbidden { path: Some(_), .. } => "right".into(),
        Error::Forbidden { .. } => "unnamed right".into(),
        Error::Server { cause, .. } => format!("{cause:?}"),
        Error::InFront { front, .. } => format!("front {front:?}"),
        Error::Unreachable { how, .. } => format!("unreached {how:?}"),
        Error::Busy { .. } => "busy".into(),
        Error::Parameters { .. } => "parameters".into(),
        Error::NotFound { .. } => "not there".into(),
        Error::NoSuchTask => "no task".into(),
        Error::NoSuchNode { .. } => "no node".into(),
        Error::NodeCertificate { .. } => "node certificate".into(),
        Error::Locked { .. } => "locked".into(),
        Error::Exists { .. } => "exists".into(),
        Error::Answer { .. } => "answer".into(),
        Error::Target { .. } | Error::Certificate { .. } | Error::File { .. } => "other".into(),
    }
}

fn own(message: &str) -> String {
    format!("{{\"data\":null,\"message\":\"{message}\\n\"}}")
}

struct Row {
    reply: Reply,
    name: String,
    kind: String,
    class: Class,
    /// A part of what is told to do.
    next: &'static str,
}

fn row(status: &str, headers: &str, body: &str, kind: impl ToString, class: Class, next: &'static str) -> Row {
    let name = format!("{status} {headers:?} {body}");
    Row { reply: answer(status, headers, body), name, kind: kind.to_string(), class, next }
}

fn token(fault: TokenFault) -> String {
    format!("token {fault:?}")
}

fn front(front: Front) -> String {
    format!("front {front:?}")
}

/// What Proxmox VE says of the caller and of the request, in the body (since 8.4) or in the status line alone.
fn of_the_door() -> Vec<Row> {
    use Class::{Broken, Person, Refused, Retryable};
    let status_line = |line: &str, kind: String, class, next| row(line, "", "", kind, class, next);
    vec![
        status_line("401 No ticket", token(TokenFault::Unknown), Person, "token id"),
        status_line("401 no such token 'x' for user 'a@pve'", token(TokenFault::NoSuchToken), Person, "token list"),
        status_line("401 invalid token value!", token(TokenFault::WrongSecret), Person, "its secret is another one"),
        status_line("401 Authentication failed!", token(TokenFault::Untold), Person, "journalctl -u pveproxy"),
        status_line(
            "403 Permission check failed (/vms/1, VM.Audit)",
            "right".into(),
            Refused,
            "--append --privs VM.Audit",
        ),
        row("403 x", OWN, &own("Permission check failed"), "unnamed right", Refused, "pveum user permissions"),
        row("403 x", OWN, &own("Permission check failed (pool 'x' does not exist)"), "NoSuchPool", Person, "site.pool"),
        row("403 x", OWN, &own("Permission check failed (user != root@pam)"), "RootOnly", Broken, "root@pam"),
        row("501 x", OWN, &own("Method 'GET /foo' not implemented"), "NotOffered", Refused, "8.4 or newer"),
        row(
            "400 Parameter verification failed.",
            OWN,
            "{\"errors\":{\"x\":\"property is not defined in schema and the schema does not allow additional properties\"}}",
            "NotOffered",
            Refused,
            "upgrade it",
        ),
        row(
            "400 x",
            OWN,
            "{\"errors\":{\"name\":\"invalid format - x\"},\"data\":null}",
            "parameters",
            Broken,
            "plan's key",
        ),
        row(
            "400 x",
            OWN,
            "{\"errors\":{\"storage\":\"No such storage.\"}}",
            "NoSuchStorage",
            Person,
            "template.storage",
        ),
        row("400 x", OWN, "{\"errors\":{\"upid\":\"no such task\"}}", "no task", Retryable, "looks again"),
    ]
}

/// What it says of the work itself.
fn of_proxmox() -> Vec<Row> {
    use Class::{Person, Refused, Retryable};
    let status_line = |line: &str, kind: String, class, next| row(line, "", "", kind, class, next);
    let died = |text: &str, kind: String, class, next| row("500 x", OWN, &own(text), kind, class, next);
    let cause = |cause: Cause| format!("{cause:?}");
    vec![
        died("VM is locked (clone)", "locked".into(), Retryable, "holds the lock"),
        died("cfs-lock 'file-user_cfg' error: no quorum!", "busy".into(), Retryable, "pvecm status"),
        died("ipcc_send_rec[1] failed: Connection refused", cause(Cause::ClusterFilesystem), Retryable, "pve-cluster"),
        died("hostname lookup 'x' failed - failed to get address info", "no node".into(), Person, "nodes[].host"),
        died("unable to create VM 101 - VM 101 already exists on node 'a'", "exists".into(), Refused, "another id"),
        died(
            "Configuration file 'nodes/a/qemu-server/9.conf' does not exist",
            "not there".into(),
            Person,
            "it is not there",
        ),
        died("storage 'x' does not exist", cause(Cause::NoSuchStorage), Person, "pvesm status"),
        died("storage 'x' is disabled", cause(Cause::StorageOffline), Person, "bring it back"),
        died("unable to parse lvm volume name 'abc'", cause(Cause::VolumeName), Person, "kind"),
        died(
            "write to temporary file failed - No space left on device",
            cause(Cause::NodeDiskFull),
            Person,
            "/var/tmp/pveupload-",
        ),
        died("can't enslave 'tap1i0' to 'vmbr0'", cause(Cause::NoNetwork), Person, "MTU of the bridge"),
        died("unable to open file '/etc/pve/user.cfg' - Permission denied", "busy".into(), Retryable, "pvecm status"),
        died("zfs error: cannot create 'x': out of space", cause(Cause::StorageFull), Person, "make room"),
        died(
            "qemu-img: Could not open '/x.raw': Could not open '/x.raw': No such file or directory",
            "busy".into(),
            Retryable,
            "tries again",
        ),
        died("something new", cause(Cause::Unknown), Person, "journalctl"),
        status_line("500 ", cause(Cause::Unknown), Person, "journalctl"),
        status_line("595 Connection refused", "busy".into(), Retryable, "pvedaemon"),
        status_line("596 Connection timed out", "busy".into(), Retryable, "gave no answer in time"),
        status_line("596 ssl: certificate verify failed", "node certificate".into(), Person, "pvecm updatecerts"),
        status_line("597 Connection reset by peer", "busy".into(), Retryable, "tries again"),
        status_line("599 Too many redirections", "busy".into(), Retryable, "tries again"),
        row("503 Service Unavailable", OWN, "", "busy", Retryable, "tries again"),
    ]
}

/// What stands in front of it, or in its place.
fn of_others() -> Vec<Row> {
    use Class::{Person, Retryable};
    let at = "node's own address";
    vec![
        row("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "", front(Front::Login), Person, at),
        row("401 Unauthorized", NGINX, PAGE, front(Front::Login), Person, at),
        row("401 Unauthorized", JSON, "{\"error\":\"login\"}", front(Front::Login), Person, at),
        row("302 Found", "Location: https://sso.example/saml?x\r\n", "", front(Front::Login), Person, at),
        row("307 Temporary Redirect", "Location: https://other.example/\r\n", "", front(Front::Redirect), Person, at),
        row("407 Proxy Authentication Required", NGINX, PAGE, front(Front::Login), Person, at),
        row("496 SSL Certificate Required", NGINX, PAGE, front(Front::Login), Person, at),
        row("403 Forbidden", NGINX, PAGE, front(Front::Denied), Person, at),
        row("403 Forbidden", PLAIN, "RBAC: access denied", front(Front::Denied), Person, at),
        row("403 Forbidden", JSON, "{\"message\":\"Forbidden\"}", front(Front::Denied), Person, at),
        row("404 Not Found", PLAIN, "404 page not found", front(Front::OtherPlace), Person, "port 8006"),
        row("404 Not Found", JSON, "{\"detail\":\"Not Found\"}", front(Front::OtherPlace), Person, "port 8006"),
        row("400 Bad Request", NGINX, PAGE, front(Front::OtherPlace), Person, "port 8006"),
        row("413 Request Entity Too Large", NGINX, PAGE, front(Front::BodyLimit), Person, "client_max_body_size"),
        row("429 Too Many Requests", PLAIN, "slow down", front(Front::RateLimit), Retryable, "raise the limit"),
        row("500 Internal Server Error", NGINX, PAGE, front(Front::NoBackend), Retryable, "systemctl status pveproxy"),
        row("502 Bad Gateway", NGINX, PAGE, front(Front::NoBackend), Retryable, "systemctl status pveproxy"),
        row(
            "503 Service Unavailable",
            JSON,
            "{\"error\":\"no upstream\"}",
            front(Front::NoBackend),
            Retryable,
            "proxy",
        ),
        row("503 Service Unavailable", PLAIN, "no available server", front(Front::NoBackend), Retryable, "proxy"),
        row("502 Bad Gateway", PLAIN, "Bad Gateway", front(Front::NoBackend), Retryable, "systemctl status pveproxy"),
        row("504 Gateway Timeout", PLAIN, "upstream request timeout", front(Front::NoBackend), Retryable, "proxy"),
        row("504 Gateway Timeout", "", "", front(Front::NoBackend), Retryable, "proxy"),
        row("522 x", NGINX, PAGE, front(Front::NoBackend), Retryable, "proxy"),
        row("200 OK", NGINX, PAGE, "answer", Retryable, "something else answers"),
        row("200 OK", JSON, "", "answer", Retryable, "something else answers"),
        row("200 OK", JSON, "{\"status\":\"ok\"}", "answer", Retryable, "something else answers"),
        row("200 OK", JSON, "{\"data\":{\"name\":", "answer", Retryable, "something else answers"),
        row("200 OK", JSON, "{\"data\":null}", "answer", Retryable, "something else answers"),
    ]
}

/// Of what goes wrong in front of Proxmox VE nobody looks in its journal, and no right or token is to be changed.
fn is_beside_the_point(error: &Error, failure: &Failure) -> Option<&'static str> {
    let wrong: &[&str] = match error {
        Error::InFront { .. } => &["journalctl", "pveum", "role", "--expire"],
        Error::Busy { .. } | Error::Answer { .. } | Error::Locked { .. } => &["pveum", "role", "plan key"],
        Error::Server { .. } | Error::NotFound { .. } | Error::Exists { .. } | Error::NoSuchNode { .. } => &["pveum"],
        _ => &[],
    };
    wrong.iter().copied().find(|word| failure.next.contains(word))
}

/// Issue 10 C10: next actions come from typed causes, and every answer has one.
#[tokio::test]
async fn every_answer_has_its_cause_and_tells_what_to_do_about_it_and_nothing_else() {
    for row in of_the_door().into_iter().chain(of_proxmox()).chain(of_others()) {
        let error = error_for(row.reply).await;
        assert_eq!(kind(&error), row.kind, "{}: {error:?}", row.name);
        let failure = failures::proxmox(&error, "read vm 999");
        assert_eq!(failure.class, row.class, "{}: {failure:?}", row.name);
        assert!(failure.next.contains(row.next), "{}: {failure:?}", row.name);
        assert_eq!(is_beside_the_point(&error, &failure), None, "{}: {failure:?}", row.name);
    }
    // The connection ends within the head, and within the body.
    for cut in ["HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"data\":{"] {
        let error = error_for(Reply::Says(cut.as_bytes().to_vec())).await;
        assert!(matches!(error, Error::Unreachable { how: Unreached::Cut | Unreached::Other, .. }), "{cut}: {error:?}");
        assert_eq!(failures::proxmox(&error, "x").class, Class::Retryable);
    }
}
