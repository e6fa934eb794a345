//! What the lab knows of Talos, against Talos' own library (`talosfacts`).
use super::DEADLINE;
use super::site::Site;
use crate::peer;
use serde_json::Value;
use std::process::Command;

fn talosfacts(args: &[&str]) -> peer::Said {
    peer::say(Command::new(peer::program("talosfacts")).args(args), DEADLINE)
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn the_lab_knows_the_resource_types_and_the_config_keys_of_talos() {
    let resources = talosfacts(&["resources"]).ok();
    assert_eq!(resources, include_str!("../../../assets/talos/resources.jsonl"));
    let keys: Value = serde_json::from_str(&talosfacts(&["keys"]).ok()).unwrap();
    let ours: Value = serde_json::from_str(include_str!("../../../assets/talos/config-keys.json")).unwrap();
    assert_eq!(keys, ours);
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn every_resource_of_a_lab_node_decodes_and_says_the_same_in_protobuf_and_in_yaml() {
    let site = Site::new(41);
    let talosctl = site.running(&[201]);
    let said = talosfacts(&["judge", talosctl.talosconfig().to_str().unwrap(), &site.at(201)]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let judged = said.out.lines().last().unwrap();
    let count: u32 = judged.split(' ').next().unwrap().parse().unwrap();
    assert!(count > 230, "{judged}");
}
