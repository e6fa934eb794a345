//! Every machine config that cozyup can write, before the validator and the reader of Talos; and the lab's own
//! reader beside them.
use super::Talosctl;
use super::site::BUNDLE;
use cozyup::lab::machine::MachineConfig;
use cozyup::plan::defaults::{self, Defaults};
use cozyup::plan::model::Plan;
use cozyup::plan::{self, write};
use cozyup::steps::day2::config::input;
use cozyup::talos::config;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde::Deserialize;
use serde_yaml::Value;

const MAC: &str = "BC:24:11:00:00:C9";

/// Plans of every shape that the rules let through.
fn plans() -> impl Strategy<Value = Plan> {
    let label = prop_oneof![
        "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?",
        // What YAML would take for something else.
        prop::sample::select(vec!["null", "true", "no", "on", "y", "1e3", "0x1f", "123", "0o17", "1-1", "infinity"])
            .prop_map(String::from),
    ];
    let subnet = prop::sample::select(vec![
        "10.0.0.0/24",
        "192.168.7.0/26",
        "172.16.0.0/12",
        "10.9.0.0/16",
        "192.168.1.128/25",
        "100.70.4.0/22",
    ]);
    let servers = prop::collection::vec(
        prop_oneof![
            "[a-z]{1,8}(\\.[a-z]{2,8}){1,3}",
            prop::sample::select(vec!["10.0.0.1", "fd00::1", "ptp0", "/dev/ptp0"]).prop_map(String::from),
        ],
        0..3,
    );
    let sizes = (1usize..=5, 0usize..=2);
    let image = (0u32..40, any::<bool>());
    (label.clone(), label, subnet, servers, sizes, image, 0u32..16).prop_map(
        |(name, node, subnet, ntp, (control_planes, workers), (patch, digest), pods)| {
            let known = Defaults {
                name: Some(name),
                subnet: Some(subnet.parse().unwrap()),
                ntp,
                control_planes: Some(control_planes),
                workers,
                image_sha256: Some("0".repeat(64)),
                ..Defaults::default()
            };
            let mut plan = defaults::plan(&known);
            for (at, n) in plan.nodes.iter_mut().enumerate() {
                n.name = if at == 0 { node.clone() } else { format!("{node}-{at}") };
            }
            plan.talos.kubernetes = format!("v1.33.{patch}");
            if digest {
                plan.talos.installer_image.push_str(&format!("@sha256:{}", "a".repeat(64)));
            }
            plan.network.pod_cidr = format!("10.{}.0.0/16", 200 + pods).parse().unwrap();
            plan
        },
    )
}

/// `count` plans that the rules take, always the same ones.
fn accepted_plans(count: usize) -> Vec<Plan> {
    let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), seed);
    let strategy = plans();
    let mut made = std::iter::repeat_with(|| strategy.new_tree(&mut runner).unwrap().current());
    let accepted = made.by_ref().take(count * 4).filter(|plan| {
        let text = write::render(plan).unwrap();
        plan::parse(&text, "plan").is_ok()
    });
    let accepted: Vec<Plan> = accepted.take(count).collect();
    assert_eq!(accepted.len(), count, "the rules refuse too many of the plans made here");
    accepted
}

/// The configs of a plan: of its first control plane and of its first worker.
fn configs(plan: &Plan) -> Vec<String> {
    let first = plan.control_planes().next();
    let worker = plan.nodes.iter().find(|n| !plan.control_planes().any(|c| c.name == n.name));
    let render = |node| config::render(&input(plan, node, MAC, Default::default()), &BUNDLE).unwrap().expose().clone();
    first.into_iter().chain(worker).map(render).collect()
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn every_config_that_a_plan_can_give_is_valid_for_talos_and_for_the_lab() {
    let talosctl = Talosctl::new();
    let texts: Vec<String> = accepted_plans(40).iter().flat_map(configs).collect();
    let validate = |(at, text): (usize, &String)| {
        let file = talosctl.file(&format!("{at}.yaml"), text);
        // Metal asks for more than the cloud mode of the nocloud image.
        let said = talosctl.ok(&["validate", "--mode", "metal", "--strict", "-c", &file]);
        assert!(said.contains("is valid for metal mode"), "{said}");
        MachineConfig::read(text.as_bytes()).unwrap();
    };
    let (even, odd): (Vec<_>, Vec<_>) = texts.iter().enumerate().partition(|(at, _)| at % 2 == 0);
    std::thread::scope(|scope| {
        scope.spawn(|| odd.into_iter().for_each(validate));
        even.into_iter().for_each(validate);
    });
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn talos_reads_every_value_as_cozyup_meant_it() {
    let talosctl = Talosctl::new();
    for (at, text) in accepted_plans(12).iter().flat_map(configs).enumerate() {
        let file = talosctl.file(&format!("{at}.yaml"), &text);
        let read = talosctl.ok(&["machineconfig", "patch", &file, "-p", "debug: false"]);
        for (ours, theirs) in documents(&text).iter().zip(documents(&read)) {
            assert_eq!(difference("", ours, &theirs), None);
        }
    }
}

fn documents(text: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(text).map(|d| Value::deserialize(d).unwrap()).collect()
}

/// Where `theirs` lacks something of `ours` or has another value for it. What Talos does not write back is what
/// it would take for absent: null, empty texts and empty collections.
fn difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Mapping(ours), theirs) => ours.iter().find_map(|(key, value)| {
            let path = format!("{path}.{}", key.as_str().unwrap_or("?"));
            match theirs.get(key) {
                Some(found) => difference(&path, value, found),
                None if is_empty(value) => None,
                None => Some(format!("{path} is lost: {value:?}")),
            }
        }),
        (Value::Sequence(ours), Value::Sequence(theirs)) if ours.len() == theirs.len() => {
            ours.iter().zip(theirs).enumerate().find_map(|(at, (a, b))| difference(&format!("{path}[{at}]"), a, b))
        }
        (ours, theirs) if ours == theirs => None,
        _ => Some(format!("{path}: {ours:?} is read as {theirs:?}")),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::String(text) => text.is_empty(),
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(entries) => entries.values().all(is_empty),
        Value::Number(_) | Value::Tagged(_) => false,
    }
}

/// A change to a config that cozyup writes, by what is replaced and with what.
const BROKEN: [(&str, &str, &str); 30] = [
    ("nothing", "debug: false", "debug: false"),
    ("an unknown key", "        dnsDomain:", "        dnsDomian: x\n        dnsDomain:"),
    ("an unknown key in a list", "              dhcp: false", "              dhcpp: false"),
    ("two unknown keys", "    clusterName:", "    clusterNom: z\n    another:\n        a: 1\n    clusterName:"),
    ("an unknown key in another document", "configFiles:", "confFiles: x\nconfigFiles:"),
    ("a list for a flag", "debug: false", "debug: [1]"),
    ("a number for a flag", "debug: false", "debug: 7"),
    ("a text for a number", "port: 7445", "port: many"),
    ("no endpoint", "        endpoint: https://10.0.0.200:6443\n", "        localAPIServerPort: 6443\n"),
    ("an endpoint without scheme", "https://10.0.0.200:6443", "10.0.0.200:6443"),
    ("an endpoint without host", "https://10.0.0.200:6443", "cozy"),
    ("an endpoint with a wrong port", "https://10.0.0.200:6443", "https://10.0.0.200:99999"),
    ("an endpoint with a name", "https://10.0.0.200:6443", "https://cozy.example.org"),
    ("persist off", "persist: true", "persist: false"),
    ("no persist", "persist: true\n", ""),
    ("no cluster id", "    id: ", "    # "),
    ("no machine token", "    token: ", "    # "),
    ("no keys", "        key: ", "        # "),
    ("a worker with keys, etcd and a VIP", "    type: controlplane", "    type: worker"),
    ("an unknown role", "    type: controlplane", "    type: boss"),
    (
        "an interface beside the selector",
        "              dhcp: false",
        "              interface: eth0\n              dhcp: false",
    ),
    (
        "an interface without either",
        "            - deviceSelector:\n                    hardwareAddr: bc:24:11:00:00:c9\n              addresses:",
        "            - addresses:",
    ),
    ("addresses that are none", "- 10.0.0.201/24", "- 10.0.0.333/24\n                    - x"),
    ("a VIP that is none", "                    ip: \"10.0.0.200\"", "                    ip: 10.0.0.x"),
    ("a gateway that is none", "                      gateway: \"10.0.0.1\"", "                      gateway: ten"),
    ("an empty route", "- network: 0.0.0.0/0\n                      gateway: \"10.0.0.1\"", "- metric: 1"),
    ("subnets that are none", "- 10.0.0.0/24", "- 10.0.0.0/244"),
    ("a domain that is none", "dnsDomain: cozy.local", "dnsDomain: \"-cozy\""),
    ("a document of a later Talos", "kind: ExtensionServiceConfig", "kind: HostnameConfig"),
    (
        "a document twice",
        "---\n",
        "---\napiVersion: v1alpha1\nkind: ExtensionServiceConfig\nname: lldpd\nconfigFiles:\n- content: x\n  mountPath: /x\n---\n",
    ),
];

/// Where in its text a value stands, which the lab's reader can't say.
fn without_lines(said: &str) -> String {
    let lines = said.lines().map(|line| match line.strip_prefix("  line ").and_then(|l| l.split_once(": ")) {
        Some((_, rest)) => format!("  {rest}"),
        None => line.to_string(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn the_lab_takes_and_refuses_the_configs_that_talos_does_and_in_the_same_words() {
    let talosctl = Talosctl::new();
    let plan = defaults::plan(&Defaults { image_sha256: Some("0".repeat(64)), ..Defaults::default() });
    let good = configs(&plan).remove(0);
    let mut apart = Vec::new();
    for (what, old, new) in BROKEN {
        assert!(good.contains(old), "{what}: nothing to change in\n{good}");
        let text = good.replace(old, new);
        let file = talosctl.file("broken.yaml", &text);
        let said = talosctl.say(&["validate", "--mode", "cloud", "-c", &file]);
        let talos = (said.code != Some(0)).then(|| without_lines(said.err.trim_end()));
        let lab = MachineConfig::read(text.as_bytes()).err().map(|e| e.why().trim_end().to_string());
        if talos != lab {
            apart.push(format!("{what}\n  Talos: {talos:?}\n  lab:   {lab:?}"));
        }
    }
    assert!(apart.is_empty(), "{} of {}:\n{}", apart.len(), BROKEN.len(), apart.join("\n"));
}

/// One thing changed somewhere in a config: left out, renamed, or of another form.
fn spoilt(document: &Value, random: &mut fastrand::Rng) -> (String, Value) {
    let mut spoilt = document.clone();
    let mut path = String::new();
    let mut here = &mut spoilt;
    loop {
        let inside = match here {
            Value::Mapping(entries) => {
                let keys: Vec<Value> = entries.keys().cloned().collect();
                let key = keys[random.usize(..keys.len())].clone();
                path = format!("{path}.{}", key.as_str().unwrap());
                let inner = &entries[&key];
                let deeper = inner.as_mapping().is_some_and(|m| !m.is_empty()) || inner.is_sequence();
                if !deeper || random.u8(..4) == 0 {
                    let value = entries.remove(&key).unwrap();
                    match random.u8(..7) {
                        0 => path.push_str(" left out"),
                        1 => {
                            path.push_str(" renamed");
                            entries.insert("surprise".into(), value);
                        }
                        form => {
                            let form = match form {
                                2 => Value::Null,
                                3 => "x".into(),
                                4 => 7.into(),
                                5 => true.into(),
                                _ => Value::Sequence(vec!["x".into()]),
                            };
                            path = format!("{path} is {form:?}");
                            entries.insert(key, form);
                        }
                    }
                    return (path, spoilt);
                }
                &mut entries[&key]
            }
            Value::Sequence(items) => {
                let at = random.usize(..items.len());
                path = format!("{path}[{at}]");
                &mut items[at]
            }
            scalar => {
                *scalar = 7.into();
                path.push_str(" is 7");
                return (path, spoilt);
            }
        };
        here = inside;
    }
}

#[test]
#[ignore = "needs real peers: tests/peers/run"]
fn whatever_is_spoilt_in_a_config_the_lab_takes_it_exactly_when_talos_does() {
    let talosctl = Talosctl::new();
    let plan = defaults::plan(&Defaults { workers: 1, image_sha256: Some("0".repeat(64)), ..Defaults::default() });
    let good: Vec<Vec<Value>> = configs(&plan).iter().map(|text| documents(text)).collect();
    let mut random = fastrand::Rng::with_seed(7);
    let mut apart = Vec::new();
    for round in 0..80 {
        let mut config = good[round % 2].clone();
        let (what, document) = spoilt(&config[0], &mut random);
        config[0] = document;
        let text: Vec<String> = config.iter().map(|d| serde_yaml::to_string(d).unwrap()).collect();
        let text = text.join("---\n").replace("0o644", "420").replace("'420'", "420");
        let file = talosctl.file("spoilt.yaml", &text);
        let said = talosctl.say(&["validate", "--mode", "cloud", "-c", &file]);
        let lab = MachineConfig::read(text.as_bytes()).err().map(|e| e.why());
        // Not the words: Talos names types of Go in some of them.
        if (said.code == Some(0)) != lab.is_none() {
            apart.push(format!("{what}\n  Talos: {:?} {}\n  lab:   {lab:?}", said.code, said.err));
        }
    }
    assert!(apart.is_empty(), "{}:\n{}", apart.len(), apart.join("\n"));
}
