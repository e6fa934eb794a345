//! What goes wrong in the middle of days 6 and 7: what is said, what is to be done, and that the run goes on to its end once the cause
//! is gone. The cause comes in right before a step acts, in the same session.
use crate::hands::Hands;
use crate::rig::worker::{Death, End, Life, Tail, live};
use crate::rig::{Rig, Shape};
use async_trait::async_trait;
use cozyup::base::disk;
use cozyup::compose::Work;
use cozyup::engine::failure::{Class, Failure};
use cozyup::engine::record::{Event, Outcome, Record};
use cozyup::engine::step::{Context, Observed, Outline, Step, Undo};
use cozyup::kubernetes::Kind;
use cozyup::lab::pve::host;
use cozyup::lab::scenario::{Fault, FaultKind, Scenario};
use cozyup::lab::world::Lab;
use cozyup::steps::site::{Changing, Installation, Reading};
use serde_json::json;
use std::sync::Arc;

const DAY_4: Shape = Shape { until: 4, ..DAY_6 };
const DAY_6: Shape = Shape { scenario: "small", until: 6, teardown: false, speed: 1000.0 };
const DAY_7: Shape = Shape { until: 7, ..DAY_6 };
const RANGE: std::ops::RangeInclusive<u32> = 9500..=9509;
const VMS: Option<&str> = Some("cozyup-vms");
const CAPMOX: (Option<&str>, &str) = (Some("cozy-cluster-api"), "capmox-controller-manager");

type Hand = Arc<dyn Fn() + Send + Sync>;

/// A step before whose act a hand does something elsewhere.
struct Meddled {
    step: Arc<dyn Step<Installation>>,
    hand: Hand,
}

#[async_trait]
impl Step<Installation> for Meddled {
    fn outline(&self) -> &Outline {
        self.step.outline()
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        self.step.observe(cx, site).await
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        // It has a runtime of its own.
        let hand = self.hand.clone();
        std::thread::spawn(move || hand()).join().unwrap();
        self.step.act(cx, site, change).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        self.step.undo()
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        self.step.changed(cx, site).await;
    }
}

/// The first step of its day that can meet the cause.
fn first_of(shape: &Shape) -> &'static str {
    match shape.until {
        4 => "day4.linstor_pools",
        7 => "day7.volume/proxmox",
        9 => "day9.control_plane",
        _ => "day6.machine",
    }
}

/// The hand does its part before the act of this step.
fn meddled(work: Work, before: &str, hand: &Hand) -> Work {
    work.with_steps(|step| match step.outline().id.as_str() == before {
        true => Arc::new(Meddled { step, hand: hand.clone() }),
        false => step,
    })
}

struct Run {
    rig: Rig,
    hands: Arc<Hands>,
    before: &'static str,
}

impl Run {
    /// Without workers: what is said about one machine is said about each.
    fn new(shape: &Shape, edits: &[(&str, &str)]) -> Run {
        Run::on(shape, edits, |_| ())
    }

    /// At a site whose network does this once.
    fn disturbed(disturbance: serde_json::Value) -> Run {
        let disturbance = serde_json::from_value(disturbance).unwrap();
        Run::on(&DAY_6, &[], |scenario| scenario.disturbances.push(disturbance))
    }

    fn on(shape: &Shape, edits: &[(&str, &str)], change: impl FnOnce(&mut Scenario)) -> Run {
        cozyup::base::tls::install_provider();
        let rig = Rig::of(shape, change);
        let plan = std::fs::read_to_string(rig.plan()).unwrap().replace("workers: 2", "workers: 0");
        let plan = edits.iter().fold(plan, |plan, (from, to)| {
            assert!(plan.contains(from), "{from}");
            plan.replace(from, to)
        });
        std::fs::write(rig.plan(), plan).unwrap();
        let hands = Arc::new(Hands::of(&rig));
        Run { rig, hands, before: first_of(shape) }
    }

    fn before(self, step: &'static str) -> Run {
        Run { before: step, ..self }
    }

    /// Until the first record with this word, after `hand` has done its part.
    fn until(&self, word: &str, hand: impl Fn(&Hands) + Send + Sync + 'static) -> Life {
        let hands = self.hands.clone();
        let hand: Hand = Arc::new(move || hand(&hands));
        let death = Death::After(word.into(), Tail::Whole);
        let life = live(&self.rig, self.rig.shape.course(), &death, false, |work| meddled(work, self.before, &hand));
        assert!(matches!(life.end, End::Died), "{:?}", life.end);
        life
    }

    /// What the step says that is blocked then.
    fn blocked(&self, step: &str, hand: impl Fn(&Hands) + Send + Sync + 'static) -> Failure {
        let life = self.until(&format!("{step} blocked"), hand);
        let failure = life.records.iter().rev().find_map(|record| match &record.event {
            Event::Blocked { failure, .. } => Some(failure.clone()),
            _ => None,
        });
        failure.unwrap()
    }

    /// The step's first wait then.
    fn waits(&self, step: &str, hand: impl Fn(&Hands) + Send + Sync + 'static) -> String {
        let life = self.until(&format!("{step} waiting"), hand);
        let seen = life.records.iter().rev().find_map(|record| match &record.event {
            Event::Waiting { wait, .. } => Some(wait.seen.clone()),
            _ => None,
        });
        seen.unwrap()
    }

    fn goes_on(&self) -> Life {
        let life = live(&self.rig, self.rig.shape.course(), &Death::Never, false, |work| work);
        assert!(matches!(life.end, End::Ended(Outcome::Proven)), "{:?}", life.end);
        assert!(self.hands.guests(RANGE).is_empty(), "{:?}", self.hands.guests(RANGE));
        life
    }
}

#[track_caller]
fn assert_says(failure: &Failure, what: &[&str], next: &[&str]) {
    assert_eq!(failure.class, Class::Person, "{failure:?}");
    assert!(what.iter().all(|part| failure.what.contains(part)), "{failure:?}");
    assert!(next.iter().all(|part| failure.next.contains(part)), "{failure:?}");
}

/// reports.md B36: LINSTOR makes its pool by force, so the letter is looked at once more right before it is told of it.
#[test]
fn a_disk_that_changed_places_after_day_2_is_not_given_to_linstor() {
    let lasting = [disk::by_slot("scsi0"), disk::by_slot("scsi1")];
    let run = Run::new(&DAY_4, &[(&lasting[0], "/dev/sda"), (&lasting[1], "/dev/sdb")]);
    let lab = run.rig.lab().clone();
    // As after a restart of the machines.
    let swapped = |lab: &Lab, swapped| {
        lab.with(|world| world.machines.values_mut().for_each(|machine| machine.vm.swapped = swapped));
    };
    let failure = run.blocked("day4.linstor_pools", move |_| swapped(&lab, true));
    assert_eq!(failure.class, Class::Refused, "{failure:?}");
    assert!(failure.what.contains("/dev/sdb of cp1 is /dev/sdb, from which Talos runs"), "{failure:?}");
    assert!(failure.next.contains("drive-scsi1 into integration.linstor.device"), "{failure:?}");
    swapped(run.rig.lab(), false);
    run.goes_on();
}

#[test]
fn a_token_of_capmox_that_is_revoked_midway_is_told_with_what_makes_another_one() {
    let run = Run::new(&DAY_6, &[]);
    let failure = run.blocked("day6.machine", |hands| hands.revoke("capmox@pve", "capi"));
    assert_says(
        &failure,
        &["capmox can't make the VM", "does not take token capmox@pve!capi of capmox any more"],
        &["start it again", "makes anew what is missing"],
    );
    run.goes_on();
}

#[test]
fn a_token_of_capmox_that_is_revoked_before_its_vm_goes_is_told_and_the_vm_goes_when_there_is_another_one() {
    let run = Run::new(&DAY_6, &[]).before("day6.removal");
    let failure = run.blocked("day6.removal", |hands| hands.revoke("capmox@pve", "capi"));
    assert_says(&failure, &["does not take token capmox@pve!capi of capmox any more"], &["start it again"]);
    assert_eq!(run.hands.guests(RANGE).len(), 1);
    run.goes_on();
}

/// The host of the worker and of the template that capmox clones; capmox itself says "unexpected end of JSON input".
#[test]
fn a_host_that_goes_dark_midway_is_named_beside_what_waits_for_it_and_waited_for() {
    let run = Run::new(&Shape { scenario: "small-three-hosts", ..DAY_6 }, &[]);
    let lab = run.rig.lab().clone();
    let seen = run.waits("day6.machine", move |_| lab.with(|world| host::power_off(world, "pve2")));
    assert!(seen.ends_with("; Proxmox node pve2 is offline"), "{seen}");
    let failure = run.blocked("day0.api_version", |_| ());
    assert_says(&failure, &["Proxmox node pve2 is offline"], &["bring the nodes back"]);
    run.rig.lab().with(|world| host::power_on(world, "pve2"));
    run.goes_on();
}

#[test]
fn a_webhook_that_refuses_is_told_in_its_own_words_and_asked_again() {
    let text = "admission webhook \"validation.cluster.cluster.x-k8s.io\" denied the request: name is not allowed";
    let refuses = |code: u16, text: &str, times: u64| {
        json!({"api": "kubernetes", "kind": "answer", "code": code, "text": text, "times": times,
            "match": "PATCH /apis/cluster.x-k8s.io/v1beta1/namespaces/cozyup-vms/clusters/"})
    };
    let run = Run::disturbed(refuses(403, text, 1));
    let failure = run.blocked("day6.machine", |_| ());
    assert_says(&failure, &["a webhook refuses it", "name is not allowed"], &["whose it is"]);
    run.goes_on();
    let text =
        "Internal error occurred: failed calling webhook \"default.cluster.cluster.x-k8s.io\": connection refused";
    let life = Run::disturbed(refuses(500, text, 2)).goes_on();
    let told =
        |record: &&Arc<Record>| serde_json::to_string(&record.event).unwrap().contains("a webhook did not answer");
    assert!(life.records.iter().any(|record| told(&record)), "nothing was said");
}

#[test]
fn an_api_server_that_restarts_midway_is_waited_for_and_the_vm_is_made_once() {
    let run = Run::disturbed(
        json!({"api": "kubernetes", "kind": "refused", "match": "cozyup-vms/proxmoxmachines", "for_s": 60}),
    );
    run.goes_on();
    let tasks = run.rig.lab().look(|world| world.pve.inventory());
    assert_eq!(tasks["task qmclone 9100: OK"], "2", "{tasks:#?}");
}

#[test]
fn a_kamaji_that_does_not_run_is_told_beside_what_waits_for_it() {
    let run = Run::new(&Shape { scenario: "tenant-kubernetes", until: 9, ..DAY_6 }, &[]);
    let scale = |count: u32| json!({"spec": {"replicas": count}});
    let seen = run.waits("day9.control_plane", move |hands| {
        hands.merge(&Kind::DEPLOYMENT, Some("cozy-kamaji"), "kamaji", &scale(0));
    });
    assert!(seen.contains("Kamaji does not run: 0 of 0 pods are ready (kubectl -n cozy-kamaji get pods)"), "{seen}");
    run.hands.merge(&Kind::DEPLOYMENT, Some("cozy-kamaji"), "kamaji", &scale(1));
    run.goes_on();
}

#[test]
fn a_storage_that_fills_midway_is_told_with_what_makes_the_vm_anew_when_there_is_room() {
    let run = Run::new(&DAY_6, &[]);
    let lab = run.rig.lab().clone();
    let fault = Fault { kind: FaultKind::StorageFull { storage: "local-lvm".into() }, heal_s: None, bit_at: None };
    let failure = run.blocked("day6.machine", move |_| lab.with(|world| world.scenario.faults.push(fault.clone())));
    let next = ["the storage is full", "template.storage", "then delete the Cluster (kubectl delete -n cozyup-vms"];
    assert_says(&failure, &["Proxmox VE could not make the VM (clone failed", "does not clone it again"], &next);
    run.rig.lab().with(|world| world.scenario.faults.clear());
    run.hands.delete(&Kind::CLUSTER, VMS, "smoke");
    run.goes_on();
}

#[test]
fn a_storage_that_fills_before_its_volume_is_made_is_told_in_the_drivers_words_with_what_to_do() {
    let run = Run::new(&DAY_7, &[]);
    let lab = run.rig.lab().clone();
    let fault = Fault { kind: FaultKind::StorageFull { storage: "local-lvm".into() }, heal_s: None, bit_at: None };
    let failure = run.blocked("day7.volume", move |_| lab.with(|world| world.scenario.faults.push(fault.clone())));
    let what = ["class proxmox", "ProvisioningFailed: failed to provision volume", "thin pool"];
    assert_says(&failure, &what, &["the storage is full", "integration.csi.storage"]);
    run.rig.lab().with(|world| world.scenario.faults.clear());
    run.goes_on();
}

#[test]
fn a_template_that_goes_midway_is_told_and_made_anew() {
    let run = Run::new(&DAY_6, &[]);
    let lab = run.rig.lab().clone();
    let failure = run.blocked("day6.machine", move |_| {
        lab.with(|world| cozyup::lab::pve::hand::type_in(world, "qm destroy 9100 --purge")).unwrap();
    });
    assert_says(
        &failure,
        &["capmox can't make the VM", "9100.conf' does not exist"],
        &["run again so that it is made anew"],
    );
    run.goes_on();
}

#[test]
fn addresses_that_are_all_given_block_the_machine_with_who_has_them_until_one_is_free() {
    let run = Run::new(&DAY_6, &[]);
    let base = run.rig.lab().look(|world| world.base).to_string();
    let net = base.strip_suffix('0').unwrap().to_string();
    let failure = run.blocked("day6.machine", move |hands| {
        for last in 181..=185 {
            let name = format!("anns-{last}");
            let body = json!({"spec": {
                "address": format!("{net}{last}"), "prefix": 24, "claimRef": {"name": name},
                "poolRef": {"apiGroup": "ipam.cluster.x-k8s.io", "kind": "InClusterIPPool", "name": "smoke-v4-icip"},
            }});
            hands.apply(&Kind::IP_ADDRESS, VMS, &name, body);
        }
    });
    assert_says(&failure, &["tests.machine_addresses", "is free: given to anns-181"], &["ipaddressclaims.ipam"]);
    run.hands.delete(&Kind::IP_ADDRESS, VMS, "anns-");
    run.goes_on();
}

#[test]
fn a_guest_that_somebody_puts_into_the_range_midway_is_told_and_left_alone() {
    let run = Run::new(&DAY_6, &[]);
    let failure = run.blocked("day6.vm", |hands| hands.clone(9500, "anns"));
    assert_says(&failure, &["vm 9500 (anns", "beside vm 9501"], &["move it out of tests.machine_vmids"]);
    assert!(run.hands.guests(9500..=9500).iter().any(|row| row.name.as_deref() == Some("anns")));
    run.rig.lab().with(|world| cozyup::lab::pve::hand::type_in(world, "qm destroy 9500 --purge")).unwrap();
    run.goes_on();
}

#[test]
fn a_range_that_somebody_fills_midway_is_told_and_tried_anew_as_it_says() {
    let run = Run::new(&DAY_6, &[("machine_vmids: 9500-9509", "machine_vmids: 9500-9501")]);
    let failure = run.blocked("day6.machine", |hands| (9500..=9501).for_each(|vmid| hands.clone(vmid, "anns")));
    assert_says(
        &failure,
        &["No vmid available"],
        &["tests.machine_vmids", "delete the Cluster (kubectl delete -n cozyup-vms"],
    );
    for vmid in 9500..=9501 {
        let command = format!("qm destroy {vmid} --purge");
        run.rig.lab().with(|world| cozyup::lab::pve::hand::type_in(world, &command)).unwrap();
    }
    run.hands.delete(&Kind::CLUSTER, VMS, "smoke");
    run.goes_on();
}

#[test]
fn a_capmox_that_does_not_run_is_told_beside_what_waits_for_it() {
    let run = Run::new(&DAY_6, &[]);
    let scale = |count: u32| json!({"spec": {"replicas": count}});
    let seen = run.waits("day6.machine", move |hands| {
        hands.merge(&Kind::DEPLOYMENT, CAPMOX.0, CAPMOX.1, &scale(0));
    });
    assert!(seen.contains("capmox does not run: "), "{seen}");
    run.hands.merge(&Kind::DEPLOYMENT, CAPMOX.0, CAPMOX.1, &scale(1));
    run.goes_on();
}
