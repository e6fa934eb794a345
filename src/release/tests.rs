use super::*;

fn component(name: &str, after: &[&str]) -> Component {
    Component {
        name: name.to_string(),
        namespace: format!("cozy-{name}"),
        release_name: name.to_string(),
        after: after.iter().map(ToString::to_string).collect(),
    }
}

fn release() -> Release {
    Release::embedded("v0.37.2").unwrap()
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn every_release_that_is_built_in_is_read() {
    assert_eq!(KNOWN.len(), EMBEDDED.len());
    for release in KNOWN.iter() {
        let known: BTreeSet<&str> = release.names().collect();
        let named = release.needed.iter().chain(&release.indispensable);
        let registries = release.registries.iter().flat_map(|r| &r.needed_by);
        let outside = ["talos", "ingress"];
        for name in named.chain(registries).filter(|name| !outside.contains(&name.as_str())) {
            assert!(known.contains(name.as_str()), "{}: {name} is no component", release.version);
        }
        for (profile, _) in release.profiles() {
            let (bundle, disabled) = release.written_for(profile).unwrap();
            assert!(release.bundles.iter().any(|b| b == bundle), "{profile}: {bundle}");
            assert!(!disabled.iter().any(|name| release.needed.contains(name)), "{profile} leaves out what is needed");
        }
    }
}

#[test]
fn the_bundle_of_the_first_release_has_its_fifty_eight_entries() {
    let release = release();
    assert_eq!((release.names().count(), release.optional().count()), (58, 8));
    let image = "https://github.com/cozystack/cozystack/releases/download/v0.37.2/nocloud-amd64.raw.xz";
    assert_eq!(release.image_url(), image);
}

#[test]
fn a_release_that_is_not_built_in_is_refused_with_those_that_are() {
    let error = Release::embedded("v9.9.9").unwrap_err();
    assert_eq!(error.to_string(), "no release v9.9.9 is built in; there is v0.37.2, v0.37.10");
}

/// Read at the tags: the patch has another installer image, and nothing else that cozyup reads differs.
#[test]
fn the_last_patch_of_the_line_has_an_image_of_its_own_and_the_rest_of_its_first_release() {
    let (first, last) = (release(), Release::embedded("v0.37.10").unwrap());
    assert_eq!(
        last.installer.image,
        concat!(
            "ghcr.io/cozystack/cozystack/installer:v0.37.10",
            "@sha256:df2e6d4cf91636f8b6e8553fe61fdfd48945fe97f22086f5d9c9fc5bac89fd71"
        )
    );
    assert!(last.image_url().ends_with("/v0.37.10/nocloud-amd64.raw.xz"), "{}", last.image_url());
    let (installer, published) = (first.installer.clone(), first.published.clone());
    assert_eq!(Release { version: first.version.clone(), published, installer, ..last.clone() }, first);
    assert_eq!(first.later().map(|r| r.version.as_str()), Some("v0.37.10"));
    assert_eq!((last.later(), Release::current().version.as_str()), (None, "v0.37.2"));
}

#[test]
fn a_wave_holds_what_the_waves_before_it_allow() {
    let all = [component("c", &["b", "a"]), component("a", &[]), component("b", &["a", "elsewhere"])];
    assert_eq!(waves(&all), [["a"], ["b"], ["c"]]);
}

#[test]
fn a_circle_is_found_and_ends() {
    let all = [component("a", &[]), component("b", &["c"]), component("c", &["b"])];
    assert_eq!(waves(&all).len(), 2);
    assert_eq!(first_circular(&all), Some("b".to_string()));
}

#[test]
fn the_network_can_not_be_disabled() {
    for name in ["cilium", "kubeovn"] {
        let error = release().profile("paas-full", &names(&[name]), &[]).unwrap_err();
        assert_eq!(error, Error::Indispensable { name: name.to_string() });
    }
}

#[test]
fn a_name_that_cozystack_would_ignore_is_refused() {
    let unknown = Error::UnknownComponent { name: "kubevrit".to_string() };
    assert_eq!(release().profile("paas-full", &names(&["kubevrit"]), &[]), Err(unknown.clone()));
    assert_eq!(release().profile("paas-full", &[], &names(&["kubevrit"])), Err(unknown));
}

#[test]
fn enabling_means_something_or_is_refused() {
    let all = release().profile("paas-full", &[], &names(&["telepresence"])).unwrap();
    let found = all.iter().find(|c| c.name == "telepresence").unwrap();
    assert_eq!((found.release_name.as_str(), all.len()), ("traffic-manager", 48));
    let refused = |name: &str| release().profile("paas-proxmox", &[], &names(&[name])).unwrap_err();
    assert!(matches!(refused("linstor"), Error::NotOptional { .. }));
    assert!(matches!(refused("keycloak"), Error::Gated { .. }));
    assert!(matches!(refused("kubevirt"), Error::Contradiction { .. }));
}

#[test]
fn a_component_that_would_wait_for_ever_is_refused() {
    let mut release = release();
    release.components.push(Entry {
        name: "ours".to_string(),
        namespace: "ours".to_string(),
        release: None,
        after: names(&["velero"]),
        optional: false,
        gate: None,
    });
    let error = release.profile("paas-full", &[], &[]).unwrap_err();
    assert_eq!(error, Error::Dangling { name: "ours".to_string(), missing: "velero".to_string() });
    assert!(release.profile("paas-full", &[], &names(&["velero"])).is_ok());
}
