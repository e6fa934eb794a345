//! `l` and `y`: what was asked about one thing, before and after the answer has come.
use super::person::{Person, at};
use super::runs::Run;
use super::site::Seen;
use super::views::{Size, View, platform, view, watch, watched};
use cozyup::observed::{Answer, Asker, EarlierRun, Origin, Told, Untold};
use cozyup::tui::message::Msg;
use cozyup::tui::model::Screen;
use cozyup::tui::theme::Theme;
use std::sync::Arc;

pub fn views() -> Vec<View> {
    vec![
        view("answer-waits", "the end of a log was asked for", |t, s| asking(platform(t, s)).keys("5<Down>l")),
        view("answer-log", "the end of the log of the container that crashes: of its run before", |t, s| {
            answered(asking(platform(t, s)).keys("5<Down>l"), Ok(crash()))
        }),
        view("answer-not-begun", "the log of a pod whose image can't be pulled", |t, s| {
            let says = "container \"controller\" in pod \"cert-manager-7c9fb8dd5-x2x4q\" is waiting to start: trying and \
                        failing to pull image";
            let why = Untold::NotBegun { container: "controller".into(), says: says.into() };
            answered(asking(platform(t, s)).keys("5l"), Err(why))
        }),
        view("answer-machine", "the kernel's log of a machine", |t, s| {
            let seen = watched(t, s, Run::platform(), 400, Seen::platform().with_a_stopped_machine());
            answered(asking(seen).keys("3l"), Ok(kernel()))
        }),
        view("answer-raw", "a VM as Proxmox VE has it", |t, s| {
            answered(asking(platform(t, s)).keys("2<Down>y"), Ok(vm()))
        }),
        view("answer-none", "a line that has no log", |t, s| asking(platform(t, s)).keys("5<End>l")),
        view("mend", "the question before a failed release is tried again", |t, s| platform(t, s).keys("4r")),
        view("watch-raw", "y in a cluster that no run speaks of", |t, s| {
            answered(of_cluster(t, s).keys("y"), Ok(node()))
        }),
        view("watch-refused", "its log may not be read", |t, s| {
            let says =
                "pods \"cert-manager-7c9fb8dd5-x2x4q\" is forbidden: User \"ann\" cannot get resource \"pods/log\"";
            answered(of_cluster(t, s).keys("3l"), Err(Untold::Forbidden { says: says.into() }))
        }),
    ]
}

fn nobody() -> Asker {
    Asker(Arc::new(|_| Box::pin(async { Err(Untold::NoWorker) })))
}

fn asking(mut person: Person) -> Person {
    person.change(|run| run.asking.asker = Some(nobody()));
    person
}

fn of_cluster(theme: Theme, size: Size) -> Person {
    let mut person = watch(theme, size, Seen::platform());
    let Screen::Cluster(cluster) = &mut person.model.screen else { panic!("no cluster is shown") };
    cluster.asking.asker = Some(nobody());
    person
}

fn answered(mut person: Person, answer: Answer) -> Person {
    person.send(Msg::Answered { number: 1, answer });
    person
}

fn crash() -> Told {
    let earlier = Some(EarlierRun { exit_code: 1, reason: "Error".into(), ended: Some(at(383)) });
    let lines: Vec<String> =
        (1..60).map(|n| format!("I1130 00:06:{n:02} controller.go:41] looks for its lease, try {n}")).collect();
    Told {
        origin: Origin::Container { name: "webhook".into(), earlier },
        text: format!("{}\nE1130 00:06:59 main.go:12] no lease within 60 s: giving up", lines.join("\n")),
        cut: false,
        by_hand: "kubectl logs -n cozy-cert-manager cert-manager-webhook-6d9c-8zk2p -c webhook --tail=300 --previous"
            .into(),
    }
}

fn kernel() -> Told {
    let lines: Vec<String> = (1..=300)
        .map(|n| {
            format!("user: warning: [2026-11-30T00:06:{:02}Z]: [talos] line {n} of the controller runtime", n % 60)
        })
        .collect();
    Told { origin: Origin::Kernel, text: lines.join("\n"), cut: true, by_hand: "talosctl -n 10.4.0.11 dmesg".into() }
}

fn vm() -> Told {
    let text = "boot: order=scsi0\ncipassword: \"[withheld]\"\ncores: \"8\"\ncpu: host\nmemory: \"24576\"\nname: cozy-new-cp1\n\
                net0: virtio=BC:24:11:00:03:E9,bridge=vmbr0\nscsi0: local-lvm:vm-1001-disk-0,size=50G\n\
                scsi1: local-lvm:vm-1001-disk-1,size=256G\ntags: cozyup\n";
    let by_hand = "pvesh get /nodes/pve/qemu/1001/config --current 1 --output-format json".to_string();
    Told { origin: Origin::Api, text: text.into(), cut: false, by_hand }
}

fn node() -> Told {
    let text = "apiVersion: v1\nkind: Node\nmetadata:\n  name: mgr-cozy3\nstatus:\n  conditions:\n    - type: DiskPressure\n      status: \"True\"\n";
    let by_hand = "kubectl get nodes mgr-cozy3 -o yaml".to_string();
    Told { origin: Origin::Api, text: text.into(), cut: false, by_hand }
}
