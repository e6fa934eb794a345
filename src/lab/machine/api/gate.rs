//! Decides which calls are allowed: the methods of each mode, and the roles that they need.
use axum::body::Body;
use hyper::body::Incoming;
use hyper::{Request, Response};
use tonic::Status;
use tonic::service::Routes;
use tower::Service;

pub const ADMIN: &str = "os:admin";
const OPERATOR: &str = "os:operator";
const READER: &str = "os:reader";

const MACHINE: &str = "machine.MachineService";
const STORAGE: &str = "storage.StorageService";
const STATE: &str = "cosi.resource.State";

/// Methods of a configured machine and the least role that may call them.
const METHODS: [(&str, &str, &str); 29] = [
    (MACHINE, "ApplyConfiguration", ADMIN),
    (MACHINE, "Bootstrap", ADMIN),
    (MACHINE, "Dmesg", READER),
    (MACHINE, "EtcdMemberList", READER),
    (MACHINE, "EtcdRemoveMemberByID", ADMIN),
    (MACHINE, "EtcdSnapshot", OPERATOR),
    (MACHINE, "EtcdStatus", READER),
    (MACHINE, "Events", READER),
    (MACHINE, "GenerateClientConfiguration", ADMIN),
    (MACHINE, "Hostname", READER),
    (MACHINE, "Kubeconfig", ADMIN),
    (MACHINE, "LoadAvg", READER),
    (MACHINE, "Logs", READER),
    (MACHINE, "Memory", READER),
    (MACHINE, "Mounts", READER),
    (MACHINE, "Read", ADMIN),
    (MACHINE, "Reboot", OPERATOR),
    (MACHINE, "Reset", ADMIN),
    (MACHINE, "ServiceList", READER),
    (MACHINE, "Shutdown", OPERATOR),
    (MACHINE, "Version", READER),
    (STORAGE, "BlockDeviceWipe", ADMIN),
    (STORAGE, "Disks", READER),
    (STATE, "Get", READER),
    (STATE, "List", READER),
    (STATE, "Watch", READER),
    ("cluster.ClusterService", "HealthCheck", READER),
    ("time.TimeService", "Time", READER),
    ("time.TimeService", "TimeCheck", READER),
];

/// In maintenance mode.
const MAINTENANCE: [(&str, &str); 5] =
    [(MACHINE, "ApplyConfiguration"), (STORAGE, "Disks"), (STATE, "Get"), (STATE, "List"), (STATE, "Watch")];
/// There in maintenance mode, but only for callers through SideroLink.
const SIDEROLINK: [&str; 6] = ["Version", "Upgrade", "Reset", "MetaWrite", "MetaDelete", "BlockDeviceWipe"];

#[derive(Clone)]
pub struct Gate {
    pub inner: Routes,
    /// Of the client certificate; `None` in maintenance mode, where there is none.
    pub roles: Option<Vec<String>>,
}

impl Gate {
    fn refuse(&self, path: &str) -> Option<Status> {
        let (service, method) = path.trim_start_matches('/').split_once('/')?;
        match &self.roles {
            None => refuse_in_maintenance(service, method),
            Some(roles) => refuse_secure(service, method, roles),
        }
    }
}

fn refuse_in_maintenance(service: &str, method: &str) -> Option<Status> {
    if MAINTENANCE.contains(&(service, method)) {
        None
    } else if service == STATE && ["Create", "Update", "Destroy"].contains(&method) {
        Some(Status::permission_denied("write access is not allowed"))
    } else if ![MACHINE, STORAGE, STATE].contains(&service) {
        Some(Status::unimplemented(format!("unknown service {service}")))
    } else if SIDEROLINK.contains(&method) {
        Some(Status::unimplemented("API is not implemented in maintenance mode"))
    } else {
        Some(Status::unimplemented(format!("method {method} not implemented")))
    }
}

fn refuse_secure(service: &str, method: &str, roles: &[String]) -> Option<Status> {
    let has = |role: &str| roles.iter().any(|r| r == role);
    if service == STATE && ["Create", "Update", "Destroy"].contains(&method) {
        return Some(Status::permission_denied("write access is not allowed"));
    }
    let Some((_, _, least)) = METHODS.iter().find(|(s, m, _)| *s == service && *m == method) else {
        let known = METHODS.iter().any(|(s, ..)| *s == service);
        return Some(Status::unimplemented(if known {
            format!("method {method} not implemented")
        } else {
            format!("unknown service {service}")
        }));
    };
    let may = match *least {
        READER => has(READER) || has(OPERATOR) || has(ADMIN),
        OPERATOR => has(OPERATOR) || has(ADMIN),
        _ => has(ADMIN),
    };
    (!may).then(|| Status::permission_denied("not authorized"))
}

impl Gate {
    pub async fn answer(&mut self, request: Request<Incoming>) -> Response<Body> {
        match self.refuse(request.uri().path()) {
            Some(status) => status.into_http(),
            None => self.inner.call(request).await.unwrap_or_else(|never| match never {}).map(Body::new),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(status: Option<Status>) -> String {
        status.map(|s| s.message().to_string()).unwrap_or_default()
    }

    #[test]
    fn maintenance_refuses_with_the_texts_of_talos() {
        assert_eq!(message(refuse_in_maintenance(MACHINE, "Version")), "API is not implemented in maintenance mode");
        assert_eq!(message(refuse_in_maintenance(MACHINE, "Bootstrap")), "method Bootstrap not implemented");
        assert_eq!(message(refuse_in_maintenance("time.TimeService", "Time")), "unknown service time.TimeService");
        assert!(refuse_in_maintenance(STATE, "Watch").is_none());
    }

    #[test]
    fn a_reader_reads_and_changes_nothing() {
        let roles = [READER.to_string()];
        assert!(refuse_secure(MACHINE, "Version", &roles).is_none());
        assert_eq!(message(refuse_secure(MACHINE, "Bootstrap", &roles)), "not authorized");
        assert_eq!(message(refuse_secure(MACHINE, "Kubeconfig", &roles)), "not authorized");
    }
}
