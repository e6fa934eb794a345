use super::*;

fn names() -> Option<Names> {
    let services = BTreeMap::from([("kubernetes.default.svc.cozy.local".to_string(), "10.96.0.1".to_string())]);
    Some(Names { server: "10.96.0.10".into(), services })
}

fn try_out(script: &str, files: &mut BTreeMap<String, Files>) -> (String, Outcome) {
    let mounts = [(String::new(), "own".to_string()), ("/data".to_string(), "pv-1".to_string())];
    let (names, env) = (names(), BTreeMap::from([("WHO".to_string(), "me; echo".to_string())]));
    let mut machine = Machine {
        hostname: "probe",
        mounts: &mounts,
        files,
        names: &names,
        env: &env,
        servers: &mut psql::Servers::new(),
        answers: &Answers::new(),
        wanted: None,
    };
    let outcome = run(script, false, &mut machine);
    (outcome.lines.iter().map(|(_, l)| format!("{l}\n")).collect(), outcome)
}

#[test]
fn what_one_script_writes_to_a_volume_the_next_one_reads() {
    let mut files = BTreeMap::new();
    let (out, outcome) = try_out("echo 'proof 17' > /data/proof && sync && cat /data/proof", &mut files);
    assert_eq!((out.as_str(), outcome.code), ("proof 17\n", 0));
    files.remove("own");
    assert_eq!(try_out("cat /data/proof", &mut files).0, "proof 17\n");
}

#[test]
fn a_failure_stops_a_chain_but_not_the_next_line() {
    let (out, outcome) = try_out("cat /data/none && echo no\necho yes; false || echo saved", &mut BTreeMap::new());
    assert_eq!(out, "cat: can't open '/data/none': No such file or directory\nyes\nsaved\n");
    assert_eq!(outcome.code, 0);
    assert_eq!(try_out("set -e\nfalse\necho no", &mut BTreeMap::new()).1.code, 1);
}

#[test]
fn names_resolve_only_when_the_cluster_knows_them() {
    let (out, outcome) = try_out("nslookup kubernetes.default.svc.cozy.local", &mut BTreeMap::new());
    assert!(out.ends_with("Address: 10.96.0.1\n"), "{out}");
    assert_eq!(outcome.code, 0);
    assert_eq!(try_out("nslookup kubernetes.default.svc.cluster.local", &mut BTreeMap::new()).1.code, 1);
}

#[test]
fn sleeping_delays_what_is_printed_after_it() {
    let (_, outcome) = try_out("echo a; sleep 20; echo b", &mut BTreeMap::new());
    assert_eq!(outcome.lines, [(Duration::ZERO, "a".into()), (Duration::from_secs(20), "b".into())]);
    assert_eq!(outcome.lasted, Duration::from_secs(20));
}

#[test]
fn variables_are_put_in_but_not_between_single_quotes_and_are_no_commands() {
    let out = |script: &str| try_out(script, &mut BTreeMap::new()).0;
    assert_eq!(out("echo \"$WHO\" ${WHO}! '$WHO'"), "me; echo me; echo! $WHO\n");
    assert_eq!(out("printf 'a=%s\\nb=%s\\n' \"$WHO\" x"), "a=me; echo\nb=x\n");
}

#[test]
fn what_the_shell_does_not_know_fails_loudly() {
    assert_eq!(try_out("wget example.org", &mut BTreeMap::new()).1.code, 127);
}
