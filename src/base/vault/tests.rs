use super::*;

/// Quick; a person's passphrase gets [`WORK`].
const LIGHT: u8 = 4;

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_string())
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    dir
}

fn own_key() -> (Key, Secret<String>) {
    let key = Secret::new(Identity::generate().to_string().expose_secret().to_string());
    let file = format!("# created: today\n# public key: age1...\n{}\n", key.expose());
    (Key::of_text(&Secret::new(file)), key)
}

fn holds_in_the_clear(dir: &Path, text: &str) -> bool {
    names(dir).unwrap().iter().any(|n| String::from_utf8_lossy(&fs::read(dir.join(n)).unwrap()).contains(text))
}

#[test]
fn a_folder_is_sealed_under_a_passphrase_used_and_unsealed() {
    let dir = folder();
    let dir = dir.path();
    Vault::open(dir, None).unwrap().keep("kubeconfig", &secret("first words")).unwrap();
    let key = Key::of_text(&secret("correct horse\n"));
    seal(dir, &key, LIGHT).unwrap();
    assert!(is_sealed(dir).unwrap() && wants_passphrase(dir) && !holds_in_the_clear(dir, "first words"));
    let identity = unlock(dir, &key).unwrap();
    let vault = Vault::open(dir, Some(&identity)).unwrap();
    assert_eq!(vault.read("kubeconfig").unwrap().expose(), "first words");
    vault.keep("kubeconfig", &secret("second words")).unwrap();
    vault.keep("token", &secret("third words")).unwrap();
    assert!(vault.holds("token") && vault.path("token").ends_with("token.age"));
    assert!(!holds_in_the_clear(dir, "words"));
    assert_eq!(list(dir).unwrap(), ["kubeconfig", "token"]);
    unseal(dir, &identity).unwrap();
    let mut left = names(dir).unwrap();
    left.sort();
    assert_eq!(left, ["kubeconfig", "token"]);
    assert_eq!(Vault::open(dir, None).unwrap().read("kubeconfig").unwrap().expose(), "second words");
}

#[test]
fn a_wrong_passphrase_or_key_opens_nothing_and_without_one_nothing_is_written() {
    let dir = folder();
    let dir = dir.path();
    seal(dir, &Key::Passphrase(secret("correct horse")), LIGHT).unwrap();
    let (other, other_identity) = own_key();
    for wrong in [Key::Passphrase(secret("battery staple")), other] {
        assert!(matches!(unlock(dir, &wrong), Err(VaultError::WrongKey { .. })));
    }
    assert!(matches!(Vault::open(dir, Some(&other_identity)), Err(VaultError::WrongKey { .. })));
    let closed = Vault::open(dir, None).unwrap();
    let error = closed.keep("token", &secret("words")).unwrap_err();
    assert!(matches!(error, VaultError::Sealed { .. }) && error.next().contains("--secrets-key"), "{error}");
    assert!(!closed.holds("token") && !dir.join("token").exists());
}

#[test]
fn with_a_key_of_the_users_own_no_key_is_in_the_folder() {
    let dir = folder();
    let dir = dir.path();
    fs::write(dir.join("token"), "words").unwrap();
    let (key, identity) = own_key();
    seal(dir, &key, LIGHT).unwrap();
    assert!(!wants_passphrase(dir) && !holds_in_the_clear(dir, identity.expose()));
    assert_eq!(unlock(dir, &key).unwrap().expose(), identity.expose());
    assert_eq!(Vault::open(dir, Some(&identity)).unwrap().read("token").unwrap().expose(), "words");
    assert!(matches!(seal(dir, &key, LIGHT), Err(VaultError::SealedAlready { .. })));
}

#[test]
fn a_sealing_that_was_cut_off_anywhere_is_brought_to_its_end_and_loses_nothing() {
    let (key, identity) = own_key();
    let whole = folder();
    fs::write(whole.path().join("a"), "words of a").unwrap();
    seal(whole.path(), &key, LIGHT).unwrap();
    let sealed_a = fs::read(whole.path().join("a.age")).unwrap();
    for (plain, closed) in [(true, false), (true, true), (false, true)] {
        let dir = folder();
        let dir = dir.path();
        fs::copy(whole.path().join(RECIPIENT), dir.join(RECIPIENT)).unwrap();
        if plain {
            file::write_private(&dir.join("a"), b"words of a").unwrap();
        }
        if closed {
            file::write_private(&dir.join("a.age"), &sealed_a).unwrap();
        }
        let vault = Vault::open(dir, Some(&identity)).unwrap();
        assert_eq!(vault.read("a").unwrap().expose(), "words of a");
        assert!(!holds_in_the_clear(dir, "words of a"));
    }
}

#[test]
fn sealed_copies_that_an_unsealing_left_never_replace_what_is_newer() {
    let dir = folder();
    let dir = dir.path();
    let (key, identity) = own_key();
    file::write_private(&dir.join("a"), b"old words").unwrap();
    seal(dir, &key, LIGHT).unwrap();
    let left = fs::read(dir.join("a.age")).unwrap();
    unseal(dir, &identity).unwrap();
    file::write_private(&dir.join("a.age"), &left).unwrap();
    file::write_private(&dir.join("a"), b"new words").unwrap();
    seal(dir, &key, LIGHT).unwrap();
    assert_eq!(Vault::open(dir, Some(&identity)).unwrap().read("a").unwrap().expose(), "new words");
    // Without its recipient a sealed file is the only copy there is.
    fs::remove_file(dir.join(RECIPIENT)).unwrap();
    let error = seal(dir, &key, LIGHT).unwrap_err();
    assert!(error.to_string().contains("a.age was sealed for it") && dir.join("a.age").exists(), "{error}");
}

#[test]
fn a_file_that_was_changed_is_not_believed() {
    let dir = folder();
    let dir = dir.path();
    let (key, identity) = own_key();
    seal(dir, &key, LIGHT).unwrap();
    let vault = Vault::open(dir, Some(&identity)).unwrap();
    vault.keep("token", &secret("words")).unwrap();
    let mut bytes = fs::read(vault.path("token")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    file::write_private(&vault.path("token"), &bytes).unwrap();
    let error = vault.read("token").unwrap_err();
    assert!(matches!(error, VaultError::Damaged { .. }) && error.to_string().contains("token.age"), "{error}");
}
