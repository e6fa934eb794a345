//! Plans that are changed in the text that a person has written.
use super::super::defaults::{Defaults, plan};
use super::super::form::{fields, next_node};
use super::super::model::Role;
use super::super::write::render;
use super::*;

/// The text of the default plan, as a person has written it since.
fn written() -> (String, Plan) {
    let plan = plan(&Defaults::default());
    let text = render(&plan).unwrap();
    let text = text.replace("\nnetwork:\n", "\n# mine: ask the network people first\nnetwork:\n");
    let vip = text.lines().find(|line| line.starts_with("  vip:")).unwrap().to_string();
    (text.replace(&vip, &format!("{vip}  # mine: agreed with ann")), plan)
}

fn mine(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_once("# mine").map(|(_, comment)| comment)).collect()
}

#[test]
fn only_what_has_changed_is_written_and_every_comment_stays() {
    let (old, plan) = written();
    assert_eq!(patched(&old, &plan, &[]).as_deref(), Some(old.as_str()));
    let mut changed = plan.clone();
    changed.network.vip = "10.0.0.199".parse().unwrap();
    changed.network.vlan = Some(7);
    changed.network.dns.push("10.0.0.3".parse().unwrap());
    changed.nodes[1].memory_mib = 32768;
    let new = patched(&old, &changed, &[]).unwrap();
    assert_eq!(mine(&new), mine(&old), "{new}");
    assert!(new.contains("  vip: \"10.0.0.199\" # mine: agreed with ann\n"), "{new}");
    assert!(new.contains("  # vlan: 100\n  vlan: 7\n"), "below what is said of it:\n{new}");
    let gone = old.lines().filter(|line| !new.contains(line)).collect::<Vec<_>>();
    assert!(gone.iter().all(|line| !line.trim_start().starts_with('#')), "{gone:?}");
}

#[test]
fn machines_come_and_go_with_their_own_comments() {
    let (old, plan) = written();
    let old = old.replace("  - name: cozy-new-cp2\n", "  # mine: the noisy rack\n  - name: cozy-new-cp2\n");
    let mut more = plan.clone();
    more.nodes.push(next_node(&plan, Role::Worker).unwrap());
    let new = patched(&old, &more, &[]).unwrap();
    assert_eq!(mine(&new).len(), 3);
    assert!(new.contains("  # mine: the noisy rack\n  - name: cozy-new-cp2\n"));
    let mut less = more.clone();
    less.nodes.remove(0);
    let back = patched(&new, &less, &[]).unwrap();
    assert!(back.contains("  # mine: the noisy rack\n  - name: cozy-new-cp2\n"), "{back}");
    assert_eq!(decode(&back, "").unwrap().plan, less);
}

/// Whatever field is changed to whatever it takes: the text reads as the plan, or there is none.
#[test]
fn every_field_can_be_changed_in_the_text() {
    let (old, plan) = written();
    let mut changes = 0;
    for field in fields() {
        for text in ["", "true", "false", "7", "10.0.0.77", "10.7.0.0/16", "words, more", "https://x.example:1/y"] {
            let mut changed = plan.clone();
            if (field.set)(&mut changed, text).is_err() || changed == plan {
                continue;
            }
            changes += 1;
            let Some(new) = patched(&old, &changed, &[]) else {
                // A plan that its own text does not allow can be had by no text.
                assert!(decode(&render(&changed).unwrap(), "").is_err(), "{} = {text}", field.key);
                continue;
            };
            assert_eq!(mine(&new), mine(&old), "{} = {text}", field.key);
        }
    }
    assert!(changes > 60, "{changes}");
}

#[test]
fn a_digest_that_is_no_longer_trusted_on_first_use_does_not_say_so() {
    let (old, mut plan) = written();
    plan.image.sha256 = "a".repeat(64);
    let file = FirstUse {
        pin: super::super::pin::Pin::Image,
        source: plan.image.url.clone(),
        url: plan.image.url.clone(),
        sha256: "a".repeat(64),
        bytes: 8 << 20,
        at: "2026-11-30T14:10:00Z".parse().unwrap(),
    };
    let new = patched(&old, &plan, std::slice::from_ref(&file)).unwrap();
    assert_eq!(new.matches("Trusted on first use").count(), 1, "{new}");
    assert_eq!(patched(&new, &plan, std::slice::from_ref(&file)).as_deref(), Some(new.as_str()));
    assert_eq!(patched(&new, &plan, &[]).as_deref(), Some(new.as_str()), "it is as true as it was");
    plan.image.sha256 = "b".repeat(64);
    let other = patched(&new, &plan, &[file]).unwrap();
    assert!(!other.contains("Trusted on first use"), "{other}");
    assert_eq!(mine(&other), mine(&old));
}

#[test]
fn a_file_that_can_not_be_changed_in_place_is_kept_beside_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p.yaml");
    let (text, mut plan) = written();
    fs::write(&path, &text).unwrap();
    plan.network.vlan = Some(9);
    assert_eq!(rewrite(&path, &plan, &[]).unwrap(), None);
    let new = fs::read_to_string(&path).unwrap();
    assert!(mine(&new) == mine(&text) && new.contains("  vlan: 9\n"), "{new}");
    for name in ["p.yaml.bak", "p.yaml.bak.2"] {
        fs::write(&path, "mine: [").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let aside = rewrite(&path, &plan, &[]).unwrap().unwrap();
        assert_eq!(aside, dir.path().join(name));
        assert_eq!(fs::read_to_string(&aside).unwrap(), "mine: [");
        assert_eq!(fs::metadata(&aside).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(decode(&fs::read_to_string(&path).unwrap(), "").unwrap().plan, plan);
    }
    assert_eq!(rewrite(&dir.path().join("new.yaml"), &plan, &[]).unwrap(), None);
}

#[test]
fn a_text_of_another_form_is_left_to_the_writer() {
    let (old, mut plan) = written();
    plan.name = "other".into();
    assert!(patched("version: [", &plan, &[]).is_none());
    assert!(patched("", &plan, &[]).is_none());
    let one_line = old.replace("name: cozy-new\n", "name: >-\n  cozy-new\n");
    let new = patched(&one_line, &plan, &[]);
    assert!(new.is_none_or(|new| decode(&new, "").unwrap().plan == plan));
    assert_eq!(trailing("a: \"x # y\"  # z"), Some("# z"));
    assert_eq!(trailing("a: x#y"), None);
}
