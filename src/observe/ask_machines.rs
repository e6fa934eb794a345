//! Asks the Talos APIs of the planned machines, each by itself, so that one that is off holds up no other.
use super::machines::{MachineAnswer, MachinesWatch, has_etcd};
use super::outlet::{Calls, Source};
use super::{AdminOf, Around};
use crate::observed::{Backend, Cause, View};
use crate::plan::model::{NodePlan, Plan, Role};
use crate::talos::client::facts::EtcdMember;
use crate::talos::secrets::ClientCertificate;
use crate::talos::{Error, Secure};
use futures::future::join_all;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Of the run's clock.
const EVERY: Duration = Duration::from_secs(5);
/// All questions to one machine; of the wall.
const DEADLINE: Duration = Duration::from_secs(12);

/// One machine and the connection to it, while it lasts.
struct Asked {
    node: NodePlan,
    connection: Option<(Secure, String)>,
    /// It has let us in before.
    known: bool,
}

pub async fn run(around: Arc<Around>, admin: AdminOf, plan: Arc<Plan>) {
    around.begun(2).await;
    let names = plan.nodes.iter().map(|n| n.name.as_str());
    let mut watch = MachinesWatch::of(names, plan.control_planes().map(|n| n.name.as_str()));
    let blank = |node: &NodePlan| Asked { node: node.clone(), connection: None, known: false };
    let mut machines: Vec<Asked> = plan.nodes.iter().map(blank).collect();
    loop {
        if let Some(admin) = admin() {
            look(&around, &admin, &mut machines, &mut watch).await;
        }
        around.rest(EVERY).await;
    }
}

async fn look(around: &Around, admin: &ClientCertificate, machines: &mut [Asked], watch: &mut MachinesWatch) {
    let looks = machines.iter_mut().map(|machine| async {
        let told = tokio::time::timeout(DEADLINE, machine.ask(admin, &around.calls)).await;
        let told = told.unwrap_or(Err(Cause::Silent));
        if told.is_err() {
            machine.connection = None;
        }
        (machine, told)
    });
    let mut with_etcd: Option<&Secure> = None;
    for (machine, told) in join_all(looks).await {
        let backend = Backend::Talos { machine: machine.node.name.clone() };
        match told {
            Ok(told) => {
                machine.known = true;
                watch.machine(&machine.node.name, &told);
                around.outlet.answered(&backend);
                let connection = machine.connection.as_ref().map(|(connection, _)| connection);
                let has_etcd = machine.node.role == Role::ControlPlane && has_etcd(&told.services);
                with_etcd = with_etcd.or(connection.filter(|_| has_etcd));
            }
            // Before it has its config it has no reason to let us in; when day 2 is over it has.
            Err(cause) if machine.known || day(around) > 2 => around.outlet.failed(&backend, cause),
            Err(_) => {}
        }
    }
    let members = match with_etcd {
        Some(connection) => members(connection, &around.calls).await,
        None => None,
    };
    let seen = watch.members(members.as_deref());
    around.outlet.show(View::Machines(watch.view()));
    seen.notices.into_iter().for_each(|notice| around.outlet.notify(notice));
    around.outlet.doubt(Source::Members, seen.doubts);
}

fn day(around: &Around) -> u8 {
    around.progress.borrow().day.unwrap_or(0)
}

async fn members(connection: &Secure, calls: &Calls) -> Option<Vec<EtcdMember>> {
    Calls::count(&calls.talos, 1);
    let asked = tokio::time::timeout(DEADLINE, connection.etcd_members()).await;
    Some(asked.ok()?.ok()?.value)
}

impl Asked {
    async fn ask(&mut self, admin: &ClientCertificate, calls: &Calls) -> Result<MachineAnswer, Cause> {
        let count = |n| Calls::count(&calls.talos, n);
        let failed = |e: Error| cause(&e);
        if self.connection.is_none() {
            count(1);
            let connection = Secure::connect(IpAddr::V4(self.node.address), admin).await.map_err(failed)?;
            let version = connection.version().await.map_err(failed)?.value;
            self.connection = Some((connection, version));
        }
        let Some((connection, version)) = &self.connection else { return Err(Cause::Other) };
        count(2);
        let status = connection.machine_status().await.map_err(failed)?.value;
        let services = connection.services().await.map_err(failed)?.value;
        let mut etcd = None;
        if self.node.role == Role::ControlPlane && has_etcd(&services) {
            count(1);
            // An etcd without an answer is no silent machine.
            etcd = connection.etcd_status().await.ok().map(|answer| answer.value);
        }
        Ok(MachineAnswer { status, services, version: version.clone(), etcd })
    }
}

fn cause(error: &Error) -> Cause {
    match error {
        Error::Unreachable { .. } => Cause::Unreachable,
        Error::EtcdSilent { .. } => Cause::Silent,
        Error::Untrusted { .. } => Cause::Untrusted,
        Error::NotReady { .. } | Error::BootstrapTooEarly { .. } | Error::TimeNotInSync { .. } => Cause::NotReady,
        Error::Refused { .. } => Cause::Refused,
        Error::Answer { .. } => Cause::Answer,
        Error::AlreadyBootstrapped | Error::InstallDisk { .. } | Error::ConfigRefused { .. } => Cause::Other,
    }
}
