use super::*;

#[test]
fn every_built_in_scenario_can_be_loaded_and_bears_its_name() {
    for name in Scenario::names() {
        assert_eq!(Scenario::load(name).unwrap().name, name);
    }
}

#[test]
fn an_unknown_scenario_says_where_to_look() {
    assert!(Scenario::load("nope").unwrap_err().to_string().contains("lab list"));
}

#[test]
fn a_scenario_takes_from_the_one_it_extends_what_it_does_not_say() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.yaml");
    std::fs::write(&path, "extends: standard\nname: mine\nabout: mine\nlatency: {clone_s: 99}\n").unwrap();
    let mine = Scenario::load(path.to_str().unwrap()).unwrap();
    let standard = Scenario::load("standard").unwrap();
    assert_eq!((mine.latency.clone_s, mine.latency.import_s), (99.0, standard.latency.import_s));
    assert_eq!(mine.nodes.len(), standard.nodes.len());
}
