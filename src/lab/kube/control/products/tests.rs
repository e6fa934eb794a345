use super::*;

#[test]
fn whatever_a_release_brings_is_defined() {
    let bundle = super::super::bundle::graph().components().iter().map(|c| c.name.as_str());
    let others = ["flux", "infrastructureproviders", "ipamproviders"];
    let mut found = 0;
    for release in bundle.chain(others) {
        for (group, plural) in brought::by(release) {
            assert!(definitions::of(&format!("{plural}.{group}")).is_some(), "{plural}.{group}");
            found += 1;
        }
    }
    assert!(found > 30, "{found}");
}
