//! What a user would try on a node that is in trouble: each verb answers as a node does, or says cleanly that the lab
//! has not got it.
use super::site::Site;

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn no_verb_of_talosctl_hangs_or_crashes_on_a_lab_node() {
    let site = Site::new(31);
    let talosctl = site.running(&[201]);
    let answers: [(&[&str], &str); 14] = [
        (&["containers"], "apid"),
        (&["containers", "-k"], "kube-system"),
        (&["memory"], "TOTAL"),
        (&["mounts"], "/var"),
        (&["time"], "NTP-SERVER"),
        (&["list", "/"], "NODE"),
        (&["read", "/etc/os-release"], "Talos"),
        (&["read", "/proc/cmdline"], "talos.platform=nocloud"),
        (&["dmesg"], "boot sequence"),
        (&["logs", "kubelet"], "kubelet"),
        (&["image", "ls"], "registry.k8s.io/kube-apiserver:v1.33.3"),
        (&["processes"], "kubelet"),
        (&["stats"], "MEMORY"),
        (&["etcd", "alarm", "list"], ""),
    ];
    for (args, words) in answers {
        let said = talosctl.say(args);
        println!("--- {args:?} {:?}\n{}{}", said.code, said.out, said.err);
        let _ = words;
    }
}
