//! The key of a machine in maintenance is nobody's word but its own: it is shown for comparison, pinned, and another one
//! is given nothing.
use crate::rig::worker::{Death, Life, live};
use crate::rig::{Rig, Shape};
#[allow(dead_code, reason = "the soak uses all of it")]
use async_trait::async_trait;
use cozyup::base::day::Day;
use cozyup::base::secret::Secret;
use cozyup::base::vmid::Vmid;
use cozyup::engine::course::Course;
use cozyup::engine::failure::Failure;
use cozyup::engine::record::{Event, Record};
use cozyup::engine::step::{Context, Observed, Outline, Step, Undo};
use cozyup::lab::machine;
use cozyup::lab::world::Lab;
use cozyup::proxmox;
use cozyup::steps::site::{Changing, Installation, Reading};
use std::sync::Arc;

const VMID: u32 = 1001;

fn rig() -> Rig {
    cozyup::base::tls::install_provider();
    Rig::new(&Shape { scenario: "small", until: 1, teardown: false, speed: 1000.0 })
}

fn run(rig: &Rig, until: u8, death: &Death) -> Life {
    live(rig, Course::Forward { until: Day::Number(until) }, death, false, |work| work)
}

fn key(rig: &Rig) -> String {
    rig.lab().look(|world| machine::maintenance_key(world, VMID)).unwrap()
}

/// The last proof of that step.
fn proof(records: &[Arc<Record>], step: &str) -> cozyup::engine::proof::Proof {
    let proofs = records.iter().rev().filter_map(|r| match &r.event {
        Event::Proven { step: s, proof } if s.as_str() == step => Some(proof.clone()),
        _ => None,
    });
    proofs.into_iter().next().unwrap_or_else(|| panic!("{step} is not proven"))
}

/// Why the life's last blocked step is.
fn blocked(life: &Life) -> Failure {
    let why = life.records.iter().rev().find_map(|r| match &r.event {
        Event::Blocked { failure, .. } => Some(failure.clone()),
        _ => None,
    });
    why.unwrap_or_else(|| panic!("not blocked: {:?}", life.end))
}

fn node(rig: &Rig) -> String {
    rig.lab().look(|world| world.scenario.nodes.iter().find(|n| n.vmid == VMID).unwrap().name.clone())
}

/// harm.md S3: what answers from the start is shown with its key, and nothing is claimed of it that it only says itself.
#[test]
fn the_key_of_first_use_is_shown_for_comparison_with_the_console_and_called_what_it_is() {
    let rig = rig();
    let life = run(&rig, 1, &Death::Never);
    let proof = proof(&life.records, &format!("day1.reach/{}", node(&rig)));
    let compare = proof.comparison().expect("nothing to compare");
    assert_eq!(compare.value, key(&rig));
    assert!(compare.with.contains("server certificate issued"), "{}", compare.with);
    assert!(proof.summary().contains("its own word"), "{}", proof.summary());
    assert!(proof.summary().contains(&format!("key {}, trusted on first use", key(&rig))), "{}", proof.summary());
    let printed =
        rig.lab().look(|world| world.machines[&VMID].dmesg.from(0).map(|(_, line)| line.clone()).collect::<String>());
    assert!(printed.contains(&compare.value), "the console does not print it:\n{printed}");
}

/// harm.md S3: an impostor with another key after `day1.reach` gets nothing.
#[test]
fn a_machine_with_another_key_than_day_1_saw_is_given_nothing() {
    let rig = rig();
    run(&rig, 1, &Death::Never);
    let seen = key(&rig);
    assert!(rig.lab().with(|world| machine::show_another_key(world, VMID)));
    assert_ne!(key(&rig), seen);
    // In this session, by what the journal says of the one before.
    let life = run(&rig, 2, &Death::After("day1.reach blocked".into(), crate::rig::worker::Tail::Whole));
    let why = blocked(&life);
    assert!(why.what.contains("is given no config") && why.what.contains(&seen), "{}", why.what);
    assert!(why.next.contains("qm terminal 1001"), "{}", why.next);
    assert!(rig.lab().look(|world| world.machines[&VMID].config.is_none()), "the impostor has the config");
}

/// A step in whose act, right before it, somebody takes over the machine's address.
struct TakenOver {
    step: Arc<dyn Step<Installation>>,
    lab: Lab,
}

#[async_trait]
impl Step<Installation> for TakenOver {
    fn outline(&self) -> &Outline {
        self.step.outline()
    }

    async fn observe(&self, cx: &dyn Context, site: &Reading) -> Result<Observed, Failure> {
        self.step.observe(cx, site).await
    }

    async fn act(&self, cx: &dyn Context, site: &Reading, change: &Changing) -> Result<(), Failure> {
        if self.outline().id.kind() == "day2.apply" {
            assert!(self.lab.with(|world| machine::show_another_key(world, VMID)));
        }
        self.step.act(cx, site, change).await
    }

    fn undo(&self) -> Undo<'_, Installation> {
        self.step.undo()
    }

    async fn changed(&self, cx: &dyn Context, site: &Reading) {
        self.step.changed(cx, site).await;
    }
}

/// harm.md S3: and also one that comes between the look and the config of one session.
#[test]
fn an_impostor_that_comes_right_before_the_config_is_given_nothing() {
    let rig = rig();
    let lab = rig.lab().clone();
    let death = Death::After("day2.apply blocked".into(), crate::rig::worker::Tail::Whole);
    let life = live(&rig, Course::Forward { until: Day::Number(2) }, &death, false, |work| {
        work.with_steps(|step| Arc::new(TakenOver { step, lab: lab.clone() }))
    });
    let why = blocked(&life);
    assert!(why.what.contains("shows another key and not that of cp1"), "{}", why.what);
    assert!(rig.lab().look(|world| world.machines[&VMID].config.is_none()), "the impostor has the config");
}

#[test]
fn a_vm_that_was_started_again_may_have_another_key_and_it_is_told() {
    let rig = rig();
    run(&rig, 1, &Death::Never);
    let seen = key(&rig);
    let site = rig.site();
    let secret = Secret::new(std::fs::read_to_string(&site.token_file).unwrap().trim().to_string());
    let target = proxmox::Target {
        url: site.url.clone(),
        token_id: site.token_id.clone(),
        secret,
        trust: cozyup::base::trust::Trust::Leaf(site.fingerprint.parse().unwrap()),
    };
    let (reader, changer) = proxmox::connect(target).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for start in [false, true] {
            let began = if start {
                changer.start_vm("pve", Vmid::of(VMID)).await
            } else {
                changer.stop_vm("pve", Vmid::of(VMID)).await
            };
            let task = began.unwrap();
            while reader.task_status(&task).await.unwrap().value.running {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    });
    let life = run(&rig, 1, &Death::Never);
    let proof = proof(&life.records, &format!("day1.reach/{}", node(&rig)));
    assert_eq!(proof.comparison().unwrap().value, key(&rig));
    assert_ne!(key(&rig), seen);
    assert!(proof.summary().contains(&format!("it was {seen} before the vm was started again")), "{}", proof.summary());
}
